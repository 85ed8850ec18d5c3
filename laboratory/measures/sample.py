"""A measured number with what it is uncertain by: how far it would be off on other tasks of the same kind.

    tasks [n, *shape]   →   value [*shape], and the ends of its 95 % interval

    mean       E left              of so many tasks
    share      Σ left / Σ whole    and what is left of it: explained, 1 − Σ left / Σ whole

The interval is the percentile bootstrap's (Efron 1979; `scipy.stats.bootstrap`): tasks are drawn again, all rows and
all models of a task together. What a training of another seed would have learnt it does not say: several of them do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from innerloop.artifact.errors import DataError
from numpy.typing import NDArray
from scipy.stats import bootstrap

from .distance import Floats

RESAMPLES, LEVEL = 1000, 0.95


@dataclass(frozen=True)
class Sample:
    """`left` and `whole` [tasks, *shape]; without `whole` it is a mean, with it a share, or what one leaves."""

    left: Floats
    whole: Floats | None = None
    explained: bool = False

    @cached_property
    def value(self) -> Floats:
        """[*shape]; infinite where a model diverges."""
        return np.asarray(self._of(np.ones((1, len(self.left))))[0])

    @cached_property
    def interval(self) -> tuple[Floats, Floats]:
        """The ends, low and high, [*shape] each; the value itself where it is not finite."""
        count = len(self.left)

        def again(index: NDArray[np.int64], axis: int = -1) -> Floats:
            """index [resamples, tasks] → [numbers, resamples]: as scipy has statistics of several numbers."""
            rows = index.reshape(-1, count)
            places = rows + count * np.arange(len(rows))[:, None]
            drawn = np.bincount(places.ravel(), minlength=rows.size).reshape(len(rows), count)
            return np.moveaxis(self._of(drawn.astype(np.float64)).reshape(len(rows), -1), 0, -1)

        with np.errstate(invalid="ignore"):  # of what is infinite it makes a deviation, which is not asked for
            found = bootstrap(
                (np.arange(count),), again, vectorized=True, n_resamples=RESAMPLES, confidence_level=LEVEL,
                method="percentile", random_state=np.random.default_rng(0), axis=-1,
            ).confidence_interval  # fmt: skip
        ends = (np.asarray(end, np.float64).reshape(self.value.shape) for end in (found.low, found.high))
        low, high = (np.where(np.isfinite(self.value), end, self.value) for end in ends)
        return low, high

    def _of(self, counts: Floats) -> Floats:
        """The number with each task counted so many times: counts [resamples, tasks] → [resamples, *shape]."""
        with np.errstate(invalid="ignore", divide="ignore"):
            left = self._sums(counts, self.left)
            if self.whole is None:
                found = left / counts.sum(1).reshape(-1, *[1] * (left.ndim - 1))
            else:
                found = left / self._sums(counts, self.whole)
        return np.asarray(1 - found if self.explained else found)

    def _sums(self, counts: Floats, values: Floats) -> Floats:
        flat = values.reshape(len(values), -1)
        wild = ~np.isfinite(flat).all(0)
        sums = counts @ np.where(np.isfinite(flat), flat, 0.0)
        sums[:, wild] = np.inf
        return sums.reshape(len(counts), *values.shape[1:])

    def __getitem__(self, index: Any) -> Sample:
        """Of some of the numbers: an index into `shape`."""
        whole = None if self.whole is None else self.whole[(slice(None), *np.atleast_1d(index))]
        return Sample(self.left[(slice(None), *np.atleast_1d(index))], whole, self.explained)

    def over_rows(self) -> Sample:
        """The mean of all numbers of a task: [tasks, *shape] → [tasks]."""
        return Sample(self.left.reshape(len(self.left), -1).mean(1))


def pooled(samples: Sequence[Sample]) -> Sample:
    """The mean over several models on the same tasks, of shares of what all of them are shares of. Raises DataError for
    none at all."""
    if not samples:
        raise DataError("there is nothing to pool")
    one = samples[0]
    left = np.mean([each.left for each in samples], axis=0)
    whole = None if one.whole is None else np.mean([each.whole for each in samples if each.whole is not None], axis=0)
    return Sample(left, whole, one.explained)
