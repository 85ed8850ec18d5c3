"""Liveness: at which kinds of token each sublayer does something that an output comes of.

    before                                          after
    7 mlp   w += …  at x and y; output at x         7 at x: what y tokens hold of w, nobody reads but a trace

What is looked for is closed: a sublayer that runs at a kind of token runs there with all that it does, and so all of it
finds there what it reads. At other tokens nothing has to be run, and what they hold stays as it is for those who read
it. The rest token runs with every sublayer.

With a division in it every sublayer runs everywhere: what prepares one takes the norm's constants from tokens of all
kinds, what divides gives them back, and its heads tell tokens apart by keys that are divided alike.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple

from innerloop.artifact.signature import Kinds

from .allocate import Allocation
from .instructions import Atom, Instruction, Whose, tokens_read
from .sublayers import Placed, Schedule, SublayerPlan

NOWHERE: Kinds = frozenset()


class Live(NamedTuple):
    """runs   for each sublayer, as `walk` has them, the kinds of token at which it runs; of none: all run everywhere
    idle   of an atom: the kinds of token at which some of what makes it does not run, so that it is not whole there"""

    runs: tuple[Kinds, ...]
    idle: Mapping[Atom, Kinds]


def live(schedule: Schedule, allocation: Allocation, output: Kinds) -> Live:
    """What has to run for outputs at tokens of these kinds. Where something is divided, all run everywhere."""
    if any(sublayer.division is not None for sublayer in schedule.walk()):
        return Live((), {})
    return _Liveness(schedule, allocation, output).run()


class _Liveness:
    def __init__(self, schedule: Schedule, allocation: Allocation, output: Kinds) -> None:
        self.sublayers = list(schedule.walk())
        self.clears = allocation.clears
        self.atoms = schedule.instructions.atoms
        self.everyone = frozenset().union(*(atom.kinds for atom in self.atoms))
        self.runs: list[Kinds] = [NOWHERE for _ in self.sublayers]
        self.needed: dict[Atom, Kinds] = dict.fromkeys(range(len(self.atoms)), NOWHERE)
        self.made: dict[Atom, Kinds] = {
            atom: info.kinds if info.embedded or info.start is not None else NOWHERE
            for atom, info in enumerate(self.atoms)
        }
        """Where something may stand in an atom's slots."""
        for atom in schedule.instructions.output.atoms:
            self.needed[atom] |= output

    def run(self) -> Live:
        before: object = None
        while before != (before := (tuple(self.runs), tuple(self.needed.values()))):
            for number in reversed(range(len(self.sublayers))):
                self._sublayer(number, self.sublayers[number])
        return Live(tuple(self.runs), self._idle())

    def _idle(self) -> Mapping[Atom, Kinds]:
        found: dict[Atom, Kinds] = defaultdict(frozenset)
        for sublayer, kinds in zip(self.sublayers, self.runs, strict=True):
            for instruction, writes in ((p.instruction, p.writes) for p in sublayer.placed):
                for atom in (instruction.out, *(write.atom for write in writes)):
                    found[atom] |= instruction.kinds - kinds
            if sublayer.carry is not None:
                for atom in sublayer.carry.atoms:
                    found[atom] |= sublayer.carry.kinds - kinds
        return found

    def _sublayer(self, number: int, sublayer: SublayerPlan) -> None:
        for placed in sublayer.placed:
            self._placed(number, placed)
        if sublayer.carry is not None:
            states = frozenset().union(*(self.needed[atom] for atom in sublayer.carry.atoms))
            self.runs[number] |= sublayer.carry.kinds & (states | self.runs[number])
            for atom in sublayer.carry.atoms:
                self.needed[atom] |= sublayer.carry.kinds & self.runs[number]
        for atom in self.clears.get(number, ()):
            self.runs[number] |= self.made[atom]

    def _placed(self, number: int, placed: Placed) -> None:
        instruction = placed.instruction
        wanted = self.needed[instruction.out].union(*(self.needed[write.atom] for write in placed.writes))
        kinds = instruction.kinds & (wanted | self.runs[number])
        self.runs[number] |= kinds
        for atom in (instruction.out, *(write.atom for write in placed.writes)):
            self.made[atom] |= kinds
        self.needed[instruction.out] |= kinds
        for index, form in enumerate(instruction.reads):
            there = self._read_at(instruction, index, kinds) if kinds else NOWHERE
            for atom in form.atoms:
                self.needed[atom] |= there & self.atoms[atom].kinds

    def _read_at(self, instruction: Instruction, index: int, kinds: Kinds) -> Kinds:
        """At which tokens those of these kinds read its operand."""
        found = tokens_read(instruction.op, index)
        if isinstance(found, Whose):
            return kinds if found is Whose.OWN else self.everyone
        return found
