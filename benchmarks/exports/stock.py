"""The library in unmodified transformers: outputs within their certificates, gradients finite.

    python -m benchmarks.exports.stock [--program NAME …] [--target gpt2 llama] [--workers 3]

From the root of the repository. Every program at the size of its case in tests/reference, exported by `--to
huggingface` and loaded by `GPT2Model` and `LlamaModel` in float32, on tasks like those that it was compiled for.

    largest error    of the outputs, from the float64 oracle, and the certificate beside it
    gradient         of the sum of all outputs by `inputs_embeds`, cut at the constant slots as an exported README says:
                     the largest entry, or how many are not finite
    uncut            the same without the cut: yes where it is finite

A line is printed as soon as it is known. Exit status 1 where an output is beyond its certificate, or a gradient that is
cut is not finite.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from innerloop.artifact.words import TargetName
from innerloop.compiler import CompileError, interpret
from innerloop.programs import names
from innerloop.runtime.exports.export import export
from transformers import GPT2Model, LlamaModel

from tests.reference import case_of, packed
from tests.reference.measured import compiled
from tests.support.stock_models import gradient, outputs

from ..support.workers import results

MODELS: dict[str, Any] = {"gpt2": GPT2Model, "llama": LlamaModel}
TASKS = 4
Job = tuple[str, TargetName]


@dataclass(frozen=True)
class Line:
    """One program on one target; `said` is a refusal."""

    said: str = ""
    error: float = 0.0
    certificate: float = 0.0
    gradient: torch.Tensor | None = None
    uncut: bool = False

    @property
    def right(self) -> bool:
        cut = self.gradient is None or bool(torch.isfinite(self.gradient).all())
        return self.error <= self.certificate and cut

    def cells(self) -> list[str]:
        if self.gradient is None:
            return [self.said]
        wrong = int((~torch.isfinite(self.gradient)).sum())
        largest = (
            f"{wrong} of {self.gradient.numel()} not finite" if wrong else f"{self.gradient.abs().max().item():.1e}"
        )
        return [f"{self.error:.1e}", f"{self.certificate:.1e}", largest, "yes" if self.uncut else "no"]


def line(job: Job) -> Line:
    program, target = job
    torch.set_num_threads(1)
    case = case_of(program)
    fields = dict(case.data(seed=0, tasks=TASKS))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "out"
        try:
            weights = compiled(case, target)
            export(weights, path, accept_error=True)
        except CompileError as refused:
            return Line(said=str(refused).splitlines()[0])
        parameters: dict[str, Any] = dict(weights.signature.parameters)
        found = outputs(MODELS[target], path, weights, **fields)
        error = np.abs(found - packed(interpret(weights.signature.text, **fields, **parameters))).max()
        cut, plain = (gradient(MODELS[target], path, weights, cut=at, **fields) for at in (True, False))
    return Line("", float(error), weights.report.predicted_error, cut, bool(torch.isfinite(plain).all()))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", nargs="+", choices=names(), default=names())
    parser.add_argument("--target", nargs="+", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    jobs: list[Job] = [(program, target) for program in options.program for target in options.target]
    widths = (31, 6, 13, 11, 27, 5)
    right = True

    def told(cells: list[str]) -> None:
        print("  ".join(f"{cell:{w}}" for cell, w in zip(cells, widths, strict=False)).rstrip(), flush=True)

    told(["program", "target", "largest error", "certificate", "gradient", "uncut"])
    for (program, target), found in results(line, jobs, options.workers, restart=20):
        found = found or Line(said="the process died", error=1.0)
        right &= found.right
        told([program, target, *found.cells()])
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
