"""Moves of a code by one, two, … tokens: two that stand side by side share a head, and neurons tell them apart.

    before   p₁ = move s from previous,  p₂ = move s from previous 2,  …         a head each
    after    m, c = softmax over the tokens before me of (s, 1), weights 2 and 1, beside 0 with weight 1
             p₁, p₂ = the two binary digits of m / (1 − c)

s is one-hot or 0 at every token, so that component v of m is (2 p₁ + p₂)ᵥ / (1 + W): W is 3, or 2 where there is one
token before me, 0 where there is none; and 1 − c is 1 / (1 + W). The number B = 2 p₁ + p₂ is above t = ½, 3/2, 5/2 as

    u = m − t (1 − c) = (B − t) / (1 + W)  is above 0, by ⅛ at least;   step = clip(½ + 8 u, 0, 1) is 0 or 1 exactly
    p₁ = step 3/2,    p₂ = step ½ − step 3/2 + step 5/2

All other tokens have e^(−17) of a weight each (position_angles.py), which for 4,096 of them is 2e-4 of the margin. The
weights may be off by a quarter before a step is: so float32 has 1e-5 in the logits to lose. What is no code is refused
where data are read (artifact/tokens.py). A k-gram model of k ≤ 4 so has two heads a layer at most: arXiv 2508.07208.

Where a position is learned; and only where there are three moves of one code, for two heads do no harm, and where it
takes no layer more: the neurons are to stand in the MLP between the head and what reads it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from innerloop.artifact.arrays import Dtype, Floats
from innerloop.artifact.precisions import SHORT
from innerloop.artifact.signature import Kinds
from innerloop.artifact.sparse import Matrix

from ..architectures.targets import Learned, Target
from ..ir.critical_path import critical_path
from ..ir.graph import Attend, Field, Function, Graph, Move, Node, Value
from ..ir.positional import Angles
from ..numerics.position_angles import angles_for, beside
from .canonicalize import ALL_LAWS, Laws
from .rewriter import Rewriter, rebuild

FEWEST = 3
STEEP = 8.0
THRESHOLDS = (0.5, 1.5, 2.5)
DIGITS = ((0.0, 1.0, 0.0), (1.0, -1.0, 1.0))
"""The nearer token's, and the farther one's, as sums of steps."""


def pair_moves(graph: Graph, target: Target, positions: int, laws: Laws = ALL_LAWS, dtype: Dtype = "float32") -> Graph:
    """The graph with such heads, for sequences of so many positions, or itself."""
    if not isinstance(target.positions, Learned) or dtype in SHORT:
        return graph
    pairs = {move: (back, which) for group in _groups(graph) for move, back, which in _paired(group)}
    if not pairs:
        return graph
    count = angles_for(positions + max(back for back, _ in pairs.values()))
    everyone = frozenset(graph.signature.pattern.kinds)

    def visit(r: Rewriter, old: Value, node: Node) -> Value:
        return r.node(node) if old not in pairs else _digit(r, node, *pairs[old], count, everyone)

    paired = rebuild(graph, visit, laws)
    fewer = critical_path(paired, target.parallel) <= critical_path(graph, target.parallel)
    return paired if fewer else graph


def _groups(graph: Graph) -> list[Mapping[int, Value]]:
    """Moves by distance, of one code to the same tokens: where there are three and more."""
    codes = {f.name for f in graph.signature.fields if f.onehot and len(f.kinds) == 1}
    found: dict[tuple[Value, Kinds], dict[int, Value]] = {}
    for value in graph.values():
        node = graph[value]
        if not isinstance(node.op, Move) or node.op.source != "previous" or node.op.kind is not None:
            continue
        code = graph[node.operands[0]].op
        if isinstance(code, Field) and code.name in codes:
            found.setdefault((node.operands[0], node.kinds), {})[node.op.back] = value
    return [moves for moves in found.values() if len(moves) >= FEWEST]


def _paired(moves: Mapping[int, Value]) -> list[tuple[Value, int, int]]:
    """Each move that has a neighbour: the pair's smaller distance, and which of the two it is."""
    found: list[tuple[Value, int, int]] = []
    taken = 0
    for back in sorted(moves):
        if back > taken and back + 1 in moves:
            found += [(moves[back], back, 0), (moves[back + 1], back, 1)]
            taken = back + 1
    return found


def _digit(r: Rewriter, node: Node, back: int, which: int, count: int, kinds: Kinds) -> Value:
    """A move as one of its pair's two digits; equal heads and neurons become one (rewriter.py)."""
    code, size, steps = node.operands[0], node.size, len(THRESHOLDS)
    (over,) = at = r[code].kinds
    matrix, offset = beside(back, count)
    place = r.node(Node(Angles(count), (), (2 * count,), kinds))
    query = r.affine(
        [(_below(matrix), place)], (2 * count + 1,), node.kinds, np.append(np.zeros(2 * count), offset), span=node.span
    )
    key = r.affine([(_below(np.eye(2 * count)), place)], (2 * count + 1,), at, _one(2 * count), span=node.span)
    theirs = r.affine([(_below(np.eye(size)), code)], (size + 1,), at, _one(size), span=node.span)
    head = Node(Attend("softmax", over, 0.0), (query, key, theirs), (size + 1,), node.kinds, None, node.span)
    mixed = r.node(head)
    own = np.arange(steps * size)
    threshold = np.repeat(THRESHOLDS, size)
    rows, columns = np.concatenate([own, own]), np.concatenate([own % size, np.full(own.size, size)])
    values = STEEP * np.concatenate([np.ones(own.size), threshold])
    above = Matrix.of(rows, columns, values, (own.size, size + 1))
    raised = r.affine([(above, mixed)], (own.size,), node.kinds, 0.5 - STEEP * threshold, span=node.span)
    step = r.node(Node(Function("clip", (0.0, 1.0)), (raised,), (own.size,), node.kinds, None, node.span))
    digit = Matrix(np.kron(np.array([DIGITS[which]]), np.eye(size)))
    return r.affine([(digit, step)], node.shape, node.kinds, 0.0, node.name, node.span)


def _below(matrix: Floats) -> Matrix:
    """With a row of zeros below it."""
    return Matrix(np.vstack([matrix, np.zeros(matrix.shape[1])]))


def _one(place: int) -> Floats:
    return np.append(np.zeros(place), 1.0)
