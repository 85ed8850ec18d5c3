"""The tasks that go along with an export, and that it is checked with."""

from __future__ import annotations

import numpy as np
from innerloop.runtime.exports.check import errors, tasks

from tests.support.shared import compiled_once


def test_the_tasks_that_go_along_are_such_as_the_weights_hold() -> None:
    """Ranges of four tokens do not hold for forty, and what left its range says nothing of the library's rounding: the
    check had nothing left to look at, and a README told of an error that was not the library's."""
    text = "program p()\ntokens (y)*\n    y : scalar\noutput sum[j in y](y[j] ^ 2)\n"
    weights = compiled_once(text, calibration={"y": np.random.default_rng(0).standard_normal((64, 4))})
    data, truth = tasks(weights)
    assert 4 <= data.batch <= 8
    assert len(data.sequence) < 40
    assert errors(weights, data, truth, None).max() <= weights.report.predicted_error
