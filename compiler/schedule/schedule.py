"""Scheduling: every task gets a sublayer, as early as it can.

    before (tasks)                              after
    u = copy previous                           0 attention   u
    U = multiply u, u      b = multiply y, u    0 mlp         U b
    S = mean y of U        c = mean y of b      1 attention   S c
    repeat 9: w += −0.1 S w + 0.1 c             repeat 9      mlp, attention   w +=

Sublayers alternate; a block of them holds the tasks of one block of the program, and a loop's block
begins on whichever side makes the whole shortest and holds as many attention as MLP sublayers.
"""

from __future__ import annotations

from dataclasses import dataclass

from .instructions import Block, LoopTask, State, Task, Tasks
from .regions import Segment
from .sublayers import Carry, LoopStage, Schedule, Stage, other, walk


def schedule(tasks: Tasks) -> Schedule:
    stages, length = _Blocks(tasks).block(tasks.block, (), "attention", None)
    if length % 2:
        stages.append(Stage("mlp"))
        length += 1
    return Schedule(tasks, stages, length)


@dataclass
class _Blocks:
    tasks: Tasks

    def block(
        self, block: Block, states: tuple[State, ...], first: str, carry: Carry | None
    ) -> tuple[list[Stage | LoopStage], int]:
        """The block's stages, the first of them on side `first`, and their number unrolled."""
        stages: list[Stage | LoopStage] = []
        length = 0
        starts = {s.atom for item in block if isinstance(item, LoopTask) for s in item.states}
        segments: list[list[Task]] = [[]]
        loops: list[LoopTask] = []
        for item in block:
            if isinstance(item, LoopTask):
                loops.append(item)
                segments.append([])
            else:
                segments[-1].append(item)
        for number, segment in enumerate(segments):
            side = first if length % 2 == 0 else other(first)
            divided = any(s.division for s in walk(stages))
            run = Segment(self.tasks, side, carry if number == 0 else None, divided)
            run.fill(segment, starts)
            if number == len(loops):
                run.update(states)
            stages.extend(run.stages)
            length += len(run.stages)
            if number < len(loops):
                pad, loop, count = self._loop(loops[number], first if length % 2 == 0 else other(first))
                stages.extend([*pad, loop])
                length += len(pad) + count
        return stages, length

    def _loop(self, loop: LoopTask, side: str) -> tuple[list[Stage], LoopStage, int]:
        """The loop's stages, begun on the side that makes the whole shortest; at most one idle stage stands before
        it."""
        best: tuple[int, list[Stage], LoopStage, int] | None = None
        carry = Carry(loop.carry, tuple(s.atom for s in loop.states), loop.kinds) if loop.carry else None
        for start in ("attention",) if carry else (side, other(side)):
            body, count = self.block(loop.body, loop.states, start, carry)
            if count % 2:
                body.append(Stage(other(start)))
                count += 1
            pad = [] if start == side else [Stage(side)]
            cost = len(pad) + count * loop.count
            if best is None or cost < best[0]:
                best = (cost, pad, LoopStage(loop.count, carry is not None, loop.states, body), count * loop.count)
        assert best is not None
        return best[1], best[2], best[3]
