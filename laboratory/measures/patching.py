"""Activation patching: another value put into the stream, and whether the prediction follows.

    h' = h + (v* − v̂(h)) W    at one token after one layer, W [k, d_model] the directions that hold the value

    Δŷ = ŷ(h') − ŷ(h)      Δ* = what v* implies: the same patch in the compiled model, whose layout is known
    explained = 1 − Σ (Δŷ − Δ*)² / Σ Δ*²          slope = Σ Δŷ Δ* / Σ Δ*²

Both are 1 where the prediction follows and 0 where it does not move. v* are the values of other tasks. The directions
are the layout's, where it is known; otherwise a linear probe's, along which alone h changes (the least change of
h, slots in units of their deviation, after which the probe reads v*), or the probe's pattern Cov(v, h), which takes
along what goes with the value in the data (Haufe et al. 2014). Source: Vig et al. 2020; Geiger et al. 2021.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from innerloop.artifact.claims import Placement
from innerloop.artifact.errors import DataError
from innerloop.artifact.weights import Weights
from innerloop.runtime.trace import ends
from numpy.typing import NDArray

from .distance import Fields, Floats
from .probes import Probe, ProbeTarget, fit, r_squared, varying
from .subject import Subject

READS = 0.1
"""The R² on held-out tasks below which a probe reads nothing."""


@dataclass(frozen=True)
class Patch:
    """What followed a patch after each layer from 0, the embedding: explained, slope [layers]; NaN where the probe
    reads nothing, so that there is no direction to patch. Task by task, `left` (Δŷ − Δ*)² [tasks, layers] and `whole`
    Δ*² [tasks]."""

    model: str
    variable: str
    directions: str
    explained: Floats
    slope: Floats
    left: Floats
    whole: Floats


def placed(weights: Weights, name: str, layer: int, kind: str) -> Placement:
    """Where the layout holds `name` after `layer`, at tokens of `kind`. Raises DataError where it does not."""
    done = ends(weights)
    for placement in weights.layout:
        here = layer > 0 and placement.first <= done[layer - 1] <= placement.last
        if here and placement.name == name and kind in placement.kinds:
            return placement
    raise DataError(f"the layout holds no `{name}` at `{kind}` after layer {layer}")


def layout_change(placement: Placement, stream: NDArray[np.floating], wanted: Floats) -> Floats:
    """The change [tasks, d_model] after which the layout reads `wanted` [tasks, k]: on its own slots alone, and of
    those on such as vary, since the others are the compiler's constants."""
    matrix, h = placement.matrix.csr.toarray(), stream.astype(np.float64)
    vary = varying(h.mean(0), h.std(0))
    return np.asarray((wanted - h @ matrix) @ np.linalg.pinv(np.where(vary[:, None], matrix, 0.0)))


def probe_change(probe: Probe, stream: NDArray[np.floating], wanted: Floats) -> Floats:
    """The least change [tasks, d_model] after which the probe reads `wanted`: within the span of its directions."""
    return np.asarray((wanted - probe(stream)) @ np.linalg.pinv(probe.weights) * probe.deviation)


def pattern_change(probe: Probe, stream: NDArray[np.floating], wanted: Floats) -> Floats:
    """The change along Cov(v̂, v̂)⁻¹ Cov(v̂, h): what goes with the value in the data goes with it here."""
    read = probe(stream)
    v, h = read - read.mean(0), stream.astype(np.float64)
    pattern = np.linalg.lstsq(v, (h - h.mean(0)) / probe.deviation, rcond=None)[0]
    used = probe.weights.any(1)
    return np.asarray((wanted - read) @ np.where(used, pattern * probe.deviation, 0.0))


def others(values: Floats, seed: int = 0) -> Floats:
    """Every task's value replaced by another task's: [tasks, k]."""
    order = np.random.default_rng(seed).permutation(len(values))
    return values[np.roll(order, 1)[np.argsort(order)]]


def implied(compiled: Subject, fields: Fields, target: ProbeTarget, wanted: Floats, row: int = -1) -> Floats:
    """Δ* [tasks, *shape]: how the compiled prediction moves when the layout's slots hold `wanted` from the first layer
    on after which they hold the value."""
    stream = compiled.stream(fields, target.token)[target.first]
    kind = compiled.tokens(fields).sequence.kinds[target.token]
    change = layout_change(placed(compiled.weights, target.name, target.first, kind), stream, wanted)
    after = compiled.patched(fields, target.first, target.token, change)
    return np.asarray(after[:, row] - np.asarray(compiled(fields), np.float64)[:, row])


def followed(moved: Floats, wanted: Floats) -> tuple[float, float]:
    """(explained, slope) of changes [tasks, …]; 0 where nothing was to move."""
    power = float((wanted**2).sum())
    if power == 0:
        return 0.0, 0.0
    return 1 - float(((moved - wanted) ** 2).sum()) / power, float((moved * wanted).sum()) / power


def patch(
    subject: Subject, fields: Fields, target: ProbeTarget, wanted: Floats, expected: Floats, directions: str = "probe",
    row: int = -1,
) -> Patch:  # fmt: skip
    """Patches `wanted` in after every layer but the last, of the embedding too: the stream has no use after that.

    `directions` is "probe" or "pattern"; probes are fitted to the same tasks. `expected` is `implied`'s.
    Raises DataError for directions of another name."""
    ways = {"probe": probe_change, "pattern": pattern_change}
    if directions not in ways:
        raise DataError(f"no directions `{directions}`: there are {', '.join(ways)}")
    streams = subject.stream(fields, target.token)
    before = np.asarray(subject(fields), np.float64)[:, row]
    found, left = [], []
    for layer in range(subject.layers):
        half = len(wanted) // 2
        read = r_squared(fit(streams[layer][:half], target.values[:half])(streams[layer][half:]), target.values[half:])
        if read < READS:
            found.append((np.nan, np.nan))
            left.append(np.full(len(wanted), np.nan))
            continue
        change = ways[directions](fit(streams[layer], target.values), streams[layer], wanted)
        moved = subject.patched(fields, layer, target.token, change)[:, row] - before
        found.append(followed(moved, expected))
        left.append(_power(moved - expected))
    explained, slope = (np.array(part) for part in zip(*found, strict=True))
    return Patch(subject.name, target.name, directions, explained, slope, np.stack(left, 1), _power(expected))


def _power(values: Floats) -> Floats:
    return np.asarray((values.reshape(len(values), -1) ** 2).sum(1))
