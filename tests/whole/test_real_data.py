"""Real data sets in one command each, against scikit-learn, prediction by prediction within its bound: the quicker half
of `make benchmark-real-data`."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.real_data import CASES, Case, measured


@pytest.mark.slow
@pytest.mark.parametrize(
    "case",
    [c for c in CASES if c.name in ("wine", "breast_cancer", "linnerud", "stackloss", "longley")],
    ids=lambda c: c.name,
)
def test_predictions_and_coefficients_are_those_of_scikit_learn(case: Case, tmp_path: Path) -> None:
    row, share = measured(case, tmp_path)
    assert share <= 1, row
