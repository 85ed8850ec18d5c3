"""How the values of a graph are computed, told apart once: a graph is run again and again.

before   a graph
after    of each value what computes it, of a run and the tokens asked for: [tasks, tokens, size]
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Protocol, assert_never

import numpy as np
from innerloop.artifact.arrays import Floats, Indices
from innerloop.artifact.errors import InternalError
from innerloop.artifact.signature import Kinds
from innerloop.artifact.tokens import Sequence, output_rows
from numpy.typing import NDArray

from ..ir.graph import (
    GRAPHS,
    Affine,
    Attend,
    Constant,
    Delta,
    Field,
    Gather,
    Graph,
    Merge,
    Move,
    Node,
    Product,
    Read,
    Value,
)
from ..ir.operation_classes import Local, Structural
from ..ir.positional import Angles, Count
from ..numerics.position_angles import angles
from .columns import Columns, sums
from .delta import recalled, written
from .local_operations import local
from .places import Places
from .reads import attend, gather, read, scores, sources


class Run(Protocol):
    """What is known of the values so far, of so many tasks. `seen` [tokens, tokens]: which tokens see which."""

    fields: Mapping[str, Floats]
    batch: int
    seen: NDArray[np.bool_]
    line: Sequence
    columns: Columns
    reach: dict[Value, float] | None

    def take(self, value: Value, places: Places) -> Floats: ...

    def columns_at(self, value: Value, places: Places) -> Floats: ...

    def found_at(self, value: Value, tokens: Indices) -> Floats: ...

    def at(self, kinds: Kinds) -> Places: ...


Compute = Callable[[Run, Places], Floats]


@lru_cache(GRAPHS)
def computing(graph: Graph) -> dict[Value, Compute]:
    """Of each value that stands by itself."""
    nodes = ((value, graph[value]) for value in graph.values())
    return {
        value: _computed(graph, value, node)
        for value, node in nodes
        if isinstance(node.op, Merge) or not isinstance(node.op, Structural)
    }


def _computed(graph: Graph, value: Value, node: Node) -> Compute:
    match node.op:
        case Field(name):
            return lambda run, places: run.fields[name][:, places.tokens]
        case Constant(values):
            return _fixed(values.array.ravel())
        case Count(kind, none):

            def count(run: Run, places: Places) -> Floats:
                counts = run.seen[:, output_rows(run.line, {kind})].sum(1)[places.tokens]
                counts = counts == 0 if none else counts
                return np.broadcast_to(counts[:, None].astype(np.float64), (run.batch, places.tokens.size, 1))

            return count
        case Angles(number):

            def turn(run: Run, places: Places) -> Floats:
                turned = angles(places.tokens + 1, number)
                return np.broadcast_to(turned, (run.batch, *turned.shape))

            return turn
        case Affine(_, offset) if not node.operands:
            return _fixed(offset.array)
        case Affine():
            terms = sums(graph)[value]
            return lambda run, places: run.columns.affine(terms, [run.take(o, places) for o in terms.operands])
        case Product(_, form):
            left, right = node.operands

            def product(run: Run, places: Places) -> Floats:
                a, b = run.columns_at(left, places), run.columns_at(right, places)
                return run.columns.product(value, form, (left, a), (right, b))

            return product
        case Local() as own:
            return lambda run, places: local(own, [run.take(o, places) for o in node.operands])
        case Move() as moved:

            def move(run: Run, places: Places) -> Floats:
                return run.found_at(node.operands[0], sources(moved, run.seen, run.line.kinds)[places.tokens])

            return move
        case Gather() as gathers:
            others = frozenset({gathers.over})

            def gathered(run: Run, places: Places) -> Floats:
                theirs = run.at(others)
                return gather(gathers, run.take(node.operands[0], theirs), _seen(run, places, theirs))

            return gathered
        case Attend() as attends:
            return _attends(value, node, attends)
        case Delta() as rule:

            def recall(run: Run, places: Places) -> Floats:
                return recalled(rule, written(node, rule, run.found_at, run.line.kinds))[:, places.tokens]

            return recall
        case Read(_, over, mine) as reads:

            def total(run: Run, places: Places) -> Floats:
                theirs = run.at(frozenset({over}))
                own = [run.take(o, places) for o in node.operands[:mine]]
                given = [run.take(o, theirs) for o in node.operands[mine:]]
                return read(reads, own, given, _seen(run, places, theirs), run.batch)

            return total
        case Merge(kinds):
            return _merged(node, kinds)
        case Structural():
            raise InternalError(f"oracle: {type(node.op).__name__.lower()} stands by itself", node.span)
        case other:
            assert_never(other)


def _fixed(numbers: Floats) -> Compute:
    return lambda run, places: np.broadcast_to(numbers, (run.batch, places.tokens.size, numbers.size))


def _seen(run: Run, places: Places, others: Places) -> NDArray[np.bool_]:
    """Which of the others each token sees [tokens, others]."""
    return run.seen[np.ix_(places.tokens, others.tokens)]


def _attends(value: Value, node: Node, op: Attend) -> Compute:
    others = frozenset({op.over})

    def attends(run: Run, places: Places) -> Floats:
        there = run.at(others)
        seen = _seen(run, places, there)
        query, (key, theirs) = run.take(node.operands[0], places), (run.take(o, there) for o in node.operands[1:])
        pairs = scores(query, key, seen)
        if run.reach is not None and pairs.size:
            largest = float((pairs if op.how == "exp" else np.abs(pairs)).max())
            run.reach[value] = max(run.reach.get(value, 0.0), largest)
        return attend(op, pairs, theirs, seen)

    return attends


def _merged(node: Node, kinds: tuple[Kinds, ...]) -> Compute:
    def merge(run: Run, places: Places) -> Floats:
        merged = np.zeros((run.batch, places.tokens.size, node.size))
        for value, at in zip(node.operands, kinds, strict=True):
            here = np.flatnonzero([run.line.kinds[token] in at for token in places.tokens])
            merged[:, here] = run.found_at(value, places.tokens[here])
        return merged

    return merge
