"""Residue: what a slot still holds as something new is written there, which is rounded at the size of both.

    slot 5   u, cleared in sublayer 3      the sum u + (S − u) rounds at the size of u,
             S, born in sublayer 3         however small S is on these data

allocate.py lets slots go over in this way where the ranges are alike; on some data they may not be. Where neurons pass
a value on with rounding (in 16 bits, without gates), a slot that was cleared long ago still holds what that left.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from innerloop.artifact.arrays import Indices

from ..ir.graph import Affine, Field, Graph, Loop, Value
from ..schedule.allocate import Allocation
from ..schedule.instructions import Atom, Block, Instruction, InstructionLoop
from ..schedule.sublayers import Schedule


@dataclass(frozen=True)
class Residue:
    """Components `at` of a value are written where those of another stood, `those`: `most` is the largest that these
    can be, `value` which they are of (None: of none of the graph's)."""

    at: Indices
    those: Indices
    value: Value | None
    most: float


def residues(
    graph: Graph, schedule: Schedule, allocation: Allocation, clears_leave: bool
) -> dict[Value, tuple[Residue, ...]]:
    """What each value of the graph is written over; `clears_leave`: or what clearing left in its slots, too."""
    atoms = schedule.instructions.atoms
    made = dict(_made(schedule.instructions.block))
    fields = {op.name: v for v in graph.values() if isinstance(op := graph[v].op, Field)}
    made |= {atom: fields[name] for name, atom in schedule.instructions.fields.items()}
    found: dict[Value, list[Residue]] = {value: [] for value in made.values()}
    for atom, value in made.items():
        for other, at, those in stood_before(allocation, atom):
            late = allocation.lifetimes[other].clear == allocation.lifetimes[atom].birth
            if (late or clears_leave) and atoms[other].kinds & atoms[atom].kinds:
                found[value].append(Residue(at, those, made.get(other), float(atoms[other].magnitude.max())))
    for loop, task in _loops(graph, schedule):
        for carried, state in zip(loop.carried, task.states, strict=True):
            node = graph[carried.result]
            if not (isinstance(node.op, Affine) and carried.phi in node.operands):
                every, most = np.arange(node.size), float(atoms[state.atom].magnitude.max())
                found.setdefault(carried.result, []).append(Residue(every, every, carried.phi, most))
    return {value: tuple(some) for value, some in found.items() if some}


def stood_before(allocation: Allocation, atom: Atom) -> Iterator[tuple[Atom, Indices, Indices]]:
    """What was cleared out of an atom's slots by the time it is born, at which of its components, and which of that."""
    born = allocation.lifetimes[atom].birth if atom in allocation.lifetimes else -1
    for other, slots in allocation.slots.items() if born >= 0 else ():
        clear = allocation.lifetimes[other].clear
        if clear is not None and clear <= born:
            _, at, those = np.intersect1d(allocation.slots[atom], slots, assume_unique=True, return_indices=True)
            if at.size:
                yield other, at, those


def _made(block: Block) -> Iterator[tuple[Atom, Value]]:
    for item in block:
        if isinstance(item, InstructionLoop):
            yield from _made(item.body)
        elif isinstance(item, Instruction) and item.value is not None:
            yield item.out, item.value


def _loops(graph: Graph, schedule: Schedule) -> Iterator[tuple[Loop, InstructionLoop]]:
    """The graph's loops as they were lowered, in order of appearance."""

    def lowered(block: Block) -> Iterator[InstructionLoop]:
        for item in block:
            if isinstance(item, InstructionLoop):
                yield item
                yield from lowered(item.body)

    return zip(graph.loops(), lowered(schedule.instructions.block), strict=True)
