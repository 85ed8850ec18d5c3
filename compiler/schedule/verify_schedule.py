"""Verification of schedules and slots, with no data: the sublayers run on symbols.

    sublayer                   slots of a   of b        of w                  after it
    3 mlp  v = a × w           a            b           w as the pass began   v in a's slots, which it clears
           b → w += 2 · it     a            b           w as the pass began   w, changed
    5 mlp  c = b × w           v            b           w, changed            a fault: c is of w as the pass began

At each kind of token, the rest token among them, a slot holds nothing, or one version of one value. What a sublayer
reads must be there, at the tokens that it is read at, in the version that the instructions say (instructions.py); what
it writes comes to empty slots; a divisor stays as it is from where it is prepared to where it is cleared; and a loop's
body leaves all but its states as it found them, so that what holds in one pass holds in all. Where a layer's attention
and MLP read the same, what a sublayer reads is what the slots held before the layer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import assert_never

import numpy as np
from innerloop.artifact.arrays import Indices
from innerloop.artifact.errors import InternalError
from innerloop.artifact.words import Side

from ..architectures.relation import MOVES
from .allocate import Allocation
from .instructions import (
    Apply,
    Atom,
    AttendHead,
    Block,
    Copy,
    DeltaHead,
    Instruction,
    InstructionLoop,
    Linear,
    LinearForm,
    Mean,
    Multiply,
    Quotient,
    State,
    SwitchHead,
    Whose,
    tokens_read,
)
from .sublayers import LoopPlan, Placed, Schedule, SublayerPlan
from .symbols import CHANGED, FILLING, HELD, NOTHING, REST, UNMOVED, VERSIONS, Symbols, code_of
from .verify_instructions import split, verify_instructions


def verify_schedule(schedule: Schedule, allocation: Allocation) -> None:
    """Raises InternalError with the pass, the sublayer and the value where something else is read or lost than the
    instructions say."""
    _SlotRun(schedule.instructions, allocation).run(schedule.body)


@dataclass(frozen=True)
class _Division:
    """What the scratch slots hold: a divisor, at these kinds of token."""

    divisor: LinearForm
    columns: tuple[int, ...]


@dataclass
class _SlotRun(Symbols):
    side: Side = "attention"
    inside: set[Atom] = field(default_factory=set)
    """States of the loops that run."""
    scratch: _Division | str = "empty"
    layer: Indices = field(init=False)
    """What the slots held before the attention sublayer that ran last."""

    @property
    def parallel(self) -> bool:
        return self.instructions.target.parallel

    def run(self, body: list[SublayerPlan | LoopPlan]) -> None:
        for atom in self.allocation.slots:
            info = self.atoms[atom]
            if info.embedded or info.start is not None:
                self.fill(self.held, atom, self.where(atom))
        self._block(body, self.instructions.block, ())
        used = {kind for atom in self.instructions.output.atoms for kind in self.atoms[atom].kinds}
        self.expect(self.held, self.instructions.output, self.columns(used))

    # Blocks -------------------------------------------------------------------------------------

    def _block(self, body: list[SublayerPlan | LoopPlan], block: Block, states: tuple[State, ...]) -> None:
        """A block of sublayers, which are to do the instructions of this block and then change these states."""
        runs, loops = split(body, LoopPlan)
        segments, looped = split(block, InstructionLoop)
        if len(loops) != len(looped):
            raise InternalError(f"schedule: {len(loops)} loops of sublayers for {len(looped)} of instructions")
        starts = {s.atom for loop in looped for s in loop.states}
        for index, (run, segment) in enumerate(zip(runs, segments, strict=True)):
            changes = {s.atom: s.change for s in states} if index == len(loops) else {}
            verify_instructions(run, segment, starts, changes, self.atoms)
            for sublayer in run:
                self._sublayer(sublayer)
            if index < len(loops):
                self._loop(loops[index], looped[index])

    def _loop(self, loop: LoopPlan, instruction: InstructionLoop) -> None:
        states = [s.atom for s in instruction.states]
        if (
            loop.states != instruction.states
            or loop.count != instruction.count
            or loop.scan != (instruction.carry is not None)
        ):
            raise InternalError("schedule: a loop of sublayers is not its instructions' loop")
        ready = UNMOVED if loop.scan else HELD
        slots = [atom for atom in states if atom in self.allocation.slots]
        for atom in slots:
            self.turn(atom, (HELD, FILLING), ready)
        self.inside.update(states)
        first = self.number
        for turn in range(3):  # what is left of a divisor may come around to the next passes
            before, scratch, self.number = self.held.copy(), self.scratch, first
            self._block(loop.body, instruction.body, instruction.states)
            for atom in slots:
                self.turn(atom, (HELD, CHANGED), ready)
            changed = np.argwhere(self.held != before)
            if changed.size:
                left, found = (self.said(int(h[tuple(changed[0])])) for h in (self.held, before))
                raise InternalError(f"allocate: a loop's body leaves {left} in slots where it found {found}")
            if self.scratch == scratch:
                break
            if turn == 2 or isinstance(self.scratch, _Division):
                raise InternalError("schedule: a loop's body leaves a divisor behind")
        self.inside.difference_update(states)
        for atom in slots:
            self.turn(atom, (ready,), HELD)

    # Sublayers -------------------------------------------------------------------------------------

    def _sublayer(self, sublayer: SublayerPlan) -> None:
        if sublayer.side != self.side:
            raise self.fault("schedule", f"should be {self.side}", sublayer)
        if sublayer.side == "attention":
            self.layer = self.held
        entry, after = self.layer if self.parallel else self.held, self.held.copy()
        for atom in self.allocation.clears.get(self.number, ()):
            self._clear(sublayer, entry, after, atom)
        for form, columns, silent in self._reads(sublayer):
            self.expect(entry, form, columns, sublayer, silent)
        if sublayer.carry is not None:
            self._move(sublayer, entry, after)
        for placed in sublayer.placed:
            self._write(sublayer, placed, entry, after)
        self._divide(sublayer, entry)
        self.held = after
        self.number += 1
        self.side = "mlp" if self.side == "attention" else "attention"

    def _reads(self, sublayer: SublayerPlan) -> Iterator[tuple[LinearForm, tuple[int, ...], bool]]:
        """What is read, at which kinds of token, and whether the rest token must hold 0 of it: who finds no token reads
        that one."""
        for placed in sublayer.placed:
            instruction, op = placed.instruction, placed.instruction.op
            if instruction.side not in ("either", sublayer.side):
                raise self.fault("schedule", f"cannot make {self.label(instruction.out)}", sublayer)
            for index, form in enumerate(instruction.reads):
                if not (isinstance(op, Quotient) and index):  # `_divide` sees to the divisor
                    yield form, self._read_at(instruction, index), self._silent(instruction, index, sublayer.side)

    def _read_at(self, instruction: Instruction, index: int) -> tuple[int, ...]:
        if isinstance(instruction.op, AttendHead | DeltaHead) and self.instructions.target.linear:
            return self.all  # who has no softmax reads whatever is there
        found = tokens_read(instruction.op, index)
        if isinstance(found, Whose):
            return self.columns(instruction.kinds) if found is Whose.OWN else self.all[1:]
        return self.columns(found)

    def _silent(self, instruction: Instruction, index: int, side: Side) -> bool:
        match instruction.op:
            case Multiply() | Apply():
                return False
            case Copy() | Mean() | Quotient() | Linear():
                return side == "attention" and not self.atoms[instruction.out].rests
            case DeltaHead():
                return False
            case AttendHead():
                return index in (1, 2) and not self.instructions.target.linear
            case SwitchHead():
                return index == 0
            case other:
                assert_never(other)

    def _clear(self, sublayer: SublayerPlan, entry: Indices, after: Indices, atom: Atom) -> None:
        """Attention takes away what every token holds, neurons at the value's own kinds."""
        if sublayer.divides(self.instructions.target) or self.instructions.target.linear:
            raise self.fault("allocate", f"cannot clear {self.label(atom)}", sublayer)
        slots, versions = self.allocation.slots[atom], [NOTHING, *(code_of(atom, v) for v in range(len(VERSIONS)))]
        columns = self.all if sublayer.side == "attention" else self.columns(self.atoms[atom].kinds)
        self.only(entry, atom, columns, versions, "allocate", f"clears {self.label(atom)}", sublayer)
        after[slots[:, None], list(columns)] = NOTHING

    def _move(self, sublayer: SublayerPlan, entry: Indices, after: Indices) -> None:
        """The head of a scan's pass."""
        assert sublayer.carry is not None
        for atom in sublayer.carry.atoms:
            slots, columns = self.allocation.slots[atom], self.columns(sublayer.carry.kinds)
            for held in (entry, after):
                self.only(
                    held, atom, columns, [code_of(atom, UNMOVED)], "schedule", f"moves {self.label(atom)}", sublayer
                )
            after[slots[:, None], list(columns)] = code_of(atom, HELD)

    def _write(self, sublayer: SublayerPlan, placed: Placed, entry: Indices, after: Indices) -> None:
        instruction = placed.instruction
        own = self.columns(instruction.kinds)
        if placed.makes and instruction.out in self.allocation.slots:
            resting = (REST,) if self.atoms[instruction.out].rests and sublayer.side == "attention" else ()
            if _whole(instruction):  # x + (new − x) is not new, bit for bit
                self.fill(entry.copy(), instruction.out, own, sublayer)
            self.fill(after, instruction.out, (*resting, *own), sublayer)
        for write in placed.writes:
            atom, slots = write.atom, self.allocation.slots[write.atom]
            versions = (HELD, CHANGED) if atom in self.inside else (HELD, FILLING, NOTHING)
            allowed = [NOTHING if v == NOTHING else code_of(atom, v) for v in versions]
            self.only(after, atom, own, allowed, "schedule", f"writes to {self.label(atom)}", sublayer)
            after[slots[:, None], list(own)] = code_of(atom, CHANGED if atom in self.inside else FILLING)

    # Divisions ----------------------------------------------------------------------------------

    def _divide(self, sublayer: SublayerPlan, entry: Indices) -> None:
        """The divisor on the scratch slots: prepared by neurons, divided by, cleared by neurons, and the rest of it
        swept out by attention."""
        there = self.scratch if isinstance(self.scratch, _Division) else None
        wanted = (
            sublayer.division
            if sublayer.side == "attention"
            else sublayer.clears and sublayer.clears.instruction.reads[1]
        )
        if (there is None) != (wanted is None) or (there and there.divisor != wanted):
            raise self.fault("schedule", "divides by another divisor than was prepared", sublayer)
        if sublayer.side == "attention":
            for instruction in (p.instruction for p in sublayer.placed):
                divided = isinstance(instruction.op, Quotient) and instruction.reads[1]
                within = there is None or set(self.columns(instruction.kinds)) <= set(there.columns)
                if divided != (there is not None and there.divisor) or not within:
                    raise self.fault(
                        "schedule", f"does not divide {self.label(instruction.out)} by its divisor", sublayer
                    )
            self.scratch = there or ("rounding" if self.scratch == "whole" else "empty")
            return
        if sublayer.clears is not None and there is not None:
            self.expect(entry, there.divisor, there.columns, sublayer)
            if there.columns != self.columns(sublayer.clears.instruction.kinds):
                raise self.fault("schedule", "clears a divisor at other tokens than hold it", sublayer)
            self.scratch = "whole" if self.parallel else "rounding"
            if self.parallel and (sublayer.placed or sublayer.prepares):
                raise self.fault("schedule", "reads what is divided", sublayer)
        if sublayer.prepares is not None:
            self._prepare(sublayer, sublayer.prepares, entry)

    def _prepare(self, sublayer: SublayerPlan, prepared: Placed, entry: Indices) -> None:
        instruction, divisor = prepared.instruction, prepared.instruction.reads[1]
        assert isinstance(instruction.op, Quotient)
        if self.scratch != "empty" and not (instruction.op.again and not self.parallel):
            raise self.fault("schedule", "prepares a divisor where rounding left some of another", sublayer)
        columns = self.columns(instruction.kinds)
        late = {
            p.instruction.out: p.instruction for p in sublayer.placed if p.makes and p.instruction.out in divisor.atoms
        }
        self.expect(entry, divisor.without(*late), columns, sublayer)
        if any(not t.kinds <= instruction.kinds for t in late.values()):
            raise self.fault("schedule", "writes a divisor at tokens where none is cleared", sublayer)
        self.scratch = _Division(divisor, columns)


def _whole(instruction: Instruction) -> bool:
    """Whether it must come out to the last bit."""
    return isinstance(instruction.op, SwitchHead) or (
        isinstance(instruction.op, Copy) and instruction.op.relation.name in MOVES
    )
