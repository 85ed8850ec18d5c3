"""The least depth of a program's instructions, proved: by paths, and where those leave room by an integer program.

    before   instructions, and the schedule that schedule.py made of them
    after    a number of sublayers that no schedule goes below, and the shortest schedule that was found

A *schedule* is one by the rules of schedule.py and regions.py: each instruction stands between the two loops that it
stands between in the program, a loop's passes are alike and take whole layers, loops run one after the other, a
division has an attention sublayer to itself, four apart from the next, with MLP sublayers around it. So a block is as
short as its segments are, from either side, and a segment is as short as is

    paths      the longest chain of what needs each other, with nothing in anybody's way
    program    where chains leave room: x[i, t] = 1 if instruction i stands in sublayer t, for one length after the
               other, until there is a solution (HiGHS, by scipy.optimize.milp)

No solution is a proof that the length is not enough. A solution is scheduled again by schedule.py, which puts nothing
where the rules forbid it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from innerloop.artifact.words import Side

from .instructions import Atom, Block, Instruction, InstructionLoop, Instructions, Quotient, State
from .placement_program import Problem, solved
from .regions import Segment
from .schedule import schedule
from .sublayers import Carry, Schedule, other

MOST = 40
"""Instructions between two loops that the integer program is written for."""
NEVER = 10**9


@dataclass(frozen=True)
class Depth:
    """In layers. `paths`: what chains of needs alone ask, with these loops; `least`: what is proved of all schedules;
    `found`: the shortest schedule known. `open`: segments whose least length stayed unknown, and why."""

    scheduled: int
    paths: int
    least: int
    found: int
    shorter: Schedule | None
    open: tuple[str, ...]
    programs: int
    """Integer programs that were solved."""

    @property
    def proof(self) -> str:
        if not self.programs:
            return "by paths"
        return f"by {self.programs} integer program{'s' if self.programs > 1 else ''}"

    @property
    def verdict(self) -> str:
        """In a sentence."""
        if self.found < self.scheduled:
            also = ", and are least" if self.found == self.least else ""
            return f"{self.found} layers do{also}: a shorter schedule than this one of {self.scheduled}"
        if self.least == self.scheduled:
            return f"{self.scheduled} layers are least: proved"
        return f"{self.least} layers at least; whether fewer than {self.scheduled} do is open: {'; '.join(self.open)}"


def least_depth(placed: Schedule, seconds: float | None = 60.0) -> Depth:
    """What no schedule of these instructions goes below; `seconds` for each integer program, None for none."""
    proof = _Proof(placed.instructions, seconds)
    paths = proof.whole(lambda task: task.paths)
    own = schedule(placed.instructions)
    least = proof.whole(proof.least) if paths < own.length else paths
    again = schedule(placed.instructions, proof.times) if proof.times else own
    best = min(again, own, placed, key=lambda s: s.length)
    return Depth(
        placed.length // 2, paths // 2, least // 2, best.length // 2,
        best if best.length < placed.length else None, tuple(dict.fromkeys(proof.open)), proof.programs,
    )  # fmt: skip


def format_depth(depth: Depth, target: str, critical: int) -> str:
    """What is known of the least depth, a line each, and a shorter schedule where there is one; `critical`: the layers
    of the graph's critical path."""
    rows = [
        ("layers", depth.scheduled, "as scheduled"),
        ("critical path", critical, "what values wait for, were nothing in anybody's way"),
        (
            "with its loops",
            depth.paths,
            "the same, but that loops run one after the other, and passes, of whole layers",
        ),
        ("proved", depth.least, f"no schedule of this graph by {target}'s rules has fewer: {depth.proof}"),
    ]
    lines = [f"{name:16s} {layers:5d}  {what}" for name, layers, what in rows]
    return "\n".join([*lines, depth.verdict])


@dataclass(frozen=True)
class _Task:
    """A segment that begins on a side."""

    problem: Problem
    greedy: int
    """As long as schedule.py makes it."""

    @property
    def paths(self) -> int:
        return self.problem.shortest


@dataclass
class _Proof:
    instructions: Instructions
    seconds: float | None
    times: dict[tuple[Side, Atom], int] = field(default_factory=dict)
    open: list[str] = field(default_factory=list)
    programs: int = 0
    known: dict[object, int] = field(default_factory=dict)

    @property
    def parallel(self) -> bool:
        return self.instructions.target.parallel

    def whole(self, length: Callable[[_Task], int]) -> int:
        """Sublayers of all, where a segment takes as many as `length` says."""
        return self._block(self.instructions.block, (), "attention", None, length)[0]

    def _block(
        self, block: Block, states: tuple[State, ...], first: Side, carry: Carry | None, length: Callable[[_Task], int]
    ) -> tuple[int, int]:
        """The least even and the least odd number of sublayers that it takes from this side."""
        starts = {s.atom for item in block if isinstance(item, InstructionLoop) for s in item.states}
        ends, run, divided, number = (0, NEVER), list[Instruction](), False, 0
        for item in [*block, None]:
            if isinstance(item, Instruction):
                run.append(item)
                continue
            last, carried = item is None, carry if number == 0 else None
            ends = self._joined(ends, first, lambda side, r=run, d=divided, c=carried, u=last: _padded(  # type: ignore[misc]
                length(self._task(r, starts, states if u else (), side, c, d)), self.parallel))  # fmt: skip
            divided = divided or any(isinstance(i.op, Quotient) for i in run)
            if isinstance(item, InstructionLoop):
                ends = self._joined(ends, first, lambda side, loop=item: self._loop(loop, side, length))  # type: ignore[misc]
                divided = divided or _divides(item.body)
            run, number = [], number + 1
        return ends

    def _joined(self, ends: tuple[int, int], first: Side, more: Callable[[Side], tuple[int, int]]) -> tuple[int, int]:
        """Least lengths with something behind them, which begins on the side that they leave."""
        found = [NEVER, NEVER]
        for parity, length in enumerate(ends):
            if length < NEVER:
                for extra, n in enumerate(more(first if parity == 0 else other(first))):
                    found[(parity + extra) % 2] = min(found[(parity + extra) % 2], length + n)
        return found[0], found[1]

    def _loop(self, loop: InstructionLoop, side: Side, length: Callable[[_Task], int]) -> tuple[int, int]:
        carry = Carry(loop.carry, tuple(s.atom for s in loop.states), loop.kinds) if loop.carry else None
        found = [NEVER, NEVER]
        starts: tuple[Side, ...] = ("attention",) if carry is not None or self.parallel else (side, other(side))
        for start in starts:
            even = self._block(loop.body, loop.states, start, carry, length)[0]
            pad = int(start != side)
            found[pad] = min(found[pad], pad + even * loop.count)
        return found[0], found[1]

    def _task(
        self, run: list[Instruction], starts: set[Atom], states: tuple[State, ...], side: Side, carry: Carry | None,
        divided: bool,
    ) -> _Task:  # fmt: skip
        segment = Segment(self.instructions, side, carry, divided)
        segment.fill(run, starts)
        segment.update(states)
        return _Task(Problem.of(segment, run, starts, states), len(segment.sublayers))

    def least(self, task: _Task) -> int:
        """Of a segment, proved as far as it is known; `times` gets what is shorter than schedule.py makes it."""
        problem = task.problem
        made = tuple(i.out for i in problem.instructions)
        key = problem.first, made, problem.divided, problem.carried, problem.changes
        if key not in self.known:
            self.known[key] = self._shortest(problem, task.greedy)
        return self.known[key]

    def _shortest(self, problem: Problem, greedy: int) -> int:
        for length in range(problem.shortest, greedy):
            if self.seconds is None:
                self.open.append("no integer program was solved")
                return length
            if len(problem.instructions) > MOST:
                many = len(problem.instructions)
                self.open.append(f"{many} instructions stand between two loops, and {MOST} are looked through")
                return length
            self.programs += 1
            times = solved(problem, length, self.seconds)
            if times is None:
                continue
            if isinstance(times, str):
                self.open.append(f"the solver did not end in {self.seconds:g} seconds for {length} sublayers")
                return length
            self.times.update({(problem.first, atom): time for atom, time in times.items()})
            return length
        return greedy


def _padded(length: int, parallel: bool) -> tuple[int, int]:
    """With an idle sublayer behind it, where that is allowed."""
    if parallel:
        return length + length % 2, NEVER
    return (length, length + 1) if length % 2 == 0 else (length + 1, length)


def _divides(block: Iterable[Instruction | InstructionLoop]) -> bool:
    return any(_divides(i.body) if isinstance(i, InstructionLoop) else isinstance(i.op, Quotient) for i in block)
