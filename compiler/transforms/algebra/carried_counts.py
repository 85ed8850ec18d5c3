"""Counts that loops carry, and what they carry that is 0 wherever a count is: both by induction over the passes.

    n = n + (y > 0)          n starts from 0, and a whole number, 0 or more, is added: n is a count
    s = s + (y > 0) * u      s starts from 0. Where n is 0 after a pass, it was before, and y > 0 is 0: s was 0, and is

All is taken for granted of what every loop carries at first, and what a pass does not keep is given up until nothing
is: what is left holds before the first pass, and of each pass after it that the same held before.
"""

from __future__ import annotations

import numpy as np

from ...ir.graph import Carried, Graph, Value
from .counts import Flags, Terms


def terms_of(graph: Graph) -> Terms:
    """The terms of a graph, with what is known of those that loops carry."""
    loops = tuple(graph.loops())
    counted = [c for loop in loops for c in loop.carried]
    while True:
        terms = Terms(graph, {v for c in counted for v in (c.phi, c.final)})
        kept = [c for c in counted if all(terms.known[terms.terms[v, None]].counts for v in (c.initial, c.result))]
        if len(kept) == len(counted):
            break
        counted = kept
    claims = [
        _Claim(terms, n, k, [c for c in loop.carried if c is not n])
        for loop in loops
        for n in loop.carried
        if n in counted
        for k in range(graph[n.phi].size)
    ]
    changed = True
    while changed:
        changed = False
        for claim in claims:
            changed |= claim.weakened()
    return terms


class _Claim:
    """Which components of what is carried beside a count are 0 where a component of it is."""

    def __init__(self, terms: Terms, count: Carried, component: int, beside: list[Carried]) -> None:
        self.terms, self.count, self.component = terms, count, component
        self.zeros: list[tuple[Carried, Flags]] = [(c, np.ones(terms.graph[c.phi].size, np.bool_)) for c in beside]
        for c, flags in self.zeros:
            self._say(c.phi, count.phi, flags)
            self._say(c.final, count.final, flags)

    def _say(self, value: Value, count: Value, flags: Flags) -> None:
        """The flags are shared: what is given up is given up everywhere."""
        for (other, kind), term in list(self.terms.terms.items()):
            if other == value and (count, kind) in self.terms.terms:
                found = self.terms.carried.setdefault(term, [])
                found.append((self.terms.terms[count, kind], self.component, flags))

    def weakened(self) -> bool:
        """Gives up what does not hold before the loop, or is not kept by a pass; whether there was any."""
        changed = False
        for c, flags in self.zeros:
            before = flags.copy()
            for value, count in ((c.initial, self.count.initial), (c.result, self.count.result)):
                of, by = (self.terms.terms[v, None] for v in (value, count))
                found = self.terms.vanishes(of, by, self.component) if flags.any() else flags
                flags &= False if found is None else found
            changed = changed or not np.array_equal(before, flags)
        return changed
