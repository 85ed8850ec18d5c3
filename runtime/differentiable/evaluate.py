"""The oracle in JAX: tasks through the graph, traced, so that it is jitted, mapped and differentiated.

As in compiler/interpreter/oracle.py a value is 0 at tokens where it does not live. It is computed where it is needed
(needed.py), [tokens, size, tasks], and once, [1, size, tasks], where it is the same at all tokens. A scan goes over its
tokens one by one, what does not change in it before them. A loop is one of XLA's: a program of many passes is traced
once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, assert_never

import jax
import jax.numpy as jnp
import numpy as np
from innerloop.artifact.arrays import Floats
from innerloop.artifact.errors import DataError, InternalError
from innerloop.artifact.signature import Kinds
from innerloop.artifact.tokens import Sequence, output_rows, visible
from innerloop.compiler.interpreter.reads import sources
from innerloop.compiler.ir.graph import (
    Affine,
    Attend,
    Block,
    Carried,
    Constant,
    Delta,
    Field,
    Gather,
    Graph,
    Loop,
    Merge,
    Move,
    Node,
    Product,
    Read,
    Value,
)
from innerloop.compiler.ir.invariant import invariant
from innerloop.compiler.ir.operation_classes import Local, Positional, Structural
from innerloop.compiler.ir.positional import Count

from .needed import apart
from .opened import Opened
from .operations import Array, affine, local, product
from .places import Held, Places, everywhere, rows
from .reads import attend, gather, read

Ranges = Mapping[Value, tuple[Floats, Floats]]
"""The least and the largest of each component."""


def evaluate(
    program: Opened,
    line: Sequence,
    parameters: Mapping[str, Array],
    fields: Mapping[str, Array],
    counts: Mapping[str, Array] = {},
    seen: Array | None = None,
) -> Array:
    """All outputs side by side, [rows, size, tasks].

    parameters  of each that is free its value, of its own shape
    fields      [rows, size, tasks], a row for each token of `line` that holds the field
    counts      of each free count how many passes; if it is traced, only forward derivatives go through its loop
    seen        [tokens, tokens], whether the row's token sees the column's, if not as the pattern says

    Raises DataError for more tokens than a scan is written for."""
    return _Run(program, line, parameters, fields, counts, seen).run()


def evaluate_within(
    program: Opened, line: Sequence, fields: Mapping[str, Array], ranges: Ranges
) -> tuple[Array, Array]:  # fmt: skip
    """All outputs side by side, [rows, size, tasks], and in which tasks a value leaves its range, [tasks], at a token
    at which it is needed; NaN does."""
    run = _Run(program, line, {}, fields, {}, None, ranges)
    return run.run(), run.beyond


class _Run(Held):
    """`beyond` [tasks]: where a value has left its range; None where there are no ranges."""

    def __init__(
        self,
        program: Opened,
        line: Sequence,
        parameters: Mapping[str, Array],
        fields: Mapping[str, Array],
        counts: Mapping[str, Array],
        seen: Array | None,
        ranges: Ranges | None = None,
    ) -> None:
        super().__init__(line)
        self.graph: Graph = program.graph
        self.kinds = program.needed
        self.program, self.counts, self.ranges = program, counts, ranges or {}
        self.given, self.data = parameters, fields
        self.tasks = next(iter(fields.values())).shape[-1]
        self.seen: Any = visible(line, program.graph.signature.pattern) if seen is None else seen
        self.beyond: Any = None if ranges is None else jnp.zeros(self.tasks, bool)
        self._apart = apart(self.graph, self.kinds, self.given, self._alike, self._from_one)
        self._fixed: frozenset[Value] = frozenset()

    def run(self) -> Array:
        """All outputs, [rows, size, tasks]."""
        graph = self.graph
        self.block(graph.block, None)
        places = self.at(graph.output.kinds)
        return jnp.concatenate([everywhere(self.whole(self.take(r, places)), places) for r in graph.results], 1)

    def whole(self, array: Array) -> Array:
        """Of every task, what may be the same for all."""
        return jnp.broadcast_to(array, (*array.shape[:-1], self.tasks))

    def carried(self, c: Carried, value: Value, places: Places) -> Array:
        """`value` of what a loop carries, as it is carried: of every task and token, if it ever differs there, or if
        there is no token."""
        array = self.take(value, places)
        if c.phi in self._apart or not places.tokens.shape[0]:
            array = everywhere(array, places)
        return self.whole(array) if c.phi in self.program.varying else array

    def _alike(self, value: Value, over: str) -> bool:
        """Whether all tokens at which the value is needed see the same of those that are read."""
        seen = self._seen(self.at(self.kinds[value]), self.at(frozenset({over})))
        return isinstance(seen, np.ndarray) and bool((seen == seen[:1]).all())

    def _from_one(self, value: Value) -> bool:
        """Whether all tokens at which the value is needed move it from the same one."""
        move = self.graph[value].op
        if not isinstance(move, Move) or not isinstance(self.seen, np.ndarray):
            return False
        found = self._sources(move, self.at(self.kinds[value]))
        return bool(found.size and found[0] >= 0 and (found == found[0]).all())

    def _put(self, value: Value, places: Places, array: Array) -> None:
        self.known[value] = places, array
        if value in self.ranges and places.tokens.shape[0]:
            low, high = (end[:, None] for end in self.ranges[value])
            self.beyond = self.beyond | ~((array >= low) & (array <= high)).all((0, 1))

    # Blocks --------------------------------------------------------------------------------------

    def block(self, block: Block, places: Places | None) -> None:
        """`places` is the one token at which a scan is now, else None: each value wherever it lives."""
        for item in block:
            if isinstance(item, Loop):
                if item.kind is None:
                    self._repeat(item, places)
                else:
                    self._scan(item)
            elif places is None:
                if self.kinds[item]:
                    self._compute(item, self.at(self.kinds[item]))
            elif item not in self._fixed:
                self._compute(item, places)

    def _repeat(self, loop: Loop, places: Places | None) -> None:
        carried = [c for c in loop.carried if self.kinds[c.phi]]
        at = [places or self.at(self.kinds[c.phi]) for c in carried]
        before = dict(self.known)

        def one(_: Any, state: tuple[list[Array], Any]) -> tuple[list[Array], Any]:
            self.known = dict(before)
            arrays, self.beyond = state
            for c, here, array in zip(carried, at, arrays, strict=True):
                self._put(c.phi, here, array)
            self.block(loop.body, places)
            return [self.carried(c, c.result, here) for c, here in zip(carried, at, strict=True)], self.beyond

        named = self.program.counted.get(loop.span) if loop.span is not None else None
        count = loop.count if named is None else self.counts[named]
        start = [self.carried(c, c.initial, here) for c, here in zip(carried, at, strict=True)]
        ends, self.beyond = jax.lax.fori_loop(0, count, one, (start, self.beyond))
        self.known = before
        for c, held, array in zip(carried, at, ends, strict=True):
            self._put(c.final, held, array)

    def _scan(self, loop: Loop) -> None:
        assert loop.kind is not None
        tokens = output_rows(self.line, {loop.kind})
        if tokens.size > loop.count:
            raise DataError(
                f"{tokens.size} `{loop.kind}` tokens given; this program scans `{loop.kind}` up to {loop.count}. "
                "Give fewer, or raise the limit"
            )
        fixed = invariant(self.graph, loop.body, {c.phi for c in loop.carried})
        for value in fixed:
            self._compute(value, self.at(self.kinds[value]))
        self._fixed, before = frozenset(fixed), dict(self.known)

        def one(state: tuple[list[Array], Any], token: Array) -> tuple[tuple[list[Array], Any], list[Array]]:
            self.known = dict(before)
            arrays, self.beyond = state
            here = Places(token[None], jnp.where(jnp.arange(len(self.line)) == token, 0, -1))
            for c, array in zip(loop.carried, arrays, strict=True):
                self._put(c.phi, here, array)
            self.block(loop.body, here)
            ends = [self.carried(c, c.result, here) for c in loop.carried]
            return (ends, self.beyond), ends

        passes: list[Array] = []
        if tokens.size:
            first = self.among(tokens[-1:] if loop.backwards else tokens[:1])
            start = [self.carried(c, c.initial, first) for c in loop.carried]
            (_, self.beyond), passes = jax.lax.scan(one, (start, self.beyond), tokens, reverse=loop.backwards)
        self.known = before
        for k, c in enumerate(loop.carried):
            if not self.kinds[c.final]:
                continue
            here = self.at(self.kinds[c.final])
            last = np.searchsorted(tokens, here.tokens, side="right") - 1
            array = self.take(c.initial, here)
            if passes:
                array = jnp.where((last >= 0)[:, None, None], passes[k][:, 0][last], array)
            self._put(c.final, here, array)

    # Nodes ---------------------------------------------------------------------------------------

    def _compute(self, value: Value, places: Places) -> None:
        self._put(value, places, self._value(self.graph[value], places))

    def _seen(self, places: Places, others: Places) -> Array:
        if isinstance(places.tokens, np.ndarray) and isinstance(self.seen, np.ndarray):
            return self.seen[np.ix_(places.tokens, others.tokens)]
        return jnp.asarray(self.seen)[places.tokens][:, others.tokens]

    def _readers(self, places: Places, others: Places, own: list[Array]) -> Array:
        """What each reader sees, [readers, read]: one stands for all that see the same and hold the same."""
        seen = self._seen(places, others)
        same = isinstance(seen, np.ndarray) and all(array.shape[0] == 1 for array in own)
        return seen[:1] if same and (seen == seen[:1]).all() else seen

    def _value(self, node: Node, places: Places) -> Array:
        def operand(index: int) -> Array:
            return self.take(node.operands[index], places)

        match node.op:
            case Field(name):
                return self._field(name, node, places)
            case Constant(values):
                return jnp.asarray(values.array.reshape(1, -1, 1))
            case Count(kind, none):
                counts = self._seen(places, self.at(frozenset({kind}))).sum(1)
                counts = counts == 0 if none else counts
                return jnp.asarray(counts, float)[:, None, None]
            case Affine(matrices, offset):
                total: Array = jnp.asarray(offset.array.reshape(1, -1, 1))
                for index, matrix in enumerate(matrices):
                    total = total + affine(matrix, operand(index))
                return total
            case Product(keyword, form):
                left, right = (self.graph[o].shape for o in node.operands)
                return product(keyword, form, operand(0), operand(1), (left, right))
            case Local():
                return local(node.op, [operand(k) for k in range(len(node.operands))])
            case Move():
                return self.found_at(node.operands[0], self._sources(node.op, places))
            case Gather(how, over):
                others = self.at(frozenset({over}))
                return gather(how, self.take(node.operands[0], others), self._readers(places, others, []))
            case Attend(how, over):
                others = self.at(frozenset({over}))
                key, theirs = (self.take(o, others) for o in node.operands[1:])
                return attend(how, operand(0), key, theirs, self._readers(places, others, [operand(0)]))
            case Read(_, over, mine):
                others = self.at(frozenset({over}))
                given, own = [self.take(o, others) for o in node.operands[mine:]], [operand(i) for i in range(mine)]
                return read(node.op, own, given, self._readers(places, others, own))
            case Merge(kinds):
                return self._merge(node, kinds, places)
            case Positional() | Delta() | Structural():
                raise InternalError(f"{type(node.op).__name__.lower()} stands by itself", node.span)
            case other:
                assert_never(other)

    def _field(self, name: str, node: Node, places: Places) -> Array:
        """A field of the data, or a free parameter, which every token holds."""
        if name in self.given:
            return jnp.asarray(self.given[name], float).reshape(1, node.size, 1)
        array, held, tokens = jnp.asarray(self.data[name], float), self.at(node.kinds), places.tokens
        return rows(array, held.of[tokens]) if isinstance(tokens, np.ndarray) else array[jnp.asarray(held.of)[tokens]]

    def _merge(self, node: Node, kinds: tuple[Kinds, ...], places: Places) -> Array:
        merged = jnp.zeros((places.tokens.shape[0], node.size, 1))
        for value, at in zip(node.operands, kinds, strict=True):
            if value not in self.known:  # it is needed at other tokens alone
                continue
            lives = np.array([kind in at for kind in self.line.kinds])
            here = lives[places.tokens] if isinstance(places.tokens, np.ndarray) else jnp.asarray(lives)[places.tokens]
            merged = jnp.where(here[:, None, None], self.found_at(value, places.tokens), merged)
        return merged

    def _sources(self, move: Move, places: Places) -> Any:
        """The token that each of these moves from, or −1."""
        found: Any = sources(move, self.seen, self.line.kinds)
        return (found if isinstance(places.tokens, np.ndarray) else jnp.asarray(found))[places.tokens]
