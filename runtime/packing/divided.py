"""Weights that devices share: each matrix of a sublayer in as many parts as there are devices.

    before   Parameters as packed
    after    the same with neurons, banks, slots that are read and slots that are written filled up with zeros to a
             multiple of the devices; and for each array the axis along which it is divided

XLA adds the products of the parts, so that sums have another order. All else stands whole on each device.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import numpy as np
from jax.sharding import PartitionSpec
from numpy.typing import NDArray

from .packed import (
    AttentionStep,
    BiasStep,
    Block,
    DeltaStep,
    IdleStep,
    LinearAttentionStep,
    LoopStep,
    MlpStep,
    Parameters,
    Spread,
    Step,
)

AXIS = "device"
"""The name of the mesh's axis."""
_BLOCK = {"rows": 0, "up": 1, "bias": 0, "weight": 0, "write": 0}
_READ = {AttentionStep: "qkv", LinearAttentionStep: "qkvc", DeltaStep: "packed"}


def divided(packed: Parameters, parts: int) -> Parameters:
    """Filled up to so many equal parts."""
    return replace(packed, steps=tuple(_filled(step, parts) for step in packed.steps))


def parts_of(packed: Parameters) -> Any:
    """A tree like the parameters', of PartitionSpecs."""
    return replace(_whole(packed), steps=tuple(map(_parts, packed.steps)))


def _axes(step: Step) -> dict[str, int]:
    """Along which axis each array of the step is divided. A head that reads or writes all slots has them whole."""
    match step:
        case MlpStep():
            return {"up": 1, "up_bias": 0, "down": 0}
        case AttentionStep() | LinearAttentionStep() | DeltaStep():
            read = {} if step.rows is None else {"rows": 0, _READ[type(step)]: 0}
            return read if step.spread.columns is None else {**read, "output": 1}
        case BiasStep() | IdleStep() | LoopStep():
            return {}


def _filled(step: Step, parts: int) -> Step:
    if isinstance(step, LoopStep):
        return replace(step, steps=tuple(_filled(one, parts) for one in step.steps))
    made: dict[str, Any] = {}
    for name, axis in _axes(step).items():
        gates = isinstance(step, MlpStep) and step.gated and name != "down"
        halves = np.split(getattr(step, name), 2 if gates else 1, axis)
        made[name] = np.concatenate([_full(half, axis, parts) for half in halves], axis)
    if isinstance(step, AttentionStep) and "rows" in made and step.norm is not None:
        norm = step.norm
        more = {name: _full(array, 0, parts) for name in ("gain", "bias") if (array := getattr(norm, name)) is not None}
        made["norm"] = norm._replace(**more)
    if "output" in made:
        made["spread"] = _full_spread(step.spread, parts)  # type: ignore[union-attr]
    if isinstance(step, MlpStep):
        made["blocks"] = tuple(
            Block(**{name: _full(getattr(block, name), axis, parts) for name, axis in _BLOCK.items()})
            for block in step.blocks
        )
    return replace(step, **made)


def _full_spread(spread: Spread, parts: int) -> Spread:
    """Nothing is added to the slots behind."""
    columns = np.asarray(spread.columns)
    more = -columns.size % parts
    return Spread(
        np.append(columns, columns[-1] + 1 + np.arange(more, dtype=columns.dtype)), np.pad(spread.bias, (0, more))
    )


def _full(array: NDArray[Any], axis: int, parts: int) -> NDArray[Any]:
    more = [(0, 0)] * array.ndim
    more[axis] = (0, -array.shape[axis] % parts)
    return np.pad(array, more)


def _parts(step: Step) -> Any:
    if isinstance(step, LoopStep):
        return replace(step, steps=tuple(map(_parts, step.steps)))
    made: dict[str, Any] = {name: _along(axis) for name, axis in _axes(step).items()}
    if isinstance(step, MlpStep):
        made["blocks"] = tuple(Block(**{name: _along(axis) for name, axis in _BLOCK.items()}) for _ in step.blocks)
    return replace(_whole(step), **made)


def _along(axis: int) -> PartitionSpec:
    return PartitionSpec(*(None,) * axis, AXIS)  # type: ignore[no-untyped-call]


def _whole(tree: Any) -> Any:
    return jax.tree.map(lambda _: PartitionSpec(), tree)  # type: ignore[no-untyped-call]
