"""One division and one product, as programs of one line: the errors that benchmarks/operations.py prints."""

from __future__ import annotations

import pytest
from innerloop.artifact.words import TargetName

from benchmarks import operations


@pytest.mark.parametrize("operation", ["division", "product"])
@pytest.mark.parametrize("target", ["gpt2", "llama"])
def test_the_figure(operation: str, target: TargetName) -> None:
    found = operations.OPERATIONS[operation](target, "float32", 5000)
    assert found.error <= operations.GOALS[operation, target]
    report = found.weights.report
    # At the end of the range, 1/0.3, nothing rounds by luck: the prediction does not count on that.
    assert report.measured_error <= report.predicted_error <= 200 * report.measured_error


@pytest.mark.parametrize(("operation", "most"), [("division", 1e-15), ("product", 1e-10)])
def test_float64(operation: str, most: float) -> None:
    assert operations.OPERATIONS[operation]("gpt2", "float64", 5000).error <= most
