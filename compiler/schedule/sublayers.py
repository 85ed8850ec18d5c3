"""Sublayers: what a schedule is made of.

    Stage        one attention or MLP sublayer, with the tasks that it holds
    LoopStage    a block of them, run again and again
    Schedule     all of them in order

A stage is filled by regions.py and schedule.py, and stays as it is from then on but for balance.py's copies.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from innerloop.artifact.sparse import Matrix
from innerloop.compiler.architectures.relation import Relation
from innerloop.compiler.architectures.targets import Target

from .instructions import Atom, Attend, Form, State, Task, Tasks


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

    @property
    def divisors(self) -> list[Form]:
        """What a division that is prepared or cleared here divides by."""
        return [p.task.reads[1] for p in (self.prepares, self.clears) if p is not None]

    @property
    def reads(self) -> list[Form]:
        """All that is read here."""
        return [*self.divisors, *(form for p in self.placed for form in p.task.reads)]

    @property
    def changes(self) -> frozenset[Atom]:
        """The states that are changed here, in place: who reads them later reads something else."""
        written = (write.atom for p in self.placed for write in p.writes)
        return frozenset([*written, *(self.carry.atoms if self.carry is not None else ())])

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
        return walk(self.stages)

    def after_divisions(self) -> frozenset[int]:
        """The stages, numbered as `walk` goes, that follow one that cleans up after a division: in some pass."""
        found: set[int] = set()

        def through(items: list[Stage | LoopStage], number: int, after: bool) -> tuple[int, bool]:
            for item in items:
                if isinstance(item, LoopStage):
                    first = number
                    number, after = through(item.body, first, after)
                    through(item.body, first, after)
                    continue
                if after:
                    found.add(number)
                number, after = number + 1, item.clears is not None
            return number, after

        through(self.stages, 0, False)
        return frozenset(found)


def walk(stages: list[Stage | LoopStage]) -> Iterator[Stage]:
    for stage in stages:
        if isinstance(stage, LoopStage):
            yield from walk(stage.body)
        else:
            yield stage


def other(side: str) -> str:
    return "mlp" if side == "attention" else "attention"
