"""Domains: where each construction of a schedule is right, as its instruction says it, for the guard to watch.

    before (schedule, slots)                     after (domains)
    5 mlp   S w = multiply S, w                  product before sublayer 5: |S_i|/R_i + |w_j|/R_j ≤ 2 for each term
    6 att.  w / s                                divisor before sublayer 7: s in [1, 40]
    8 mlp   v = apply sigmoid to `0.2 sum(x)`    function before sublayer 8: `0.2 * sum(x)` at 7:18 in [−9, 9]

An instruction bears its ranges (instructions.py). The emitter scales by them, the error model integrates over them
(error_model.py), and what is recorded here are the same numbers. A square of the bank is right on [−1, 1], so that a
product is right where |a ± b| / 2 is: one factor may leave its range as long as the other is small. What other
constructions take for granted of every slot (norms, closed neurons, the rest token's logits) holds for twice what the
slot was compiled for, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import assert_never

import numpy as np
from innerloop.artifact.arrays import Dtype, Floats
from innerloop.artifact.claims import Domain
from innerloop.artifact.signature import Signature
from innerloop.artifact.span import Span
from innerloop.artifact.sparse import Matrix

from ..ir.graph import Graph, Value
from ..numerics import exponential_sums
from ..numerics.attention_gates import undecided
from ..numerics.fit_smooth import domain
from ..schedule.allocate import Allocation
from ..schedule.constructions import CURVE
from ..schedule.instructions import (
    Apply,
    Atom,
    AttendHead,
    Copy,
    DeltaHead,
    Instruction,
    Linear,
    Mean,
    Multiply,
    Quotient,
    SwitchHead,
)
from ..schedule.sublayers import Placed, Schedule, SublayerPlan
from .residual_stream import Stream, stack
from .ungated_neurons import CLOSED

LONGEST = 48
"""Characters of an expression that a name has at most."""


def domains(
    graph: Graph, schedule: Schedule, allocation: Allocation, stream: Stream, dtype: Dtype
) -> tuple[Domain, ...]:
    """Of every construction, in the order of the sublayers."""
    return tuple(_Domains(graph, schedule, allocation, stream, dtype).found())


class _Domains:
    def __init__(self, graph: Graph, schedule: Schedule, allocation: Allocation, stream: Stream, dtype: Dtype) -> None:
        self.tolerance = CURVE[dtype]
        self.graph, self.instructions, self.slots, self.stream = graph, schedule.instructions, allocation.slots, stream
        self.dtype: Dtype = dtype
        self.sublayers = list(schedule.walk())
        made = {p.instruction.out: p.instruction.op for sublayer in self.sublayers for p in sublayer.placed}
        self.exact = [info.embedded or isinstance(made.get(a), Copy) for a, info in enumerate(self.instructions.atoms)]
        """Which atoms hold what the data say, to the last bit."""
        self.named = {
            form: v.name for v in self.instructions.variables for form in v.form.atoms if len(v.form.parts) == 1
        }

    def found(self) -> Iterator[Domain]:
        made: dict[Atom, int] = {}
        for number, sublayer in enumerate(self.sublayers):
            for placed in sublayer.placed:
                yield from self._reads(placed.instruction, number)
                made.update((atom, number) for atom in _written(placed))
            for atom in [a for a, n in made.items() if n == number]:
                yield from self._holds(atom, self._maker(sublayer, atom), number)

    # What a sublayer reads ----------------------------------------------------------------------

    def _reads(self, instruction: Instruction, number: int) -> Iterator[Domain]:
        match instruction.op:
            case Multiply(code=int(code)):
                ball = (instruction.op.right, instruction.op.left)[code]
                most = CLOSED * ball.most
                yield self._interval("product", instruction, number, 1 - code, -most, most)
            case Multiply() if not self.instructions.target.gated:
                yield self._product(instruction, instruction.op, number)
            case Apply(name, arguments, low, high):
                tolerance = self.tolerance if instruction.op.tolerance is None else instruction.op.tolerance
                activation = self.instructions.target.activation
                ends = domain(name, arguments, float(low.min()), float(high.max()), tolerance, activation)
                if np.isfinite(ends).any():
                    yield self._interval("function", instruction, number, 0, *ends)
            case Quotient(low, high):
                yield self._interval("divisor", instruction, number + 1, 1, low, high)
            case SwitchHead():
                yield self._comparison(instruction, instruction.op, number)
            case AttendHead(how, over, reach) if not self.instructions.target.linear:
                yield self._scores(instruction, how, over, reach, number)
            case Copy() | Mean() | AttendHead() | DeltaHead() | Multiply() | Linear():
                return
            case other:
                assert_never(other)

    def _product(self, instruction: Instruction, op: Multiply, number: int) -> Domain:
        balls = (op.left, op.right)
        read = [self.stream.read(form) for form in instruction.reads]
        low, high = (np.concatenate([b.centre + side * b.radius for b in balls]) for side in (-1.0, 1.0))
        terms = np.column_stack([op.form.left, op.form.right + op.left.centre.size])
        lone = op.squares is not None and op.squares.shared
        pairs = () if lone else tuple(sorted({(int(i), int(j)) for i, j in terms}))
        what = tuple(self._operand(instruction, k) for k in range(2))
        sizes = (op.left.centre.size, op.right.centre.size)
        return Domain(
            "product", number, False, instruction.kinds, stack(read, self.stream.width), low, high, what, sizes, pairs
        )

    def _comparison(self, instruction: Instruction, op: SwitchHead, number: int) -> Domain:
        which = np.unique(op.which)
        exact = all(self.exact[atom] for atom in instruction.reads[1].atoms)
        low, high = undecided(np.array(op.reach)[which], op.tied, exact, self.instructions.target.gated, self.dtype)
        read = Matrix(self.stream.read(instruction.reads[1]).csr[:, which])
        what = (self._operand(instruction, 0),)
        return Domain("comparison", number, False, instruction.kinds, read, low, high, what, (which.size,))

    def _scores(self, instruction: Instruction, how: str, over: str, reach: float, number: int) -> Domain:
        query, key = (self.stream.read(form) for form in instruction.reads[:2])
        construction, most = ("softmax", self._most(instruction)) if how == "softmax" else ("scores", reach)
        read = self._value(instruction.value, instruction.span, self.instructions.atoms[instruction.out].label)
        what = ("the softmax of " + read if how == "softmax" else "a score of " + read,)
        low, high = np.full(1, -most), np.full(1, most)
        if how == "exp":
            low, high = np.full(1, -np.inf), np.full(1, exponential_sums.top(reach))
        return Domain(
            construction, number, False, instruction.kinds, query, low, high, what, (1,), (), key, over, reach
        )  # fmt: skip

    def _most(self, instruction: Instruction) -> float:
        """The largest magnitude of what a head reads."""
        atoms = [(self.instructions.atoms[a].magnitude, m) for a, m in instruction.reads[2].parts]
        return max((float((abs(m.csr) @ magnitude).max(initial=0.0)) for magnitude, m in atoms), default=0.0)

    def _interval(
        self,
        construction: str,
        instruction: Instruction,
        number: int,
        operand: int,
        low: float | Floats,
        high: float | Floats,
    ) -> Domain:
        read = self.stream.read(instruction.reads[operand])
        size = instruction.reads[operand].size
        what = (self._operand(instruction, operand),)
        return Domain(
            construction, number, False, instruction.kinds, read, np.full(size, low), np.full(size, high), what, (size,)
        )

    # What a slot holds --------------------------------------------------------------------------

    def _holds(self, atom: Atom, instruction: Instruction, number: int) -> Iterator[Domain]:
        """What has a name is watched by it, as `Weights.layout` says."""
        if atom not in self.slots or atom in self.named:
            return
        info = self.instructions.atoms[atom]
        what = self._value(instruction.value, instruction.span, info.label)
        read = self.stream.pick(self.stream.slots(atom))
        yield Domain("value", number, True, info.kinds, read, info.low, info.high, (what,), (info.size,))

    def _maker(self, sublayer: SublayerPlan, atom: Atom) -> Instruction:
        return next(p.instruction for p in sublayer.placed if atom in _written(p))

    # Names --------------------------------------------------------------------------------------

    def _operand(self, instruction: Instruction, index: int) -> str:
        """What an instruction reads, as the program says it."""
        part = {Multiply: "a factor", Apply: "the argument", Quotient: "a divisor"}.get(type(instruction.op), "a part")
        if instruction.value is None:
            labels = [self.instructions.atoms[a].label for a in instruction.reads[index].atoms] or ["a constant"]
            return self._value(None, instruction.span, labels[0])
        node = self.graph[instruction.value]
        operand = self.graph[node.operands[index]]
        if operand.name is None and node.span is not None and operand.span in (None, node.span):
            return f"{part} of {self._expression(node.span)}"
        return self._value(node.operands[index], node.span, part)

    def _value(self, value: Value | None, span: Span | None, label: str) -> str:
        """`w`; or the expression and its place; or the place of what it is a part of."""
        node = None if value is None else self.graph[value]
        if node is not None and node.name is not None:
            return node.name
        if node is not None and node.span is not None:
            return self._expression(node.span)
        return label if span is None else f"a part of {self._expression(span)}"

    def _expression(self, span: Span) -> str:
        return expression(self.graph.signature, span)


def expression(signature: Signature, span: Span) -> str:
    """A stretch of the program and its place."""
    text = " ".join(signature.text[span.start : span.end].split())
    short = text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
    return f"`{short}` at {span.line}:{span.column}"


def _written(placed: Placed) -> set[Atom]:
    return {placed.instruction.out, *(write.atom for write in placed.writes)}
