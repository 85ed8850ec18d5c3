"""Scheduling: every instruction gets a sublayer, as early as it can.

    before (instructions)                              after
    u = copy previous                           0 attention   u
    U = multiply u, u      b = multiply y, u    0 mlp         U b
    S = mean y of U        c = mean y of b      1 attention   S c
    repeat 9: w += −0.1 S w + 0.1 c             repeat 9      mlp, attention   w +=

Sublayers alternate; a block of them holds the instructions of one block of the program, and a loop's block
begins on whichever side makes the whole shortest and holds as many attention as MLP sublayers. Where a layer's
attention and MLP read the same, blocks and loops are of whole layers.
"""

from __future__ import annotations

from dataclasses import dataclass

from innerloop.artifact.words import Side

from .instructions import Block, Instruction, InstructionLoop, Instructions, State
from .regions import Segment, Times
from .sublayers import Carry, LoopPlan, Schedule, SublayerPlan, other, walk


def schedule(instructions: Instructions, times: Times | None = None) -> Schedule:
    """`times`: a plan that puts off what could be earlier (least_depth.py)."""
    body, length = _Scheduler(instructions, times or {}).block(instructions.block, (), "attention", None)
    if length % 2:
        body.append(SublayerPlan("mlp"))
        length += 1
    return Schedule(instructions, body, length)


@dataclass
class _Scheduler:
    instructions: Instructions
    times: Times

    def block(
        self, block: Block, states: tuple[State, ...], first: Side, carry: Carry | None
    ) -> tuple[list[SublayerPlan | LoopPlan], int]:
        """The block's sublayers, the first of them on side `first`, and their number unrolled."""
        body: list[SublayerPlan | LoopPlan] = []
        length = 0
        starts = {s.atom for item in block if isinstance(item, InstructionLoop) for s in item.states}
        segments: list[list[Instruction]] = [[]]
        loops: list[InstructionLoop] = []
        for item in block:
            if isinstance(item, InstructionLoop):
                loops.append(item)
                segments.append([])
            else:
                segments[-1].append(item)
        for number, segment in enumerate(segments):
            side = first if length % 2 == 0 else other(first)
            divided = any(s.division for s in walk(body))
            run = Segment(self.instructions, side, carry if number == 0 else None, divided, times=self.times)
            run.fill(segment, starts)
            if number == len(loops):
                run.update(states)
            if self.instructions.target.parallel and len(run.sublayers) % 2:
                run.sublayers.append(SublayerPlan("mlp"))
            body.extend(run.sublayers)
            length += len(run.sublayers)
            if number < len(loops):
                pad, loop, count = self._loop(loops[number], first if length % 2 == 0 else other(first))
                body.extend([*pad, loop])
                length += len(pad) + count
        return body, length

    def _loop(self, loop: InstructionLoop, side: Side) -> tuple[list[SublayerPlan], LoopPlan, int]:
        """The loop's sublayers, begun on the side that makes the whole shortest; one idle one at most stands before."""
        best: tuple[int, list[SublayerPlan], LoopPlan, int] | None = None
        carry = Carry(loop.carry, tuple(s.atom for s in loop.states), loop.kinds) if loop.carry else None
        whole = carry is not None or self.instructions.target.parallel
        starts: tuple[Side, ...] = ("attention",) if whole else (side, other(side))
        for start in starts:
            body, count = self.block(loop.body, loop.states, start, carry)
            if count % 2:
                body.append(SublayerPlan(other(start)))
                count += 1
            pad = [] if start == side else [SublayerPlan(side)]
            cost = len(pad) + count * loop.count
            if best is None or cost < best[0]:
                best = (cost, pad, LoopPlan(loop.count, carry is not None, loop.states, body), count * loop.count)
        assert best is not None
        return best[1], best[2], best[3]
