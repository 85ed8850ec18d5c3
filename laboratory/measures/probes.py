"""Linear probes: what of a compiled program's values can be read from a residual stream, and after which layer.

    stream [1 + layers, tasks, d_model] at a token, values [tasks, k] of a variable   →   R² on held-out tasks by layer

A probe is v̂ = (h − μ)/σ @ A + b, with A by ridge regression in closed form and λ by a fifth of the training
tasks (Akyürek et al. 2022, §5; Alain and Bengio 2016). A slot that does not vary is left out. The control is the
same probe on the values of other tasks, shuffled once for all layers: what it reaches, a probe reaches by its size
alone (Hewitt and Liang 2019).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from innerloop.artifact.errors import DataError
from numpy.typing import NDArray

from .distance import Fields, Floats
from .subject import Subject

RIDGES = (1e-10, 1e-8, 1e-6, 1e-4, 1e-3, 1e-2, 1e-1)
"""Of slots in units of their deviation."""

HELD = 0.999
"""The R² at which a value is held."""


@dataclass(frozen=True)
class Probe:
    """v̂ = (h − mean) / deviation @ weights + offset: mean, deviation [d_model], weights [d_model, k], offset [k].
    Slots that do not vary have weight 0."""

    mean: Floats
    deviation: Floats
    weights: Floats
    offset: Floats

    def __call__(self, stream: NDArray[np.floating]) -> Floats:
        """[tasks, d_model] → [tasks, k]."""
        return np.asarray((stream.astype(np.float64) - self.mean) / self.deviation @ self.weights + self.offset)


@dataclass(frozen=True)
class ProbeTarget:
    """A variable's final value at one token: values [tasks, k]; `held` [1 + layers]: where the layout holds it."""

    name: str
    token: int
    values: Floats
    held: NDArray[np.bool_]

    @property
    def first(self) -> int:
        """The first layer after which the layout holds it."""
        return int(np.flatnonzero(self.held)[0])


@dataclass(frozen=True)
class Curve:
    """R² on held-out tasks after each layer, from 0, the embedding: score, control [1 + layers]; of the first, task by
    task, `left` ‖v − v̂‖² [held out, 1 + layers] and `whole` ‖v − v̄‖² [held out]."""

    model: str
    variable: str
    kind: str
    score: Floats
    control: Floats
    left: Floats
    whole: Floats


def target(compiled: Subject, fields: Fields, name: str, token: int | None = None) -> ProbeTarget:
    """The value of `name` after the last layer that holds it, at `token` of the data (None: the last that ever does).

    Raises InnerloopError for a name that the compiled stream does not hold after any layer at that token."""
    return targets(compiled, fields, name)(token)


def targets(compiled: Subject, fields: Fields, name: str) -> Callable[[int | None], ProbeTarget]:
    """`target` at any token, from one trace. Raises InnerloopError for a name that the trace does not have."""
    trace = compiled.trace(fields)[name]
    trace = trace.reshape(*trace.shape[:3], -1).astype(np.float64)
    there = np.asarray(~np.isnan(trace).any((1, 3)))  # [layers, tokens]
    largest = max(np.abs([p.low, p.high]).max() for p in compiled.weights.layout if p.name == name)

    def at(token: int | None) -> ProbeTarget:
        chosen = max(np.flatnonzero(there.any(0)), default=-1) if token is None else token
        place = int(chosen % trace.shape[2])
        layers = np.flatnonzero(there[:, place])
        if not layers.size:
            raise DataError(f"the compiled stream holds no `{name}` at token {place} after any layer")
        values = trace[layers[-1], :, place]
        if values.std(0).max() <= 1e-5 * largest:
            raise DataError(f"`{name}` is the same in every task at token {place}: nothing to probe for")
        held = np.zeros(1 + len(trace), bool)
        for layer in layers:
            held[1 + layer] = r_squared(trace[layer, :, place], values) > 1 - 1e-4
        return ProbeTarget(name, place, values, held)

    return at


def fit(stream: NDArray[np.floating], values: Floats) -> Probe:
    """The probe for values [tasks, k] from stream [tasks, d_model]. Raises DataError for fewer than ten tasks."""
    return fits(stream, [values])[0]


def fits(stream: NDArray[np.floating], several: Sequence[Floats]) -> list[Probe]:
    """`fit` for each of several values, at little more than the cost of one."""
    for values in several:
        if len(stream) != len(values) or len(stream) < 10:
            raise DataError(
                f"a probe needs as many streams as values, 10 at least: got {len(stream)} and {len(values)}"
            )
    cut = len(stream) - len(stream) // 5
    some, every = _solver(stream[:cut]), _solver(stream)
    found = []
    for values in several:
        tried = some(values[:cut])
        scores = [r_squared(tried(ridge)(stream[cut:]), values[cut:]) for ridge in RIDGES]
        found.append(every(values)(RIDGES[int(np.argmax(scores))]))
    return found


def _solver(stream: NDArray[np.floating]) -> Callable[[Floats], Callable[[float], Probe]]:
    """Ridge regression of any values with any λ, (V Λ Vᵀ + λ I)⁻¹ from one V Λ Vᵀ of the slots that vary."""
    h = stream.astype(np.float64)
    mean, deviation = h.mean(0), h.std(0)
    vary = varying(mean, deviation)
    deviation = np.where(vary, deviation, 1.0)
    z = ((h - mean) / deviation)[:, vary]
    scales, basis = np.linalg.eigh(z.T @ z / len(z))
    scales = np.maximum(scales, 0.0)[:, None]

    def of(values: Floats) -> Callable[[float], Probe]:
        offset = values.mean(0)
        within = basis.T @ (z.T @ (values - offset) / len(z))

        def with_ridge(ridge: float) -> Probe:
            weights = np.zeros((len(vary), values.shape[1]))
            weights[vary] = basis @ (within / (scales + ridge))
            return Probe(mean, deviation, weights, offset)

        return with_ridge

    return of


def varying(mean: Floats, deviation: Floats) -> NDArray[np.bool_]:
    """Which slots vary: of the others the deviation is rounding."""
    return np.asarray(deviation > 1e-6 * np.abs(mean))


def r_squared(found: Floats, values: Floats) -> float:
    """1 − Σ‖v − v̂‖² / Σ‖v − v̄‖² over tasks and components: [tasks, k] each."""
    return float(1 - ((values - found) ** 2).sum() / ((values - values.mean(0)) ** 2).sum())


Fit = Callable[[NDArray[np.floating], Floats], Callable[[NDArray[np.floating]], Floats]]
"""(stream [tasks, …], values [tasks, k]) → a probe: stream → values."""


def learnt_from(count: int) -> int:
    """Of so many tasks how many a probe learns from; the last quarter is held out."""
    return count - count // 4


def probed(
    stream: NDArray[np.floating], values: Floats, model: str, variable: str, kind: str = "linear", by: Fit = fit,
    seed: int = 0,
) -> Curve:  # fmt: skip
    """R² of a probe for `values` [tasks, k] and of its control after each layer: stream [1 + layers, tasks, …]. The
    last quarter of the tasks is held out.

    Raises DataError for too few tasks."""
    cut = learnt_from(len(values))
    order = np.random.default_rng(seed).permutation(len(values))
    others = values[order]

    def held_out(layer: NDArray[np.floating], wanted: Floats) -> tuple[float, Floats]:
        found = by(layer[:cut], wanted[:cut])(layer[cut:])
        return r_squared(found, wanted[cut:]), ((wanted[cut:] - found) ** 2).sum(1)

    scores, left = zip(*(held_out(layer, values) for layer in stream), strict=True)
    controls = np.array([held_out(layer, others)[0] for layer in stream])
    whole = ((values[cut:] - values[cut:].mean(0)) ** 2).sum(1)
    return Curve(model, variable, kind, np.array(scores), controls, np.stack(left, 1), whole)
