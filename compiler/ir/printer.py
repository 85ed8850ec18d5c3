"""A graph as text: deterministic, for `show --stage graph`, for golden tests and for a person debugging.

    x : vector[8] at x = field
    w : vector[8] = 0
    repeat 10
        w.1 : vector[8] = phi(w, w.2)
        %1 : vector[8] = mean[j in y](mul(ones[8x1] @ dot(w.1, u[j]) - ones[8x1] @ y[j], u[j]))
        w.2 : vector[8] = w.1 - 0.1 * %1
    w.3 : vector[8] = final(w, w.2)

A name that several values have is numbered; what has no name is %1, %2 …. Where no kinds are given, a
value lives at all tokens. Maps are printed by their scale, `ones`, or M with their shape.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import assert_never

import numpy as np
from innerloop.artifact.arrays import Floats
from innerloop.artifact.sparse import Matrix

from ..syntax.shapes import describe
from .graph import (
    Affine,
    Attend,
    Block,
    Constant,
    Delta,
    Divide,
    Field,
    Final,
    Function,
    Gather,
    Graph,
    Keep,
    Loop,
    Merge,
    Mine,
    Move,
    Node,
    Phi,
    Product,
    Read,
    Theirs,
    Value,
)
from .operation_classes import Local, Positional, Reads, Source, Structural


def format_graph(graph: Graph) -> str:
    """A line a value, loops indented, the head with the program's parameters and tokens."""
    labels, signature = labels_of(graph), graph.signature
    order = signature.pattern.kinds
    given = ", ".join(f"{name} = {_parameter(value)}" for name, value in signature.parameters.items())
    lines = [f"{signature.name}({given})", f"tokens {signature.pattern}", ""]

    def line(value: Value, indent: str) -> None:
        node = graph[value]
        kinds = "" if node.kinds == set(order) else f" at {', '.join(k for k in order if k in node.kinds)}"
        lines.append(f"{indent}{labels[value]} : {describe(node.shape)}{kinds} = {_node(node, labels)}")

    def block(items: Block, indent: str) -> None:
        for item in items:
            if not isinstance(item, Loop):
                line(item, indent)
                continue
            head = f"repeat {item.count}" if item.kind is None else _scan(item)
            lines.append(indent + head)
            for c in item.carried:
                phi = f"phi({labels[c.initial]}, {labels[c.result]})"
                lines.append(f"{indent}    {labels[c.phi]} : {describe(graph[c.phi].shape)} = {phi}")
            block(item.body, indent + "    ")
            for c in item.carried:
                line(c.final, indent)

    block(graph.block, "")
    names = [f"{name} = " for name in graph.signature.outputs] or [""]
    lines += (f"output {name}{labels[v]}" for name, v in zip(names, graph.results, strict=True))
    return "\n".join(lines) + "\n"


def labels_of(graph: Graph) -> dict[Value, str]:
    """How each value is called: its name, numbered where several have it, or %1, %2 …."""
    labels: dict[Value, str] = {}
    used: Counter[str] = Counter()
    for value in graph.values():
        name = graph[value].name or "%"
        number = used[name]
        used[name] += 1
        labels[value] = f"%{number + 1}" if name == "%" else f"{name}.{number}" if number else name
    return labels


def _parameter(value: object) -> str:
    array = np.asarray(value)
    return f"{array:g}" if array.ndim == 0 else _array(array)


def _node(node: Node, labels: Mapping[Value, str]) -> str:
    names = [labels[o] for o in node.operands]
    match node.op:
        case Field():
            return "field"
        case Positional():
            return node.op.text
        case Move(source, kind, back):
            return f"move {names[0]} from {source}{f' {kind}' if kind else f' {back}' if back > 1 else ''}"
        case Gather(how, over):
            return f"{how}[j in {over}]({names[0]}[j])"
        case Attend("softmax" | "exp" as how, over, rest):
            beside = "" if rest is None else f", beside 0 with {rest:.4g}"
            return f"{how}[j in {over}](dot({names[0]}, {names[1]}[j]), {names[2]}[j]{beside})"
        case Attend(how, over):
            return f"{how}[j in {over}](dot({names[0]}, {names[1]}[j]) * {names[2]}[j])"
        case Delta():
            return _delta(node.op, names)
        case Read():
            return _read(node.op, names)
        case Merge(kinds):
            return "; ".join(f"{name} at {', '.join(sorted(k))}" for k, name in zip(kinds, names, strict=True))
        case Phi() | Final():
            return _called(node, names)
        case Constant() | Local() | Mine() | Theirs():
            return _arithmetic(node, names)
        case other:
            assert_never(other)


def _delta(op: Delta, names: list[str]) -> str:
    """`delta[j in y](w0; q; k[j], v[j], 0.1)`: what is begun with and 0s stay unsaid."""
    query, key, value, rate, forgotten = names
    key, value = (f"{n}[j{f' − {back}' if back else ''}]" for n, back in zip((key, value), op.back, strict=True))
    least, share = op.divisor
    below = f" / ({least:g} + {share:g} dot({key}, {key}))" if share else ""
    gate = "" if forgotten == "0" else f", forget {forgotten}[j]"
    begun = f", from {_array(op.start.array)}" if op.start.array.any() else ""
    over = ", ".join(sorted(op.over))
    return f"delta[j in {over}](dot({query}, {key}) {value}, rate {rate}[j]{below}{gate}{begun})"


def _read(read: Read, names: list[str]) -> str:
    """The body as one expression; what it uses more than once stands after `where`."""
    body = read.body
    uses = Counter(o for v in body.block for o in body[v].operands)
    shared = [v for v in body.block if uses[v] > 1 and body[v].operands]
    own = {value: f"%{number}[j]" for number, value in enumerate(shared)}

    def text(value: Value, whole: bool = False) -> str:
        node = body[value]
        if value in own and not whole:
            return own[value]
        match node.op:
            case Mine(index):
                return names[index]
            case Theirs(index):
                return f"{names[read.mine + index]}[j]"
            case Source() | Local() | Reads() | Structural():
                pass
            case other:
                assert_never(other)
        inside = _arithmetic(node, [text(o) for o in node.operands])
        return f"({inside})" if isinstance(node.op, Affine) and value not in body.results and not whole else inside

    head = f"{read.how}[j in {read.over}]({', '.join(text(v) for v in body.results)})"
    return "".join((head, *(f" where {own[v]} = {text(v, whole=True)}" for v in shared)))


def _arithmetic(node: Node, names: list[str]) -> str:
    match node.op:
        case Constant(values):
            return _array(values.array)
        case Affine(matrices, offset):
            return _sum(node, matrices, offset.array, names)
        case Product(keyword, form):
            terms = f"[{form.out.size} terms]" if keyword == "bilinear" else ""
            return f"{keyword}{terms}({', '.join(names)})"
        case Divide():
            return f"div({', '.join(names)})"
        case Function(name, arguments):
            return f"{name}({', '.join((*names, *(f'{a:g}' for a in arguments)))})"
        case Keep(strict, which):
            components = "" if len(set(which)) == 1 or which == tuple(range(len(which))) else f"[{len(which)} of its]"
            return f"keep({names[1]}, where {names[0]}{components} {'>' if strict else '>='} 0)"
        case Local():
            return _called(node, names)
        case Source() | Reads() | Structural():
            raise AssertionError(node)
        case other:
            assert_never(other)


def _called(node: Node, names: list[str]) -> str:
    return f"{type(node.op).__name__.lower()}({', '.join(names)})"


def _sum(node: Node, matrices: tuple[Matrix, ...], offset: Floats, names: list[str]) -> str:
    parts = []
    for matrix, name in zip(matrices, names, strict=True):
        sign, scale = _scale(matrix)
        parts.append((sign, f"{scale}{name}"))
    if np.any(offset) or not parts:
        negative = bool(np.all(offset <= 0) and np.any(offset))
        parts.append(("-" if negative else "+", _array((-offset if negative else offset).reshape(node.shape))))
    head = ("-" if parts[0][0] == "-" else "") + parts[0][1]
    return " ".join((head, *(f"{sign} {text}" for sign, text in parts[1:])))


def _scale(matrix: Matrix) -> tuple[str, str]:
    """The sign of a map, and the rest of it with its multiplication: "", "0.1 * ", "ones[8x1] @ ", "M[8x36] @ "."""
    scale = matrix.scalar()
    if scale is not None:
        return "-" if scale < 0 else "+", "" if abs(scale) == 1 else f"{abs(scale):.6g} * "
    rows, columns = matrix.shape
    values = np.unique(matrix.csr.data)
    if values.size == 1 and matrix.nnz == rows * columns:
        factor = "" if abs(values[0]) == 1 else f"{abs(values[0]):.6g} * "
        return "-" if values[0] < 0 else "+", f"{factor}ones[{rows}x{columns}] @ "
    return "+", f"M[{rows}x{columns}] @ "


def _array(array: Floats) -> str:
    """A number if all are equal, small arrays in full, multiples of the identity, and else the shape alone."""
    values = np.unique(array)
    if values.size == 1:
        return f"{values[0]:.6g}"
    if array.ndim == 2 and array.shape[0] == array.shape[1] and np.array_equal(array, array[0, 0] * np.eye(len(array))):
        return "identity" if array[0, 0] == 1 else f"{array[0, 0]:.6g} * identity"
    if array.size <= 8:
        return "[" + ", ".join(f"{v:.6g}" if array.ndim == 1 else _array(v) for v in array) + "]"
    return f"constant[{'x'.join(map(str, array.shape))}]"


def _scan(loop: Loop) -> str:
    return f"scan {loop.kind}{' backwards' if loop.backwards else ''} up to {loop.count}"
