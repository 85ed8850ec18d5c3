"""What an exported folder's README says of its tasks where some are beyond the certificate before they are exported."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from innerloop.artifact.words import Library, TargetName
from innerloop.compiler import Weights
from innerloop.programs import load
from innerloop.runtime.exports.check import TASKS, errors, tasks
from innerloop.runtime.exports.export import export

from tests.support.shared import compiled_once


def tight(weights: Weights) -> Weights:
    """With a certificate that this package's own arithmetic keeps on no task of any length."""
    data, truth = tasks(weights)
    least = float(errors(weights, data, truth, None).min())
    assert least > 0.0
    return replace(weights, report=replace(weights.report, predicted_error=1e-6 * least))


@pytest.mark.parametrize(
    ("name", "target", "to"),
    [("averaging", "gpt2", "huggingface"), ("averaging", "llama", "gguf"), ("averaging", "gpt2", "onnx")],
)
def test_tasks_beyond_the_certificate_are_told(name: str, target: TargetName, to: Library, tmp_path: Path) -> None:
    weights = compiled_once(load(name), target=target, d=2)
    export(weights, tmp_path / "kept", to)
    assert "beyond the certificate" not in " ".join((tmp_path / "kept/README.md").read_text().split())
    export(tight(weights), tmp_path / "left", to, accept_error=True)
    said = " ".join((tmp_path / "left/README.md").read_text().split())
    numbers = ", ".join(map(str, range(TASKS)))
    assert f"Of these {TASKS} tasks {TASKS} (from 0: {numbers}) are beyond the certificate in innerloop's" in said
