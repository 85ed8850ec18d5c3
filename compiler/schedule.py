"""Scheduling: every task gets a sublayer, as early as it can.

    before (tasks)                              after
    u = copy previous                           0 attention   u
    U = multiply u, u      b = multiply y, u    0 mlp         U b
    S = mean y of U        c = mean y of b      1 attention   S c
    repeat 9: w += −0.1 S w + 0.1 c             repeat 9      mlp, attention   w +=

Sublayers alternate; a block of them holds the tasks of one block of the program, and a loop's block
begins on whichever side makes the whole shortest and holds as many attention as MLP sublayers.

A division takes an attention sublayer to itself (`Division`): the MLP sublayer before it writes
±K·divisor and takes the norm's constants away, so that the norm divides the whole stream; the MLP
sublayer after it takes ±K·divisor out again. See emit.py.

A state is changed in place, by tasks that write to its slots, not before the last reader of what
it was has read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from .sparse import Matrix
from .targets import Target
from .tasks import Atom, Attend, Block, Form, Linear, LoopTask, Quotient, Relation, State, Task, Tasks


@dataclass(frozen=True)
class Write:
    """atom += matrix @ (what the task makes)."""

    atom: Atom
    matrix: Matrix


@dataclass
class Placed:
    """A task in its sublayer. `writes` says where its result goes: its own slots, if anything reads it there, and
    states."""

    task: Task
    writes: list[Write] = field(default_factory=list)

    @property
    def makes(self) -> bool:
        """Whether its atom begins here, and is not a state that it changes."""
        return all(write.atom != self.task.out for write in self.writes)


@dataclass
class Carry:
    """The head of a scan's pass: the states move along `relation`."""

    relation: Relation
    atoms: tuple[Atom, ...]
    kinds: frozenset[str]


@dataclass
class Stage:
    """One sublayer. `division`: its norm divides by this divisor (attention); `prepares`: the division that an MLP
    sublayer makes ready; `clears`: the one that it cleans up after."""

    side: str
    placed: list[Placed] = field(default_factory=list)
    carry: Carry | None = None
    division: Form | None = None
    prepares: Placed | None = None
    clears: Placed | None = None

    def takes(self, task: Task, target: Target) -> bool:
        """Whether another task fits in: a division has its sublayer to itself, and one that is linear attention copies
        nothing."""
        mixed = target.linear and any(isinstance(p.task.op, Attend) != isinstance(task.op, Attend) for p in self.placed)
        return self.division is None and not mixed


@dataclass
class LoopStage:
    """`scan`: its states move from token to token."""

    count: int
    scan: bool
    states: tuple[State, ...]
    body: list[Stage | LoopStage]


@dataclass(frozen=True)
class Schedule:
    tasks: Tasks
    stages: list[Stage | LoopStage]
    length: int
    """Sublayers, loops unrolled."""

    def walk(self) -> Iterator[Stage]:
        """The stages in order, a loop's body once."""
        return _walk(self.stages)


def _walk(stages: list[Stage | LoopStage]) -> Iterator[Stage]:
    for stage in stages:
        if isinstance(stage, LoopStage):
            yield from _walk(stage.body)
        else:
            yield stage


def schedule(tasks: Tasks) -> Schedule:
    stages, length = _Blocks(tasks).block(tasks.block, (), "attention", None)
    if length % 2:
        stages.append(Stage("mlp"))
        length += 1
    return Schedule(tasks, stages, length)


def other(side: str) -> str:
    return "mlp" if side == "attention" else "attention"


# Blocks ------------------------------------------------------------------------------------------


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
            divided = any(s.division for s in _walk(stages))
            run = _Segment(self.tasks, side, carry if number == 0 else None, divided)
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


# Segments ----------------------------------------------------------------------------------------


@dataclass
class _Segment:
    """Tasks between loops, each as soon as it can. Times count from the segment's own beginning."""

    tasks: Tasks
    first: str
    carry: Carry | None
    divided: bool
    """Whether an earlier division may have left rounding in the norm's scratch slots."""
    stages: list[Stage] = field(default_factory=list)
    made: dict[Atom, tuple[int, Placed]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.carry is not None:
            self._stage(0).carry = self.carry

    def _stage(self, time: int) -> Stage:
        while len(self.stages) <= time:
            self.stages.append(Stage(self.first if len(self.stages) % 2 == 0 else other(self.first)))
        return self.stages[time]

    def _ready(self, *forms: Form) -> int:
        """The first time at which everything in the forms is there."""
        time = 0
        for atom in {a for f in forms for a in f.atoms}:
            if atom in self.made:
                time = max(time, self.made[atom][0] + 1)
            elif self.carry is not None and atom in self.carry.atoms:
                time = max(time, 1)
        return time

    def _place(self, task: Task, time: int, writes: list[Write] | None = None) -> None:
        side = task.side
        if side == "either" and any(self.tasks.atoms[a].rests for a in task.reads[0].atoms):
            side = "mlp"  # a head would give its closed readers what the rest token holds
        while side not in ("either", self._stage(time).side) or not self._stage(time).takes(task, self.tasks.target):
            time += 1
        placed = Placed(task, writes or [])
        self._stage(time).placed.append(placed)
        if not placed.writes:  # a state's atom stands for what it was until the pass ends
            self.made[task.out] = (time, placed)

    def fill(self, tasks: list[Task], starts: set[Atom]) -> None:
        """Places the tasks; those that fill a loop's state (`starts`) last, in what makes their parts."""
        for task in tasks:
            if isinstance(task.op, Quotient):
                self._divide(task)
            elif task.out not in starts:
                self._place(task, self._ready(*task.reads))
        for task in tasks:
            if task.out in starts:
                (form,) = task.reads
                rest = self._direct(task.out, form, 0)
                if rest.parts:
                    self._linear(task.out, rest, 0)

    def _direct(self, atom: Atom, change: Form, floor: int) -> Form:
        """Adds the parts of `change` that are made at `floor` or later in the sublayers that make them; returns the
        rest."""
        rest = []
        for part, matrix in change.parts:
            if self._fresh(part, floor, atom):
                self.made[part][1].writes.append(Write(atom, matrix))
            else:
                rest.append((part, matrix))
        return Form(change.size, tuple(rest))

    def _fresh(self, part: Atom, floor: int, state: Atom) -> bool:
        """Whether what makes `part` may write it to the state too: it is made late enough, and is 0 where the state
        is."""
        if part not in self.made or self.tasks.atoms[part].rests:
            return False
        time, placed = self.made[part]
        return time >= floor and placed.task.kinds <= self.tasks.atoms[state].kinds

    def _linear(self, atom: Atom, form: Form, time: int) -> None:
        task = Task(Linear(), (form,), atom, self.tasks.atoms[atom].kinds)
        self._place(task, max(time, self._ready(form)), [Write(atom, Matrix.identity(form.size))])

    # Divisions ----------------------------------------------------------------------------------

    def _divide(self, task: Task) -> None:
        """The first attention sublayer that no other work takes, with the divisor there for the MLP sublayer before
        it."""
        top, bottom = task.reads
        time = max(self._ready(top), 1)
        for atom in bottom.atoms:
            if atom in self.made:
                made = self.made[atom][0]
                time = max(time, made + (1 if self.stages[made].side == "mlp" else 2))
            elif self.carry is not None and atom in self.carry.atoms:
                time = max(time, 2)
        again = isinstance(task.op, Quotient) and task.op.again
        while not self._divisible(time, bottom, again):
            time += 1
        placed = Placed(task)
        stage, before, after = self._stage(time), self._stage(time - 1), self._stage(time + 1)
        stage.placed.append(placed)
        stage.division = bottom
        # The divisor is written where any quotient is, and by what makes it, and is taken away at the same tokens.
        kinds = task.kinds | (before.prepares.task.kinds if before.prepares is not None else frozenset())
        kinds = kinds.union(*(p.task.kinds for p in before.placed if p.makes and p.task.out in bottom.atoms))
        before.prepares = after.clears = Placed(replace(task, kinds=kinds))
        self.made[task.out] = (time, placed)

    def _divisible(self, time: int, bottom: Form, again: bool) -> bool:
        """Whether the norm may divide by `bottom` at this time. What rounding leaves of a divisor is swept out before
        the next one comes, but not before one that is as large (`again`)."""
        stage = self._stage(time)
        if stage.side != "attention":
            return False
        if stage.division is not None:
            return stage.division == bottom
        if stage.placed or stage.carry:
            return False
        near = {t for t, s in enumerate(self.stages) if s.division is not None and abs(t - time) < 4}
        if again and all(self.made.get(atom, (-1,))[0] == time - 2 for atom in bottom.atoms):
            near.discard(time - 2)
        swept = not self.divided or any(s.side == "attention" and s.division is None for s in self.stages[: time - 1])
        return not near and swept

    # States -------------------------------------------------------------------------------------

    def update(self, states: tuple[State, ...]) -> None:
        """Every state's change, in place, not before the last reader of what it was.

        A part of a change that is made late enough is written to the state's slots by what makes it. The
        rest is a linear task; all of them stand in one sublayer, since they may read each other's states.
        """
        floor = {s.atom: self._last_reader(s.atom) for s in states}
        time = 0
        while True:
            rest = {
                s.atom: Form(
                    s.change.size, tuple(p for p in s.change.parts if not self._fresh(p[0], floor[s.atom], s.atom))
                )
                for s in states
            }
            rest = {a: f for a, f in rest.items() if f.parts}
            read = {a for f in rest.values() for a in f.atoms if a in floor}
            time = max([time, *(floor[a] for a in rest), *(self._ready(f) for f in rest.values())])
            while rest and self._stage(time).division is not None:
                time += 1
            if all(floor[a] >= time for a in read):
                break
            floor.update({a: max(floor[a], time) for a in read})
        for state in states:
            self._direct(state.atom, state.change, floor[state.atom])
        for atom, form in rest.items():
            self._linear(atom, form, time)

    def _last_reader(self, atom: Atom) -> int:
        last = 1 if self.carry is not None and atom in self.carry.atoms else 0
        for time, stage in enumerate(self.stages):
            divisions = [p.task.reads[1] for p in (stage.prepares, stage.clears) if p is not None]
            if any(atom in f.atoms for f in (*divisions, *(f for p in stage.placed for f in p.task.reads))):
                last = max(last, time)
        return last
