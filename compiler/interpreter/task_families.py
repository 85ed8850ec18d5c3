"""Families of default tasks: what sets some apart from the core's.

    before   fields as the core has them (default_tasks.py)
    after    the same, with noise, at other scales, correlated, of other lengths

Under a visible context one family is of other lengths, since no token sees a part of the context there, as each does
of `(x y)* x`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from innerloop.artifact.arrays import Floats
from innerloop.artifact.signature import FieldSpec, Signature

Change = Callable[[Floats, np.random.Generator], Floats]


@dataclass(frozen=True)
class Family:
    """What sets tasks apart from the core's, in words, and how: `inputs` [tasks, rows, *shape] are fields drawn from
    N(0, 1), `labels` [tasks, rows] are w · x, `declared` [tasks, rows, *shape] what comes with its range."""

    words: str
    inputs: Change | None = None
    vectors: Change | None = None
    """Of inputs, those that are vectors alone."""
    labels: Change | None = None
    ends: bool = False
    """Whether declared fields stand at the ends of their ranges."""
    lengths: bool = False
    """Whether it is the core's tasks of other lengths: where no token sees a part of the context, as each does of
    `(x y)* x`."""

    def applies(self, signature: Signature) -> bool:
        """Whether it has such fields to change."""
        free = [f for f in signature.fields if f.low is None and not f.onehot]
        label = {f.name for f in signature.fields if not f.shape and vectors_of(signature)}
        return bool(
            (self.inputs and any(f.name not in label for f in free))
            or (self.vectors and any(len(f.shape) == 1 for f in free))
            or (self.labels and any(f.low is None or is_label(f) for f in signature.fields if f.name in label))
            or (self.lengths and signature.pattern.visible_context)
            or (self.ends and any(f.low is not None and not is_label(f) for f in signature.fields))
        )


def _noise(*sizes: float) -> Change:
    def change(y: Floats, rng: np.random.Generator) -> Floats:
        return np.asarray(y + rng.choice(sizes, (len(y), 1)) * rng.standard_normal(y.shape))

    return change


def _outlier(y: Floats, rng: np.random.Generator) -> Floats:
    """One label of each task is as large as any of all tasks."""
    y = y.copy()
    if y.size:
        sign = rng.choice([-1.0, 1.0], len(y))
        y[np.arange(len(y)), rng.integers(y.shape[1], size=len(y))] = sign * np.abs(y).max()
    return y


def _signs(y: Floats, _: np.random.Generator) -> Floats:
    return np.where(y > 0, 1.0, -1.0)


def _correlated(share: float) -> Change:
    def change(x: Floats, rng: np.random.Generator) -> Floats:
        common = rng.standard_normal((*x.shape[:2], 1))
        return np.asarray(np.sqrt(share) * common + np.sqrt(1.0 - share) * x)

    return change


def _intercept(x: Floats, _: np.random.Generator) -> Floats:
    x = x.copy()
    x[..., 0] = 1.0
    return x


def _uniform(x: Floats, rng: np.random.Generator) -> Floats:
    return rng.uniform(-2.0, 2.0, x.shape)


def _whole(x: Floats, rng: np.random.Generator) -> Floats:
    """Small whole numbers, with rows that are 0 and rows that come twice."""
    x = np.clip(np.round(x), -2.0, 2.0)
    if x.shape[1]:
        x[rng.random(x.shape[:2]) < 0.1] = 0.0
        again = rng.integers(x.shape[1], size=x.shape[:2])
        twice = rng.random(x.shape[:2]) < 0.2
        x = np.where(twice.reshape(*twice.shape, *(1,) * (x.ndim - 2)), x[np.arange(len(x))[:, None], again], x)
    return x


def _scaled(low: float, high: float) -> Change:
    def change(x: Floats, rng: np.random.Generator) -> Floats:
        scale = np.exp(rng.uniform(np.log(low), np.log(high), len(x)))
        return np.asarray(x * scale.reshape(-1, *(1,) * (x.ndim - 1)))

    return change


CORE = Family("")
FAMILIES = (
    Family("label noise of 0.1 to 1", labels=_noise(0.1, 0.5, 1.0)),
    Family("label noise of 3", labels=_noise(3.0)),
    Family("an outlier among the labels", labels=_outlier),
    Family("labels of ±1", labels=_signs),
    Family("a first component of 1", vectors=_intercept),
    Family("uniform inputs", inputs=_uniform),
    Family("small whole numbers, zeros and repeated rows", inputs=_whole),
    Family("scales of 0.001 to 1", inputs=_scaled(1e-3, 1.0)),
    Family("inputs correlated by 0.95", vectors=_correlated(0.95)),
    Family("inputs correlated by 0.999", vectors=_correlated(0.999)),
    Family("declared fields at the ends of their ranges", ends=True),
    Family("contexts of one example, and of some", lengths=True),
)


def is_label(spec: FieldSpec) -> bool:
    """Whether a field is declared as a scalar in [-a, a]."""
    return not spec.shape and spec.high is not None and spec.low == -spec.high


def vectors_of(signature: Signature) -> list[FieldSpec]:
    return [f for f in signature.fields if len(f.shape) == 1 and not f.onehot]
