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
from innerloop.artifact.signature import Signature
from innerloop.artifact.sparse import Matrix
from innerloop.artifact.weights import Weights

from .network import Known, Network
from .training.provenance import LIBRARIES, library_version


def described(model: Known) -> dict[str, Any]:
    """`digest`: of every number of it; two models of one digest are the same."""
    return _network(model) if isinstance(model, Network) else _weights(model)


def _weights(weights: Weights) -> dict[str, Any]:
    config, signature = weights.config, weights.signature
    count, full = weights.numbers()
    return {
        "in_words": in_words(weights),
        "program": signature.name,
        "parameters": _given(signature),
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


def _network(network: Network) -> dict[str, Any]:
    model, signature = network.model, network.signature
    count, full = network.numbers()
    found = hashlib.sha256(f"{signature.text}{model.variant}".encode())
    for name, value in sorted(model.parameters.items()):
        found.update(name.encode() + np.asarray(value).tobytes())
    return {
        "in_words": in_words(network),
        "program": signature.name,
        "parameters": _given(signature),
        "architecture": architecture(network),
        "dtype": model.config.dtype,
        "layers": model.layers,
        "width": model.width,
        "numbers": count,
        "nonzero": full,
        "trained_on": network.trained,
        "digest": found.hexdigest()[:16],
    }


def _given(signature: Signature) -> dict[str, Any]:
    return {name: np.asarray(value).tolist() for name, value in signature.parameters.items()}


def in_words(model: Known) -> str:
    """gradient_descent_dual(d = 3, steps = 1, rate = 0.6) on lsa, trained or compiled."""
    if isinstance(model, Network):
        return f"{model.model.variant}, on the tokens of {model.signature.name}, trained"
    given = ", ".join(f"{name} = {brief(value)}" for name, value in model.signature.parameters.items())
    how = "trained" if model.report.trained else "compiled"
    return f"{model.signature.name}({given}) on {model.config.target}, {how}"


def architecture(model: Known) -> str:
    if isinstance(model, Network):
        return model.model.kind.replace("_", " ")
    return _of_weights(model)


def sizes(model: Known) -> dict[str, str]:
    """What a reader wants to know of it, in words."""
    layers, width, heads = (
        (model.model.layers, model.model.width, "–")
        if isinstance(model, Network)
        else (model.config.n_layer, model.config.d_model, str(model.config.n_head))
    )
    count, full = model.numbers()
    return {
        "program": model.signature.name,
        "architecture": architecture(model),
        "layers": str(layers),
        "width": str(width),
        "heads": heads,
        "parameters": f"{count:,}",
        "of which not 0": f"{full:,}",
    }


def _of_weights(weights: Weights) -> str:
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
