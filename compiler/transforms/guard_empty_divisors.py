"""Divisors that are 0 only where nothing has been read yet, or where nothing was counted.

    before                                  after
    S = mean[j in y](…)                     S = mean[j in y](…)
    M = S / sum(S ^ 2)                      M = S / (sum(S ^ 2) + c · [no y seen])

    a = sum[j in y]((y[j] > 0) * u[j])      a = sum[j in y]((y[j] > 0) * u[j])
    n = sum[j in y](y[j] > 0)               n = sum[j in y](y[j] > 0)
    w = a / n                               w = a / max(n, 1)

Before the first y every mean over y is 0, and 0/0 is 0 in the language; no sublayer divides 0 by 0. [no y seen]
is a function of the position alone, and 0/c is 0 too. The size of c is that of the divisor elsewhere, component by
component, which is taken from sample data: the range of what is divided by stays as narrow as it was. 1/s is filled
where all products with it are 0 there.

A count is a whole number, 0 or more, and max(n, 1) is the same but where it is 0: there a is 0, as the graph says
(algebra/counts.py), and 0/0 is 0. Means over tokens are divided as the sums that they are of. What is not known to be 0
there, or to be a count, is divided by as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import assert_never

import numpy as np
from innerloop.artifact.arrays import Floats
from innerloop.artifact.signature import Kinds, Pattern
from innerloop.artifact.sparse import Matrix
from innerloop.artifact.tokens import TokenData, sequence

from ..architectures.learned_positions import SAMPLE, counts
from ..interpreter.oracle import evaluate
from ..ir.graph import (
    Affine,
    Attend,
    Constant,
    Delta,
    Divide,
    Field,
    Final,
    Function,
    Gather,
    Graph,
    Keep,
    Merge,
    Move,
    Node,
    Phi,
    Product,
    Read,
    Value,
)
from ..ir.operation_classes import Local, Reads, Source, Structural
from ..ir.positional import Count
from ..numerics.functions import function
from .algebra.carried_counts import terms_of
from .algebra.counts import COMPARISONS, Terms
from .canonicalize import ALL_LAWS, Laws
from .rewriter import Rewriter, rebuild

TASKS = 64
"""Tasks of each sample that the size of a divisor is taken from."""


def fill_empty(graph: Graph, samples: Sequence[TokenData]) -> Graph:
    """The graph with such divisors filled in; the same outputs, token by token."""
    signature = graph.signature
    if signature.pattern.visible_context:  # every token sees the whole context
        return graph
    divisors = {v: graph[v].operands[-1] for v in graph.values() if _divides(graph[v])}
    if not divisors:
        return graph
    vanish = vanishing(graph)
    tops = _tops(graph, divisors)
    unseen: dict[Value, Kinds] = {}
    for divide, divisor in divisors.items():
        kinds = vanish[divisor] & _awaited(signature.pattern, graph[divide].kinds)
        known = all(counts(signature.pattern, kind, SAMPLE, none=True) is not None for kind in kinds)
        if known and all(top is not None and kinds <= vanish[top] for top in tops[divide]):  # else it is no 0/0
            unseen[divide] = kinds
    sizes = _sizes(graph, samples, {divisors[divide] for divide, kinds in unseen.items() if kinds})

    def visit(r: Rewriter, old: Value, node: Node) -> Value:
        divisor = divisors.get(old)
        if divisor not in sizes or old not in unseen:
            return r.node(node)
        everywhere = frozenset(signature.pattern.kinds)
        none = [r.node(Node(Count(kind, none=True), (), (), everywhere)) for kind in sorted(unseen[old])]
        *top, bottom = node.operands
        size = sizes[divisor].size
        column = Matrix.of(range(size), [0] * size, sizes[divisor], (size, 1))
        terms = [(Matrix.identity(size), bottom), *((column, value) for value in none)]
        filled = r.affine(terms, r[bottom].shape, node.kinds)
        return r.node(replace(node, operands=(*top, filled)))

    return rebuild(graph, visit) if sizes else graph


def guard_counts(graph: Graph, laws: Laws = ALL_LAWS) -> Graph:
    """The graph with max(n, 1) for counts n that are divided by and may be 0; the same outputs, token by token."""
    divided = [v for v in graph.values() if isinstance(graph[v].op, Divide)]
    if not divided or not any(_whole(graph, graph[v]) for v in graph.values()):
        return graph
    terms, names = terms_of(graph), dict[Value, Value]()
    counted = {v for v in divided if _counted(graph, terms, v)}

    def visit(r: Rewriter, old: Value, node: Node) -> Value:
        if old not in counted:
            return r.node(node)
        top, bottom = node.operands
        if _means(graph, graph[old].operands[1]) is not None:
            top, bottom = (_summed(r, graph, o, names) for o in graph[old].operands)
        size, kinds = r[bottom].size, node.kinds
        one = Matrix.identity(size)
        over = r.affine([(one, bottom)], r[bottom].shape, kinds, -1.0)
        above = r.node(Node(Function("relu"), (over,), r[bottom].shape, kinds))
        filled = r.affine([(one, above)], r[bottom].shape, kinds, 1.0)
        return r.node(replace(node, operands=(top, filled)))

    return rebuild(graph, visit, laws, names) if counted else graph


def _whole(graph: Graph, node: Node) -> bool:
    """Whether it is what counts are made of: a comparison, or a one-hot field."""
    if isinstance(node.op, Field):
        return any(f.name == node.op.name and f.onehot for f in graph.signature.fields)
    return isinstance(node.op, Function) and node.op.name in COMPARISONS


def _counted(graph: Graph, terms: Terms, value: Value) -> bool:
    """Whether a division is by counts, and what is divided is 0 where they are."""
    above, below = graph[value].operands
    over = _means(graph, below)
    if over is not None and not _scales(graph, above, over):
        return False
    top, bottom = terms.terms[above, None], terms.summed(below)
    known = terms.known[bottom]
    if not known.counts or (known.low >= 1.0).all():
        return False
    for component in range(known.low.size):
        zeros = terms.vanishes(top, bottom, component)
        if zeros is None or not (zeros[component] if known.low.size > 1 else zeros.all()):
            return False
    return True


def _means(graph: Graph, value: Value) -> str | None:
    """What a value is a mean over, if it is one."""
    op = graph[value].op
    return op.over if isinstance(op, Gather | Read) and op.how == "mean" else None


def _scales(graph: Graph, value: Value, over: str) -> bool:
    """Whether a value is made of means over these, and grows with them: `_summed` then makes it of sums."""
    node = graph[value]
    match node.op:
        case Gather() | Read():
            return _means(graph, value) == over
        case Affine(_, offset):
            return not offset.array.any() and all(_scales(graph, o, over) for o in node.operands)
        case Source() | Local() | Reads() | Structural():
            return False
        case other:
            assert_never(other)


def _summed(r: Rewriter, graph: Graph, value: Value, names: Mapping[Value, Value]) -> Value:
    """Such a value times how many tokens its means are over."""
    node = graph[value]
    if isinstance(node.op, Gather | Read):
        operands = tuple(names[o] for o in node.operands)
        return r.node(replace(node, op=replace(node.op, how="sum"), operands=operands, name=None))
    return r.node(replace(node, operands=tuple(_summed(r, graph, o, names) for o in node.operands), name=None))


def _divides(node: Node) -> bool:
    return isinstance(node.op, Divide) or node.op == Function("reciprocal")


def _tops(graph: Graph, divisors: Mapping[Value, Value]) -> dict[Value, list[Value | None]]:
    """What each divides, or its 1/s is multiplied by; None where that is used otherwise."""
    found: dict[Value, list[Value | None]] = {
        v: [graph[v].operands[0]] if isinstance(graph[v].op, Divide) else [] for v in divisors
    }
    for value in graph.values():
        node = graph[value]
        for k, operand in enumerate(node.operands):
            if operand in divisors and not isinstance(graph[operand].op, Divide):
                found[operand].append(node.operands[1 - k] if isinstance(node.op, Product) else None)
    for value in graph.results:
        if value in divisors and not isinstance(graph[value].op, Divide):
            found[value].append(None)
    return found


def _sizes(graph: Graph, samples: Sequence[TokenData], divisors: set[Value]) -> dict[Value, Floats]:
    """The usual value of each component, sign included, of each of these that is 0 somewhere on the samples, and none
    of whose components is 0 everywhere."""
    if not divisors:
        return {}
    seen: dict[Value, list[Floats]] = {v: [] for v in divisors}

    def observe(value: Value, array: Floats) -> None:
        if value in divisors:
            seen[value].append(array.reshape(-1, array.shape[-1]))

    for data in samples:
        few = {name: array[:TASKS] for name, array in data.fields.items()}
        evaluate(graph, TokenData(data.sequence, min(TASKS, data.batch), few, data.batched), observe)
    found = {value: np.concatenate(arrays) for value, arrays in seen.items() if arrays}
    return {
        v: np.array([np.median(column[column != 0]) for column in a.T])
        for v, a in found.items()
        if np.any(a == 0) and np.all(np.any(a != 0, axis=0))
    }


def vanishing(graph: Graph) -> dict[Value, Kinds]:
    """For each value, kinds of token: at a token that sees none of one of them, the value is 0. For causal patterns."""
    every = frozenset(graph.signature.pattern.kinds)
    found = dict.fromkeys(graph.values(), every)
    loop_of = {v: c for loop in graph.loops() for c in loop.carried for v in (c.phi, c.final)}

    def rule(value: Value) -> Kinds:
        node = graph[value]
        operands = [found[o] for o in node.operands]
        match node.op:
            case Constant(values):
                return frozenset() if np.any(values.array) else every
            case Count(kind, none):
                return frozenset() if none else frozenset({kind})
            case Gather(_, over) | Attend(_, over):  # what is seen from there is seen from here
                return operands[-1] | {over}
            case Move():
                return operands[0]
            case Affine(_, offset):
                return frozenset() if np.any(offset.array) else every.intersection(*operands)
            case Product():
                return operands[0] | operands[1]
            case Divide():
                return operands[0]
            case Keep(strict, _):
                return operands[1] | operands[0] if strict else operands[1]
            case Function("reciprocal", _):  # 1/0 is 0 until it is filled
                return frozenset()
            case Function(name, arguments):
                return operands[0] if function(name, arguments, np.zeros(1))[0] == 0 else frozenset()
            case Merge(parts):
                return every.intersection(*(o | _own(part) for o, part in zip(operands, parts, strict=True)))
            case Phi() | Final():
                carried = loop_of[value]
                return found[carried.initial] & found[carried.result]
            case Delta(over, start):
                return frozenset() if start.array.any() else over if len(over) == 1 else frozenset()
            case Source() | Local() | Reads() | Structural():
                return frozenset()
            case other:
                assert_never(other)

    changed = True
    while changed:  # loops: what is carried vanishes as long as nothing says that it does not
        before = dict(found)
        for value in graph.values():
            found[value] = rule(value) | _own(graph[value].kinds)
        changed = before != found
    return found


def _awaited(pattern: Pattern, kinds: Kinds) -> Kinds:
    """What some token of these kinds has not seen yet."""
    line = sequence(pattern, 1).kinds
    return frozenset(k for k in pattern.kinds for i, at in enumerate(line) if at in kinds and k not in line[: i + 1])


def _own(kinds: Kinds) -> Kinds:
    """The kind that every token sees at which a value of these kinds lives: itself."""
    return kinds if len(kinds) == 1 else frozenset()
