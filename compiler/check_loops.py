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
from typing import TYPE_CHECKING

from .check_names import Held
from .syntax import Assign, Repeat, Scan
from .walk import statements

if TYPE_CHECKING:
    from .check_flow import Flow


def enter(flow: Flow, loop: Repeat | Scan) -> tuple[dict[str, Held], int]:
    """What the names are when a pass begins: carried ones are no constants."""
    before = dict(flow.names)
    start = flow.versions
    for name in sorted({s.name for s in statements(loop.body) if isinstance(s, Assign)} & set(before)):
        held, key = before[name], (id(loop), name)
        shared = held.shared and key not in flow.unshared and isinstance(loop, Repeat) and "at" not in flow.blocks
        sources = held.sources | flow.carried_sources.get(key, frozenset())
        flow.names[name] = Held(held.kinds, False, shared, flow.version(), sources)
        flow.sizes.pop(name, None)
    return before, start


def leave(flow: Flow, loop: Repeat | Scan, before: Mapping[str, Held], start: int) -> None:
    """Carries what a pass leaves back to its beginning, and out."""
    for name in sorted({s.name for s in statements(loop.body) if isinstance(s, Assign)} & set(before)):
        end, key = flow.names[name], (id(loop), name)
        if before[name].shared and not end.shared and key not in flow.unshared:
            flow.unshared.add(key)
            flow.settled = False
        back = frozenset(source for source in end.sources if source <= start) - before[name].sources
        if not back <= flow.carried_sources.get(key, frozenset()):
            flow.carried_sources[key] = back | flow.carried_sources.get(key, frozenset())
            flow.settled = False
        flow.names[name] = replace(
            end,
            kinds=before[name].kinds if isinstance(loop, Scan) else end.kinds | before[name].kinds,
            constant=False,
            shared=end.shared and before[name].shared,
            versions=end.versions | flow.version(),
            sources=end.sources | before[name].sources,
        )
        flow.sizes.pop(name, None)
