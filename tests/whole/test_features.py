"""What the language can say is what NumPy computes, compiled and interpreted (benchmarks/feature_table.py)."""

from __future__ import annotations

import pytest
from innerloop.artifact.words import TargetName

from benchmarks.feature_table import FEATURES, Feature
from benchmarks.features import TARGETS, measured

QUICK = 8


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: feature.name)
def test_feature(feature: Feature, target: TargetName) -> None:
    found = measured(feature, target, QUICK)
    assert found.holds, found
