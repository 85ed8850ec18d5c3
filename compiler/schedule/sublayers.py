"""Sublayers: what a schedule is made of.

    SublayerPlan   one attention or MLP sublayer, with the instructions that it does
    LoopPlan       a block of them, run again and again
    Schedule       all of them in order

A plan is filled by regions.py and schedule.py, and stays as it is from then on but for balance.py's copies.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from innerloop.artifact.sparse import Matrix
from innerloop.artifact.words import Side

from ..architectures.relation import Relation
from ..architectures.targets import Target
from .instructions import Atom, AttendHead, Instruction, Instructions, LinearForm, State, Whose, tokens_read


@dataclass(frozen=True)
class Write:
    """atom += matrix @ (what the instruction makes)."""

    atom: Atom
    matrix: Matrix


@dataclass
class Placed:
    """An instruction in its sublayer. `writes` says where its result goes: its own slots, if anything reads it there,
    and states."""

    instruction: Instruction
    writes: list[Write] = field(default_factory=list)

    @property
    def makes(self) -> bool:
        """Whether its atom begins here, and is not a state that it changes."""
        return all(write.atom != self.instruction.out for write in self.writes)

    @property
    def alone(self) -> bool:
        """Whether it reads its own token and the rest token, and no other."""
        op, reads = self.instruction.op, self.instruction.reads
        return all(tokens_read(op, index) is Whose.OWN for index in range(len(reads)))


Work = Placed | str
"""What a head or some neurons are for: an instruction, or, in words, what keeps the stream in order."""


@dataclass
class Carry:
    """The head of a scan's pass: the states move along `relation`."""

    relation: Relation
    atoms: tuple[Atom, ...]
    kinds: frozenset[str]


@dataclass
class SublayerPlan:
    """One sublayer. `division`: its norm divides by this divisor (attention); `prepares`: the division that an MLP
    sublayer makes ready; `clears`: the one that it cleans up after, or where a layer's sublayers read the same, the one
    that the next two attention sublayers do, since its own norm divides too."""

    side: Side
    placed: list[Placed] = field(default_factory=list)
    carry: Carry | None = None
    division: LinearForm | None = None
    prepares: Placed | None = None
    clears: Placed | None = None

    @property
    def divisors(self) -> list[LinearForm]:
        """What a division that is prepared or cleared here divides by."""
        return [p.instruction.reads[1] for p in (self.prepares, self.clears) if p is not None]

    @property
    def reads(self) -> list[LinearForm]:
        """All that is read here."""
        return [*self.divisors, *(form for p in self.placed for form in p.instruction.reads)]

    @property
    def changes(self) -> frozenset[Atom]:
        """The states that are changed here, in place: who reads them later reads something else."""
        written = (write.atom for p in self.placed for write in p.writes)
        return frozenset([*written, *(self.carry.atoms if self.carry is not None else ())])

    def takes(self, instruction: Instruction, target: Target) -> bool:
        """Whether another instruction fits in: a division has its sublayer to itself, where a layer's sublayers read
        the same its layer, and a sublayer that is linear attention copies nothing."""
        mixed = target.linear and any(
            isinstance(p.instruction.op, AttendHead) != isinstance(instruction.op, AttendHead) for p in self.placed
        )
        return not self.divides(target) and not mixed

    def divides(self, target: Target) -> bool:
        """Whether what it reads is divided."""
        return self.division is not None or (target.parallel and self.clears is not None)


@dataclass
class LoopPlan:
    """`scan`: its states move from token to token."""

    count: int
    scan: bool
    states: tuple[State, ...]
    body: list[SublayerPlan | LoopPlan]

    @property
    def turn(self) -> str | None:
        """The kind that is scanned, if a pass at a token reads nothing of others but, at its head, the states of the
        token before."""
        head = next(iter(self.body), None)
        alone = all(placed.alone for sublayer in walk(self.body) for placed in sublayer.placed)
        if not self.scan or not isinstance(head, SublayerPlan) or head.carry is None or not alone:
            return None
        return head.carry.relation.kind


@dataclass(frozen=True)
class Schedule:
    instructions: Instructions
    body: list[SublayerPlan | LoopPlan]
    length: int
    """Sublayers, loops unrolled."""

    def walk(self) -> Iterator[SublayerPlan]:
        """The sublayers in order, a loop's body once."""
        return walk(self.body)

    def after_divisions(self) -> frozenset[int]:
        """The attention sublayers, numbered as `walk` goes, that follow one that cleans up after a division: in some
        pass."""
        found: set[int] = set()
        count = sweeps(self.instructions.target)

        def through(items: list[SublayerPlan | LoopPlan], number: int, left: int) -> tuple[int, int]:
            for item in items:
                if isinstance(item, LoopPlan):
                    first = number
                    number, left = through(item.body, first, left)
                    through(item.body, first, left)
                    continue
                if left and item.side == "attention":
                    found.add(number)
                    left -= 1
                number, left = number + 1, left if item.clears is None else count
            return number, left

        through(self.body, 0, 0)
        return frozenset(found)


def walk(body: list[SublayerPlan | LoopPlan]) -> Iterator[SublayerPlan]:
    for item in body:
        if isinstance(item, LoopPlan):
            yield from walk(item.body)
        else:
            yield item


def other(side: Side) -> Side:
    return "mlp" if side == "attention" else "attention"


def sweeps(target: Target) -> int:
    """The attention sublayers after a division that it takes to leave nothing of the divisor: what rounding left when
    neurons took it away, or all of it and then what rounding left of that."""
    return 2 if target.parallel else 1
