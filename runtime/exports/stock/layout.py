"""layout.json: where an exported model's residual stream holds every variable of its program, and how to change it.

before   weights, and which writes are followed as the program says (followed.py)
after    the entries of layout.json, and the matrices of layout.safetensors that they name

docs/exports.md says what each entry means. Points of the stream are "embedding", "attention.n" and "mlp.n": after the
embedding, and after what that sublayer of layer n added.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from innerloop.artifact.appearances import Appearance, appearances
from innerloop.artifact.claims import Placement
from innerloop.artifact.tokens import role_kinds
from innerloop.artifact.weights import Weights

from ..tensors import Tensor, dense
from .followed import Errors

VERSION = 1


def layout(weights: Weights, errors: Errors, constant: list[int]) -> tuple[dict[str, Any], list[Tensor]]:
    """Variables in order of appearance; `errors`: the writes that are right; `constant`: slots (constants.py)."""
    every, tensors = appearances(weights), list[Tensor]()
    variables: dict[str, dict[str, Any]] = {}
    for number, placement in sorted(enumerate(weights.layout), key=lambda pair: pair[1].first):
        variable = variables.setdefault(
            placement.name, {"name": placement.name, "shape": list(placement.shape), "places": []}
        )
        read = f"{number}.read"
        tensors.append(Tensor(read, placement.matrix.shape, partial(dense, placement.matrix)))
        writes = []
        for index, write in enumerate(placement.writes):
            if (number, index) in errors:
                name = f"{number}.write.{index}"
                tensors.append(Tensor(name, write.matrix.shape, partial(dense, write.matrix)))
                writes.append(
                    {
                        "roles": _roles(weights, write.kinds),
                        "matrix": name,
                        "from": placement.changed_from,
                        "error": float(f"{errors[number, index]:.2g}"),
                    }
                )
        variable["places"].append(
            {
                "when": placement.when,
                "roles": _roles(weights, placement.kinds),
                "read": read,
                "write": writes,
                "also": _along(weights, placement, [index for n, index in errors if n == number]),
                "held": [_held(a) for a in every if a.number == number],
            }
        )
    found = {
        "format": "innerloop layout",
        "version": VERSION,
        "program": weights.signature.name,
        "roles": list(weights.roles),
        "layers": weights.config.n_layer,
        "width": weights.config.d_model,
        "constant": constant,
        "variables": list(variables.values()),
    }
    return found, tensors


def point(sublayer: int) -> str:
    """Of a sublayer of the run, from 0; −1 is the embedding."""
    return "embedding" if sublayer < 0 else f"{('attention', 'mlp')[sublayer % 2]}.{sublayer // 2}"


def _held(one: Appearance) -> dict[str, Any]:
    return {
        "points": [point(k) for k in range(one.first, one.last + 1)],
        "write": point(one.write) if one.write >= 0 else None,
        "turn": one.turn,
        "later": one.back if one.turn is None else None,
    }


def _roles(weights: Weights, kinds: frozenset[str]) -> list[int]:
    return [role for role, kind in enumerate(role_kinds(weights.signature.pattern)) if kind in kinds]


def _along(weights: Weights, placement: Placement, told: list[int]) -> list[str]:
    """Other variables that are read from what a write of this one changes, while it is held."""
    found = []
    for other in weights.layout:
        together = other.first <= placement.last and placement.first <= other.last
        moved = any(
            np.any((placement.writes[index].matrix @ other.matrix).csr.data)
            for index in told
            if placement.writes[index].kinds & other.kinds
        )
        if together and moved and other.name != placement.name:
            found.append(other.name)
    return list(dict.fromkeys(found))
