"""Whose the slots of the residual stream are: from the allocation, and from what the stream keeps for itself.

before   an allocation and the stream that it was laid out in
after    owners, each with its slots and the sublayers after which they are its own
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from innerloop.artifact.arrays import Indices
from innerloop.compiler.emit.emit import Emitted
from innerloop.compiler.schedule.allocate import Allocation
from innerloop.compiler.schedule.instructions import ROLES, Instructions

from .encoded import Json


@dataclass(frozen=True)
class Owner:
    """`first` to `last`: the stored sublayers after which the slots hold it; −1 is the embedding, and None the end.
    `value`: whether it is one of the program's. `names`: what the program calls what is read from it alone."""

    label: str
    what: str
    slots: Indices
    first: int
    last: int | None
    value: bool = False
    names: tuple[str, ...] = ()

    def json(self) -> Json:
        return {**vars(self), "slots": self.slots.tolist()}


def owners(emitted: Emitted, allocation: Allocation, instructions: Instructions) -> list[Owner]:
    """Those that the stream keeps for itself first, then values, as they are born."""
    emptied = {atom for some in allocation.clears.values() for atom in some}
    atoms = sorted(allocation.slots, key=lambda a: (allocation.lifetimes[a].birth, a))
    found = list(_kept(emitted))
    for atom in atoms:
        life, info = allocation.lifetimes[atom], instructions.atoms[atom]
        names = dict.fromkeys(v.name for v in instructions.variables if v.form.atoms == {atom})
        what = "what a token is, and constants" if atom == ROLES else f"at {', '.join(sorted(info.kinds))}"
        last = life.clear - 1 if atom in emptied and life.clear is not None else None
        found.append(Owner(info.label, what, emitted.stream.slots(atom), life.birth, last, atom != ROLES, tuple(names)))
    return found


def _kept(emitted: Emitted) -> Iterator[Owner]:
    stream = emitted.stream
    if stream.constants.scale:
        yield Owner("norm", "constants that set the norm's divisor", np.flatnonzero(stream.norm_pattern), -1, None)
    if stream.constants.divide:
        yield Owner("divisor", "where a divisor takes the place of the constants", stream.scratch, -1, None)
    if stream.balanced:
        yield Owner("zero", "always 0", np.array([stream.zero]), -1, None)
        yield Owner("balance", "minus the sum of all others, so that their mean is 0", stream.balance, -1, None)
    if stream.positioned:
        yield Owner("position", "p/P and its square", stream.position + np.arange(2), -1, None)
    if stream.digits + stream.tables:
        what = "digits of the position, and positions that are copied from"
        yield Owner("tables", what, np.arange(stream.digit, stream.first), -1, None)


class Components:
    """Which component of which value a slot is."""

    def __init__(self, of: list[Owner]) -> None:
        self._of = [owner for owner in of if owner.value]

    def read(self, sublayer: int) -> dict[int, str]:
        """slot → `w[0]`, as a stored sublayer finds it."""
        return self._named(lambda o: o.first < sublayer and (o.last is None or sublayer <= o.last + 1))

    def written(self, sublayer: int) -> dict[int, str]:
        """The same, as it leaves it."""
        return self._named(lambda o: o.first <= sublayer and (o.last is None or sublayer <= o.last))

    def _named(self, there: Callable[[Owner], bool]) -> dict[int, str]:
        named: dict[int, str] = {}
        for owner in self._of:
            if there(owner):
                single = owner.slots.size == 1
                for k, slot in enumerate(owner.slots.tolist()):
                    named[slot] = owner.label if single else f"{owner.label}[{k}]"
        return named
