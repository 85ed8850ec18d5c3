"""The semantics of the language word for word: one task, token by token, pair by pair, straight from the syntax tree.

Slow and independent of the graph: names are dictionaries, one a token, and a loop is a loop.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from innerloop.compiler.frontend.bind import bind
from innerloop.compiler.frontend.desugar import expand
from innerloop.compiler.syntax import nodes as syntax
from innerloop.compiler.syntax.parse import parse
from innerloop.compiler.syntax.traversal import statements

FUNCTIONS: dict[str, Any] = {
    "relu": lambda v: v * (v > 0),
    "abs": abs,
    "sign": np.sign,
    "sigmoid": lambda v: 1 / (1 + np.exp(-v)),
    "tanh": np.tanh,
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
    "sin": np.sin,
    "cos": np.cos,
    "erf": np.vectorize(math.erf),
    "softplus": lambda v: np.log(1 + np.exp(v)),
    "sum": np.sum,
    "softmax": lambda v: np.exp(v) / np.exp(v).sum(),
    "logsumexp": lambda v: np.log(sum(np.exp(e) for e in v)),
    "clip": lambda v, low, high: np.minimum(np.maximum(v, low), high),
    "max": lambda *of: np.maximum(*of) if len(of) == 2 else sorted(of[0])[-1],
    "min": lambda *of: np.minimum(*of) if len(of) == 2 else sorted(of[0])[0],
    "identity": lambda n: np.eye(int(n)),
    "concat": lambda *parts: np.vstack(parts) if np.ndim(parts[0]) == 2 else np.hstack(parts),
    "size": len,
    "argmax": lambda v: np.array([float(k == min(j for j, e in enumerate(v) if e == max(v))) for k in range(len(v))]),
    "transpose": lambda a: np.array([[row[k] for row in a] for k in range(a.shape[1])]),
    "diag": lambda v: np.diag(v),
    "row_sums": lambda a: np.array([sum(row) for row in a]),
    "column_sums": lambda a: np.array([sum(row) for row in np.swapaxes(a, 0, 1)]),
}


def _divide(a: Any, b: Any) -> Any:
    a, b = np.broadcast_arrays(a, b)
    return np.array([0.0 if p == q == 0 else p / q for p, q in zip(a.ravel(), b.ravel(), strict=True)]).reshape(a.shape)


BINARY: dict[str, Any] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "mul": np.multiply,
    "outer": np.outer,
    "/": _divide,
    "div": _divide,
    "@": lambda a, b: np.tensordot(a, b, 1),
    "dot": lambda a, b: np.tensordot(a, b, 1),
    "^": np.power,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "==": np.equal,
}


class Naive:
    """`fields`: name → [rows, *shape]."""

    def __init__(
        self, text: str, fields: Mapping[str, Any], repetitions: int | tuple[int, ...], **parameters: Any
    ) -> None:
        program = parse(text)
        self.parameters = bind(program, parameters)
        self.program = expand(program)
        pattern = program.tokens.pattern
        times = [repetitions] * len(pattern.groups) if isinstance(repetitions, int) else repetitions
        repeated = [kind for group, count in zip(pattern.groups, times, strict=True) for kind in group * count]
        self.kinds = (*pattern.prefix, *repeated, *pattern.suffix)
        self.context = len(pattern.prefix) + len(repeated) if pattern.visible_context else 0
        self.tokens: list[dict[str, Any]] = [{} for _ in self.kinds]
        self.outputs: list[Any] = []
        for field in program.fields:
            holders = [t for t, kind in enumerate(self.kinds) if kind in field.kinds]
            for token, row in zip(holders, fields[field.name], strict=False):
                self.tokens[token][field.name] = np.asarray(row, float)
        self.run(self.program.body, list(range(len(self.kinds))))

    def run(self, body: tuple[syntax.Statement, ...], here: list[int]) -> None:
        for statement in body:
            match statement:
                case syntax.Assign(name=name, type=type, value=value):
                    found = [self.value(value, token, None) for token in here]
                    for token, result in zip(here, found, strict=True):
                        shape = (
                            [int(self.value(size, 0, None)) for size in type.dimensions] if type else np.shape(result)
                        )
                        self.tokens[token][name] = np.broadcast_to(result, shape) * 1.0
                case syntax.Output(value=value):
                    found = [self.value(value, token, None) for token in here]
                    self.outputs = found if not self.outputs else list(map(np.append, self.outputs, found))
                case syntax.At(kind=kind, body=inner):
                    self.run(inner, [t for t in here if self.kinds[t] == kind])
                case syntax.Repeat(count=count, index=index, body=inner):
                    for k in range(int(self.value(count, 0, None))):
                        if index is not None:
                            self.parameters[index.name] = k + 1
                        self.run(inner, here)
                case syntax.Scan(kind=kind, backwards=backwards, body=inner):
                    line = [t for t in here if self.kinds[t] == kind]
                    carried = self.scan(inner, line[:: -1 if backwards else 1])
                    for token, held in enumerate([] if backwards else self.tokens):  # else other kinds keep their own
                        past = [t for t in line if t <= token]
                        held.update({name: self.tokens[past[-1]][name] for name in carried if past and name in held})

    def scan(self, body: tuple[syntax.Statement, ...], line: list[int]) -> list[str]:
        """Runs the body at one token after another; the names that each takes from the one before."""
        assigned = {s.name for s in statements(body) if isinstance(s, syntax.Assign)}
        carried = [name for name in assigned if name in self.tokens[line[0]]]
        for place, token in enumerate(line):
            if place:
                self.tokens[token].update({name: self.tokens[line[place - 1]][name] for name in carried})
            self.run(body, [token])
        return carried

    def sees(self, token: int, kind: str) -> list[int]:
        return [t for t, k in enumerate(self.kinds) if k == kind and (t <= token or t < self.context)]

    def value(self, expr: syntax.Expr, mine: int, theirs: int | None) -> Any:
        def part(inner: syntax.Expr) -> Any:
            return self.value(inner, mine, theirs)

        match expr:
            case syntax.Number(value=number):
                return number
            case syntax.Array(items=items):
                found = [part(item) for item in items]
                return np.array(found) if len({np.shape(f) for f in found}) == 1 else np.hstack(found)
            case syntax.Part(operand=operand, places=places):
                whole = part(operand)
                for axis, place in reversed(list(enumerate(places))):  # the last axis first, so that the others stay
                    count = range(int(part(place.low)), int(part(place.high or place.low)) + 1)
                    whole = np.take(whole, [k - 1 for k in count] if place.high else count[0] - 1, axis)
                return whole
            case syntax.Name(name=name):
                return self.parameters[name] if name in self.parameters else self.tokens[mine][name]
            case syntax.TheirsExpression(name=name):
                assert theirs is not None
                return self.tokens[theirs][name]
            case syntax.Negate(operand=operand):
                return -part(operand)
            case syntax.Power(base=base, exponent=exponent):
                return np.power(part(base), int(exponent.value))
            case syntax.Binary(operator=name, left=a, right=b) | syntax.Compare(operator=name, left=a, right=b):
                return BINARY[name](part(a), part(b)) * 1.0
            case syntax.Operation(keyword="affine" | "rtw", arguments=(only,)):
                return part(only)
            case syntax.Operation(keyword=name, arguments=(a, b)):
                return BINARY[name](part(a), part(b))
            case syntax.Call(function=name, arguments=arguments):
                return FUNCTIONS[name](*map(part, arguments))
            case syntax.MoveExpression(name=name, source=source, kind=kind, back=back):
                far = 1 if back is None else int(back.value)
                seen = self.sees(mine, kind) if kind else [mine - far] * (mine >= far)
                sources = [t for t in seen if t < mine or source != "previous"]
                sources = sources[:1] if source == "first" else sources[-1:]
                some = next(held[name] for held in self.tokens if name in held)
                return self.tokens[sources[0]].get(name, 0 * some) if sources else 0 * some
            case syntax.ReadExpression(how=how, over=over, arguments=arguments):
                return self.read(how, over, arguments, mine)
        raise AssertionError(expr)

    def read(self, how: str, over: str, arguments: tuple[syntax.Expr, ...], mine: int) -> Any:
        seen = self.sees(mine, over)
        if not seen:  # 0, of the shape that it has where there is one
            return 0 * self.value(arguments[-1], mine, self.kinds.index(over))
        values = np.array([self.value(arguments[-1], mine, token) for token in seen])
        if how == "softmax":
            scores = np.array([self.value(arguments[0], mine, token) for token in seen])
            return np.tensordot(np.exp(scores) / np.exp(scores).sum(), values, 1)
        return values.sum(0) if how == "sum" else self.mean(values)

    def mean(self, values: Any) -> Any:
        return values.mean(0)


class Rounded(Naive):
    """The same with means that round otherwise: what differs was a tie."""

    def mean(self, values: Any) -> Any:
        return (values / len(values)).sum(0)
