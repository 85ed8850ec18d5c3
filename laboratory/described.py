"""What was compared, in facts: of weights, and of what computed.

Weights   →   {"program": "gradient_descent_dual", "parameters": {"d": 3, "rate": 0.6}, "target": "lsa", "layers": 1, …}
"""

from __future__ import annotations

import hashlib
import platform
from typing import Any

import numpy as np
from innerloop.artifact.contents import brief
from innerloop.artifact.folders.storage import parts_of
from innerloop.artifact.parts import Mlp
from innerloop.artifact.sparse import Matrix
from innerloop.artifact.weights import Weights

from .training.provenance import LIBRARIES, library_version


def described(weights: Weights) -> dict[str, Any]:
    """`digest`: of every number of the weights; two weights of one digest are the same."""
    config, signature = weights.config, weights.signature
    count, full = weights.numbers()
    return {
        "in_words": in_words(weights),
        "program": signature.name,
        "parameters": {name: np.asarray(value).tolist() for name, value in signature.parameters.items()},
        "target": config.target,
        "architecture": architecture(weights),
        "dtype": config.dtype,
        "layers": config.n_layer,
        "width": config.d_model,
        "heads": config.n_head,
        "numbers": count,
        "nonzero": full,
        "trained_on": weights.report.trained,
        "digest": digest(weights),
    }


def in_words(weights: Weights) -> str:
    """gradient_descent_dual(d = 3, steps = 1, rate = 0.6) on lsa, trained or compiled."""
    given = ", ".join(f"{name} = {brief(value)}" for name, value in weights.signature.parameters.items())
    how = "trained" if weights.report.trained else "compiled"
    return f"{weights.signature.name}({given}) on {weights.config.target}, {how}"


def architecture(weights: Weights) -> str:
    config = weights.config
    some = config.d_mlp > 1 and any(isinstance(item, Mlp) for item in weights.sublayers())
    neurons = f"{config.activation} MLPs" if some else "no MLP"
    return f"{config.target}: {config.attention} attention, {neurons}"


def digest(weights: Weights) -> str:
    found = hashlib.sha256(weights.signature.text.encode())
    for name, part in sorted(parts_of(weights).items()):
        of = (part.csr.indptr, part.csr.indices, part.csr.data) if isinstance(part, Matrix) else (part,)
        found.update(name.encode() + b"".join(np.ascontiguousarray(each).tobytes() for each in of))
    return found.hexdigest()[:16]


def versions() -> dict[str, str]:
    """Of innerloop, Python and the libraries that compute."""
    names = "innerloop", *LIBRARIES, "scipy", "matplotlib"
    return {"python": platform.python_version()} | {name: library_version(name) for name in names}
