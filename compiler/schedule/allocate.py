"""Allocation: every atom that something reads gets slots of the residual stream for as long as it lives.

    before (schedule)                          after
    0 attention   u       (8, read until 1)    u   slots 4–11   born 0, last read 1, cleared in 2
    1 mlp         U       (36, read in 2)      U   slots 12–47
    2 attention   S       (36)                 S   slots 48–83
    3 mlp         v       (8)                  v   slots 4–11   born 3: u's slots again

A slot is freed by writing the negation of what it holds, in the sublayer of the last reader or a
later one that does not divide. What lives in a loop's body must leave it empty for the next pass.
`verify` proves that no two living atoms share a slot.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from innerloop.artifact.arrays import Indices
from innerloop.artifact.errors import InternalError

from ..architectures.relation import MOVES
from ..ir.positional import Angles
from ..numerics.fit_geometric import LOWEST
from ..numerics.functions import POINTWISE
from .instructions import ROLES, Apply, Atom, Copy, Instruction, Linear, LinearForm, Quotient, SwitchHead
from .sublayers import LoopPlan, Schedule, SublayerPlan

SWALLOWED = 2.0**8
"""What is so many times as small as what a slot held is not written there as that is taken away."""
LEFT = 2.0**16
"""What may be so many times as small as what a slot held is not written there at all, under a norm that takes a mean
away: of x − mean + mean, which empties the slot, up to 2⁻²³ x is left in unmodified libraries, whose mean is rounding
and not 0."""


@dataclass(frozen=True)
class Lifetime:
    """Numbers of stored sublayers: written from `birth` on (−1: by the embedding), read until `last`; empty from
    `clear` on (None: never emptied). `inside`: it lives in a loop's body."""

    birth: int
    last: int
    clear: int | None
    inside: bool


@dataclass(frozen=True)
class Allocation:
    """`slots[atom]`: one slot a component, numbered from 0; `clears[sublayer]`: the atoms that it empties."""

    slots: dict[Atom, Indices]
    clears: dict[int, tuple[Atom, ...]]
    lifetimes: dict[Atom, Lifetime]
    used: int
    live: int
    """The largest number of components that live at once: no allocation takes fewer slots."""


@dataclass
class _Timeline:
    """The sublayers numbered, with the loops around each as (first, last) ranges."""

    sublayers: list[SublayerPlan] = field(default_factory=list)
    around: list[tuple[tuple[int, int], ...]] = field(default_factory=list)
    loops: list[tuple[LoopPlan, tuple[int, int], tuple[tuple[int, int], ...]]] = field(default_factory=list)

    def add(self, items: list[SublayerPlan | LoopPlan], path: tuple[tuple[int, int], ...]) -> None:
        for item in items:
            if isinstance(item, SublayerPlan):
                self.sublayers.append(item)
                self.around.append(path)
            else:
                span = (len(self.sublayers), len(self.sublayers) + _count(item.body) - 1)
                self.loops.append((item, span, path))
                self.add(item.body, (*path, span))


def _count(items: list[SublayerPlan | LoopPlan]) -> int:
    return sum(1 if isinstance(i, SublayerPlan) else _count(i.body) for i in items)


def allocate(schedule: Schedule, apart: bool = False) -> Allocation:
    """Slots for all atoms. `apart`: each takes slots that were emptied a sublayer earlier, as 16 bits need it."""
    lifetimes = _lifetimes(schedule)
    atoms = schedule.instructions.atoms
    # Slots emptied in the sublayer that fills them hold x + (new − x), which rounds at the size of x: a move, a
    # comparison must not, nor anything that is or may be far smaller (1/x where x is large, small divisors, what is
    # left of a difference).
    instructions = [p.instruction for sublayer in schedule.walk() for p in sublayer.placed]
    whole = {
        instruction.out
        for instruction in instructions
        if isinstance(instruction.op, Copy) and instruction.op.relation.name in MOVES
    }
    whole |= {instruction.out for instruction in instructions if isinstance(instruction.op, SwitchHead)}
    whole |= {instruction.out for instruction in instructions if instruction.op == Linear(settles=True)}
    reach = _dividing(instructions)
    wide = _wide(instructions) if schedule.instructions.target.norm == "layernorm" else {}
    parallel = schedule.instructions.target.parallel  # then what is emptied in a layer is added up with what fills it

    def ahead_of(birth: int) -> int:
        return birth - 1 - (birth % 2 if parallel else 0)

    start = {a: ahead_of(life.birth) if apart or a in whole else life.birth for a, life in lifetimes.items()}
    slots: dict[Atom, Indices] = {}
    clears: dict[int, list[Atom]] = {}
    free_from: list[int] = []
    owner: list[Atom] = []
    held: list[float] = []
    # In order of when the slots must be empty, first fit takes no slot more than overlap at one time.
    for atom in sorted(lifetimes, key=lambda a: (start[a], lifetimes[a].birth, a)):
        life = lifetimes[atom]
        size, magnitude = atoms[atom].size, atoms[atom].magnitude
        most = SWALLOWED * float(np.min(magnitude[magnitude > 0.0], initial=np.inf)) / reach.get(atom, 1.0)
        above = min(start[atom] - 1, ahead_of(life.birth))
        clean = LEFT * float(np.max(magnitude, initial=0.0)) / wide[atom] if atom in wide else np.inf
        free = [s for s, t in enumerate(free_from) if t <= (above if held[s] > most else start[atom])]
        chosen = [s for s in free if held[s] <= clean][:size]
        while len(chosen) < size:
            chosen.append(len(free_from))
            free_from.append(-1)
            owner.append(-1)
            held.append(0.0)
        for slot, largest in zip(chosen, magnitude.tolist(), strict=True):
            before = owner[slot]
            if before >= 0 and not lifetimes[before].inside:
                time = lifetimes[before].clear
                assert time is not None
                if before not in clears.setdefault(time, []):
                    clears[time].append(before)
            owner[slot], held[slot] = atom, largest
            free_from[slot] = np.iinfo(np.int64).max if life.clear is None else life.clear
        if life.inside:
            assert life.clear is not None
            clears.setdefault(life.clear, []).append(atom)
        slots[atom] = np.array(chosen, dtype=np.int64)
    result = Allocation(
        slots, {g: tuple(a) for g, a in clears.items()}, lifetimes, len(free_from), _live(schedule, lifetimes)
    )
    verify(result)
    return result


def _dividing(instructions: list[Instruction]) -> dict[Atom, float]:
    """The largest over the smallest divisor that an atom makes, or argument of a logarithm, a root or 1/x, itself or by
    functions and quotients of it: of small ones every digit counts."""
    found: dict[Atom, float] = {}

    def reach(form: LinearForm, ratio: float) -> None:
        found.update({a: max(ratio, found.get(a, 1.0)) for a in form.atoms if a != ROLES})

    for instruction in instructions:
        if isinstance(instruction.op, Quotient):
            reach(
                instruction.reads[1],
                max(instruction.op.high / instruction.op.low, instruction.op.low / instruction.op.high),
            )
    for instruction in reversed(instructions):
        op = instruction.op
        if isinstance(op, Apply | Quotient) and instruction.out in found:
            reach(instruction.reads[0], found[instruction.out])
        if isinstance(op, Apply) and POINTWISE[op.name].steep in ("logarithm", "root", "inverse"):
            ends = np.abs([op.low.min(), op.high.max()])
            ratio = float(ends.max() / max(ends.min(), LOWEST * ends.max()))
            reach(instruction.reads[0], ratio)
            if POINTWISE[op.name].steep == "inverse":  # where x is large every digit of 1/x counts
                found[instruction.out] = max(ratio, found.get(instruction.out, 1.0))
    return found


def _wide(instructions: list[Instruction]) -> dict[Atom, float]:
    """The largest over the smallest divisor, of what is divided, of what it is divided by, and of the quotient: how
    much smaller than their ranges they may be and still count."""
    found = _dividing(instructions)
    for instruction in instructions:
        if isinstance(op := instruction.op, Quotient):
            ratio = max(op.high / op.low, op.low / op.high)
            for atom in (instruction.out, *(a for a in instruction.reads[0].atoms if a != ROLES)):
                found[atom] = max(ratio, found.get(atom, 1.0))
    return found


def _live(schedule: Schedule, lifetimes: dict[Atom, Lifetime]) -> int:
    """The most components that stand in the stream at once. What a sublayer reads may go as it writes, but not while
    the norm divides: heads then read value / divisor, and cannot take the value away."""
    sublayers = list(schedule.walk())
    most = np.zeros(len(sublayers) + 1, dtype=np.int64)  # after the embedding, after sublayer 0, …
    for atom, life in lifetimes.items():
        divided = life.last < len(sublayers) and life.last >= 0 and sublayers[life.last].division is not None
        most[life.birth + 1 : max(life.last + divided, life.birth + 1) + 1] += schedule.instructions.atoms[atom].size
    return int(most.max())


def verify(allocation: Allocation) -> None:
    """No two atoms that live at the same time share a slot."""
    holders: dict[int, list[Atom]] = {}
    for atom, slots in allocation.slots.items():
        for slot in slots.tolist():
            holders.setdefault(slot, []).append(atom)
    for slot, atoms in holders.items():
        lives = sorted((allocation.lifetimes[a] for a in atoms), key=lambda t: t.birth)
        for one, two in pairwise(lives):
            if one.clear is None or one.clear > two.birth:
                raise InternalError(f"allocate: slot {slot} holds two values: {one} and {two}")


def _lifetimes(schedule: Schedule) -> dict[Atom, Lifetime]:
    """Of every atom that has slots: it is read somewhere, or a state, or put there by the embedding."""
    line = _Timeline()
    line.add(schedule.body, ())
    end = len(line.sublayers)
    birth: dict[Atom, int] = {}
    last: dict[Atom, int] = {}
    path: dict[Atom, tuple[tuple[int, int], ...]] = {}

    def read(form: LinearForm, time: int) -> None:
        for atom, _ in form.parts:
            last[atom] = max(last.get(atom, -1), time)

    for time, sublayer in enumerate(line.sublayers):
        for placed in sublayer.placed:
            for write in placed.writes:
                birth.setdefault(write.atom, time)
                path.setdefault(write.atom, line.around[time])
            birth.setdefault(placed.instruction.out, time)
            path.setdefault(placed.instruction.out, line.around[time])
        for form in sublayer.reads:
            read(form, time)
    read(schedule.instructions.output, end)
    for loop, span, around in line.loops:
        for state in loop.states:
            birth[state.atom] = min(birth.get(state.atom, span[0]), span[0])
            path[state.atom] = around
            last[state.atom] = max(last.get(state.atom, -1), span[1])
    for atom, info in enumerate(schedule.instructions.atoms):
        if atom in last and (info.embedded or info.start is not None):
            birth[atom], path[atom] = -1, ()
    birth[ROLES], path[ROLES], last[ROLES] = -1, (), end  # the role flags serve every sublayer
    if schedule.instructions.target.linear:  # linear attention cannot empty a token's own slots
        last = dict.fromkeys(last, end)
    angles = {a for op, a in schedule.instructions.counts.items() if isinstance(op, Angles)}
    result = {}
    for atom in last:
        mine = path[atom]
        until = max(
            [
                last[atom],
                *(span[1] for _, span, around in line.loops if span not in mine and _reads_in(line, atom, span)),
            ]
        )
        within = range(max(until, birth[atom], 0), mine[-1][1] + 1 if mine else end)
        target = schedule.instructions.target
        at_rest = schedule.instructions.atoms[
            atom
        ].rests  # neurons are closed at the rest token: a head must clear it there
        clear = next(
            (
                g
                for g in within
                if line.around[g] == mine
                and not line.sublayers[g].divides(target)
                and (not target.parallel or g - g % 2 > birth[atom])  # it must be there when the layer begins
                and (line.sublayers[g].side == "attention" or not at_rest)
                and (line.sublayers[g].side == "mlp" or atom not in angles)  # a head would be one that they save
            ),
            None,
        )
        if mine and clear is None:
            raise InternalError(f"allocate: nowhere in its loop to clear {schedule.instructions.atoms[atom].label}")
        result[atom] = Lifetime(birth[atom], until, clear, bool(mine))
    return result


def _reads_in(line: _Timeline, atom: Atom, span: tuple[int, int]) -> bool:
    """Whether any sublayer of the loop reads the atom."""
    return any(form.part(atom) is not None for s in line.sublayers[span[0] : span[1] + 1] for form in s.reads)
