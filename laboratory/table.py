"""Every number of a comparison in one flat table, for JSON and CSV beside the page.

    measure   at            model       other      value   low    high
    loss      row 6         trained                2.19    2.0    2.41
    SPD/d     row 6         trained     compiled   0.322   0.29   0.35

`low` and `high` are the ends of the 95 % bootstrap interval over tasks; of what has none they are empty.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields
from math import isfinite

import numpy as np

from .compared import Comparison
from .measures.sample import Sample


@dataclass(frozen=True)
class Measure:
    """`at`: the row, the layer, the token, the reference, the value of what shifts …; `other`: from whom."""

    measure: str
    at: str
    model: str
    other: str
    value: float
    low: float | None = None
    high: float | None = None


def measures(found: Comparison) -> list[Measure]:
    return [*_outside(found), *_inside(found)]


def csv(found: Comparison) -> str:
    """A header, and a line for each."""
    lines = [",".join(field.name for field in fields(Measure))]
    for each in measures(found):
        cells = (_quoted(part) if isinstance(part, str) else _plain(part) for part in astuple(each))
        lines.append(",".join(cells))
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return f'"{text}"' if "," in text else text


def _plain(value: float | None) -> str:
    return "" if value is None else f"{value:.9g}"


def _each(measure: str, place: str, model: str, other: str, sample: Sample) -> Iterator[Measure]:
    """Of a Sample of numbers: one for each, `place` with its number."""
    low, high = sample.interval
    for index, value in np.ndenumerate(sample.value):
        at = f"{place} {index[0]}" if index else place
        yield Measure(measure, at, model, other, float(value), float(low[index]), float(high[index]))


def _outside(found: Comparison) -> Iterator[Measure]:
    first = found.first
    for name, sample in found.losses.items():
        yield from _each("loss", "row", name, "", sample)
    for name, sample in found.spd.items():
        yield from _each("SPD/d", "row", name, first, Sample(sample.left / found.d))
    for name, sample in found.difference.items():
        yield from _each("prediction difference", "row", name, first, sample)
    for name, sample in found.left.items():
        yield from _each("share of the predictions", "", name, first, sample)
    for (a, b), sample in found.seeds.items():
        yield from _each("share of the predictions", "", a, b, sample)
    for name, sample in found.implicit.items():
        yield from _each("ILWD", "", name, first, sample)
    for name, angles in found.sensitivities.items():
        yield from _each("cosine of sensitivities", "", name, first, Sample(angles.cosine))
        yield from _each("distance of sensitivities", "", name, first, Sample(angles.distance))
    for name, line in found.lines.items():
        for alpha, each in zip(line.alphas, line.each.T, strict=True):
            yield from _each("loss on the line", f"alpha {alpha:g}", name, first, Sample(each))
    if found.algorithms is not None:
        for name in found.algorithms.models:
            sample = found.algorithms.sample(name)
            for k, reference in enumerate(found.algorithms.references):
                if isfinite(float(sample.value[k])):
                    yield from _each("SPD/d from a reference", "", name, reference, sample[k])
    for shift in found.shifts:
        for k, value in enumerate(shift.values):
            for name, errors in shift.each.items():
                yield from _each("loss, shifted", f"{shift.what} {value:g}", name, "", Sample(errors[:, k]))
            for name, away in shift.apart.items():
                yield from _each("SPD, shifted", f"{shift.what} {value:g}", name, first, Sample(away[:, k]))


def _inside(found: Comparison) -> Iterator[Measure]:
    for curve in found.inside.curves:
        what = f"{curve.kind} probe for {curve.variable}"
        yield from _each(what, "layer", curve.model, "", Sample(curve.left, _wide(curve.whole, curve.left), True))
        for layer, control in enumerate(curve.control):
            yield Measure(f"{what}, control", f"layer {layer}", curve.model, "", float(control))
    for patch in found.inside.patches:
        for layer, explained in enumerate(patch.explained):
            if isfinite(explained):
                sample = Sample(patch.left[:, layer], patch.whole, explained=True)
                at = f"layer {layer}"
                yield from _each(f"{patch.variable} patched, explained", at, patch.model, "", sample)
    for each in (*found.inside.maps, *found.inside.taken):
        what = f"probe for {each.variable}, everywhere" if each.variable else "stream replaced, followed"
        for (i, j), value in np.ndenumerate(each.values):
            yield Measure(what, f"layer {each.layers[i]} token {each.tokens[j]}", each.model, "", float(value))


def _wide(whole: np.ndarray, like: np.ndarray) -> np.ndarray:
    return np.broadcast_to(whole[:, None], like.shape)
