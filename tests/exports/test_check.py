"""What an exported folder's README says of its tasks where some are beyond the certificate before they are exported."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from innerloop.artifact.words import Library, TargetName
from innerloop.compiler import Weights, compile_program
from innerloop.programs import load
from innerloop.runtime.exports.check import TASKS, errors, tasks
from innerloop.runtime.exports.export import export


def narrowed(weights: Weights, share: float) -> tuple[Weights, list[int]]:
    """With a certificate that this package's own arithmetic keeps on a share of the tasks, and the others."""
    data, truth = tasks(weights)
    own = errors(weights, data, truth, None).max(1)
    most = sorted(own)[round(share * TASKS) - 1]
    return replace(weights, report=replace(weights.report, predicted_error=float(most))), [
        number for number, error in enumerate(own) if error > most
    ]


@pytest.mark.parametrize(
    ("name", "target", "to"),
    [("averaging", "gpt2", "huggingface"), ("averaging", "llama", "gguf"), ("averaging", "gpt2", "onnx")],
)
def test_tasks_beyond_the_certificate_are_told(name: str, target: TargetName, to: Library, tmp_path: Path) -> None:
    weights = compile_program(load(name), target=target, d=2)
    export(weights, tmp_path / "kept", to)
    assert "beyond the certificate" not in " ".join((tmp_path / "kept/README.md").read_text().split())
    other, left = narrowed(weights, 0.5)
    assert left
    export(other, tmp_path / "left", to, accept_error=True)
    said = " ".join((tmp_path / "left/README.md").read_text().split())
    numbers = ", ".join(map(str, left))
    assert f"Of these {TASKS} tasks {len(left)} (from 0: {numbers}) are beyond the certificate in innerloop's" in said
