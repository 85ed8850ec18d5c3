"""Families of data for any program: what users bring that is not like the default calibration.

    draw(FAMILIES["intercept"], signature, inputs, groups=40, tasks=64, seed=3)   →   x [64, 41, d], y [64, 40], or None

A family is defined on a program's fields by what they are declared as. A vector is N(0, 1) or as the family says; a
scalar beside a vector is w · x with w ~ N(0, I) for each task, and ±a by its sign where it is declared in [-a, a]; a
one-hot field stays one-hot; what has a declared range stays inside. Where a family leaves a program's data as they are
(label noise without labels), `draw` says None.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from innerloop.artifact.signature import FieldSpec, Signature
from innerloop.artifact.tokens import sequence
from innerloop.compiler.interpreter import default_tasks
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Rng = np.random.Generator
Data = dict[str, Floats]
Ends = Mapping[str, tuple[float, float]]
"""Of each field, the range that the weights were compiled for."""


def normal(rng: Rng, shape: tuple[int, ...]) -> Floats:
    return rng.standard_normal(shape)


@dataclass(frozen=True)
class Family:
    """`vectors(rng, [tasks, rows, *shape])` draws; `noise` is added to scalars; `change(rng, data, ends)` comes last
    and writes into the data. `groups`: how often the group is repeated, by turns, if not as often as the caller says.
    """

    vectors: Callable[[Rng, tuple[int, ...]], Floats] = normal
    noise: float = 0.0
    change: Callable[[Rng, Data, Ends], None] | None = None
    groups: tuple[int, ...] = ()


def draw(family: Family, signature: Signature, ends: Ends, groups: int, tasks: int, seed: int) -> Data | None:
    """Fields [tasks, rows, *shape] of sequences of so many groups; None where the family is no change here."""
    if family is DEFAULT:
        return default_tasks.draw(signature, groups, tasks, seed)
    drawn = _drawn(family, signature, ends, groups, tasks, seed)
    plain = _drawn(Family(), signature, ends, groups, tasks, seed)
    same = all(np.array_equal(drawn[name], plain[name]) for name in drawn)
    return None if same and not family.groups else drawn


def _drawn(family: Family, signature: Signature, ends: Ends, groups: int, tasks: int, seed: int) -> Data:
    rng = np.random.default_rng((seed, 17))
    kinds = sequence(signature.pattern, groups).kinds
    data: Data = {}
    for spec in sorted(signature.fields, key=lambda spec: not spec.shape):  # vectors first: labels are made of them
        leading = (tasks, sum(kind in spec.kinds for kind in kinds))
        data[spec.name] = _field(family, spec, leading, data, signature, rng)
    if family.change is not None:
        onehot = {f.name: data.pop(f.name) for f in signature.fields if f.onehot}
        family.change(rng, data, ends)
        data |= onehot
    for spec in signature.fields:
        if spec.low is not None and spec.high is not None:
            data[spec.name] = np.clip(data[spec.name], spec.low, spec.high)
    return data


def _field(
    family: Family, spec: FieldSpec, leading: tuple[int, int], data: Data, signature: Signature, rng: Rng
) -> Floats:
    if spec.onehot:
        return np.eye(spec.shape[0])[rng.integers(spec.shape[0], size=leading)]
    if spec.shape:
        if spec.low is not None and spec.high is not None and family.vectors is normal:
            return rng.uniform(spec.low, spec.high, (*leading, *spec.shape))
        return family.vectors(rng, (*leading, *spec.shape))
    x = next((data[f.name] for f in signature.fields if _beside(f, data, leading[1])), None)
    if x is None:
        value = family.vectors(rng, leading)
    else:
        value = (x[:, : leading[1]] @ rng.standard_normal((leading[0], x.shape[2], 1)))[..., 0]
    value = value + family.noise * rng.standard_normal(leading)
    if spec.low is None or spec.high is None:
        return value
    if spec.high == -spec.low and x is not None:
        return spec.high * np.where(value > 0, 1.0, -1.0)
    return rng.uniform(spec.low, spec.high, leading) + family.noise * rng.standard_normal(leading)


def _beside(spec: FieldSpec, data: Data, rows: int) -> bool:
    """Whether a scalar with so many rows is a linear function of this field."""
    return len(spec.shape) == 1 and not spec.onehot and data[spec.name].shape[1] >= rows


# The families ------------------------------------------------------------------------------------


def _uniform(rng: Rng, shape: tuple[int, ...]) -> Floats:
    return rng.uniform(-np.sqrt(3), np.sqrt(3), shape)


def _intercept(rng: Rng, shape: tuple[int, ...]) -> Floats:
    found = rng.standard_normal(shape)
    if len(shape) > 2:
        found[..., 0] = 1.0
    return found


def _integers(rng: Rng, shape: tuple[int, ...]) -> Floats:
    return rng.integers(6, size=shape).astype(float)


def _correlated(share: float, rng: Rng, shape: tuple[int, ...]) -> Floats:
    """Components with that correlation between any two."""
    alone, common = rng.standard_normal(shape), rng.standard_normal((*shape[:-1], 1))
    return np.sqrt(share) * common + np.sqrt(1 - share) * alone if len(shape) > 2 else alone


def _scaled(scale: float, rng: Rng, shape: tuple[int, ...]) -> Floats:
    return scale * rng.standard_normal(shape)


def _cauchy(rng: Rng, shape: tuple[int, ...]) -> Floats:
    return rng.standard_cauchy(shape)


def _labels(data: Data) -> list[str]:
    return [name for name, array in data.items() if array.ndim == 2]


def _outlier(rng: Rng, data: Data, ends: Ends) -> None:
    """One label of each task at an end of its range."""
    for name in _labels(data):
        tasks, rows = data[name].shape
        if rows:
            end = np.array(ends.get(name, (-1.0, 1.0)))[rng.integers(2, size=tasks)]
            data[name][np.arange(tasks), rng.integers(rows, size=tasks)] = end


def _corners(rng: Rng, data: Data, ends: Ends) -> None:
    """Every component at one of the ends of its range; in every other task, all at the same one."""
    for name, array in data.items():
        end = np.array(ends.get(name, (-1.0, 1.0)))
        array[...] = end[rng.integers(2, size=array.shape)]
        array[1::2] = end[rng.integers(2, size=(len(array), *[1] * (array.ndim - 1)))][1::2]


def _near_ties(rng: Rng, data: Data, ends: Ends) -> None:
    """Tokens in pairs that are almost the same, with labels that are not; the last token almost their first, or in
    every other task almost half-way between the first pair, which are then well apart. Some labels are almost 0."""
    near: dict[int, Floats] = {}
    for name, array in data.items():
        tasks, rows = array.shape[:2]
        size = near.setdefault(tasks, 10.0 ** rng.uniform(-9, -1, tasks)).reshape(-1, *[1] * (array.ndim - 2))
        if name in _labels(data):
            array += (0.3 * rng.standard_normal(array.shape)) * (np.arange(rows) % 2)
            array[:, 2::5] *= size[:, None]
            continue
        if rows < 3:
            continue
        first, second = array[:, 0].copy(), array[:, 1].copy()
        pairs = rows // 2
        array[:, 1 : 2 * pairs : 2] = array[:, : 2 * pairs : 2]
        array += size[:, None] * rng.standard_normal(array.shape)
        array[:, -1] = first + size * rng.standard_normal(first.shape)
        array[1::2, 1] = second[1::2]
        array[1::2, -1] = ((first + second) / 2 + size * rng.standard_normal(first.shape))[1::2]


def _zeros_and_duplicates(rng: Rng, data: Data, ends: Ends) -> None:
    """By turns: nothing but zeros; all tokens the same; zeros in half of the rows, and two rows the same."""
    for array in data.values():
        rows = array.shape[1]
        array[::3] = 0.0
        array[1::3] = array[1::3, :1]
        array[2::3, rng.random(rows) < 0.5] = 0.0
        if rows > 2:
            array[2::3, -2] = array[2::3, 0]


DEFAULT = Family()
"""As the compiler draws when it is given no data."""

FAMILIES: dict[str, Family] = {
    "default": DEFAULT,
    "noise 0.5": Family(noise=0.5),
    "noise 1": Family(noise=1.0),
    "noise 3": Family(noise=3.0),
    "outlier": Family(change=_outlier),
    "uniform": Family(_uniform),
    "intercept": Family(_intercept),
    "integers": Family(_integers),
    "corr 0.95": Family(partial(_correlated, 0.95)),
    "corr 0.999": Family(partial(_correlated, 0.999)),
    "scale 0.001": Family(partial(_scaled, 1e-3)),
    "scale 3": Family(partial(_scaled, 3.0)),
    "corners": Family(change=_corners),
    "cauchy": Family(_cauchy),
    "short": Family(groups=(1, 2, 3)),
    "near ties": Family(change=_near_ties),
    "zeros": Family(change=_zeros_and_duplicates),
}
