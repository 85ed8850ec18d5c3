"""What a loop carries: its first line knows what its last line left.

    repeat steps
        w = w - rate * g      w exists before: carried, no constant inside
        g = 2 * w             g does not: assigned anew in every pass

Whether a carried name is shared, and what it was computed from, depends on the end of the pass. `leave`
notes it, and sets `settled` to False where `enter` had assumed otherwise; the program is then gone over again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ..syntax.nodes import Assign, Repeat, Scan
from ..syntax.shapes import Dimension
from ..syntax.traversal import statements
from .check_names import Held
from .names_held import Names


class Carrying:
    """What each name is at a point of the program, and what loops have been seen to carry of it: carried names, by
    their loop and name, that are not shared at the end of a pass (`unshared`), and what they come from there."""

    def __init__(
        self,
        sizes: Mapping[str, Dimension],
        unshared: set[tuple[int, str]],
        carried_sources: dict[tuple[int, str], int],
        always: frozenset[str],
    ) -> None:
        self.sizes: dict[str, Dimension] = dict(sizes)
        self.names = Names(always)
        self.blocks: tuple[str, ...] = ()
        self.versions = 0
        self.settled = True
        self._unshared, self._carried_sources = unshared, carried_sources

    def version(self) -> int:
        self.versions += 1
        return 1 << self.versions

    def enter(self, loop: Repeat | Scan) -> tuple[dict[str, Held], int]:
        """What the names are when a pass begins: carried ones are no constants."""
        before = dict(self.names)
        start = self.versions
        for name in sorted(assigned(loop) & set(before)):
            held, key = before[name], (id(loop), name)
            shared = held.shared and key not in self._unshared and isinstance(loop, Repeat) and "at" not in self.blocks
            sources = held.sources | self._carried_sources.get(key, 0)
            self.names[name] = Held(held.kinds, False, shared, self.version(), sources)
            self.sizes.pop(name, None)
        return before, start

    def leave(self, loop: Repeat | Scan, before: Mapping[str, Held], start: int) -> None:
        """Carries what a pass leaves back to its beginning, and out."""
        for name in sorted(assigned(loop) & set(before)):
            end, key = self.names[name], (id(loop), name)
            if before[name].shared and not end.shared and key not in self._unshared:
                self._unshared.add(key)
                self.settled = False
            back = end.sources & ((2 << start) - 1) & ~before[name].sources
            if back & ~self._carried_sources.get(key, 0):
                self._carried_sources[key] = back | self._carried_sources.get(key, 0)
                self.settled = False
            self.names[name] = replace(
                end,
                kinds=before[name].kinds if isinstance(loop, Scan) else end.kinds | before[name].kinds,
                constant=False,
                shared=end.shared and before[name].shared,
                versions=end.versions | self.version(),
                sources=end.sources | before[name].sources,
            )
            self.sizes.pop(name, None)


def assigned(loop: Repeat | Scan) -> frozenset[str]:
    """The names that a pass gives a value."""
    return frozenset(s.name for s in statements(loop.body) if isinstance(s, Assign))
