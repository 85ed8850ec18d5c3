"""Probes that are trained: a network's readout, and a choice of tokens.

    v̂ = readout(Σ_t softmax(s)_t h_t)     s [tokens] learned, the readout linear, or two layers of 512 GELUs

Source: Akyürek et al. 2022, §5: "softmax over positions, then a linear or two-layer (512, GELU) readout". At one token
the sum is that token. `perceptron` and `pooled` are `fit`s for `probes.probed`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from innerloop.runtime.executables import compiled
from innerloop.runtime.surroundings import SEEDS, key, settled
from numpy.typing import NDArray

from .distance import Floats
from .probes import varying

HIDDEN = 512
STEPS, BATCH = 600, 256
RATES = {True: 2e-3, False: 2e-2}
"""With hidden neurons, and of a linear readout."""


def perceptron(stream: NDArray[np.floating], values: Floats, seed: int = 0) -> Callable[[NDArray[np.floating]], Floats]:
    """The two-layer probe at one token: stream [tasks, d_model], values [tasks, k]."""
    probe = _train(stream[:, None], values, HIDDEN, seed)
    return lambda other: probe(other[:, None])


def pooled(
    stream: NDArray[np.floating], values: Floats, hidden: int = 0, seed: int = 0
) -> Callable[[NDArray[np.floating]], Floats]:
    """The probe that chooses its tokens: stream [tasks, tokens, d_model]; a linear readout, or of `hidden` GELUs."""
    return _train(stream, values, hidden, seed)


def _train(
    stream: NDArray[np.floating], values: Floats, hidden: int, seed: int
) -> Callable[[NDArray[np.floating]], Floats]:
    """Adam with a cosine on the mean squared error of standardised values from standardised slots."""
    mean, deviation = stream.astype(np.float64).mean((0, 1)), stream.astype(np.float64).std((0, 1))
    vary = varying(mean, deviation)
    deviation = np.where(vary, deviation, 1.0)
    offset, scale = values.mean(0), np.where(values.std(0) > 0, values.std(0), 1.0)

    def slots(h: NDArray[np.floating]) -> Any:
        return jnp.asarray(np.where(vary, (h - mean) / deviation, 0.0), jnp.float32)

    with settled("float32"):
        h, v = slots(stream), jnp.asarray((values - offset) / scale, jnp.float32)
        start = _start(h.shape[1], h.shape[2], hidden, v.shape[1], key(seed))
        found = _descend(start, h, v, key((seed + 1) % SEEDS))

    def probe(other: NDArray[np.floating]) -> Floats:
        with settled("float32"):
            return np.asarray(np.asarray(_answer(found, slots(other)), np.float64) * scale + offset)

    return probe


def _start(tokens: int, width: int, hidden: int, size: int, key: Any) -> dict[str, Any]:
    """A linear readout starts at 0, a network's first layer at He's N(0, 2/inputs)."""
    sizes = [width, hidden, size] if hidden else [width, size]
    found: dict[str, Any] = {"tokens": jnp.zeros(tokens)}
    for layer, (inputs, outputs) in enumerate(pairwise(sizes)):
        scale = (2 / inputs) ** 0.5 if layer < len(sizes) - 2 else 0.0
        found[f"w{layer}"] = scale * jax.random.normal(jax.random.fold_in(key, layer), (inputs, outputs))
        found[f"b{layer}"] = jnp.zeros(outputs)
    return found


def _answer(parameters: dict[str, Any], h: Any) -> Any:
    x = jnp.einsum("t,btd->bd", jax.nn.softmax(parameters["tokens"]), h)
    x = x @ parameters["w0"] + parameters["b0"]
    return x if "w1" not in parameters else jax.nn.gelu(x) @ parameters["w1"] + parameters["b1"]


@partial(compiled, donate_argnums=0)
def _descend(parameters: dict[str, Any], h: Any, v: Any, key: Any) -> dict[str, Any]:
    optimiser = optax.adam(optax.cosine_decay_schedule(RATES["w1" in parameters], STEPS))

    def loss(parameters: dict[str, Any], chosen: Any) -> Any:
        return jnp.square(_answer(parameters, h[chosen]) - v[chosen]).mean()

    def step(carry: Any, key: Any) -> tuple[Any, None]:
        parameters, state = carry
        chosen = jax.random.randint(key, (min(BATCH, h.shape[0]),), 0, h.shape[0])
        updates, state = optimiser.update(jax.grad(loss)(parameters, chosen), state, parameters)
        return (optax.apply_updates(parameters, updates), state), None

    (parameters, _), _ = jax.lax.scan(step, (parameters, optimiser.init(parameters)), jax.random.split(key, STEPS))
    return parameters
