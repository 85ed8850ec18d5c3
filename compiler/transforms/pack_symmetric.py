"""Symmetric matrices are carried by half: n (n + 1)/2 components for n².

    before                                  after
    repeat: P (8×8) = P − q qᵀ/s            repeat: p (36) = half(P − q qᵀ/s),  P = both(p)

That a carried matrix is symmetric is found by running the oracle on random data in general
position: a rational function of the inputs that vanishes there vanishes everywhere (Schwartz 1980,
Zippel 1979). Only pairs (i, j), (j, i) are ever joined.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from innerloop.artifact.arrays import Floats
from innerloop.artifact.sparse import Matrix
from innerloop.artifact.tokens import read_data

from ..interpreter.default_tasks import draw, repetitions
from ..interpreter.oracle import evaluate
from ..ir.graph import Block, Carried, Graph, Loop, Phi, Value
from .canonicalize import ALL_LAWS, Laws
from .rewriter import Rewriter, copy_block, prune

TASKS, GROUPS = 4, 6
TOLERANCE = 1e-9


def pack_symmetric(graph: Graph, laws: Laws = ALL_LAWS) -> Graph:
    """The graph with every symmetric matrix that a loop carries packed."""
    packed = _symmetric(graph)
    if not packed:
        return graph
    r = Rewriter(laws)
    names: dict[Value, Value] = {}
    _copy(r, graph, graph.block, names, packed)
    return prune(r.finish(tuple(names[v] for v in graph.results), graph.signature))


def _symmetric(graph: Graph) -> set[Value]:
    """The phis that are symmetric on every sample, and whose body's results are."""
    square = {c.phi: c for loop in graph.loops() for c in loop.carried if _is_square(graph[c.phi].shape)}
    if not square:
        return set()
    watched: dict[Value, list[Value]] = {}
    for phi, c in square.items():
        for value in (phi, c.result, c.initial):
            watched.setdefault(value, []).append(phi)
    good = set(square)

    def observe(value: Value, array: Floats) -> None:
        if value in watched and array.size:
            n = graph[value].shape[0]
            square_array = array.reshape(-1, n, n)
            gap = np.abs(square_array - square_array.transpose(0, 2, 1)).max()
            if gap > TOLERANCE * max(float(np.abs(square_array).max()), 1e-30):
                good.difference_update(watched[value])

    groups = tuple(min(times, GROUPS) for times in repetitions(graph))
    data = draw(graph.signature, groups, TASKS, seed=1)
    evaluate(graph, read_data(graph.signature, data), observe)
    return good


def _is_square(shape: tuple[int, ...]) -> bool:
    return len(shape) == 2 and shape[0] == shape[1] and shape[0] > 1


def _copy(r: Rewriter, graph: Graph, block: Block, names: dict[Value, Value], packed: set[Value]) -> None:
    for item in block:
        if isinstance(item, Loop):
            _loop(r, graph, item, names, packed)
        else:
            copy_block(r, graph, (item,), names)


def _loop(r: Rewriter, graph: Graph, loop: Loop, names: dict[Value, Value], packed: set[Value]) -> None:
    initial: dict[Carried, Value] = {}
    for c in loop.carried:
        initial[c] = names[c.initial]
        if c.phi in packed:
            half, _ = maps(graph[c.phi].shape[0])
            initial[c] = r.affine([(half, names[c.initial])], (half.shape[0],), graph[c.initial].kinds)
    r.open()
    phis: dict[Carried, Value] = {}
    for c in loop.carried:
        node = graph[c.phi]
        shape = (maps(node.shape[0])[0].shape[0],) if c.phi in packed else node.shape
        name = None if c.phi in packed else node.name
        phis[c] = r.node(replace(node, op=Phi(), operands=(initial[c],), shape=shape, name=name), place=False)
        names[c.phi] = phis[c] if c.phi not in packed else _both(r, graph, c.phi, phis[c])
    _copy(r, graph, loop.body, names, packed)
    carried = []
    for c in loop.carried:
        result, node = names[c.result], graph[c.final]
        if c.phi in packed:
            half, _ = maps(node.shape[0])
            result = r.affine([(half, result)], (half.shape[0],), graph[c.result].kinds)
            node = replace(node, shape=(half.shape[0],), name=None)
        final = r.node(replace(node, operands=(initial[c], result)), place=False)
        carried.append(Carried(initial[c], phis[c], result, final))
        names[c.final] = final
    r.close(loop.kind, loop.count, tuple(carried), loop.span, loop.backwards)
    for c in loop.carried:
        if c.phi in packed:
            names[c.final] = _both(r, graph, c.final, names[c.final])


def _both(r: Rewriter, graph: Graph, like: Value, half: Value) -> Value:
    node = graph[like]
    return r.affine([(maps(node.shape[0])[1], half)], node.shape, node.kinds, 0.0, node.name, node.span)


def maps(n: int) -> tuple[Matrix, Matrix]:
    """half [n(n+1)/2, n²] picks i ≤ j; both [n², n(n+1)/2] puts them back twice."""
    i, j = np.triu_indices(n)
    number = np.zeros((n, n), dtype=np.int64)
    number[i, j] = number[j, i] = np.arange(i.size)
    half = Matrix.of(np.arange(i.size), i * n + j, 1.0, (i.size, n * n))
    both = Matrix.of(np.arange(n * n), number.ravel(), 1.0, (n * n, i.size))
    return half, both
