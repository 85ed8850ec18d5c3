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

from typing import Any

import numpy as np
from innerloop.artifact.arrays import Floats
from innerloop.artifact.errors import InternalError
from innerloop.artifact.precisions import UNIT
from innerloop.artifact.progress import begun
from innerloop.artifact.reference.forward import InTurn, Turn, forward
from innerloop.artifact.tokens import TokenData, output_rows
from innerloop.artifact.weights import Weights

from ..emit.layout import Holding, placed_values
from ..emit.residual_stream import Stream
from ..ir.graph import Node
from ..schedule.instructions import ROLES
from .plan import Plan
from .predict import LUCK, SAFETY
from .residue import stood_before
from .sample_tasks import decided, sample_tasks
from .slots import SlotSizes
from .trace_bounds import STORED, Bounds, Passes

PASSES = 64
"""Of a longer scan each pass is held at the token whose turn it is, and at all tokens the 1st, 2nd, 4th, 8th … and the
last: every pass repeats what the one before has left there."""
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
        for data in (some for fresh in plan.fresh for some in decided(plan, fresh)):
            validation = _Validation(plan, weights, stream, data, seen)
            validation.run()
            validation.hold_output()
    return seen


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
        self.passes: dict[int, int] = {}
        """Of each loop."""
        for _, passes in self.bounds.runs:
            self.passes |= {loop: number + 1 for loop, number in passes.items()}
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
        self.output = forward(self.weights, self.data, self._after, in_turn=self._in_turn())

    def _in_turn(self) -> InTurn | None:
        """Of a long scan: each pass at the token whose turn it is, and at all in few."""
        loops = [loop for loop in self.plan.graph.loops() if loop.kind is not None]
        if max((loop.count for loop in loops), default=0) <= PASSES:
            return None
        tokens = max(output_rows(self.data.sequence, frozenset({str(loop.kind)})).size for loop in loops)
        return InTurn({tokens - 1, *(2**k - 1 for k in range(tokens.bit_length()))}, self._turned)

    def _turned(self, turn: Turn, x: Any, place: int | None) -> None:
        """After a sublayer of a scan that is run in turn."""
        loops, runs = list(self.plan.graph.loops()), self.bounds.runs
        scan = next(number for number in runs[turn.run][1] if loops[number].kind is not None)
        warm = any(c.warm is not None for c in loops[scan].carried)
        self._run_is(turn.run + max(0, turn.number - warm) * turn.steps + turn.step, x, place)
        self.run_so_far = turn.run + turn.steps * self.passes[scan]

    def _after(self, x: Any) -> None:
        """After each sublayer, the stream [width, tasks, 1 + tokens]."""
        self._run_is(self.run_so_far, x, None)
        self.run_so_far += 1

    def _run_is(self, run: int, x: Any, place: int | None) -> None:
        """After this run of a sublayer, the stream at all tokens, or at the one at this place [width, tasks, 1]."""
        self.seen.look(x)
        sublayer, passes = self.bounds.runs[run]
        if place is None:
            self._hold_rest(sublayer, passes, x)
        for held in self.due.get(sublayer, ()):
            self._hold(held, sublayer, passes, x, place)

    def _hold_rest(self, sublayer: int, passes: Passes, x: Any) -> None:
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

    def _hold(self, held: Holding, sublayer: int, passes: Passes, x: Any, place: int | None) -> None:
        tokens, exact, change = self.bounds.taken(held, passes, None if place is None else place - 1)
        if not exact.size:
            return
        bound = self.bounds.bound(exact, change)
        at = 1 + tokens if place is None else np.zeros(1, np.int64)
        found = np.zeros((held.variable.form.size, *exact.shape[:2]))
        for atom, matrix in held.variable.form.parts:
            part = x[slots := self.slots[atom]][:, :, at].astype(np.float64) / self.unit[slots, None, None]
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
            for other, _, _ in stood_before(self.plan.allocation, atom)
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
