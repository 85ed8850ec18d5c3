"""Validation: every compile runs its weights on a few tasks, and holds what each sublayer leaves against the oracle.

    after 5 (mlp)      expected of p = u × w       bound                      found
    p at y             the oracle's p, that pass   what the error model makes of its constructions (trace_bounds.py)
    the rest token     0 in every value's slots    a few units

Values are looked at where they have been made, and again where they were last to be there. The first that is off is
where it went wrong: a fault of the compiler, which no weights survive. Tasks are a few of the report's
longest and shortest, and those on their way to corners of the fields' ranges, as far as all ranges hold; a task in
which rounding decides a comparison says nothing, and is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from innerloop.artifact.arrays import Floats, Indices
from innerloop.artifact.errors import InternalError
from innerloop.artifact.precisions import UNIT
from innerloop.artifact.progress import begun
from innerloop.artifact.reference.forward import forward
from innerloop.artifact.tokens import TokenData, output_rows
from innerloop.artifact.weights import Weights

from ..emit.layout import Holding, placed_values
from ..emit.residual_stream import Stream
from ..interpreter.calibrate import some_of
from ..interpreter.chunks import together
from ..interpreter.oracle import evaluate
from ..ir.graph import Divide, Field, Function, Keep, Loop, Node, Value
from ..schedule.instructions import ROLES
from .plan import Plan
from .predict import LUCK, SAFETY
from .residue import stood_before
from .slots import SlotSizes
from .trace_bounds import STORED, Bounds, Passes

TASKS = 4
"""So many of the report's longest and shortest, and as many on their way to a corner."""
TOKENS = 648
"""So many of all of them together, about."""
NUMBERS = 2**25
"""So many numbers are kept of a run of the oracle, about."""
WAYS = (1.0, 0.7, 0.4, 0.2)
"""How far towards a corner: as far as all ranges hold."""
TRUST = 3.0
"""So many times its prediction an error may be, beyond which it is looked into."""
FLOOR = {"float32": 1e-4, "float64": 1e-9, "bfloat16": 2.0**-5, "float16": 2.0**-8}
"""An error is a fault that is `LUCK` times its bound, and this share of the value's range beside: what slots are
rounded by that held something larger is in no bound. A wrong value is off by far more. What is beyond its bound by that
share alone, what follows from it may multiply: the task says no more."""
SHAKEN = 0.1
"""Of its range: a task in which a value's bound is so large takes turns that its draws do not, and says no more."""
SMALLEST = 1e-6
"""No value's range counts as smaller."""


def validate(plan: Plan, weights: Weights, stream: Stream) -> SlotSizes:
    """How large slots were. Raises InternalError for the first value that is further from the oracle's than its
    constructions can make it."""
    begun("validating")
    seen = SlotSizes(stream)
    for data in sample_tasks(plan):
        _Validation(plan, weights, stream, data, seen).run()
    report = weights.report
    if any(error.measured_error > TRUST * error.predicted_error for error in report.each):
        for data in (decided for some in plan.fresh for decided in _decided(plan, some)):
            validation = _Validation(plan, weights, stream, data, seen)
            validation.run()
            validation.hold_output()
    return seen


# Tasks -------------------------------------------------------------------------------------------


def sample_tasks(plan: Plan) -> Iterator[TokenData]:
    """Of the longest and of the shortest, those in which all values are in their ranges and all comparisons decided."""
    rng = np.random.default_rng(0)
    for data in plan.fresh[:1] + plan.fresh[1:][-1:]:
        tokens = len(data.sequence)
        count = min(TASKS, data.batch, max(1, TOKENS // (2 * tokens)), _affordable(plan, tokens))
        if count:
            yield from _decided(plan, _towards_corners(plan, some_of(data, np.arange(count)), rng))


def _affordable(plan: Plan, tokens: int) -> int:
    """Of how many tasks all values can be kept."""

    def numbers(block: tuple[Value | Loop, ...]) -> int:
        loops = [item for item in block if isinstance(item, Loop)]
        own = sum(plan.graph[item].size for item in block if not isinstance(item, Loop))
        return own + sum((1 if loop.kind is not None else loop.count) * numbers(loop.body) for loop in loops)

    return NUMBERS // (2 * tokens * max(1, numbers(plan.graph.block)))


def _towards_corners(plan: Plan, base: TokenData, rng: np.random.Generator) -> TokenData:
    """The tasks, and each as far towards a corner of its fields' ranges as all values stay in theirs: those for which
    they do."""
    corners = {}
    for spec in plan.graph.signature.fields:
        array = base.fields[spec.name]
        value = next((v for v in plan.graph.values() if plan.graph[v].op == Field(spec.name)), None)
        if spec.onehot or value is None:
            corners[spec.name] = array
            continue
        corner = np.where(rng.random(array.shape) < 0.5, plan.ranges.low[value], plan.ranges.high[value])
        lives = np.array([kind in spec.kinds for kind in base.sequence.kinds])
        corners[spec.name] = np.where(lives[None, :, None], corner, array)
    ways = (0.0, *WAYS)
    fields = {n: np.concatenate([a + way * (corners[n] - a) for way in ways]) for n, a in base.fields.items()}
    all_ways = TokenData(base.sequence, len(ways) * base.batch, fields)
    inside = _inside(plan, all_ways).reshape(len(ways), base.batch)
    first = np.where(inside[1:].any(axis=0), inside[1:].argmax(axis=0) + 1, -1)
    taken = [task for task in range(base.batch) if inside[0, task]]
    taken += [int(way) * base.batch + task for task, way in enumerate(first) if way > 0]
    return some_of(all_ways, np.array(taken, dtype=np.int64))


def _inside(plan: Plan, data: TokenData) -> np.ndarray:
    """Whether all values of each task are in the ranges that the weights were made for [tasks]."""
    graph, ranges = plan.graph, plan.ranges
    divisors = {graph[v].operands[1] for v in graph.values() if isinstance(graph[v].op, Divide)}
    ends = {v: ranges.tight(v) if v in divisors else ranges[v] for v in graph.values()}
    for op, operand in ((graph[v].op, graph[v].operands) for v in graph.values()):
        if isinstance(op, Function):
            ends[operand[0]] = _both(ends[operand[0]], ranges.domain(op.name, operand[0]))
    good = np.ones(data.batch, dtype=bool)
    step = together(graph, data)
    for start in range(0, data.batch, step):
        tasks = np.arange(start, min(start + step, data.batch))

        def observe(value: Value, array: Floats, tasks: Indices = tasks) -> None:
            low, high = ends[value]
            good[tasks] &= ((array >= low) & (array <= high)).all(axis=(1, 2))

        reach: dict[Value, float] = {}
        evaluate(graph, some_of(data, tasks), observe, reach=reach, looks=True)
        if any(found > ranges.reach(value) for value, found in reach.items()):
            good[tasks] &= tasks < data.batch // (1 + len(WAYS))  # whose scores these are is not said
    return good


def _both(one: tuple[Floats, Floats], other: tuple[Floats, Floats]) -> tuple[Floats, Floats]:
    return np.maximum(one[0], other[0]), np.minimum(one[1], other[1])


def _decided(plan: Plan, data: TokenData) -> Iterator[TokenData]:
    """The tasks, but those in which what decides a comparison is no further from 0 than it may be off. A 0 is decided
    where the weights were made for one, or nothing can be off."""
    graph = plan.graph
    decide = sorted({graph[v].operands[0] for v in graph.values() if isinstance(graph[v].op, Keep)})
    for safety in (1.0, SAFETY) if decide else ():  # those first that are turned over, and so shake all others
        if not data.batch:
            return
        bounds = Bounds(plan, data, [], decide)
        good = np.ones(data.batch, dtype=bool)
        for value in decide:
            for time in range(bounds.record.times(value)):
                distance = np.abs(bounds.record.time(value, time))
                change = safety * bounds.changes.taken(value, [time])
                off = change[..., None] if safety == 1.0 else change.max(initial=0.0)
                tie = (distance == 0.0) & ((off == 0.0) | (value in plan.ranges.ties))
                good &= ~((distance <= off) & ~tie).any(axis=(1, 2))
        data = some_of(data, np.flatnonzero(good))
    if data.batch:
        yield data


# Values ------------------------------------------------------------------------------------------


class _Validation:
    """One run of the weights on some tasks."""

    def __init__(self, plan: Plan, weights: Weights, stream: Stream, data: TokenData, seen: SlotSizes) -> None:
        self.plan, self.weights, self.data, self.seen = plan, weights, data, seen
        self.sublayers = list(plan.schedule.walk())
        held = tuple(placed_values(plan.schedule, plan.allocation))
        self.bounds = Bounds(plan, data, held)
        self.due: dict[int, list[Holding]] = {}
        for one in held:
            for sublayer in {one.first, one.last}:
                self.due.setdefault(sublayer, []).append(one)
        self.slots, self.unit = {atom: stream.slots(atom) for atom in plan.allocation.slots}, stream.unit
        self.at_rest = self._at_rest(stream.width)
        self.floor = FLOOR[plan.dtype]
        self.run_so_far = 0
        self.steady = np.ones(data.batch, dtype=bool)

    def _at_rest(self, width: int) -> Floats:
        """What the rest token may hold in each slot: of most values only what rounding leaves [width]."""
        most = np.zeros(width)
        taken = np.zeros(width, dtype=bool)
        atoms = self.plan.schedule.instructions.atoms
        starts = [m for a in atoms if a.start is not None for atom, m in a.start.parts if atom == ROLES]
        largest = max([1.0, *(abs(m.csr).max() for m in starts), *(a.magnitude.max() for a in atoms if a.rests)])
        for atom, slots in self.slots.items():
            resting = atoms[atom].rests or atom == ROLES  # copies of starts may be beyond what other tokens hold
            units = STORED * UNIT[self.plan.dtype] * atoms[atom].magnitude
            most[slots] = np.maximum(most[slots], 2.0 * largest * self.unit[slots] if resting else units)
            taken[slots] = True
        return np.where(taken, most, np.inf)

    def run(self) -> None:
        self.output = forward(self.weights, self.data, self._after)

    def _after(self, x: Any) -> None:
        """After each sublayer, the stream [width, tasks, 1 + tokens]."""
        self.seen.look(x)
        sublayer, passes = self.bounds.runs[self.run_so_far]
        self.run_so_far += 1
        rest = np.abs(x[:, :, 0].astype(np.float64))
        odd = np.argwhere(~(rest <= self.at_rest[:, None]))
        if odd.size:
            slot, task = odd[0]
            lives = self.plan.allocation.lifetimes
            holders = [a for a, slots in self.slots.items() if slot in slots]
            atom = max(holders, key=lambda a: (lives[a].birth <= sublayer, lives[a].birth))
            label = self.plan.schedule.instructions.atoms[atom].label
            message = f"{rest[slot, task]:.6g} in the slots of `{label}` at the rest token"
            raise InternalError(f"emit: {self._place(sublayer, passes)} leaves {message}")
        for held in self.due.get(sublayer, ()):
            self._hold(held, sublayer, passes, x)

    def _hold(self, held: Holding, sublayer: int, passes: Passes, x: Any) -> None:
        tokens, exact, change = self.bounds.taken(held, passes)
        if not exact.size:
            return
        bound = self.bounds.bound(exact, change)
        found = np.zeros((held.variable.form.size, *exact.shape[:2]))
        for atom, matrix in held.variable.form.parts:
            part = x[slots := self.slots[atom]][:, :, 1 + tokens].astype(np.float64) / self.unit[slots, None, None]
            found += (matrix.csr @ part.reshape(len(part), -1)).reshape(found.shape)
        error = np.where(self.steady[:, None, None], np.abs(found.transpose(1, 2, 0) - exact), 0.0)
        ends = (held.variable.low, held.variable.high, exact)
        size = max(SMALLEST, *(float(np.abs(end).max(initial=0.0)) for end in ends))
        largest, most = error.max(), LUCK * bound + self.floor * size
        if not (largest <= most or largest <= most + self._left(held)):
            worst = np.unravel_index(np.nan_to_num(error, nan=np.inf).argmax(), error.shape)
            task, token, component = (int(k) for k in worst)
            node = self._node(held)
            kind = self.data.sequence.kinds[int(tokens[token])]
            raise InternalError(
                f"emit: `{held.variable.name}` is {found[component, task, token]:.6g} after "
                f"{self._place(sublayer, passes)}, for {exact[worst]:.6g} within {bound:.2g}, at token {tokens[token]} "
                f"(`{kind}`) of a sample task",
                node.span,
            )
        self.steady &= (error <= LUCK * bound).all(axis=(1, 2))
        self.steady &= SAFETY * change.max(axis=1, initial=0.0) <= SHAKEN * size

    def _left(self, held: Holding) -> float:
        """What clearing its slots of all that they held before may have left there, by rounding and by the norm."""
        atoms = self.plan.schedule.instructions.atoms
        sizes = [
            float(abs(matrix.csr).max()) * float(atoms[other].magnitude.max(initial=0.0))
            for atom, matrix in held.variable.form.parts
            for other, _ in stood_before(self.plan.allocation, atom)
        ]
        return (STORED * UNIT[self.plan.dtype] + self.plan.shrunk) * max(sizes, default=0.0)

    def _node(self, held: Holding) -> Node:
        graph = self.plan.graph
        value = self.bounds.value(held)
        return graph[value]

    def _place(self, sublayer: int, passes: Passes) -> str:
        number = f"sublayer {sublayer} ({self.sublayers[sublayer].side})"
        return number if not passes else f"{number} in pass {', '.join(str(p + 1) for p in passes.values())}"

    def hold_output(self) -> None:
        """The outputs, of which every part was as it should be."""
        output, report = self.weights.output, self.weights.report
        at = output_rows(self.data.sequence, output.kinds)
        sides = output.split(self.bounds.output), output.split(self.output[:, at].reshape(self.bounds.output.shape))
        for exact, found, bound, said in zip(*sides, self.bounds.output_bounds, report.each, strict=True):
            error = float(np.abs(found - exact)[self.steady].max(initial=0.0))
            if not error <= LUCK * bound + self.floor * np.abs(exact).max(initial=0.0):
                what = f"the output `{said.name}`" if said.name else "the output"
                raise InternalError(
                    f"emit: {what} is off by {error:.2g}, and {bound:.2g} is what all constructions "
                    f"may make of it ({said.measured_error:.2g} measured, {said.predicted_error:.2g} predicted)"
                )
