"""The library in unmodified transformers: outputs within their certificates, gradients finite.

    python -m benchmarks.exports.stock [--program NAME …] [--target gpt2 llama] [--workers 3] [--kept FILE]

From the root of the repository. Every program at the size of its case in tests/reference, exported by `--to
huggingface` and loaded by `GPT2Model` and `LlamaModel` in float32, on tasks like those that it was compiled for.

    largest error    of the outputs, from the float64 oracle, and the certificate beside it
    finite           whether the gradient of the sum of all outputs by the features is, taken as an exported README says
    gradient         of the last output by the fields: the largest entry, by the interpreter in JAX and float64
    off              the largest difference from it of the stock model's, taken as the README says
    as it comes      the same difference of the gradient as PyTorch gives it

A line is printed as soon as it is known, and kept: what has one is not run again. Exit status 1 where an output is
beyond its certificate, or a gradient not finite.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from innerloop.artifact.arrays import Floats
from innerloop.artifact.words import TargetName
from innerloop.compiler import CompileError, Weights, interpret
from innerloop.programs import names
from innerloop.runtime.exports.export import export
from transformers import GPT2Model, LlamaModel

from tests.reference import case_of, packed
from tests.reference.measured import compiled
from tests.support.stock_models import by_field, gradient, interpreter_gradient, outputs

from ..support.revision import kept_in, kept_lines
from ..support.workers import results

MODELS: dict[str, Any] = {"gpt2": GPT2Model, "llama": LlamaModel}
TASKS = 4
Job = tuple[str, TargetName]


@dataclass(frozen=True)
class Line:
    """One program on one target; `said` is a refusal."""

    program: str
    target: str
    said: str = ""
    error: float = 0.0
    certificate: float = 0.0
    finite: bool = True
    gradient: float = 0.0
    off: float = 0.0
    plain: float = 0.0

    @property
    def right(self) -> bool:
        return self.error <= self.certificate and self.finite

    def cells(self) -> list[str]:
        if self.said:
            return [self.program, self.target, self.said]
        numbers = [self.error, self.certificate], [self.gradient, self.off, self.plain]
        first, last = ([f"{number:.1e}" for number in some] for some in numbers)
        return [self.program, self.target, *first, "yes" if self.finite else "no", *last]


def line(job: Job) -> Line:
    program, target = job
    torch.set_num_threads(1)
    case, kind = case_of(program), MODELS[target]
    fields: dict[str, Any] = dict(case.data(seed=0, tasks=TASKS))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "out"
        try:
            weights = compiled(case, target)
            export(weights, path, accept_error=True)
        except CompileError as refused:
            return Line(program, target, str(refused).splitlines()[0])
        parameters: dict[str, Any] = dict(weights.signature.parameters)
        found = outputs(kind, path, weights, **fields)
        error = np.abs(found - packed(interpret(weights.signature.text, **fields, **parameters))).max()
        finite = torch.isfinite(gradient(kind, path, weights, **fields)).all()
        truth = _within(weights, interpreter_gradient(weights, **fields))
        cut, plain = (
            _within(weights, by_field(weights, gradient(kind, path, weights, cut=at, last=True, **fields), **fields))
            for at in (True, False)
        )
        off = [max(float(np.abs(part - truth[name]).max()) for name, part in some.items()) for some in (cut, plain)]
    largest = max(float(np.abs(part).max()) for part in truth.values())
    return Line(
        program, target, "", float(error), weights.report.predicted_error, bool(finite), largest, off[0], off[1]
    )


def _within(weights: Weights, gradients: dict[str, Floats]) -> dict[str, Floats]:
    """Among data: the components of a symbol sum to 1, so that their gradients are known up to a constant."""
    symbols = {field.name for field in weights.signature.fields if field.onehot}
    return {name: part - part.mean(-1, keepdims=True) if name in symbols else part for name, part in gradients.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", nargs="+", choices=names(), default=names())
    parser.add_argument("--target", nargs="+", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--kept", type=Path, default=kept_lines("stock"))
    options = parser.parse_args()
    lines = {(one.program, one.target): one for one in kept_in(options.kept, Line)}
    jobs: list[Job] = [(program, target) for program in options.program for target in options.target]
    widths = (31, 6, 13, 11, 6, 8, 8, 0)

    def told(cells: list[str]) -> None:
        print("  ".join(f"{cell:{w}}" for cell, w in zip(cells, widths, strict=False)).rstrip(), flush=True)

    told(["program", "target", "largest error", "certificate", "finite", "gradient", "off", "as it comes"])
    for job in jobs:
        if job in lines:
            told(lines[job].cells())
    left = [job for job in jobs if job not in lines]
    with options.kept.open("a", encoding="utf-8") as file:
        for job, found in results(line, left, options.workers, restart=20):
            lines[job] = found or Line(*job, said="the process died", error=1.0)
            if found:
                print(json.dumps(asdict(found)), file=file, flush=True)
            told(lines[job].cells())
    return 0 if all(lines[job].right for job in jobs) else 1


if __name__ == "__main__":
    sys.exit(main())
