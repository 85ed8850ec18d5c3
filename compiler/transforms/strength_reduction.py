"""Strength reduction: a product of what a loop carries with something that stays is carried itself.

    before                                  after (X = M S; x xᵀ and X₀ stand in front of the loop)
    repeat: X = M S                         repeat: M = 2 M − X M
            M = 2 M − X M                           X = 2 X − X X
    repeat: p = x ∘ r                       repeat: r = r − ⟨x, mean p⟩
            r = r − ⟨x, mean p⟩                     p = p − (x xᵀ) mean p

The product waits for the pass to begin, and the pass for the product; its next value can be had with the pass's other
work. For p = f(φ, B), f bilinear, the next value f(φ', B) is φ' with f(·, B) taken inside, through

    sums         f(a + b, B) = f(a, B) + f(b, B)
    quotients    f(a / s, B) = f(a, B) / s
    products     f(g(a, c), B) = L(a, B) c where a stays: one layer, of c with what stands in front of the loop
                 (A C) B = A (C B), for matrices, where C B is carried (on request: see `strengthen`)

A product of what the loop leaves with something that stays (w = M b) is carried in the same way. Each costs the
slots of what it carries; the pass keeps what makes the program shorter and does not drift (stability.py), the best
first, until nothing does.
(The induction variables of Allen, Cocke and Kennedy 1981, with matrices.)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import assert_never

import numpy as np
from innerloop.artifact.arrays import Floats
from innerloop.artifact.signature import Kinds
from innerloop.artifact.sparse import Matrix

from ..ir.bilinear import Bilinear, after, canonical, composed, factored, flipped
from ..ir.critical_path import graph_depth
from ..ir.graph import Affine, Carried, Divide, Final, Graph, Loop, Merge, Node, Phi, Product, Value
from ..ir.operation_classes import Local, Reads, Source, Structural
from .canonicalize import ALL_LAWS, Laws
from .rewriter import Rewriter, Visit, copy_block, prune
from .stability import drifts


@dataclass(frozen=True)
class Candidate:
    """p = form(what is carried, fixed): carried by loop number `place` of the block as its name number `which`."""

    place: int
    which: int
    form: Bilinear
    fixed: Value
    kinds: Kinds
    shape: tuple[int, ...]


def strengthen(graph: Graph, laws: Laws = ALL_LAWS, *, reassociate: bool = False) -> Graph:
    """The graph with such products carried, as long as each makes it shorter. Repeats of the outermost block only.

    reassociate: whether (A C) B = A (C B) may be used where A changes too. It halves the layers of Newton's
    iteration for an inverse, and takes away that it corrects its own rounding: what is carried drifts from what it
    stands for, twice as far each step in directions that no example has shown. Float32, 200 tasks, SPD/d:
        iterative_newton, d = 4, 6 steps     17 layers, 5.7e-12    reassociated: 10 layers, 3.0e-10
        the same, d = 8, 10 steps            25 layers, 2.8e-11    reassociated: 14 layers, 4.4e-7
    """
    while True:
        depth = graph_depth(graph)
        tried = [(c, _carry(graph, c, reassociate, laws)) for c in dict.fromkeys(_candidates(graph))]
        shorter = sorted((t for t in tried if graph_depth(t[1]) < depth), key=lambda t: graph_depth(t[1]))
        steady = (found for c, found in shorter if reassociate or not _drifts(graph, c, found))
        best = next(steady, None)
        if best is None:
            return graph
        graph = best


def _drifts(before: Graph, candidate: Candidate, after: Graph) -> bool:
    """Whether what is carried now loses track of what it stands for, or a loop is gone and it is not clear which."""
    number = sum(isinstance(item, Loop) for item in before.block[: candidate.place])
    loops = [item for item in after.block if isinstance(item, Loop)]
    if len(loops) != sum(isinstance(item, Loop) for item in before.block):
        return True
    return drifts(after, loops[number].carried[-1].phi)


# Candidates --------------------------------------------------------------------------------------


def _candidates(graph: Graph) -> Iterator[Candidate]:
    """Every product of what a loop carries, or leaves, with what is there before the loop."""
    before: set[Value] = set()
    for place, item in enumerate(graph.block):
        if not isinstance(item, Loop):
            before.add(item)
            continue
        if item.kind is None and not any(isinstance(inner, Loop) for inner in item.body):
            held = {v: k for k, c in enumerate(item.carried) for v in (c.phi, c.final)}
            after = [v for later in graph.block[place + 1 :] if not isinstance(later, Loop) for v in (later,)]
            for value in (*item.body, *after):
                assert not isinstance(value, Loop)
                for form, mine, fixed in _sides(graph, value):
                    if mine in held and fixed in before:
                        node = graph[value]
                        yield Candidate(place, held[mine], form, fixed, node.kinds, node.shape)
        before.update(c.final for c in item.carried)


def _sides(graph: Graph, value: Value) -> Iterator[tuple[Bilinear, Value, Value]]:
    """A product as a form of each operand and the other, maps of the one taken into the form."""
    node = graph[value]
    if not isinstance(node.op, Product):
        return
    left, right = node.operands
    for form, mine, fixed in ((node.op.form, left, right), (flipped(node.op.form), right, left)):
        op = graph[mine].op
        if isinstance(op, Affine) and len(op.matrices) == 1 and not np.any(op.offset.array):
            yield after(form, op.matrices[0]), graph[mine].operands[0], fixed
        else:
            yield canonical(form), mine, fixed


# Rewriting ---------------------------------------------------------------------------------------


def _carry(graph: Graph, candidate: Candidate, reassociate: bool, laws: Laws) -> Graph:
    """The graph with the candidate's product carried by its loop."""
    r = Rewriter(laws)
    names: dict[Value, Value] = {}
    done: dict[Value, Value] = {}
    """What the loop carries and leaves, and in its place the product of that."""

    def visit(r: Rewriter, old: Value, node: Node) -> Value:
        for form, mine, fixed in _sides(graph, old):
            if mine in done and (form, fixed) == (candidate.form, candidate.fixed) and node.kinds <= candidate.kinds:
                one = Matrix.identity(node.size)
                return r.affine([(one, done[mine])], node.shape, node.kinds, 0.0, node.name, node.span)
        return r.node(node)

    for place, item in enumerate(graph.block):
        if place == candidate.place:
            assert isinstance(item, Loop)
            _loop(r, graph, item, candidate, names, done, visit, reassociate)
        else:
            copy_block(r, graph, (item,), names, visit)
    return prune(r.finish(tuple(names[v] for v in graph.results), graph.signature))


def _loop(
    r: Rewriter,
    graph: Graph,
    loop: Loop,
    candidate: Candidate,
    names: dict[Value, Value],
    done: dict[Value, Value],
    visit: Visit,
    reassociate: bool,
) -> None:
    """Writes the loop with one name more; `done` gets that name's values."""
    fixed, mine = names[candidate.fixed], loop.carried[candidate.which]
    start = _Inside(r, candidate, fixed).of(candidate.form, names[mine.initial])
    initial, shape = {c: names[c.initial] for c in loop.carried}, candidate.shape
    start = r.affine([(Matrix.identity(r[start].size), start)], shape, candidate.kinds)  # in front of the loop
    r.open()
    for c in loop.carried:
        names[c.phi] = r.node(replace(graph[c.phi], operands=(initial[c],)), place=False)
    phi = r.node(Node(Phi(), (start,), shape, candidate.kinds), place=False)
    done[mine.phi] = phi
    copy_block(r, graph, loop.body, names, visit)
    result = _Inside(r, candidate, fixed, names[mine.phi], phi, reassociate).of(candidate.form, names[mine.result])
    result = r.affine([(Matrix.identity(r[result].size), result)], shape, candidate.kinds)
    carried = []
    for c in loop.carried:
        names[c.final] = r.node(replace(graph[c.final], operands=(initial[c], names[c.result])), place=False)
        carried.append(Carried(initial[c], names[c.phi], names[c.result], names[c.final]))
    done[mine.final] = r.node(Node(Final(), (start, result), shape, candidate.kinds), place=False)
    carried.append(Carried(start, phi, result, done[mine.final]))
    r.close(loop.kind, loop.count, tuple(carried), loop.span, loop.backwards)


@dataclass
class _Inside:
    """f(v, B) for values v of a pass, with what f is taken inside of v; f(`was`, B) is `product`."""

    r: Rewriter
    candidate: Candidate
    fixed: Value
    was: Value | None = None
    product: Value | None = None
    reassociate: bool = False

    def of(self, form: Bilinear, value: Value) -> Value:
        """form(value, B)."""
        r, node, kinds = self.r, self.r[value], self.candidate.kinds
        if value == self.was and self.product is not None and form == self.candidate.form:
            return self.product
        if self._stays(value):
            return self._outside(form, value)
        match node.op:
            case Affine(matrices, offset):
                terms = [(Matrix.identity(form.size), self._of_constant(form, offset.array))]
                for matrix, operand in zip(matrices, node.operands, strict=True):
                    scale = matrix.scalar()
                    inner = self.of(form if scale is not None else after(form, matrix), operand)
                    terms.append((Matrix.identity(form.size, 1.0 if scale is None else scale), inner))
                return r.affine(terms, (form.size,), kinds)
            case Merge(parts):
                here = [o for o, part in zip(node.operands, parts, strict=True) if kinds <= part]
                if here:
                    return self.of(form, here[0])
            case Divide() if r[node.operands[1]].size == 1:
                return self._divided(form, value)
            case Product(_, inner):
                left, right = node.operands
                for f, a, c in ((inner, left, right), (flipped(inner), right, left)):
                    if self._stays(a):
                        return self._folded(form, f, a, c)
                    if not self.reassociate or c != self.was:
                        continue
                    if (outer := factored(form, f, self.candidate.form)) is not None:
                        assert self.product is not None
                        return r.product(outer, a, self.product, kinds, span=node.span)
            case Source() | Local() | Reads() | Structural():
                pass
            case other:
                assert_never(other)
        return r.product(form, value, self.fixed, kinds, span=node.span)

    def _stays(self, value: Value) -> bool:
        """Whether the value stands in front of the loop that is being written."""
        return self.was is not None and self.r.outside(value)

    def _outside(self, form: Bilinear, value: Value) -> Value:
        return _Inside(self.r, self.candidate, self.fixed).of(form, value)

    def _divided(self, form: Bilinear, value: Value) -> Value:
        top, bottom = self.r[value].operands
        inner = self.of(form, top)
        kinds = self.candidate.kinds
        return self.r.node(Node(Divide(), (inner, bottom), (form.size,), kinds, None, self.r[value].span))

    def _of_constant(self, form: Bilinear, constant: Floats) -> Value:
        """form(constant, B)."""
        coefficient = form.coefficient * constant[form.left]
        matrix = Matrix.of(form.out, form.right, coefficient, (form.size, form.sizes[1]))
        return self.r.affine([(matrix, self.fixed)], (form.size,), self.candidate.kinds)

    def _folded(self, form: Bilinear, f: Bilinear, a: Value, c: Value) -> Value:
        """form(f(a, c), B) where a stays: L(a, B) in front, and a product of that with c."""
        kinds = self.candidate.kinds
        together: dict[tuple[int, int], list[tuple[int, int, float]]] = {}
        for out, i, j, k, x in composed(form, f):
            together.setdefault((out, j), []).append((i, k, x))
        if not together:
            return self.r.affine([], (form.size,), kinds)
        number: dict[tuple[tuple[int, int, float], ...], int] = {}
        places = [(out, j, number.setdefault(tuple(sorted(t)), len(number))) for (out, j), t in together.items()]
        terms = [(n, *term) for t, n in number.items() for term in t]
        numbers, lefts, rights, values = zip(*terms, strict=True)
        made = Bilinear(numbers, lefts, rights, values, len(number), (f.sizes[0], form.sizes[1]))
        outs, js, ns = zip(*places, strict=True)
        front = self.r.product(made, a, self.fixed, kinds)
        return self.r.product(
            Bilinear(outs, js, ns, 1.0, form.size, (f.sizes[1], len(number))), c, front, kinds, span=self.r[c].span
        )
