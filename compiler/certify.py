"""A bound for each prediction: the program run many times on these very inputs, disturbed as the weights disturb it.

    copy 0       exact
    copy 1       exact, and no number (NaN) wherever a value beyond its domain may have had a part: see validity.py
    the others   each operation gives what its construction makes of its operands, with errors `TIMES` as large; or as
                 large as they are, and what they change of the output `TIMES` as large (where errors saturate)

The copies run side by side, so that each comparison is seen by all at once: where x is nearer to 0 than the copies
are to each other, it is undecided, and each copy decides it by a coin. Errors of a softmax's logits turn near ties
over by themselves. What a prediction's copies then differ by is its bound; where copy 1 is no number it is infinite.

Rounding is drawn anew for each number, but in some copies once for each operation: what constants and fits lose, they
lose alike at all tokens and in all passes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .build import graph_of
from .compile import Plan
from .domains import expression
from .graph import Attend, Function, Gather, Keep, Node, Value
from .inexact import Inexact, Operand
from .oracle import evaluate, together
from .predict import repeated
from .residue import Residue, residues
from .sparse import Floats
from .squares import UNIT
from .switches import UNCLEAR, Draws, shift, slope
from .tokens import TokenData
from .validity import Limit, limits

TIMES = 4.0
"""For rounding may be coherent; and so that what is rare for the weights is not for the copies."""
SPREAD = 2.0
"""Root mean squares of the copies that a bound is at least, lest they all be lucky."""
FLIPPED = 2.0
"""So many times the copies' largest difference, where they decide differently: not every set of decisions is tried."""
NEAR = 0.5
"""Of the copies' distance: so near to the threshold a coin decides."""
ANEW, DRAWN, ALIKE, PLAIN = 5, 5, 4, 4
"""Copies with rounding drawn for each number, with fits' errors drawn too, with rounding drawn once an operation; and
with errors as large as they are."""
EXACT, BEYOND, FIRST = 0, 1, 2
"""The exact copy, the one that says what may be wrong, and the first that is disturbed."""
COPIES = FIRST + ANEW + DRAWN + ALIKE + PLAIN
LARGER = np.repeat([TIMES, 1.0], [COPIES - FIRST - PLAIN, PLAIN])
"""Times that errors are larger in each disturbed copy."""
STORED = 4.0
"""Units of the largest of a task's outputs that reading them costs."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Beyond:
    """A value that left the domain that it is compiled for, where an output may depend on it: the place where it is
    furthest out. Tasks count from 0."""

    what: str
    task: int
    reached: float
    low: float
    high: float

    def __str__(self) -> str:
        ends = f"[{self.low:.4g}, {self.high:.4g}]"
        return f"{self.what} reached {self.reached:.4g} in task {self.task}; the error model holds in {ends}"


@dataclass(frozen=True)
class Bounded:
    """What the program gives [tasks, rows, *shape], and how far the weights may be off: infinite where nothing is
    known. `beyond`: why, the first task of each value."""

    exact: Floats
    bound: Floats
    beyond: tuple[Beyond, ...]


def bounded(plan: Plan, data: TokenData, told: Callable[[int, int], None] | None = None) -> Bounded:
    """The bound of every output on these tasks; `told(done, in all)` after each of its parts."""
    signature = plan.graph.signature
    assert signature is not None
    program = graph_of(signature.text, signature.parameters, signature.source)
    step = max(1, together(plan.graph, data) // COPIES)
    parts: list[tuple[Floats, Floats]] = []
    beyond: dict[str, Beyond] = {}
    for start in range(0, data.batch, step):
        part = _part_of(data, slice(start, start + step))
        exact, bound, out = _Copies(plan, part).run()
        truth = evaluate(program, part)
        with np.errstate(invalid="ignore"):
            bound = bound + np.abs(exact - truth)
        parts.append((truth, np.where(np.isfinite(truth) & np.isfinite(bound), bound, np.inf)))
        for found in out:
            beyond.setdefault(found.what, Beyond(found.what, start + found.task, found.reached, found.low, found.high))
        if told is not None:
            told(start + part.batch, data.batch)
    exact, bound = (np.concatenate(side) for side in zip(*parts, strict=True))
    return Bounded(exact, bound, tuple(beyond.values()))


def _part_of(data: TokenData, tasks: slice) -> TokenData:
    fields = {name: array[tasks] for name, array in data.fields.items()}
    return TokenData(data.sequence, len(range(*tasks.indices(data.batch))), fields, data.batched)


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


class _Copies:
    """Some tasks, each `COPIES` times; copies stand one after the other, with all tasks in each."""

    def __init__(self, plan: Plan, data: TokenData) -> None:
        self._plan, self._graph, self._tasks = plan, plan.graph, data.batch
        self._data = repeated(data, COPIES)
        self._rng = np.random.default_rng(0)
        self._limits = {v: limits(plan.model, plan.choice, v) for v in self._graph.values()}
        self._residues = residues(plan.graph, plan.schedule, plan.allocation)
        self._held = {r.value for some in self._residues.values() for r in some}
        self._most: dict[Value | None, Floats] = {}
        self._models = {v: tuple(self._modelled(v)) for v in self._graph.values()}
        self._beyond: dict[tuple[Value, Limit], tuple[Floats, Floats]] = {}
        self._agree = np.ones((COPIES - FIRST, self._tasks), bool)
        self._lost: dict[Value, Floats] = {}

    def run(self) -> tuple[Floats, Floats, list[Beyond]]:
        """The exact output [tasks, rows, *shape], its bound, and what was beyond its domain."""
        found = evaluate(self._graph, self._data, self._observe, self._disturb, chunk=self._data.batch)
        found = found.reshape(COPIES, self._tasks, *found.shape[1:])
        exact = found[EXACT]
        tasks = (-1, *[1] * (exact.ndim - 1))
        change = np.abs(found[FIRST:] - exact) * (TIMES / LARGER).reshape(*tasks, 1)
        most = change.max(0) * np.where(self._agree.all(0), 1.0, FLIPPED).reshape(tasks)
        bound = np.maximum(most, SPREAD * np.sqrt(np.mean(change**2, axis=0)))
        largest = np.abs(exact).reshape(self._tasks, -1).max(1, initial=0.0)
        bound += STORED * UNIT[self._plan.dtype] * largest.reshape(tasks)
        bound = np.where(np.isnan(found[BEYOND]) | ~np.isfinite(bound), np.inf, bound)
        unknown = np.isinf(bound).reshape(self._tasks, -1).max(1, initial=False)
        return exact, bound, list(self._told(np.asarray(unknown)))

    def _told(self, unknown: Mask) -> Iterator[Beyond]:
        """What was furthest beyond its domain, in the first of the tasks some of whose outputs it may have reached."""
        for (value, limit), (out, reached) in self._beyond.items():
            tasks = np.flatnonzero(unknown & (out > 0.0))
            if tasks.size:
                low, high = float(limit.low.min()), float(limit.high.max())
                yield Beyond(self._worded(value, limit), int(tasks[0]), float(reached[tasks[0]]), low, high)

    def _worded(self, value: Value, limit: Limit) -> str:
        """The value's name, or its expression and place in the program."""
        node = self._graph[value]
        if limit.operand is not None:
            node = self._graph[node.operands[limit.operand]]
        if node.name is not None and not limit.scored:
            return node.name
        signature, span = self._graph.signature, node.span or self._graph[value].span
        if signature is None or span is None:
            return "a value"
        return ("a score of " if limit.scored else "") + expression(signature, span)

    # Operations ----------------------------------------------------------------------------------

    def _modelled(self, value: Value) -> Iterator[_Disturbed]:
        """The models of an operation, each for some of the copies."""
        model, choice, op = self._plan.model, self._plan.choice.get(value), self._graph[value].op
        if isinstance(op, Keep):
            return
        inside = isinstance(op, Attend) and op.how == "softmax"
        start = FIRST
        for count, drawn, draws in (
            (ANEW, False, self._rng), (DRAWN, True, self._rng), (ALIKE, False, _Once(value, ALIKE)),
            (PLAIN, False, self._rng),
        ):  # fmt: skip
            times = float(LARGER[start - FIRST])
            inexact = model.of(value, choice, drawn, times if inside else 1.0)
            if inexact is not None:
                copies = slice(start * self._tasks, (start + count) * self._tasks)
                yield _Disturbed(copies, inexact, draws, 1.0 if inside else times)
            start += count

    def _disturb(self, value: Value, array: Floats, operand: Operand, _: slice) -> Floats:
        node = self._graph[value]
        found = np.array(array)
        for some in self._models[value]:
            exact = array[some.copies]
            inexact = some.model(exact, _some(operand, some.copies), some.draws)
            found[some.copies] = exact + some.times * (inexact - exact)
        if isinstance(node.op, Keep):
            found[FIRST * self._tasks :] = self._kept(value, node, operand)
        for residue in self._residues.get(value, ()):
            found[FIRST * self._tasks :, :, residue.at] += self._left(residue, array)
        wrong = self._leaves(value, array, operand) | self._follows(node, array, operand)
        found[self._here(BEYOND)] = np.where(wrong, np.nan, found[self._here(EXACT)])
        return found

    def _kept(self, value: Value, node: Node, operand: Operand) -> Floats:
        """What a comparison leaves in the disturbed copies."""
        assert isinstance(node.op, Keep)
        op, decides = node.op, node.operands[0]
        plan = self._plan
        x = self._apart(operand(0)[..., op.which])
        exact, found = x[EXACT], x[FIRST:]
        reach = np.abs(plan.ranges[decides]).max(axis=0)[list(op.which)]
        dead = shift(decides in plan.ranges.ties, plan.target.rotary, plan.dtype) / slope(reach, plan.dtype)
        threshold = dead if op.strict else -dead
        lost = np.where(self._agree[..., None, None], np.abs(found - exact), 0.0).max(0)
        lost = np.where(self._agree.max(0)[:, None, None], lost, self._lost.get(value, 0.0))
        self._lost[value] = lost
        open_ = np.abs(found - threshold) <= UNCLEAR * dead + NEAR * lost
        open_[0] = False
        kept = np.where(open_, self._rng.random(found.shape) < 0.5, found > threshold)
        self._agree &= (kept == (exact > 0.0 if op.strict else exact >= 0.0)).all((2, 3))
        return np.asarray(self._apart(operand(1))[FIRST:] * kept).reshape(-1, *x.shape[2:])

    def _left(self, residue: Residue, array: Floats) -> Floats:
        """What rounding beside a residue leaves [disturbed copies · tasks, tokens, components]."""
        most = self._most.get(residue.value, np.full(self._tasks, residue.most))
        size = 0.5 * UNIT[self._plan.dtype] * np.multiply.outer(LARGER, most).ravel()
        return np.asarray(size[:, None, None] * self._rng.standard_normal((size.size, array.shape[1], residue.at.size)))

    def _observe(self, value: Value, array: Floats) -> None:
        """The largest that is left in slots, of each task."""
        if value in self._held:
            most = np.abs(array[: self._tasks]).max((1, 2), initial=0.0)
            self._most[value] = np.maximum(self._most.get(value, 0.0), most)

    # Domains -------------------------------------------------------------------------------------

    def _follows(self, node: Node, array: Floats, operand: Operand) -> Mask:
        """Where a result rests on what is no number [tasks, tokens, size]."""
        here = self._here(BEYOND)
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
            case _:
                wrong = np.isnan(array[here])
        return wrong

    def _here(self, copy: int) -> slice:
        return slice(copy * self._tasks, (copy + 1) * self._tasks)

    def _leaves(self, value: Value, array: Floats, operand: Operand) -> Mask:
        """Where a value leaves its domain in some copy [tasks, tokens, 1]."""
        wrong: Mask = np.zeros((self._tasks, array.shape[1], 1), bool)
        for limit in self._limits[value]:
            seen = self._apart(limit.seen(array, operand))
            out = ~((seen >= limit.low) & (seen <= limit.high))
            out[BEYOND] = False
            if out.any():
                wrong[..., 0] |= out.any((0, -1))
                self._note(value, limit, seen)
        return wrong

    def _note(self, value: Value, limit: Limit, seen: Floats) -> None:
        """Keeps, for each task, the value that is furthest out: by how much, and what it is."""
        flat = np.delete(seen, BEYOND, 0).swapaxes(0, 1)
        far = np.maximum(flat - limit.high, limit.low - flat).reshape(self._tasks, -1)
        far = np.where(np.isnan(far), np.inf, far)
        at = (np.arange(self._tasks), far.argmax(1))
        so_far, reached = self._beyond.get((value, limit), (np.zeros(self._tasks), np.zeros(self._tasks)))
        more = far[at] > so_far
        reached = np.where(more, flat.reshape(self._tasks, -1)[at], reached)
        self._beyond[value, limit] = np.maximum(far[at], so_far), reached

    def _apart(self, array: Floats) -> Floats:
        """[copies, tasks, …]"""
        return array.reshape(COPIES, self._tasks, *array.shape[1:])


def _reaches(seen: Floats, wrong: Mask) -> Mask:
    """seen [tasks, readers, read], wrong [tasks, read, size] → where a reader sees what is wrong."""
    return np.asarray(seen @ wrong.astype(np.float64) > 0.0)


def _some(operand: Operand, copies: slice) -> Operand:
    return lambda index: operand(index)[copies]
