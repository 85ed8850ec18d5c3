"""The embedding: what stands in the stream before the first sublayer."""

from __future__ import annotations

from typing import assert_never

import numpy as np
from innerloop.artifact.arrays import Floats
from innerloop.artifact.features import FeatureLayout
from innerloop.artifact.memory import spend
from innerloop.artifact.sparse import Matrix

from ..architectures.learned_positions import counts, digits, log_counts
from ..ir.positional import Angles, Count
from ..numerics.position_angles import angles
from ..schedule.instructions import ROLES
from .backend import Backend
from .learned_heads import scale_of
from .residual_stream import Stream

TABLES = 3
"""Of positions: as it is filled, with the norm's constants, and rounded."""


def embed(backend: Backend, stream: Stream) -> tuple[Matrix, Floats]:
    """features @ embedding + positions: roles, fields, constant starts; constants of the norm, position codes,
    counts. Raises MemoryLimitError."""
    instructions, signature = backend.schedule.instructions, backend.signature
    layout = FeatureLayout.of(signature)
    what = f"the embeddings of {backend.n_positions:,} positions {stream.width:,} wide"
    mend = f"compile {signature.name} with smaller sizes, or for fewer tokens"
    spend(8 * TABLES * backend.n_positions * stream.width, what, mend)
    table = np.zeros((backend.n_positions, stream.width))
    scale = scale_of(backend.n_positions)
    place = np.arange(backend.n_positions) / scale
    if stream.positioned:
        table[:, stream.position], table[:, stream.position + 1] = place, place**2
    if stream.digits:
        table[:, stream.digit : stream.digit + stream.digits] = digits(backend.n_positions)
    rows, columns, values = [np.arange(layout.roles)], [stream.roles], [stream.unit[stream.roles]]

    def put(row: object, column: object, value: object) -> None:
        r, c, v = np.broadcast_arrays(row, column, value)  # type: ignore[arg-type]
        rows.append(r.ravel())
        columns.append(c.ravel())
        values.append(v.ravel())

    for number, key in enumerate(backend.tables):
        rule = backend.targets[key]
        assert rule.table is not None
        first = stream.table + number * backend.positions.codes
        table[:, first : first + backend.positions.codes] = backend.positions.coded(rule.table)
    for op, atom in instructions.counts.items():
        if atom not in backend.allocation.slots:
            continue
        match op:
            case Angles(count):
                table[1:, stream.slots(atom)] = angles(np.arange(1, backend.n_positions), count)
            case Count(kind, none):
                found = counts(signature.pattern, kind, backend.n_positions, none)
                assert found is not None  # who made the count has asked
                table[:, stream.slots(atom)[0]] = found[0]
                put(np.arange(layout.roles), stream.slots(atom)[0], found[1])
            case other:
                assert_never(other)
    for kind, atom in instructions.log_counts.items():
        logs = log_counts(signature.pattern, kind, backend.n_positions)
        assert logs is not None  # passes.py has asked
        table[:, stream.slots(atom)[0]] = logs
    rows_of = {ROLES: 0}
    for name, held in layout.fields.items():
        if name in instructions.fields:
            atom = instructions.fields[name]
            rows_of[atom] = held.start
            if atom in backend.allocation.slots:
                put(np.arange(held.start, held.stop), stream.slots(atom), 1.0)
    for atom in backend.allocation.slots:
        start = instructions.atoms[atom].start
        for given, matrix in start.parts if start is not None else ():
            coo = matrix.csr.tocoo()
            put(rows_of[given] + coo.col, stream.slots(atom)[coo.row], coo.data)
    if stream.balanced:
        table[:, stream.balance] = -table.sum(axis=1, keepdims=True) / stream.balances
    constants = stream.norm_pattern * stream.constants.scale
    matrix = stream.balanced_write(
        Matrix.of(np.concatenate(rows), np.concatenate(columns), np.concatenate(values), (layout.size, stream.width))
    )
    # They are balanced by themselves, and so large that a sum with them holds nothing of what is small.
    if backend.positions.tabled:
        return matrix, table + constants
    slots, roles = np.flatnonzero(constants), np.arange(layout.roles)
    where = np.repeat(roles, slots.size), np.tile(slots, roles.size)
    return matrix + Matrix.of(*where, np.tile(constants[slots], roles.size), matrix.shape), table
