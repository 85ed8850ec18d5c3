"""What each name is as the statements go by, and when it was a constant: looked up, not copied for each statement.

1  a = 2          names.constants(2)   holds a, not b
2  b = a * s
3  a = b          names.constants(3)   holds a; names.constants(4) does not
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Container, Mapping

from .check_names import Held


class Names(dict[str, Held]):
    """Names and what is known of them. `step` is the number of the statement that is looked at."""

    def __init__(self, always: frozenset[str]) -> None:
        """`always`: names that are constants everywhere."""
        super().__init__()
        self.step = 0
        self._always = always
        self._changes: dict[str, list[tuple[int, bool]]] = {}

    def __setitem__(self, name: str, held: Held) -> None:
        super().__setitem__(name, held)
        self._note(name, held.constant)

    def restore(self, before: Mapping[str, Held]) -> None:
        """The names as they were."""
        for name in [name for name in self if name not in before]:
            del self[name]
            self._note(name, False)
        for name, held in before.items():
            if self.get(name) is not held:
                self[name] = held

    def constants(self, step: int) -> Container[str]:
        """The names that are constants where that statement begins."""
        return _Constants(self, step)

    def constant_at(self, name: str, step: int) -> bool:
        changes = self._changes.get(name, [])
        place = bisect_right(changes, step, key=lambda change: change[0]) - 1
        return name in self._always or (place >= 0 and changes[place][1])

    def _note(self, name: str, constant: bool) -> None:
        """From the next statement on."""
        changes = self._changes.setdefault(name, [])
        if (changes[-1][1] if changes else False) != constant:
            changes.append((self.step + 1, constant))


class _Constants(Container[str]):
    def __init__(self, names: Names, step: int) -> None:
        self._names, self._step = names, step

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._names.constant_at(name, self._step)
