"""A segment's placement as an integer program: is there one in so many sublayers?

    x[i, t]   instruction i stands in sublayer t                   Σₜ x[i, t] = 1
    y[b, t]   sublayer t divides by divisor b                      x[i, t] ≤ y[b, t] ≤ Σᵢ x[i, t]
    w[t]      what no writer adds to the states is added in t      Σₜ w[t] = 1, if there is any
    z[p, s]   what makes part p of a change adds it to state s     then p is made after s was read last

The rules are those of regions.py; `Problem` holds them as it found them in a segment.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from innerloop.artifact.words import Side

from .instructions import Atom, Instruction, Linear, LinearForm, Quotient, State
from .regions import APART, Segment

LATE = "late"
"""There was no answer in time."""


@dataclass(frozen=True)
class Change:
    """A state's change: `readers` read what it was (their index, and how many sublayers later they still do); parts are
    made by instructions that may add them (`direct`), or need the sublayer of the rest."""

    atom: Atom
    floor: int
    readers: tuple[tuple[int, int], ...]
    direct: tuple[int, ...]
    rest: tuple[int, ...]
    """Makers of parts that they cannot add."""
    always: bool
    """Whether some part needs the sublayer of the rest."""
    read: bool
    """Whether what stands there reads this state."""


@dataclass(frozen=True)
class Problem:
    instructions: tuple[Instruction, ...]
    first: Side
    parallel: bool
    sides: tuple[str, ...]
    needs: tuple[tuple[tuple[int, bool], ...], ...]
    """Of each instruction which others it waits for, and whether it divides by those."""
    floors: tuple[int, ...]
    groups: tuple[LinearForm | None, ...]
    """What each divides by."""
    carried: bool
    divided: bool
    changes: tuple[Change, ...]
    neurons: bool
    """Whether the rest of the changes takes neurons."""

    @staticmethod
    def of(segment: Segment, run: list[Instruction], starts: set[Atom], states: tuple[State, ...]) -> Problem:
        """Of a segment that is filled."""
        items = [i for i in run if i.out not in starts]
        for i in run:
            if i.out in starts:
                form = i.reads[0].without(*(a for a, _ in i.reads[0].parts if segment.fresh(a, 0, i.out)))
                if form.parts:
                    items.append(Instruction(Linear(), (form,), i.out, segment.instructions.atoms[i.out].kinds))
        index = {item.out: k for k, item in enumerate(items) if item.out not in starts}
        carried = frozenset(segment.carry.atoms) if segment.carry is not None else frozenset[Atom]()
        needs, floors = [], []
        for item in items:
            divides = isinstance(item.op, Quotient)
            of = [(a, divides and k == 1) for k, form in enumerate(item.reads) for a in form.atoms]
            needs.append(tuple((index[a], below) for a, below in of if a in index))
            floor = [segment.after(0) + below for a, below in of if a in carried and a not in index]
            floors.append(max([int(divides), *floor]))
        changes = tuple(_change(segment, items, index, state, states, carried) for state in states)
        rests = [a for s in states for a, _ in s.change.parts if segment.instructions.atoms[a].rests]
        return Problem(
            tuple(items), segment.first, segment.parallel, tuple(segment.side_of(i) for i in items), tuple(needs),
            tuple(floors), tuple(i.reads[1] if isinstance(i.op, Quotient) else None for i in items),
            bool(carried), segment.divided, changes, bool(rests),
        )  # fmt: skip

    def side(self, time: int) -> str:
        return self.first if time % 2 == 0 else ("mlp" if self.first == "attention" else "attention")

    def after(self, time: int) -> int:
        return time - time % 2 + 2 if self.parallel else time + 1

    def below(self, time: int) -> int:
        """When what is made then may be divided by."""
        return time + 1 if self.side(time) == "mlp" else self.after(time) + 1

    def tail(self, k: int) -> int:
        """Sublayers from an instruction's on that there must be."""
        return 1 if self.groups[k] is None else 4 if self.parallel else 2

    @property
    def earliest(self) -> list[int]:
        """When each can be made at the soonest, were nothing in its way."""
        found: list[int] = []
        for k, needs in enumerate(self.needs):
            time = max([self.floors[k], *((self.below if b else self.after)(found[o]) for o, b in needs)])
            found.append(time + (self.sides[k] not in ("either", self.side(time))))
        return found

    @property
    def shortest(self) -> int:
        """The length that chains of needs ask for."""
        times = self.earliest
        length = max([int(self.carried), *(t + self.tail(k) for k, t in enumerate(times))], default=0)
        waits = [c.floor for c in self.changes if c.always]
        waits += [times[r] + more for c in self.changes if c.always for r, more in c.readers]
        waits += [self.after(times[p]) for c in self.changes for p in c.rest]
        if waits:
            time = max(waits)
            length = max(length, time + 1 + (self.neurons and self.side(time) != "mlp"))
        return length


def _change(
    segment: Segment, items: list[Instruction], index: dict[Atom, int], state: State, states: tuple[State, ...],
    carried: frozenset[Atom],
) -> Change:  # fmt: skip
    made = [a for a, _ in state.change.parts if a in index]
    direct = [a for a in made if segment.fresh(a, 0, state.atom)]
    readers = [
        (k, int(isinstance(item.op, Quotient) and n == 1 and not segment.parallel))
        for k, item in enumerate(items)
        for n, form in enumerate(item.reads)
        if state.atom in form.atoms
    ]
    return Change(
        state.atom,
        segment.after(0) if state.atom in carried else 0,
        tuple(readers),
        tuple(index[a] for a in direct),
        tuple(index[a] for a in made if a not in direct),
        len(direct) < len(state.change.parts),
        any(a == state.atom for s in states for a, _ in s.change.parts),
    )


@dataclass
class _Rows:
    """Σ c v ≤ bound, a row each."""

    rows: list[dict[int, float]]
    bounds: list[float]

    def add(self, bound: float, *terms: tuple[int, float]) -> None:
        row: dict[int, float] = {}
        for variable, c in terms:
            row[variable] = row.get(variable, 0.0) + c
        self.rows.append(row)
        self.bounds.append(bound)


def solved(problem: Problem, length: int, seconds: float) -> dict[Atom, int] | str | None:
    """A placement in so many sublayers: when each atom is made; None if there is none, `LATE` if time ran out."""
    import scipy.sparse as sp
    from scipy.optimize import Bounds, LinearConstraint, milp

    p, rows = problem, _Rows([], [])
    number: dict[object, int] = {}
    times = range(length)
    early, n = p.earliest, len(p.instructions)
    allowed = [
        [t for t in times if early[k] <= t <= length - p.tail(k) and p.sides[k] in ("either", p.side(t))]
        for k in range(n)
    ]
    if not all(allowed):
        return None

    def var(*key: object) -> int:
        return number.setdefault(key, len(number))

    def at(k: int, which: Callable[[int], bool], c: float = 1.0) -> list[tuple[int, float]]:
        return [(var("x", k, t), c) for t in allowed[k] if which(t)]

    def once(terms: list[tuple[int, float]], many: float = 1.0) -> None:
        rows.add(many, *terms)
        rows.add(-many, *((v, -c) for v, c in terms))

    groups = list(dict.fromkeys(g for g in p.groups if g is not None))
    heads = [t for t in times if p.side(t) == "attention"] if groups else []
    for k in range(n):
        once(at(k, lambda t: True))
        for o, below in p.needs[k]:
            ready = p.below if below else p.after
            for t in allowed[o]:
                rows.add(1.0, (var("x", o, t), 1.0), *at(k, lambda s, t=t, ready=ready: s < ready(t)))  # type: ignore[misc]
                least = min(map(ready, [s for s in allowed[o] if s >= t]))
                rows.add(1.0, *at(o, lambda s, t=t: s >= t), *at(k, lambda s, least=least: s < least))  # type: ignore[misc]
        for t in heads:
            if p.groups[k] is None:
                taken = [s for s in ((t, t + 1) if p.parallel else (t,)) if s in allowed[k]]
                for s in taken:
                    rows.add(1.0, (var("x", k, s), 1.0), *((var("y", b, t), 1.0) for b in range(len(groups))))
    for b, group in enumerate(groups):
        members = [k for k in range(n) if p.groups[k] == group]
        for t in heads:
            own = [(var("x", k, t), 1.0) for k in members if t in allowed[k]]
            rows.add(0.0, (var("y", b, t), 1.0), *((v, -1.0) for v, _ in own))
            for v, _ in own:
                rows.add(0.0, (v, 1.0), (var("y", b, t), -1.0))
            if p.divided:  # who swept what the last division left
                before = [s for s in heads if s < t - 1]
                swept = [(var("y", c, s), 1.0) for c in range(len(groups)) for s in before]
                rows.add(float(len(before)), (var("y", b, t), 1.0), *swept)
    for t in heads:
        rows.add(1.0, *((var("y", b, t), 1.0) for b in range(len(groups))))
        for s in heads:
            if t < s < t + APART[p.parallel] and not (s == t + 2 and _again(p)):
                for b in range(len(groups)):
                    rows.add(1.0, (var("y", b, s), 1.0), *((var("y", c, t), 1.0) for c in range(len(groups))))
    _changed(p, rows, var, at, once, length, heads, len(groups))
    size = len(number)
    entries = [(r, v, c) for r, row in enumerate(rows.rows) for v, c in row.items()]
    matrix = sp.csr_array(([c for *_, c in entries], ([r for r, *_ in entries], [v for _, v, _ in entries])),
                          shape=(len(rows.rows), size))  # fmt: skip
    most: Any = np.asarray(rows.bounds)  # SciPy's types have single numbers alone
    answer = milp(
        np.zeros(size), integrality=np.ones(size), bounds=Bounds(0.0, 1.0),
        constraints=LinearConstraint(matrix, -np.inf, most), options={"time_limit": seconds},
    )  # fmt: skip
    if answer.status == 2:
        return None
    if answer.x is None:
        return LATE
    return {
        i.out: next(t for t in allowed[k] if answer.x[number["x", k, t]] > 0.5) for k, i in enumerate(p.instructions)
    }


def _again(problem: Problem) -> bool:
    """Whether some divisor is a quotient that may be divided by at once."""
    return any(isinstance(i.op, Quotient) and i.op.again for i in problem.instructions)


def _changed(
    p: Problem, rows: _Rows, var: Callable[..., int], at: Callable[..., list[tuple[int, float]]],
    once: Callable[..., None], length: int, heads: list[int], groups: int,
) -> None:  # fmt: skip
    """What changes states, after the last reader of what they were."""
    rest = [t for t in range(length) if not p.neurons or p.side(t) == "mlp"]
    always = any(c.always for c in p.changes)

    def late(c: Change, t: int) -> list[tuple[int, float]]:
        """Each is 1 where somebody reads the state after t."""
        found: list[tuple[int, float]] = []
        for r, more in c.readers:
            back = (lambda s: s - s % 2) if p.parallel else (lambda s, more=more: s + more)  # type: ignore[misc]
            found += at(r, lambda s, back=back: back(s) > t)
        return found

    if any(c.direct or c.always for c in p.changes):
        if always:
            once([(var("w", t), 1.0) for t in rest])
        else:
            rows.add(1.0, *((var("w", t), 1.0) for t in rest))
        for t in heads:
            for s in (t, t + 1) if p.parallel else (t,):
                if s in rest:
                    rows.add(1.0, (var("w", s), 1.0), *((var("y", b, t), 1.0) for b in range(groups)))
    for c in p.changes:
        for part in c.direct:
            z = var("z", part, c.atom)
            if not always:  # somewhere, unless all is added by who makes it
                rows.add(-1.0, *((var("w", t), -1.0) for t in rest), (z, -1.0))
            for t in range(length):
                here = at(part, lambda s, t=t: s == t)
                if here and t < c.floor:
                    rows.add(1.0, *here, (z, 1.0))
                for reader in late(c, t) if here else []:
                    rows.add(2.0, *here, (z, 1.0), reader)
                if here and c.read:
                    for s in rest:
                        if s > t:
                            rows.add(2.0, *here, (z, 1.0), (var("w", s), 1.0))
                if t in rest:
                    for reader in late(c, t):
                        rows.add(1.0, (var("w", t), 1.0), reader, (z, -1.0))
                    rows.add(1.0, (var("w", t), 1.0), *at(part, lambda s, t=t: p.after(s) > t), (z, -1.0))
        for t in rest if c.always else ():
            if t < c.floor:
                rows.add(0.0, (var("w", t), 1.0))
            for reader in late(c, t):
                rows.add(1.0, (var("w", t), 1.0), reader)
            for part in c.rest:
                rows.add(1.0, (var("w", t), 1.0), *at(part, lambda s, t=t: p.after(s) > t))
