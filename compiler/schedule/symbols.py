"""Symbols: what the slots hold while a schedule is verified.

slots of v at x tokens     v · 4 + 0    v, as those who read it expect it
                           v · 4 + 2    v, a state that has changed in this pass
                           −1           nothing
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from innerloop.artifact.arrays import Indices
from innerloop.artifact.errors import InternalError

from .allocate import Allocation
from .instructions import ROLES, Atom, Instructions, LinearForm
from .sublayers import SublayerPlan

HELD, FILLING, CHANGED, UNMOVED = range(4)
"""Versions: what readers expect; a state whose start or change is being written; a scan's before its pass moves it."""
VERSIONS = ("", ", half filled", ", changed already", ", not moved yet")
NOTHING = -1
REST = 0
"""The column of the rest token."""


@dataclass
class Symbols:
    """`held` [slots, kinds of token], the rest token's first."""

    instructions: Instructions
    allocation: Allocation
    number: int = 0
    """Of the sublayer that runs."""
    made: set[Atom] = field(default_factory=set)
    """What has been written so far."""

    def __post_init__(self) -> None:
        self.atoms = self.instructions.atoms
        self.held = np.full((self.allocation.used, len(self.all)), NOTHING, dtype=np.int64)

    @cached_property
    def column(self) -> dict[str, int]:
        return {kind: k + 1 for k, kind in enumerate(sorted(self.instructions.atoms[ROLES].kinds))}

    @cached_property
    def all(self) -> tuple[int, ...]:
        return tuple(range(len(self.column) + 1))

    def fill(self, held: Indices, atom: Atom, columns: tuple[int, ...], sublayer: SublayerPlan | None = None) -> None:
        """New values come to empty slots."""
        self.only(held, atom, columns, [NOTHING], "allocate", f"writes {self.label(atom)}", sublayer)
        held[self.allocation.slots[atom][:, None], list(columns)] = code_of(atom, HELD)
        self.made.add(atom)

    def turn(self, atom: Atom, versions: Iterable[int], version: int) -> None:
        """From one of these versions, or from nothing, to `version` wherever the state lives, between sublayers; the
        rest token's stays as it is."""
        for column in self.where(atom):
            allowed = [NOTHING, *(code_of(atom, v) for v in ((HELD,) if column == REST else versions))]
            self.only(self.held, atom, (column,), allowed, "allocate", f"begins or ends a pass of {self.label(atom)}")
            self.held[self.allocation.slots[atom], column] = code_of(atom, HELD if column == REST else version)

    def only(
        self,
        held: Indices,
        atom: Atom,
        columns: tuple[int, ...],
        allowed: list[int],
        by: str,
        what: str,
        sublayer: SublayerPlan | None = None,
    ) -> None:
        """Whether an atom's slots hold nothing but what is allowed."""
        found = held[self.allocation.slots[atom][:, None], list(columns)]
        odd = found[~np.isin(found, allowed)]
        if odd.size:
            by = "schedule" if odd[0] // len(VERSIONS) == atom else by  # of slots, none are wrong there
            raise self.fault(by, f"{what}, whose slots hold {self.said(int(odd[0]))}", sublayer)

    def expect(
        self,
        held: Indices,
        form: LinearForm,
        columns: tuple[int, ...],
        sublayer: SublayerPlan | None = None,
        silent: bool = False,
    ) -> None:
        """Whether the form's atoms stand in their slots at these kinds of token, and nothing where they are 0.
        `silent`: and the rest token holds none of it."""
        for atom, matrix in form.parts:
            what = f"reads {self.label(atom)}"
            if atom not in self.allocation.slots:
                raise self.fault("allocate", f"{what}, which has no slots", sublayer)
            lives = self.where(atom)
            if silent and (matrix.csr[:, [0]].nnz if atom == ROLES else REST in lives):
                raise self.fault("schedule", f"{what}, which the rest token holds, too", sublayer)
            for column in (*columns, *((REST,) if silent and atom != ROLES else ())):
                by = "allocate" if atom in self.made else "schedule"
                wanted = code_of(atom, HELD) if column in lives else NOTHING
                self.only(held, atom, (column,), [wanted], by, f"{what} at {self.kind(column)}", sublayer)

    def fault(self, by: str, what: str, sublayer: SublayerPlan | None = None) -> InternalError:
        where = "the whole" if sublayer is None else f"sublayer {self.number} ({sublayer.side})"
        return InternalError(f"{by}: {where} {what}")

    # Names --------------------------------------------------------------------------------------

    def columns(self, kinds: Iterable[str]) -> tuple[int, ...]:
        return tuple(sorted(self.column[kind] for kind in kinds if kind in self.column))

    def where(self, atom: Atom) -> tuple[int, ...]:
        """The columns in which the atom may be other than 0."""
        info = self.atoms[atom]
        return (*((REST,) if info.rests or atom == ROLES else ()), *self.columns(info.kinds))

    def label(self, atom: Atom) -> str:
        return f"`{self.atoms[atom].label}`"

    def kind(self, column: int) -> str:
        return "the rest token" if column == REST else next(k for k, c in self.column.items() if c == column)

    def said(self, code: int) -> str:
        atom, version = divmod(code, len(VERSIONS))
        return "nothing" if code == NOTHING else self.label(atom) + VERSIONS[version]


def code_of(atom: Atom, version: int) -> int:
    return len(VERSIONS) * atom + version
