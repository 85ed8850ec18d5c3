"""Verification of schedules and slots, with no data: the sublayers run on symbols.

    stage                      slots of a   of b        of w                  after it
    3 mlp  v = a × w           a            b           w as the pass began   v in a's slots, which it clears
           b → w += 2 · it     a            b           w as the pass began   w, changed
    5 mlp  c = b × w           v            b           w, changed            a fault: c is of w as the pass began

At each kind of token, the rest token among them, a slot holds nothing, or one version of one value. What a sublayer
reads must be there, at the tokens that it is read at, in the version that the instructions say (instructions.py); what
it writes comes to empty slots; a divisor stays as it is from where it is prepared to where it is cleared; and a loop's
body leaves all but its states as it found them, so that what holds in one pass holds in all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import assert_never

import numpy as np
from innerloop.artifact.arrays import Indices
from innerloop.artifact.errors import InternalError

from ..architectures.relation import MOVES
from .allocate import Allocation
from .instructions import (
    Apply,
    Atom,
    AttendHead,
    Block,
    Copy,
    Instruction,
    InstructionLoop,
    Linear,
    LinearForm,
    Mean,
    Multiply,
    Quotient,
    State,
    SwitchHead,
)
from .sublayers import LoopPlan, Placed, Schedule, SublayerPlan
from .symbols import CHANGED, FILLING, HELD, NOTHING, REST, UNMOVED, VERSIONS, Symbols, code_of
from .verify_instructions import split, verify_instructions


def verify_schedule(schedule: Schedule, allocation: Allocation) -> None:
    """Raises InternalError with the pass, the sublayer and the value where something else is read or lost than the
    instructions say."""
    _SlotRun(schedule.instructions, allocation).run(schedule.stages)


@dataclass(frozen=True)
class _Division:
    """What the scratch slots hold: a divisor, at these kinds of token."""

    divisor: LinearForm
    columns: tuple[int, ...]


@dataclass
class _SlotRun(Symbols):
    side: str = "attention"
    inside: set[Atom] = field(default_factory=set)
    """States of the loops that run."""
    scratch: _Division | str = "empty"

    def run(self, stages: list[SublayerPlan | LoopPlan]) -> None:
        for atom in self.allocation.slots:
            info = self.atoms[atom]
            if info.embedded or info.start is not None:
                self.fill(self.held, atom, self.where(atom))
        self._block(stages, self.instructions.block, ())
        used = {kind for atom in self.instructions.output.atoms for kind in self.atoms[atom].kinds}
        self.expect(self.held, self.instructions.output, self.columns(used))

    # Blocks -------------------------------------------------------------------------------------

    def _block(self, stages: list[SublayerPlan | LoopPlan], block: Block, states: tuple[State, ...]) -> None:
        """A block of stages, which are to do the instructions of this block and then change these states."""
        runs, loops = split(stages, LoopPlan)
        segments, looped = split(block, InstructionLoop)
        if len(loops) != len(looped):
            raise InternalError(f"schedule: {len(loops)} loops of sublayers for {len(looped)} of instructions")
        starts = {s.atom for loop in looped for s in loop.states}
        for index, (run, segment) in enumerate(zip(runs, segments, strict=True)):
            changes = {s.atom: s.change for s in states} if index == len(loops) else {}
            verify_instructions(run, segment, starts, changes, self.atoms)
            for stage in run:
                self._stage(stage)
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
        for turn in range(2):  # what rounding leaves of a divisor may come around to the second pass
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
            if turn or isinstance(self.scratch, _Division):
                raise InternalError("schedule: a loop's body leaves a divisor behind")
        self.inside.difference_update(states)
        for atom in slots:
            self.turn(atom, (ready,), HELD)

    # Stages -------------------------------------------------------------------------------------

    def _stage(self, stage: SublayerPlan) -> None:
        if stage.side != self.side:
            raise self.fault("schedule", f"should be {self.side}", stage)
        entry, after = self.held, self.held.copy()
        for atom in self.allocation.clears.get(self.number, ()):
            self._clear(stage, entry, after, atom)
        for form, columns, silent in self._reads(stage):
            self.expect(entry, form, columns, stage, silent)
        if stage.carry is not None:
            self._move(stage, entry, after)
        for placed in stage.placed:
            self._write(stage, placed, entry, after)
        self._divide(stage, entry)
        self.held = after
        self.number += 1
        self.side = "mlp" if self.side == "attention" else "attention"

    def _reads(self, stage: SublayerPlan) -> Iterator[tuple[LinearForm, tuple[int, ...], bool]]:
        """What is read, at which kinds of token, and whether the rest token must hold 0 of it: who finds no token reads
        that one."""
        for placed in stage.placed:
            instruction, op = placed.instruction, placed.instruction.op
            own, attention = self.columns(instruction.kinds), stage.side == "attention"
            if instruction.side not in ("either", stage.side):
                raise self.fault("schedule", f"cannot make {self.label(instruction.out)}", stage)
            quiet = attention and not self.atoms[instruction.out].rests
            match op:
                case Multiply() | Apply():
                    yield from ((form, own, False) for form in instruction.reads)
                case Copy(relation):
                    kind = relation.kind
                    near = kind is None or relation.name.startswith("own")
                    yield instruction.reads[0], self.all[1:] if near else self.columns({str(kind)}), quiet
                case Mean(over):
                    yield instruction.reads[0], self.columns({over}), quiet
                case AttendHead(_, over) if not self.instructions.target.linear:
                    yield instruction.reads[0], own, False
                    yield from ((form, self.columns({over}), True) for form in instruction.reads[1:3])
                    yield from ((form, own, False) for form in instruction.reads[3:])
                case AttendHead():
                    yield from ((form, self.all, False) for form in instruction.reads)
                case SwitchHead():
                    yield instruction.reads[0], own, True
                    yield instruction.reads[1], own, False
                case Quotient() | Linear():  # of quotients `_divide` sees to the divisor
                    yield instruction.reads[0], own, quiet
                case other:
                    assert_never(other)

    def _clear(self, stage: SublayerPlan, entry: Indices, after: Indices, atom: Atom) -> None:
        """Attention takes away what every token holds, neurons at the value's own kinds."""
        if stage.division is not None or self.instructions.target.linear:
            raise self.fault("allocate", f"cannot clear {self.label(atom)}", stage)
        slots, versions = self.allocation.slots[atom], [NOTHING, *(code_of(atom, v) for v in range(len(VERSIONS)))]
        columns = self.all if stage.side == "attention" else self.columns(self.atoms[atom].kinds)
        self.only(entry, atom, columns, versions, "allocate", f"clears {self.label(atom)}", stage)
        after[slots[:, None], list(columns)] = NOTHING

    def _move(self, stage: SublayerPlan, entry: Indices, after: Indices) -> None:
        """The head of a scan's pass."""
        assert stage.carry is not None
        for atom in stage.carry.atoms:
            slots, columns = self.allocation.slots[atom], self.columns(stage.carry.kinds)
            for held in (entry, after):
                self.only(held, atom, columns, [code_of(atom, UNMOVED)], "schedule", f"moves {self.label(atom)}", stage)
            after[slots[:, None], list(columns)] = code_of(atom, HELD)

    def _write(self, stage: SublayerPlan, placed: Placed, entry: Indices, after: Indices) -> None:
        instruction = placed.instruction
        own = self.columns(instruction.kinds)
        if placed.makes and instruction.out in self.allocation.slots:
            resting = (REST,) if self.atoms[instruction.out].rests and stage.side == "attention" else ()
            if _whole(instruction):  # x + (new − x) is not new, bit for bit
                self.fill(entry.copy(), instruction.out, own, stage)
            self.fill(after, instruction.out, (*resting, *own), stage)
        for write in placed.writes:
            atom, slots = write.atom, self.allocation.slots[write.atom]
            versions = (HELD, CHANGED) if atom in self.inside else (HELD, FILLING, NOTHING)
            allowed = [NOTHING if v == NOTHING else code_of(atom, v) for v in versions]
            self.only(after, atom, own, allowed, "schedule", f"writes to {self.label(atom)}", stage)
            after[slots[:, None], list(own)] = code_of(atom, CHANGED if atom in self.inside else FILLING)

    # Divisions ----------------------------------------------------------------------------------

    def _divide(self, stage: SublayerPlan, entry: Indices) -> None:
        """The divisor on the scratch slots: prepared by neurons, divided by, cleared by neurons, and the rest of it
        swept out by attention."""
        there = self.scratch if isinstance(self.scratch, _Division) else None
        wanted = stage.division if stage.side == "attention" else stage.clears and stage.clears.instruction.reads[1]
        if (there is None) != (wanted is None) or (there and there.divisor != wanted):
            raise self.fault("schedule", "divides by another divisor than was prepared", stage)
        if stage.side == "attention":
            for instruction in (p.instruction for p in stage.placed):
                divided = isinstance(instruction.op, Quotient) and instruction.reads[1]
                within = there is None or set(self.columns(instruction.kinds)) <= set(there.columns)
                if divided != (there is not None and there.divisor) or not within:
                    raise self.fault("schedule", f"does not divide {self.label(instruction.out)} by its divisor", stage)
            self.scratch = "empty" if there is None else there
            return
        if stage.clears is not None and there is not None:
            self.expect(entry, there.divisor, there.columns, stage)
            if there.columns != self.columns(stage.clears.instruction.kinds):
                raise self.fault("schedule", "clears a divisor at other tokens than hold it", stage)
            self.scratch = "rounding"
        if stage.prepares is not None:
            self._prepare(stage, stage.prepares, entry)

    def _prepare(self, stage: SublayerPlan, prepared: Placed, entry: Indices) -> None:
        instruction, divisor = prepared.instruction, prepared.instruction.reads[1]
        assert isinstance(instruction.op, Quotient)
        if self.scratch != "empty" and not instruction.op.again:
            raise self.fault("schedule", "prepares a divisor where rounding left some of another", stage)
        columns = self.columns(instruction.kinds)
        late = {
            p.instruction.out: p.instruction for p in stage.placed if p.makes and p.instruction.out in divisor.atoms
        }
        self.expect(entry, divisor.without(*late), columns, stage)
        if any(not t.kinds <= instruction.kinds for t in late.values()):
            raise self.fault("schedule", "writes a divisor at tokens where none is cleared", stage)
        self.scratch = _Division(divisor, columns)


def _whole(instruction: Instruction) -> bool:
    """Whether it must come out to the last bit."""
    return isinstance(instruction.op, SwitchHead) or (
        isinstance(instruction.op, Copy) and instruction.op.relation.name in MOVES
    )
