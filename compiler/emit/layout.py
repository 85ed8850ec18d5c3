"""Where the program's names can be read: a form over slots, and the sublayers after which it holds.

scan y: w = w + …                    sublayer   what the slots of w hold
    w is written in sublayers 5, 7          4   w at y, as the pass began     (the head of the pass has moved it)
                                          5–6   neither
                                            7   w at y, as the pass ended
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from innerloop.artifact.claims import Placement, Write
from innerloop.artifact.signature import Kinds
from innerloop.artifact.sparse import Matrix

from ..interpreter.moments import Moments, when_of
from ..ir.graph import Graph
from ..schedule.allocate import Allocation
from ..schedule.instructions import ROLES, Atom, LinearForm, Variable
from ..schedule.sublayers import LoopPlan, Schedule, SublayerPlan
from .residual_stream import Stream

Stretch = tuple[int, int]


@dataclass(frozen=True)
class Holding:
    """A name held in the slots after the sublayers first … last.

    ended   the state of which it is what a pass left; None where it is the variable's own value
    scan    the number of the scan that it is of
    late    sublayer `first` may have read it, and before that it does not stand there
    """

    variable: Variable
    first: int
    last: int
    ended: Atom | None = None
    entered: bool = False
    scan: int | None = None
    late: bool = False


def placements(
    graph: Graph, schedule: Schedule, allocation: Allocation, stream: Stream, moments: Moments,
    idle: Mapping[Atom, Kinds],
) -> tuple[Placement, ...]:  # fmt: skip
    """One for each of the `holdings`, in their order; `moments`: of values that repeats of the program assign; `idle`:
    as in liveness.py."""
    warm = {k for k, loop in enumerate(graph.loops()) if any(c.warm is not None for c in loop.carried)}

    def placed(held: Holding) -> Placement:
        v = held.variable
        written = () if held.late else tuple(_writes(v, schedule, stream))
        turn = -1 if held.scan is None else int(held.scan in warm)
        when, later = moments.get(v.value, (when_of(graph, v.value), -1))
        return Placement(
            v.name, v.shape, v.kinds, stream.read(v.form), held.first, held.last, v.low, v.high, written,
            held.entered, turn, "ended" if held.ended is not None else when, later,
            v.kinds & frozenset().union(*(idle.get(atom, frozenset()) for atom in v.form.atoms)),
        )  # fmt: skip

    return tuple(placed(held) for held in holdings(schedule, allocation))


def _writes(variable: Variable, schedule: Schedule, stream: Stream) -> Iterator[Write]:
    """By one atom a, with columns of M in v = M a + … that are orthogonal or 0: a changes by (MᵀM)⁺ Mᵀ as v does.

    First where a alone, at tokens of its kinds, makes up the variable and is made up by it, so that whoever reads a
    reads v. Then where other atoms are in v, or more in a: it is right if all that reads a later reads it in v, which
    is tried where it is used; the atom that was made last first, of which least else is made."""
    parts = [(a, matrix) for a, matrix in variable.form.parts if a != ROLES]
    atoms = schedule.instructions.atoms
    doubtful: list[Write] = []
    for atom, matrix in reversed(parts):
        others = frozenset[str]().union(*(atoms[a].kinds for a, _ in parts if a != atom))
        kinds = variable.kinds & atoms[atom].kinds
        squares = (matrix.csr.T @ matrix.csr).tocoo()
        squares.eliminate_zeros()
        if not kinds or not np.array_equal(*squares.coords):
            continue
        inverse = np.zeros(matrix.shape[1])
        inverse[squares.coords[0]] = 1.0 / squares.data
        written = stream.write(atom, Matrix(matrix.csr.T.multiply(inverse[:, None]).tocsr()))
        if inverse.all() and kinds - others:
            yield Write(kinds - others, written)
            kinds &= others
        if kinds:
            doubtful.append(Write(kinds, written, False))
    yield from doubtful


def holdings(schedule: Schedule, allocation: Allocation) -> tuple[Holding, ...]:
    """One for each stretch of sublayers in which a name has a value, by name; stretches of one name do not overlap.

    A value that nothing stores (its sum goes straight into a state's slots), or that no token needs, has none.
    """
    by_name: dict[str, list[Holding]] = {}
    for held in _Sublayers(schedule).stretches(allocation):
        if held.variable.kinds:
            by_name.setdefault(held.variable.name, []).append(held)
    result = []
    for stretches in by_name.values():
        for k, held in enumerate(stretches):
            later = [h.first for h in stretches[k + 1 :] if h.first <= held.last]
            last = min([held.last, *(f - 1 for f in later)])
            if last >= held.first:
                result.append(replace(held, last=last))
    return tuple(sorted(result, key=lambda h: (h.variable.name, h.first)))


def placed_values(schedule: Schedule, allocation: Allocation) -> Iterator[Holding]:
    """Every value of the graph that stands in the slots, named or not, and what each pass leaves in a loop's states."""
    sublayers = _Sublayers(schedule)
    for value in schedule.instructions.values:
        held, _ = sublayers.stretch(value, allocation)
        if held is not None and value.form.atoms:
            yield held
    for atom, state in sublayers.states.items():
        info, life = schedule.instructions.atoms[atom], allocation.lifetimes.get(atom)
        if state.changes and life is not None:
            own = LinearForm.of(info.size, [(atom, Matrix.identity(info.size))])
            scope = sublayers.loops.index(state.loop)
            whole = Variable(info.label, (info.size,), info.kinds, own, info.low, info.high, scope, -1)
            last = state.loop[1] if life.clear is None else min(state.loop[1], life.clear - 1)
            if max(state.changes) <= last:
                yield Holding(whole, max(state.changes), last, atom)


@dataclass
class _State:
    """A loop's state: the sublayers of the loop, and those of them that change it."""

    loop: Stretch
    changes: list[int] = field(default_factory=list)


class _Sublayers:
    """The sublayers numbered, each loop's span (in order of appearance), and who changes its states."""

    def __init__(self, schedule: Schedule) -> None:
        self.variables = schedule.instructions.variables
        self.atoms = schedule.instructions.atoms
        self.count = 0
        self.loops: list[Stretch] = []
        self.scans: list[bool] = []
        self.states: dict[Atom, _State] = {}
        self.written: dict[Atom, int] = {}
        """The last sublayer that writes to an atom, for a state the last before its loop."""
        self._walk(schedule.body)

    def _walk(self, items: list[SublayerPlan | LoopPlan]) -> None:
        for item in items:
            if isinstance(item, LoopPlan):
                number, start = len(self.loops), self.count
                self.loops.append((start, start))
                self.scans.append(item.scan)
                self.states.update({s.atom: _State((start, start)) for s in item.states})
                self._walk(item.body)
                self.loops[number] = (start, self.count - 1)
                for state in item.states:
                    self.states[state.atom].loop = self.loops[number]
                continue
            for placed in item.placed:
                for atom in (placed.instruction.out, *(w.atom for w in placed.writes)):
                    if atom in self.states:
                        self.states[atom].changes.append(self.count)
                    else:
                        self.written[atom] = self.count
            self.count += 1

    def stretches(self, allocation: Allocation) -> Iterator[Holding]:
        """Each variable's, those of a loop's body before what the state holds at its end."""
        ends: dict[int, list[Holding]] = {}
        for index, variable in enumerate(self.variables):
            before, after = self.stretch(variable, allocation)
            if before is not None:
                yield before
            if after is not None:
                ends.setdefault(self._last_inside(variable.scope, index), []).append(after)
            yield from ends.get(index, ())

    def _last_inside(self, scope: int, index: int) -> int:
        """The last variable that is assigned in this loop, or in one inside it."""
        return max([index, *(k for k, v in enumerate(self.variables) if self._inside(v.scope, self.loops[scope]))])

    def _inside(self, scope: int, loop: Stretch) -> bool:
        return scope >= 0 and loop[0] <= self.loops[scope][0] and self.loops[scope][1] <= loop[1]

    def _scan_of(self, scope: int) -> int | None:
        return next((k for k, loop in enumerate(self.loops) if self.scans[k] and self._inside(scope, loop)), None)

    def stretch(self, variable: Variable, allocation: Allocation) -> tuple[Holding | None, Holding | None]:
        """The sublayers from when all that it reads is there, until some of it goes or changes; and for a state by
        itself, in its own loop, what it ends a pass with, and the sublayers from its last change to there."""
        cleared = {a for atoms in allocation.clears.values() for a in atoms if a != ROLES}
        first, last = self.loops[variable.scope] if variable.scope >= 0 else (0, self.count - 1)
        if variable.scope >= 0 and not any(a in self.states for a in variable.form.atoms):
            first = 0  # what does not change in a loop may be made in front of it
        own: Holding | None = None
        scan, late, made = self._scan_of(variable.scope), False, -1
        for atom in variable.form.atoms:
            if atom not in allocation.slots:
                return None, None
            life = allocation.lifetimes[atom]
            state = self.states.get(atom)
            inside = state is not None and self._inside(variable.scope, state.loop)
            begun = max(self.written.get(atom, -1), -1 if state is not None else life.birth)
            if state is not None and inside:
                if self.scans[self.loops.index(state.loop)]:
                    begun = max(begun, state.loop[0])  # where the states move
                elif life.birth >= state.loop[0]:
                    late = True  # until the first sublayer its slots may be another's
            made, first = max(made, begun), max(first, begun, life.birth)
            last = min(last, life.clear - 1 if life.clear is not None and atom in cleared else self.count - 1)
            if state is not None and not inside:
                first = max(first, state.loop[1] + 1)
            elif state is not None and state.changes:
                if variable.form.atoms == {atom} and (ended := self._ended(variable, atom)) is not None:
                    own = Holding(ended, max(state.changes), last, atom, scan=scan)
                last = min(last, min(state.changes) - 1)
        held = Holding(variable, first, last, entered=made < first and not late, scan=scan, late=late)
        return held if first <= last else None, own if own is not None and own.first <= own.last else None

    def _ended(self, variable: Variable, atom: Atom) -> Variable | None:
        """The variable as a pass leaves it, if it is the carried name itself: called as the state is, or as what
        reads the
        state after the loop."""
        state, (part,) = self.states[atom], [m for a, m in variable.form.parts if a != ROLES]
        if self.loops[variable.scope] != state.loop or variable.form.part(ROLES) is not None:
            return None
        low, high = [variable.low], [variable.high]
        if variable.name == self.atoms[atom].label and part.scalar() == 1.0:
            low.append(self.atoms[atom].low)
            high.append(self.atoms[atom].high)
        for other in self.variables:
            if (
                other.name == variable.name
                and not self._inside(other.scope, state.loop)
                and other.form.part(atom) == part
            ):
                low.append(other.low)
                high.append(other.high)
        return replace(variable, low=np.min(low, axis=0), high=np.max(high, axis=0)) if len(low) > 1 else None
