"""Copies: a program run many times on the same tasks, side by side, disturbed as its weights disturb it.

    the first    exact
    most         each operation gives what its construction makes of its operands, with errors `TIMES` as large; or as
                 large as they are, and what they change of the output `TIMES` as large (where errors saturate)
    the last     exact, and no number (NaN) wherever a value beyond its domain may have had a part: see validity.py

Side by side, so that each comparison is seen by all at once: where x is as near to its threshold as the copies are
to each other, it is undecided, and a coin decides it in each. Errors of a softmax's logits turn near ties over by
themselves. Rounding is drawn anew for each number, but in some copies once for each operation: what constants and fits
lose, they lose alike at all tokens and in all passes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import assert_never

import numpy as np
from innerloop.artifact.arrays import Floats
from innerloop.artifact.precisions import UNIT
from innerloop.artifact.tokens import TokenData
from numpy.typing import NDArray

from ..interpreter.oracle import evaluate
from ..interpreter.places import Place
from ..ir.graph import (
    Attend,
    Delta,
    Function,
    Gather,
    Keep,
    Node,
    Value,
)
from ..ir.operation_classes import Local, Reads, Source, Structural
from ..numerics.attention_gates import Draws, shift, slope
from .inexact import Inexact, Operand
from .plan import Plan
from .predict import repeated
from .residue import Residue, residues
from .spoilt import Spoilt
from .validity import limits

TIMES = 4.0
"""For rounding may be coherent; and so that what is rare for the weights is not for the copies."""
NEAR = 0.5
"""Of the copies' distance: so near to the threshold a coin decides."""
RAMP = 0.25
"""Of the threshold: so near, whatever the copies say. There logits are 2²⁰ and more from 0, which settles a softmax."""
SUMS = 2.0
"""Times the rounding of a function's neurons: their sum rounds too, at the size of what cancels in it."""
LANES = 16.0
"""Tokens that a sum takes before it is off by a unit more: what is the same at all of them rounds alike at each."""
TURNED = 0.05
"""Of the largest value read: what changes so much of a softmax has turned a near tie over."""
ANEW, DRAWN, ALIKE, PLAIN = 5, 5, 4, 4
"""Copies with rounding drawn for each number, with fits' errors drawn too, with rounding drawn once an operation; and
with errors as large as they are."""
LARGER = np.repeat([TIMES, 1.0], [ANEW + DRAWN + ALIKE, PLAIN])
"""Times that errors are larger in each disturbed copy."""
EXACT, FIRST, LAST = 0, 1, 1 + LARGER.size
"""The exact copy, the first that is disturbed, and the one that says what is spoilt."""
COPIES = LAST + 1

Mask = NDArray[np.bool_]


class _Once:
    """The same numbers for each component, whenever they are asked for."""

    def __init__(self, seed: int, copies: int) -> None:
        self._seed, self._copies = seed, copies

    def standard_normal(self, shape: tuple[int, ...], /) -> Floats:
        return self._spread(np.random.default_rng(self._seed).standard_normal((self._copies, shape[-1])), shape)

    def random(self, shape: tuple[int, ...], /) -> Floats:
        return self._spread(np.random.default_rng(self._seed).random((self._copies, shape[-1])), shape)

    def _spread(self, drawn: Floats, shape: tuple[int, ...]) -> Floats:
        whole = (self._copies, shape[0] // self._copies, *shape[1:])
        middle = (1,) * (len(shape) - 1)
        return np.broadcast_to(drawn.reshape(self._copies, *middle, shape[-1]), whole).reshape(shape)


@dataclass(frozen=True)
class _Disturbed:
    """Copies (and tasks) that have one model of an operation, what it draws from, and its errors so many times."""

    copies: slice
    model: Inexact
    draws: Draws
    times: float


class Copies:
    """Some tasks, each `COPIES` times; copies stand one after the other, with all tasks in each.

    `agree` [disturbed copies, tasks]: which have decided all comparisons, and near ties of softmaxes, as the exact
    copy."""

    def __init__(self, plan: Plan, data: TokenData) -> None:
        self._plan, self._graph, self._tasks = plan, plan.graph, data.batch
        self._data = repeated(data, COPIES)
        self._rng = np.random.default_rng(0)
        self._model = replace(plan.model, apart=True)
        self._limits = {v: limits(self._model, plan.choice, v) for v in self._graph.values()}
        self._residues = residues(plan.graph, plan.schedule, plan.allocation, plan.clears_leave)
        self._held = {r.value for some in self._residues.values() for r in some}
        self._most: dict[Value | None, Floats] = {}
        self._models = {v: tuple(self._modelled(v)) for v in self._graph.values()}
        self._lost: dict[Value, Floats] = {}
        self.agree = np.ones((LARGER.size, self._tasks), bool)
        self.spoilt = Spoilt(plan.graph, data.sequence, data.batch)

    def outputs(self) -> tuple[Floats, Floats, Mask]:
        """The exact output [tasks, rows, *shape], what the disturbed copies change of it [copies, …], `TIMES` as large,
        and where nothing is known of it [tasks, rows, *shape]."""
        found = evaluate(self._graph, self._data, self._observe, self._disturb, chunk=self._data.batch)
        found = self._apart(found)
        exact, single = found[EXACT], (1,) * (found.ndim - 1)
        change = np.abs(found[FIRST:LAST] - exact) * (TIMES / LARGER).reshape(-1, *single)
        unseen = self.spoilt.outputs().reshape(*exact.shape[:2], *single[2:])
        return exact, change, unseen | np.isnan(found[LAST])

    def _observe(self, value: Value, array: Floats) -> None:
        """The largest that is left in slots, of each task and component."""
        if value in self._held:
            most = np.abs(array[self._here(EXACT)]).max(1, initial=0.0)
            self._most[value] = np.maximum(self._most.get(value, 0.0), most)

    def _here(self, copy: int) -> slice:
        return slice(copy * self._tasks, (copy + 1) * self._tasks)

    def _apart(self, array: Floats) -> Floats:
        """[copies, tasks, …]"""
        return array.reshape(COPIES, self._tasks, *array.shape[1:])

    # Operations ----------------------------------------------------------------------------------

    def _modelled(self, value: Value) -> Iterator[_Disturbed]:
        """The models of an operation, each for some of the copies."""
        model, choice, op = self._model, self._plan.choice.get(value), self._graph[value].op
        if isinstance(op, Keep):
            return
        inside = isinstance(op, Attend) and op.how == "softmax"
        start = FIRST
        for count, drawn, draws in (
            (ANEW, False, self._rng), (DRAWN, True, self._rng), (ALIKE, False, _Once(value, ALIKE)),
            (PLAIN, False, self._rng),
        ):  # fmt: skip
            times = float(LARGER[start - FIRST])
            inexact = model.of(value, choice, drawn, times if inside else SUMS if isinstance(op, Function) else 1.0)
            if inexact is not None:
                copies = slice(start * self._tasks, (start + count) * self._tasks)
                yield _Disturbed(copies, inexact, draws, 1.0 if inside else times)
            start += count

    def _disturb(self, value: Value, array: Floats, operand: Operand, place: Place) -> Floats:
        node = self._graph[value]
        found = np.array(array)
        for some in self._models[value]:
            exact = array[some.copies]
            inexact = some.model(exact, _some(operand, some.copies), some.draws)
            found[some.copies] = exact + some.times * (inexact - exact)
        disturbed = self._apart(found)[FIRST:LAST]
        if isinstance(node.op, Keep):
            disturbed[...] = self._kept(value, node, operand)
        elif isinstance(node.op, Attend) and node.op.how == "softmax":
            turned = np.abs(disturbed - self._apart(array)[EXACT]).max((2, 3), initial=0.0)
            self.agree &= turned <= TURNED * np.abs(operand(2)[self._here(EXACT)]).max((1, 2), initial=0.0)
        if isinstance(node.op, Gather | Attend):
            read = operand(len(node.operands))[self._here(EXACT)].sum(-1)[..., None]
            disturbed += self._noise(read / LANES * np.abs(self._apart(array)[EXACT]))
        for residue in self._residues.get(value, ()):
            disturbed[..., residue.at] += self._left(residue, disturbed[..., residue.at].shape)
        wrong = self._follows(node, array, operand)
        for limit in self._limits[value]:
            seen = self._apart(limit.seen(array, operand))[:LAST]
            wrong = wrong | self.spoilt.look(value, limit, seen, place.tokens)[..., None]
        found[self._here(LAST)] = np.where(wrong, np.nan, found[self._here(EXACT)])
        return found

    def _kept(self, value: Value, node: Node, operand: Operand) -> Floats:
        """What a comparison leaves in the disturbed copies."""
        assert isinstance(node.op, Keep)
        op, decides = node.op, node.operands[0]
        plan = self._plan
        x = self._apart(operand(0)[..., op.which])
        exact, found = x[EXACT], x[FIRST:LAST]
        reach = np.abs(plan.ranges[decides]).max(axis=0)[list(op.which)]
        dead = shift(decides in plan.ranges.ties, plan.target.gated, plan.dtype) / slope(reach, plan.dtype)
        threshold = dead if op.strict else -dead
        lost = np.where(self.agree[..., None, None], np.abs(found - exact), 0.0).max(0)
        lost = np.where(self.agree.max(0)[:, None, None], lost, self._lost.get(value, 0.0))
        self._lost[value] = lost
        open_ = np.abs(found - threshold) <= RAMP * dead + NEAR * lost
        open_[0] = False
        kept = np.where(open_, self._rng.random(found.shape) < 0.5, found > threshold)
        self.agree &= (kept == (exact > 0.0 if op.strict else exact >= 0.0)).all((2, 3))
        return np.asarray(self._apart(operand(1))[FIRST:LAST] * kept)

    def _left(self, residue: Residue, shape: tuple[int, ...]) -> Floats:
        """What rounding beside a residue leaves, and a norm that has made smaller what was taken away [disturbed
        copies, tasks, tokens, components]."""
        seen = self._most.get(residue.value)
        most = np.full((self._tasks, residue.at.size), residue.most) if seen is None else seen[:, residue.those]
        units = 0.5 + self._plan.shrunk / UNIT[self._plan.dtype]
        return self._noise(np.broadcast_to(units * most[:, None], shape[1:]))

    def _noise(self, units: Floats) -> Floats:
        """Rounding of so many units [tasks, tokens, size], for the disturbed copies."""
        drawn = self._rng.standard_normal((LARGER.size, *units.shape))
        return np.asarray(LARGER[:, None, None, None] * UNIT[self._plan.dtype] * units * drawn)

    def _follows(self, node: Node, array: Floats, operand: Operand) -> Mask:
        """Where a result rests on what is no number [tasks, tokens, size]."""
        here = self._here(LAST)
        wrong: Mask
        match node.op:
            case Keep(_, which):
                wrong = np.isnan(operand(0)[here][..., which]) | np.isnan(operand(1)[here])
            case Function():
                wrong = np.isnan(operand(0)[here])
            case Gather():
                wrong = _reaches(operand(1)[here], np.isnan(operand(0)[here]))
            case Attend():
                mine, key, theirs = (np.isnan(operand(k)[here]) for k in range(3))
                wrong = _reaches(operand(3)[here], key.any(-1, keepdims=True) | theirs)
                wrong = wrong | mine.any(-1, keepdims=True)
            case Delta():
                wrong = np.isnan(array[here])  # which comes from S on
            case Source() | Local() | Reads() | Structural():
                wrong = np.isnan(array[here])
            case other:
                assert_never(other)
        return wrong


def _reaches(seen: Floats, wrong: Mask) -> Mask:
    """seen [tasks, readers, read], wrong [tasks, read, size] → where a reader sees what is wrong."""
    return np.asarray(seen @ wrong.astype(np.float64) > 0.0)


def _some(operand: Operand, copies: slice) -> Operand:
    return lambda index: operand(index)[copies]
