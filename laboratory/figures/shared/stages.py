"""When something happens in a training run that was looked at now and then."""

from __future__ import annotations

import numpy as np

from ...measures.distance import Floats


def halfway(steps: Floats, values: Floats) -> float:
    """The first step, between two that were looked at, where `values` are halfway from the first to the last; NaN of
    what ends where it began."""
    if values[-1] == values[0]:
        return float("nan")
    share = (values - values[0]) / (values[-1] - values[0])
    place = int(np.argmax(share >= 0.5))
    part = (0.5 - share[place - 1]) / (share[place] - share[place - 1])
    return float(steps[place - 1] + part * (steps[place] - steps[place - 1]))
