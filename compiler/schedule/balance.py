"""Balancing: products that can wait move from a wide MLP sublayer to a narrower one.

    before                               after
    1 mlp   U (36)   v (8)   c (8)       1 mlp   U (36)   v (8)
    2 attention                          2 attention
    3 mlp   S w (8)                      3 mlp   S w (8)   c (8)       c is read in 5

The schedule places every instruction as early as it can. The depth and the readers stay; what may stand later does, as
long as the widest sublayer of its run gets narrower and no more slots are in use. Nothing moves past a change of what
it reads: a loop's state is updated in place, and what reads its slots later reads the next pass's.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from innerloop.artifact.arrays import Dtype

from ..architectures.targets import Target
from ..numerics.fit_smooth import fit
from ..numerics.square_banks import square_bank
from .allocate import allocate
from .constructions import CURVE, default_squares
from .instructions import Apply, Atom, LinearForm, Multiply
from .sublayers import LoopPlan, Placed, Schedule, SublayerPlan


def balance(schedule: Schedule, dtype: Dtype) -> Schedule:
    """The same sublayers, with some instructions in later ones."""
    moved = Schedule(schedule.instructions, _copied(schedule.body), schedule.length)
    if not _runs(moved.body, dtype, schedule.instructions.target):
        return schedule
    return moved if allocate(moved).used <= allocate(schedule).used else schedule


def _copied(body: list[SublayerPlan | LoopPlan]) -> list[SublayerPlan | LoopPlan]:
    """The same instructions in lists of their own."""
    return [
        replace(s, placed=list(s.placed)) if isinstance(s, SublayerPlan) else replace(s, body=_copied(s.body))
        for s in body
    ]


def _runs(body: list[SublayerPlan | LoopPlan], dtype: Dtype, target: Target) -> bool:
    """Balances every stretch of sublayers between loops; whether anything moved."""
    moved = False
    ends = [-1, *(k for k, s in enumerate(body) if isinstance(s, LoopPlan)), len(body)]
    for first, last in pairwise(ends):
        run = [s for s in body[first + 1 : last] if isinstance(s, SublayerPlan)]
        while _step(run, dtype, target):
            moved = True
    for item in body:
        if isinstance(item, LoopPlan):
            moved = _runs(item.body, dtype, target) or moved
    return moved


def _step(run: list[SublayerPlan], dtype: Dtype, target: Target) -> bool:
    """Moves one instruction out of the widest sublayer of a run, if that helps."""
    widths = [sum(_cost(p, dtype) for p in sublayer.placed) for sublayer in run]
    wide = max((t for t, s in enumerate(run) if s.side == "mlp"), key=lambda t: widths[t], default=None)
    if wide is None:
        return False
    for placed in sorted(run[wide].placed, key=lambda p: _cost(p, dtype), reverse=True):
        until = _latest(run, wide, placed, target)
        for time in range(wide + 2, until + 1, 2):
            if not run[time].divides(target) and widths[time] + _cost(placed, dtype) < widths[wide]:
                run[wide].placed = [p for p in run[wide].placed if p is not placed]
                run[time].placed.append(placed)
                return True
    return False


def _latest(run: list[SublayerPlan], time: int, placed: Placed, target: Target) -> int:
    """The last sublayer of the run that the instruction may stand in: before any reader, no later than what changes a
    state that it reads (in its own layer, where the attention changes what the MLP still reads), and where it is if it
    writes elsewhere or a division waits for it."""
    if placed.writes or not isinstance(placed.instruction.op, Multiply | Apply):
        return time
    reads = frozenset[Atom]().union(*(form.atoms for form in placed.instruction.reads))
    for later in range(max(0, time - int(target.parallel)), len(run)):
        sublayer = run[later]
        if _read(placed.instruction.out, sublayer.divisors):
            return time
        if later > time and _read(placed.instruction.out, [f for p in sublayer.placed for f in p.instruction.reads]):
            return later - 1
        if reads & sublayer.changes:
            return max(later, time)
    return len(run) - 1


def _read(atom: Atom, forms: list[LinearForm]) -> bool:
    return any(atom in form.atoms for form in forms)


def _cost(placed: Placed, dtype: Dtype) -> int:
    """Neurons, about."""
    op = placed.instruction.op
    if isinstance(op, Multiply):
        count = int(op.form.out.size)
        if op.code is not None:
            return 2 * count
        return 2 * count * square_bank(op.squares or default_squares(op.left, op.right, count, dtype)).up.size
    if isinstance(op, Apply):
        tolerance = CURVE[dtype] if op.tolerance is None else op.tolerance
        return (
            placed.instruction.reads[0].size
            * fit(op.name, op.arguments, op.low.min(), op.high.max(), tolerance).up.size
        )
    return 0
