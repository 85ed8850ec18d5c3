"""Weights to save, and folders to damage."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from innerloop.artifact.arrays import Dtype
from innerloop.artifact.claims import Placement
from innerloop.artifact.folders import storage
from innerloop.artifact.sparse import Matrix
from innerloop.artifact.weights import Weights
from safetensors.numpy import save_file

from tests.support.random_weights import tree

LLAMA: dict[str, Any] = {
    "activation": "silu", "norm": "rmsnorm", "positions": "rotary", "n_kv_head": 2, "rope_theta": 1e15,
}  # fmt: skip


def vars_of(value: Any) -> Any:
    """A tree of plain values that NumPy compares, NaN equal to NaN."""
    if isinstance(value, Matrix):
        return value.csr.toarray()
    if hasattr(value, "__dataclass_fields__"):
        return {name: vars_of(getattr(value, name)) for name in value.__dataclass_fields__}
    if isinstance(value, tuple):
        return [vars_of(item) for item in value]
    return value


def put(folder: Path, tensors: dict[str, Any]) -> None:
    """Writes other tensors, with a right checksum."""
    save_file(tensors, folder / storage.TENSORS)
    digest = storage._digest((folder / storage.TENSORS).read_bytes())
    rewrite(folder, lambda entries: entries["checksums"].update({storage.TENSORS: digest}))


def whole(dtype: Dtype = "float32") -> Weights:
    """A tree with loops, a layout, and parameters of every type."""
    weights = tree(4, dtype=dtype)
    w = Matrix.of([3, 5], [0, 1], [1.0, -1 / 3], (16, 2))
    layout = (
        Placement("w", (2,), frozenset({"x", "y"}), w, -1, 5, np.array([-1 / 3, -7.0]), np.array([0.1, 9.5])),
        Placement("s", (), frozenset({"y"}), Matrix.of([7], [0], [2.0], (16, 1)), 3, 3, np.zeros(1), np.ones(1)),
    )
    bound: dict[str, object] = {"d": 3, "rate": 0.1, "known": np.arange(6.0).reshape(2, 3) / 7}
    signature = replace(weights.signature, parameters=bound, text="# Größe\r\nprogram random(d)\n")
    report = replace(weights.report, measured_error=float("nan"))
    return replace(weights, layout=layout, signature=signature, report=report)


def rewrite(folder: Path, change: Any) -> None:
    """Changes config.json and gives it a right checksum: the fault itself has to be found."""
    path = folder / storage.CONFIG
    entries = json.loads(path.read_text())
    change(entries)
    entries["checksums"][storage.CONFIG] = storage._digest(entries)
    path.write_text(json.dumps(entries))
