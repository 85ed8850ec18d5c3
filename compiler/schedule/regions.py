"""Segments: the instructions between two loops, each in the first sublayer that can hold it.

A division takes an attention sublayer to itself (`SublayerPlan.division`): the MLP sublayer before it writes
±K·divisor and takes the norm's constants away, so that the norm divides the whole stream; the MLP
sublayer after it takes ±K·divisor out again. See emit.py.

Where a layer's attention and MLP read the same, what a layer makes is there for the next, and what divides it divides
both: its MLP stays idle, and the attention sublayers after it take the divisor out.

A state is changed in place, by instructions that write to its slots, not before the last reader of what
it was has read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from innerloop.artifact.sparse import Matrix
from innerloop.artifact.words import Side

from .instructions import Atom, Instruction, Instructions, Linear, LinearForm, Quotient, State
from .sublayers import Carry, Placed, SublayerPlan, Write, other

Times = Mapping[tuple[Side, Atom], int]
"""When an atom is made, in a segment that begins on this side."""
APART = {False: 4, True: 6}
"""Sublayers between two divisions, by whether a layer's attention and MLP read the same."""


@dataclass
class Segment:
    """Instructions between loops, each as soon as it can. Times count from the segment's own beginning."""

    instructions: Instructions
    first: Side
    carry: Carry | None
    divided: bool
    """Whether an earlier division may have left rounding in the norm's scratch slots."""
    times: Times = field(default_factory=dict)
    """Where a plan has them later than they can be (least_depth.py)."""
    sublayers: list[SublayerPlan] = field(default_factory=list)
    made: dict[Atom, tuple[int, Placed]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.carry is not None:
            self._sublayer(0).carry = self.carry

    @property
    def parallel(self) -> bool:
        return self.instructions.target.parallel

    def after(self, time: int) -> int:
        """The first time at which what is made then is there."""
        return time - time % 2 + 2 if self.parallel else time + 1

    def _sublayer(self, time: int) -> SublayerPlan:
        while len(self.sublayers) <= time:
            self.sublayers.append(SublayerPlan(self.first if len(self.sublayers) % 2 == 0 else other(self.first)))
        return self.sublayers[time]

    def _ready(self, *forms: LinearForm) -> int:
        """The first time at which everything in the forms is there."""
        time = 0
        for atom in {a for f in forms for a in f.atoms}:
            if atom in self.made:
                time = max(time, self.after(self.made[atom][0]))
            elif self.carry is not None and atom in self.carry.atoms:
                time = max(time, self.after(0))
        return time

    def _place(self, instruction: Instruction, time: int, writes: list[Write] | None = None) -> None:
        side = self.side_of(instruction)
        time = max(time, self.times.get((self.first, instruction.out), 0))
        while side not in ("either", self._sublayer(time).side) or not self._sublayer(time).takes(
            instruction, self.instructions.target
        ):
            time += 1
        placed = Placed(instruction, writes or [])
        self._sublayer(time).placed.append(placed)
        if not placed.writes:  # a state's atom stands for what it was until the pass ends
            self.made[instruction.out] = (time, placed)

    def side_of(self, instruction: Instruction) -> str:
        return self._side(instruction.reads[0]) if instruction.side == "either" else instruction.side

    def _side(self, form: LinearForm) -> str:
        """Where a linear map of it may stand: a head would give its closed readers what the rest token holds."""
        return "mlp" if any(self.instructions.atoms[a].rests for a in form.atoms) else "either"

    def fill(self, instructions: list[Instruction], starts: set[Atom]) -> None:
        """Places the instructions; those that fill a loop's state (`starts`) last, in what makes their parts."""
        for instruction in instructions:
            if isinstance(instruction.op, Quotient):
                self._divide(instruction)
            elif instruction.out not in starts:
                self._place(instruction, self._ready(*instruction.reads))
        for instruction in instructions:
            if instruction.out in starts:
                (form,) = instruction.reads
                rest = self._direct(instruction.out, form, 0)
                if rest.parts:
                    self._linear(instruction.out, rest, 0)

    def _direct(self, atom: Atom, change: LinearForm, floor: int) -> LinearForm:
        """Adds the parts of `change` that are made at `floor` or later in the sublayers that make them; returns the
        rest."""
        rest = []
        for part, matrix in change.parts:
            if self.fresh(part, floor, atom):
                self.made[part][1].writes.append(Write(atom, matrix))
            else:
                rest.append((part, matrix))
        return LinearForm(change.size, tuple(rest))

    def fresh(self, part: Atom, floor: int, state: Atom) -> bool:
        """Whether what makes `part` may write it to the state too: it is made late enough, and is 0 where the state
        is."""
        if part not in self.made or self.instructions.atoms[part].rests:
            return False
        time, placed = self.made[part]
        return time >= floor and placed.instruction.kinds <= self.instructions.atoms[state].kinds

    def _linear(self, atom: Atom, form: LinearForm, time: int) -> None:
        instruction = Instruction(Linear(), (form,), atom, self.instructions.atoms[atom].kinds)
        self._place(instruction, max(time, self._ready(form)), [Write(atom, Matrix.identity(form.size))])

    # Divisions ----------------------------------------------------------------------------------

    def _divide(self, instruction: Instruction) -> None:
        """The first attention sublayer that no other work takes, with the divisor there for the MLP sublayer before
        it."""
        top, bottom = instruction.reads
        time = max(self._ready(top), 1, self.times.get((self.first, instruction.out), 0))
        for atom in bottom.atoms:
            if atom in self.made:
                made = self.made[atom][0]
                time = max(time, made + 1 if self.sublayers[made].side == "mlp" else self.after(made) + 1)
            elif self.carry is not None and atom in self.carry.atoms:
                time = max(time, self.after(0) + 1)
        again = isinstance(instruction.op, Quotient) and instruction.op.again and not self.parallel
        while not self._divisible(time, bottom, again):
            time += 1
        placed = Placed(instruction)
        sublayer, before, after = self._sublayer(time), self._sublayer(time - 1), self._sublayer(time + 1)
        sublayer.placed.append(placed)
        sublayer.division = bottom
        # The divisor is written where any quotient is, and by what makes it, and is taken away at the same tokens.
        kinds = instruction.kinds | (before.prepares.instruction.kinds if before.prepares is not None else frozenset())
        kinds = kinds.union(
            *(p.instruction.kinds for p in before.placed if p.makes and p.instruction.out in bottom.atoms)
        )
        before.prepares = after.clears = Placed(replace(instruction, kinds=kinds))
        if self.parallel:
            self._sublayer(time + 3)  # which takes out what is no longer needed, as the division's own layer cannot
        self.made[instruction.out] = (time, placed)

    def _divisible(self, time: int, bottom: LinearForm, again: bool) -> bool:
        """Whether the norm may divide by `bottom` at this time. What rounding leaves of a divisor is swept out before
        the next one comes, but not before one that is as large (`again`)."""
        sublayer = self._sublayer(time)
        if sublayer.side != "attention":
            return False
        if sublayer.division is not None:
            return sublayer.division == bottom
        if sublayer.placed or sublayer.carry or (self.parallel and self._sublayer(time + 1).placed):
            return False
        apart = APART[self.parallel]
        near = {t for t, s in enumerate(self.sublayers) if s.division is not None and abs(t - time) < apart}
        if again and all(self.made.get(atom, (-1,))[0] == time - 2 for atom in bottom.atoms):
            near.discard(time - 2)
        swept = not self.divided or any(
            s.side == "attention" and s.division is None for s in self.sublayers[: time - 1]
        )
        return not near and swept

    # States -------------------------------------------------------------------------------------

    def update(self, states: tuple[State, ...]) -> None:
        """Every state's change, in place, not before the last reader of what it was.

        A part of a change that is made late enough is written to the state's slots by what makes it. The
        rest is a linear instruction; all of them stand in one sublayer, since they may read each other's states.
        """
        floor = {s.atom: self._last_reader(s.atom) for s in states}
        time = 0
        while True:
            rest = {
                s.atom: LinearForm(
                    s.change.size, tuple(p for p in s.change.parts if not self.fresh(p[0], floor[s.atom], s.atom))
                )
                for s in states
            }
            rest = {a: f for a, f in rest.items() if f.parts}
            read = {a for f in rest.values() for a in f.atoms if a in floor}
            time = max([time, *(floor[a] for a in rest), *(self._ready(f) for f in rest.values())])
            neurons = any(self._side(f) == "mlp" for f in rest.values())
            while rest and (
                self._sublayer(time).divides(self.instructions.target)
                or (neurons and self._sublayer(time).side != "mlp")
            ):
                time += 1
            if all(floor[a] >= time for a in read):
                break
            floor.update({a: max(floor[a], time) for a in read})
        for state in states:
            self._direct(state.atom, state.change, floor[state.atom])
        for atom, form in rest.items():
            self._linear(atom, form, time)

    def _last_reader(self, atom: Atom) -> int:
        """The first time at which nobody is left who reads the atom later."""
        last = self.after(0) if self.carry is not None and atom in self.carry.atoms else 0
        for time, sublayer in enumerate(self.sublayers):
            if any(atom in form.atoms for form in sublayer.reads):
                last = max(last, time - time % 2 if self.parallel else time)
        return last
