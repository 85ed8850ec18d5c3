"""The oracle: a graph run as docs/language.md says, in NumPy float64.

    before   a Graph, from build.py or after any rewriting, and the data of its tokens
    after    the output [batch, rows, *shape] at the tokens where it lives, several side by side (artifact/outputs.py)

Each value is computed at the tokens where it lives, [batch, live tokens, size], and is 0 at others. A scan goes over
its tokens one by one; what does not change in it is computed first, at all of them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import partial

import numpy as np
from innerloop.artifact.arrays import Floats
from innerloop.artifact.errors import DataError
from innerloop.artifact.sparse import columns
from innerloop.artifact.tokens import TokenData, output_rows, visible

from ..ir.graph import Attend, Block, Constant, Delta, Gather, Graph, Loop, Node, Value
from ..ir.invariant import invariant
from ..ir.operation_classes import Local
from .alike import Alike, Apart, alike, ends_alone, read_by
from .chunks import together
from .columns import Columns
from .computing import computing
from .delta import written
from .places import Disturb, Held, Look, Observe, Place, Places


def evaluate(
    graph: Graph,
    data: TokenData,
    observe: Observe | None = None,
    disturb: Disturb | None = None,
    reach: dict[Value, float] | None = None,
    chunk: int | None = None,
    looks: bool = False,
    only: Collection[Value] | None = None,
    look: Look | None = None,
) -> Floats:
    """The graph's output, [batch, rows, *shape]. `observe(value, array [tasks, live tokens, size])` is called with
    everything that is computed, each pass of a loop and each chunk of tasks by itself, and may return what stands in
    its place. `disturb(value, array, operand, place)` is called with what an operation computes, and returns what
    stands in its place: `operand(k)` is its k-th operand at the same tokens. (Of an `Attend` key and value are those of
    the tokens read, as is what a `Gather` gathers, and one operand more is which of them each token sees, [tasks,
    tokens, read]; of a `Delta` see delta.py.)
    `reach` collects the largest |query · key| of each `Attend`; of exp, the largest query · key above 0. `chunk`: how
    many tasks are run together, if not as many as `together` says. `looks`: `observe` puts nothing in a value's place,
    and so what a repeat computes alike at neighbouring tokens is computed once (alike.py). `only`: the values that
    `observe` is called with, if not with all. `look` changes nothing either, and sees once what is computed once.

    Raises DataError for more tokens than a scan is compiled for.
    """
    parts = []
    chunk = chunk or together(graph, data)
    for start in range(0, data.batch, chunk):
        fields = {name: array[start : start + chunk] for name, array in data.fields.items()}
        with np.errstate(all="ignore"):
            tasks = slice(start, min(start + chunk, data.batch))
            parts.append(_Run(graph, data, fields, observe, disturb, reach, tasks, looks, only, look).run())
    whole = np.concatenate(parts)
    return whole.reshape(*whole.shape[:2], *graph.output.shape)


class _Run(Held):
    """One chunk of tasks."""

    def __init__(
        self,
        graph: Graph,
        data: TokenData,
        fields: Mapping[str, Floats],
        observe: Observe | None,
        disturb: Disturb | None,
        reach: dict[Value, float] | None,
        tasks: slice,
        looks: bool,
        only: Collection[Value] | None,
        look: Look | None,
    ) -> None:
        self.graph, self.fields, self.observe, self.look = graph, fields, observe, look
        self.disturb, self.reach, self.tasks, self.only = disturb, reach, tasks, only
        super().__init__(data.sequence)
        self.pattern = graph.signature.pattern
        self.batch = next(iter(fields.values())).shape[0]
        self.seen = visible(self.line, self.pattern)
        self._computing, self.columns = computing(graph), Columns(graph)
        self._fixed: frozenset[Value] = frozenset()
        self._alike = Alike() if disturb is None and (looks or observe is None) else None
        self._ends_alone = ends_alone(graph)

    def run(self) -> Floats:
        """All outputs, [batch, rows, size]."""
        self._block(self.graph.block, None)
        places, results = self.at(self.graph.output.kinds), self.graph.results
        return np.concatenate([self.take(result, places) for result in results], -1)

    def _put(self, value: Value, places: Places, array: Floats) -> None:
        apart = places if isinstance(places, Apart) else None
        if self.observe is not None and (self.only is None or value in self.only):
            instead = self.observe(value, array if apart is None else self._spread(array, apart))
            array = array if instead is None else instead
        if self.look is not None:
            self.look(value, array, None if apart is None else apart.like)
        self.known[value] = places, array

    def _spread(self, array: Floats, places: Apart) -> Floats:
        assert self._alike is not None
        return self._alike.spread(array, places)

    def _where(self, operands: Iterable[Value], places: Places) -> Places:
        """Of these places those that are told apart, where all of these values are known at them, or are constants."""
        found = places
        for operand in operands:
            held = self.known[operand][0]
            if isinstance(held, Apart) and held.every is places and found in (places, held):
                found = held
            elif not isinstance(self.graph[operand].op, Constant):
                return places
        return found

    # Blocks --------------------------------------------------------------------------------------

    def _block(self, block: Block, places: Places | None) -> None:
        """`places` is the one token at which a scan is now, else None: each value wherever it lives."""
        for item in block:
            if isinstance(item, Loop):
                if item.kind is None:
                    self._repeat(item, places)
                else:
                    self._scan(item)
            elif places is None:
                node = self.graph[item]
                here = self.at(node.kinds)
                local = self._alike is not None and isinstance(node.op, Local)
                self._compute(item, self._where(node.operands, here) if local else here)
            elif item not in self._fixed:
                self._compute(item, places)

    def _repeat(self, loop: Loop, places: Places | None) -> None:
        if places is None:
            merged = self._merged(loop)
            if merged is not None:
                self._repeat_merged(loop, merged)
                return
            self.columns.keep(loop, self.known)
        names = self._passes(loop, places)
        for c, name in zip(loop.carried, names, strict=True):
            here = places or self._where([name], self.at(self.graph[c.final].kinds))
            self._put(c.final, here, self.take(name, here))

    def _merged(self, loop: Loop) -> Apart | None:
        """Where a repeat is run that is not run there by itself, since what it reads is known there alone."""
        if self._alike is None or not loop.carried:
            return None
        inputs = read_by(self.graph, loop) | {c.initial for c in loop.carried}
        if isinstance(self._where(inputs, self.at(self.graph[loop.carried[0].phi].kinds)), Apart):
            return None
        return alike(self.graph, loop, self.take, self.at, self._alike)

    def _passes(self, loop: Loop, places: Places | None) -> list[Value]:
        """What its last pass leaves."""
        names = [c.initial for c in loop.carried]
        for turn in range(loop.count):
            at = [
                places or self._where([name], self.at(self.graph[c.phi].kinds))
                for name, c in zip(names, loop.carried, strict=True)
            ]
            arrays = [self.take(name, here) for name, here in zip(names, at, strict=True)]
            arrays = arrays if turn else [columns(array) for array in arrays]  # as what its passes leave lies
            if self._alike is not None:
                self._alike.forget(arrays)
            for c, here, array in zip(loop.carried, at, arrays, strict=True):
                self._put(c.phi, here, array)
            self._block(loop.body, places)
            names = [c.result for c in loop.carried]
        return names

    def _repeat_merged(self, loop: Loop, merged: Apart) -> None:
        """A repeat at the tokens that are told apart, and what it leaves at all of them."""
        outside = {value: self.known[value] for value in read_by(self.graph, loop)}
        self.known |= {value: (merged, merged.taken(self.take(value, merged.every))) for value in outside}
        self.columns.keep(loop, self.known)
        names = self._passes(loop, merged)
        left = [self._spread(self.take(name, merged), merged) for name in names]
        self.known |= outside
        for c, array in zip(loop.carried, left, strict=True):
            if c.result not in outside:
                self.known[c.result] = merged.every, array
            here = self.at(self.graph[c.final].kinds)
            self._put(c.final, here, self.take(c.result, here))

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
            self._compute(value, self.at(self.graph[value].kinds))
        self._fixed = frozenset(fixed)
        ends: list[list[Floats]] = [[] for _ in loop.carried]
        for token in tokens[::-1] if loop.backwards else tokens:
            places = Places.among(np.array([token]), len(self.line))
            for c, so_far in zip(loop.carried, ends, strict=True):
                self._put(c.phi, places, so_far[-1] if so_far else self.take(c.initial, places))
            self._block(loop.body, places)
            for c, so_far in zip(loop.carried, ends, strict=True):
                so_far.append(self.take(c.result, places))
        for c, so_far in zip(loop.carried, ends, strict=True):
            here = self.at(self.graph[c.final].kinds)
            if loop.backwards:
                so_far.reverse()
            last = np.searchsorted(tokens, here.tokens, side="right") - 1
            array = np.array(self.take(c.initial, here))
            if so_far:
                array[:, last >= 0] = np.concatenate(so_far, 1)[:, last[last >= 0]]
            self._put(c.final, here, array)

    # Nodes ---------------------------------------------------------------------------------------

    def _compute(self, value: Value, places: Places) -> None:
        array = self._computing[value](self, places)
        if self.disturb is not None:
            array = self.disturb(
                value, array, partial(self._operand, self.graph[value], places), Place(self.tasks, places.tokens)
            )
        if self._alike is not None and value in self._ends_alone and places.tokens.size > 1:
            told = self._alike.told([array], places)
            places, array = (places, array) if told is None else (told, told.taken(array))
        self._put(value, places, array)

    def _operand(self, node: Node, places: Places, index: int) -> Floats:
        """What `disturb` sees of an operation at these tokens."""
        if isinstance(node.op, Delta):
            given = written(node, node.op, self.found_at, self.line.kinds)
            return (
                given[index] if index < len(given) else np.asarray(np.tile(places.tokens, (self.batch, 1)), np.float64)
            )
        if not isinstance(node.op, Gather | Attend) or (isinstance(node.op, Attend) and index == 0):
            return self.take(node.operands[index], places)
        others = self.at(frozenset({node.op.over}))
        if index < len(node.operands):
            return self.take(node.operands[index], others)
        seen = self.seen[np.ix_(places.tokens, others.tokens)]
        return np.broadcast_to(seen.astype(np.float64), (self.batch, *seen.shape))
