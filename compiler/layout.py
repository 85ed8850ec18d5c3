"""Where the program's names can be read: a form over slots, and the stages after which it holds."""

from __future__ import annotations

from dataclasses import replace

from .allocate import Allocation
from .schedule import LoopStage, Schedule, Stage
from .stream import Stream
from .tasks import ROLES, Atom, Form, Variable
from .weights import Placement


def placements(schedule: Schedule, allocation: Allocation, stream: Stream) -> tuple[Placement, ...]:
    """One for each stretch of stages in which a name has a value; stretches of one name do not overlap.

    A value that nothing stores (its sum goes straight into a state's slots) has none.
    """
    changes = _changes(schedule)
    end = sum(1 for _ in schedule.walk()) - 1
    by_name: dict[str, list[Placement]] = {}
    for variable in schedule.tasks.variables:
        found = _stretch(variable, allocation, changes, end)
        if found is None:
            continue
        first, last = found
        placed = Placement(
            variable.name, variable.shape, variable.kinds, stream.read(variable.form), first, last, variable.low, variable.high
        )
        by_name.setdefault(variable.name, []).append(placed)
    result = []
    for placed_list in by_name.values():
        for k, placed in enumerate(placed_list):
            later = [p.first for p in placed_list[k + 1 :] if p.first <= placed.last]
            last = min([placed.last, *(f - 1 for f in later)])
            if last >= placed.first:
                result.append(replace(placed, last=last))
    return tuple(sorted(result, key=lambda p: (p.name, p.first)))


def _stretch(variable: Variable, allocation: Allocation, changes: dict[Atom, tuple[int, int]], end: int) -> tuple[int, int] | None:
    first, last = 0, end
    atoms = [a for a in variable.form.atoms]
    for atom in atoms:
        if atom not in allocation.slots:
            return None
        life = allocation.lifetimes[atom]
        first = max(first, life.birth)
        last = min(last, end if life.clear is None or atom not in _cleared(allocation) else life.clear - 1)
        if atom in changes and not _alone(variable.form, atom):
            last = min(last, changes[atom][0] - 1)
    return (first, last) if first <= last else None


def _alone(form: Form, atom: Atom) -> bool:
    return form.atoms == {atom}


def _cleared(allocation: Allocation) -> frozenset[Atom]:
    return frozenset(a for atoms in allocation.clears.values() for a in atoms if a != ROLES)


def _changes(schedule: Schedule) -> dict[Atom, tuple[int, int]]:
    """The first and the last stage of its loop that changes each state."""
    found: dict[Atom, tuple[int, int]] = {}

    def walk(items: list[Stage | LoopStage], number: int, states: frozenset[Atom]) -> int:
        for item in items:
            if isinstance(item, LoopStage):
                number = walk(item.body, number, frozenset(s.atom for s in item.states))
                continue
            for write in (w for p in item.placed for w in p.writes if w.atom in states):
                found[write.atom] = (found.get(write.atom, (number, number))[0], number)
            number += 1
        return number

    walk(schedule.stages, 0, frozenset())
    return found
