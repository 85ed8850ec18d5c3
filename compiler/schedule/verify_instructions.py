"""Verification of the instructions between two loops: each is done once, and what is written to states is what they
say.

instructions                            sublayers
g = mean of e                    4 attention   g = mean of e → w += −0.1 · it
w changes by −0.1 g + 0.2 w      5 mlp         0.2 w → w += it                       together: the change, as it is
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from innerloop.artifact.errors import InternalError
from innerloop.artifact.sparse import Matrix

from .instructions import Atom, AtomInfo, Instruction, LinearForm
from .sublayers import Placed, SublayerPlan, Write

Loop = TypeVar("Loop")


def split(items: Iterable[Any], loop: type[Loop]) -> tuple[list[list[Any]], list[Loop]]:
    """What stands between the loops of a block, and they."""
    between: list[list[Any]] = [[]]
    loops: list[Loop] = []
    for item in items:
        if isinstance(item, loop):
            loops.append(item)
            between.append([])
        else:
            between[-1].append(item)
    return between, loops


def verify_instructions(
    run: list[SublayerPlan],
    segment: list[Instruction],
    starts: set[Atom],
    changes: Mapping[Atom, LinearForm],
    atoms: Sequence[AtomInfo],
) -> None:
    """The instructions of a segment, of which those that make `starts` fill the states of its block's loops; `changes`
    are those of the block's own states. Raises InternalError."""
    placed = [p for sublayer in run for p in sublayer.placed]
    made = [p.instruction for p in placed if p.makes]
    for instruction in [t for t in segment if t.out not in starts] + made:
        if sum(instruction is m for m in made) != 1 or sum(instruction is t for t in segment) != 1:
            raise InternalError(
                f"schedule: what makes `{atoms[instruction.out].label}` does not stand once in its segment"
            )
    wanted = {**changes, **{t.out: t.reads[0] for t in segment if t.out in starts}}
    written: dict[Atom, list[tuple[Atom, Matrix]]] = {}
    for p in placed:
        for write in p.writes:
            written.setdefault(write.atom, []).extend(_parts(p, write))
            if not p.instruction.kinds <= atoms[write.atom].kinds or (p.makes and atoms[p.instruction.out].rests):
                raise InternalError(
                    f"schedule: `{atoms[p.instruction.out].label}` is written to `{atoms[write.atom].label}` where "
                    "that is not"
                )
    for atom in wanted.keys() | written.keys():
        size = atoms[atom].size
        if LinearForm.of(size, written.get(atom, ())) != LinearForm.of(
            size, wanted[atom].parts if atom in wanted else ()
        ):
            raise InternalError(f"schedule: what is written to `{atoms[atom].label}` is not its start or its change")


def _parts(placed: Placed, write: Write) -> list[tuple[Atom, Matrix]]:
    """What a write adds, as parts of a form."""
    if placed.makes:
        return [(placed.instruction.out, write.matrix)]
    return list(placed.instruction.reads[0].through(write.matrix).parts)
