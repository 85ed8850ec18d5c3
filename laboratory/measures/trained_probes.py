"""Probes that are trained: a network's readout, and a choice of tokens.

    v̂ = readout(Σ_t softmax(s)_t h_t)     s [tokens] learned, the readout linear, or two layers of 512 GELUs

The linear one is solved: for every s the best readout is a ridge regression, and L-BFGS goes over s. The network starts
as that line, z = gelu(z) − gelu(−z), beside neurons that see the pooled slots whitened, and Adam goes on: what it reads
beyond a line is not linear. From random weights and a uniform softmax it reads less than a line where most tokens are
noise (R² 0.87 for 1.00 in `test_the_pooled_probes_leave_out_what_is_noise`).

Source: Akyürek et al. 2022, §5, appendix E: "softmax over positions, then a linear or two-layer (512, GELU) readout".
At one token the sum is that token. `perceptron` and `pooled` are `fit`s for `probes.probed`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from innerloop.runtime.executables import compiled
from innerloop.runtime.surroundings import SEEDS, key, settled
from numpy.typing import NDArray
from scipy.optimize import minimize

from .distance import Floats
from .probes import Probe, fit, varying

HIDDEN = 512
STEPS, BATCH = 1000, 256
RATE = 2e-3
SHARP = 10.0
"""The scores are so many times their parameters: Adam moves them that much faster than a readout."""

RIDGE = 1e-6
"""Of slots in units of their deviation, while s is sought; the readout's own is chosen by held-out tasks."""

FLOOR = 1e-3
"""The least variance that whitening takes for one, of the largest."""

Reading = Callable[[NDArray[np.floating]], Floats]


def perceptron(stream: NDArray[np.floating], values: Floats, seed: int = 0) -> Reading:
    """The two-layer probe at one token: stream [tasks, d_model], values [tasks, k]."""
    probe = pooled(stream[:, None], values, HIDDEN, seed)
    return lambda other: probe(other[:, None])


def pooled(stream: NDArray[np.floating], values: Floats, hidden: int = 0, seed: int = 0) -> Reading:
    """The probe that chooses its tokens: stream [tasks, tokens, d_model]; a linear readout, or of `hidden` GELUs."""
    return several(stream, values, (hidden,), seed)[0]


def several(stream: NDArray[np.floating], values: Floats, sizes: Sequence[int], seed: int = 0) -> list[Reading]:
    """`pooled` for several sizes of the readout, whose line is solved once."""
    mean, deviation = stream.astype(np.float64).mean((0, 1)), stream.astype(np.float64).std((0, 1))
    vary = varying(mean, deviation)
    deviation = np.where(vary, deviation, 1.0)

    def slots(h: NDArray[np.floating]) -> Floats:
        return np.asarray(((h.astype(np.float64) - mean) / deviation)[..., vary])

    offset, scale = values.mean(0), np.where(values.std(0) > 0, values.std(0), 1.0)
    if not vary.any():
        return [lambda other: np.tile(offset, (len(other), 1))] * len(sizes)
    standard = (values - offset) / scale
    given = slots(stream)
    scores = choice(given, standard)
    line = fit(_mixed(scores, given), standard)

    def straight(other: NDArray[np.floating]) -> Floats:
        return np.asarray(line(_mixed(scores, slots(other))) * scale + offset)

    def bent(hidden: int) -> Reading:
        with settled("float32"):
            h, v = jnp.asarray(given, jnp.float32), jnp.asarray(standard, jnp.float32)
            start = _start(scores, line, _mixed(scores, given), hidden, key(seed))
            found = _descend(start, h, v, key((seed + 1) % SEEDS))

        def probe(other: NDArray[np.floating]) -> Floats:
            with settled("float32"):
                answers = _answer(found, jnp.asarray(slots(other), jnp.float32))
                return np.asarray(np.asarray(answers, np.float64) * scale + offset)

        return probe

    return [bent(hidden) if hidden else straight for hidden in sizes]


def choice(h: Floats, v: Floats) -> Floats:
    """The scores s [tokens] of the softmax from which a line reads most: h [tasks, tokens, slots], v [tasks, k].

    With a = softmax(s), G_tu = E h_t h_uᵀ and c_t = E h_t vᵀ, all centred, a line A leaves
        E ‖v‖² − tr(AᵀC)     (Σ a_t a_u G_tu + λ I) A = C = Σ a_t c_t
    whose slope in a_t is 2 tr(AᵀΣ_u a_u G_tu A) − 2 tr(Aᵀc_t). From a uniform softmax, and from the best token.
    """
    tasks, tokens, width = h.shape
    flat = (h - h.mean(0)).reshape(tasks, -1)
    gram = np.ascontiguousarray((flat.T @ flat / tasks).reshape(tokens, width, tokens, width).swapaxes(1, 2))
    cross = (flat.T @ (v - v.mean(0)) / tasks).reshape(tokens, width, -1)

    def left(scores: Floats) -> tuple[float, Floats]:
        a = _softmax(scores)
        beside = np.tensordot(a, gram, 1)
        both = np.tensordot(a, cross, 1)
        line = np.linalg.solve(np.tensordot(a, beside, 1) + RIDGE * np.eye(width), both)
        slope = 2 * ((beside @ line) * line).sum((1, 2)) - 2 * (cross * line).sum((1, 2))
        return -float((both * line).sum()), a * (slope - a @ slope)

    alone = SHARP * np.eye(tokens)
    starts = np.zeros(tokens), alone[int(np.argmin([left(one)[0] for one in alone]))] / 2
    ends = [minimize(left, start, jac=True, method="L-BFGS-B", options={"maxiter": 300}) for start in starts]
    return np.asarray(min(ends, key=lambda end: float(end.fun)).x)


def _softmax(scores: Floats) -> Floats:
    a = np.exp(scores - scores.max())
    return np.asarray(a / a.sum())


def _mixed(scores: Floats, h: Floats) -> Floats:
    return np.asarray(np.einsum("t,btd->bd", _softmax(scores), h))


def _start(scores: Floats, line: Probe, h: Floats, hidden: int, key: Any) -> dict[str, Any]:
    """The line, by two neurons for each component, and neurons of no output yet, N(0, 2/slots) of whitened slots: as
    many as components where so many are more than `hidden`."""
    width, size = line.weights.shape
    hidden = max(hidden, 3 * size)
    variances, basis = np.linalg.eigh(np.cov(h, rowvar=False).reshape(width, width))
    white = basis / np.sqrt(np.maximum(variances, FLOOR * variances.max()))
    away = white @ ((2 / width) ** 0.5 * np.asarray(jax.random.normal(key, (width, hidden - 2 * size)), np.float64))
    slope = line.weights / line.deviation[:, None]
    first = np.concatenate([slope, -slope, away], 1)
    second = np.zeros((hidden, size))
    second[:size], second[size : 2 * size] = np.eye(size), -np.eye(size)
    found = {"tokens": np.maximum(scores - scores.max(), -SHARP) / SHARP, "w0": first, "b0": -line.mean @ first,
             "w1": second, "b1": line.offset}  # fmt: skip
    return {name: jnp.asarray(value, jnp.float32) for name, value in found.items()}


def _answer(parameters: dict[str, Any], h: Any) -> Any:
    x = jnp.einsum("t,btd->bd", jax.nn.softmax(SHARP * parameters["tokens"]), h)
    return jax.nn.gelu(x @ parameters["w0"] + parameters["b0"]) @ parameters["w1"] + parameters["b1"]


@partial(compiled, donate_argnums=0)
def _descend(parameters: dict[str, Any], h: Any, v: Any, key: Any) -> dict[str, Any]:
    """Adam with a cosine on the mean squared error."""
    optimiser = optax.adam(optax.cosine_decay_schedule(RATE, STEPS))

    def loss(parameters: dict[str, Any], chosen: Any) -> Any:
        return jnp.square(_answer(parameters, h[chosen]) - v[chosen]).mean()

    def step(carry: Any, key: Any) -> tuple[Any, None]:
        parameters, state = carry
        chosen = jax.random.randint(key, (min(BATCH, h.shape[0]),), 0, h.shape[0])
        updates, state = optimiser.update(jax.grad(loss)(parameters, chosen), state, parameters)
        return (optax.apply_updates(parameters, updates), state), None

    (parameters, _), _ = jax.lax.scan(step, (parameters, optimiser.init(parameters)), jax.random.split(key, STEPS))
    return parameters
