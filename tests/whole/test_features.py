"""What the language can say is what NumPy computes, compiled and interpreted (benchmarks/features/table.py)."""

from __future__ import annotations

import pytest
from innerloop.artifact.words import TargetName

from benchmarks.features.feature import Feature
from benchmarks.features.measured import TARGETS, measured
from benchmarks.features.references import EXAMPLES
from benchmarks.features.table import FEATURES

QUICK = 8


SHALLOW = [feature for feature in FEATURES if feature.examples == EXAMPLES]


@pytest.mark.parametrize(("feature", "target"), list(zip(SHALLOW, TARGETS * len(SHALLOW), strict=False)), ids=str)
def test_feature(feature: Feature, target: TargetName) -> None:
    """Every other one on the other target."""
    found = measured(feature, target, QUICK)
    assert found.holds, found


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("feature", FEATURES, ids=str)
def test_feature_on_all_tasks(feature: Feature, target: TargetName) -> None:
    found = measured(feature, target, 64)
    assert found.holds, found
