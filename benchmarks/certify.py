"""Is any prediction further off than its own bound? Every shipped program on every target, on families of data.

    python -m benchmarks.certify [--program NAME …] [--target gpt2 …] [--family "noise 1" …] [--tasks 64] [-o FILE]

From the root of the repository. Programs are compiled without calibration data, with the parameters of the tests' table
of cases; the error model gives each prediction a bound (which may be infinite, where a value left its range), and the
float64 oracle its error. Columns:

    predictions, above    how many, and those so far off that `Transformer.certify` refuses: there must be none
    lifted                those above the error model's bound, for which it says the error itself
    worst, median         the largest error over its bound; of bound over error; where bounds are finite, errors not 0
    unknown, needless     infinite bounds; of those, predictions that are within the report's predicted error
    marked                predictions that are smaller than their bounds

Exit status 1 if any is above.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from innerloop.artifact.tokens import read_data
from innerloop.compiler import CompileError, compile_program
from innerloop.compiler.architectures.targets import TARGETS
from innerloop.compiler.certify.call_bounds import bounded
from innerloop.compiler.certify.predict import LUCK
from innerloop.compiler.compile import plan_of
from innerloop.programs import load, names
from innerloop.runtime import Transformer
from rich.progress import track

from tests.reference import WALKED, case_of, targets

from .honesty.tasks import RESTART, batches
from .support.families import FAMILIES
from .support.tables import show
from .support.workers import results


@dataclass(frozen=True)
class Cell:
    """One program on one target, on one family of tasks."""

    program: str
    target: str
    family: str
    predictions: int
    above: int
    lifted: int
    worst: float
    median: float
    unknown: int
    needless: int
    marked: int


Job = tuple[str, str, str, tuple[str, ...], int]
"""Program, target, dtype, families, tasks."""


def cells_of(job: Job) -> list[Cell]:
    """A cell for each family that is something else for this program than the default; none if it is refused."""
    program, target, dtype, families, tasks = job
    case = case_of(program)
    try:
        weights = compile_program(load(program), target=target, dtype=dtype, **case.parameters)  # type: ignore[arg-type]
    except CompileError:
        return []
    model, plan, found = Transformer(weights, guard="off"), plan_of(weights), []
    for family in families:
        errors, bounds, sizes = ([np.zeros(0)] for _ in range(3))
        for fields in batches(weights, plan.graph, [], family, tasks):
            data = read_data(weights.signature, fields)
            known, outputs = bounded(plan, weights.report, data), model.outputs_of(data).astype(np.float64)
            with np.errstate(all="ignore"):
                errors.append(np.nan_to_num(np.abs(outputs - known.exact), nan=np.inf).ravel())
            bounds.append(known.bound.ravel())
            sizes.append(np.abs(outputs).ravel())
        error, bound, size = map(np.concatenate, (errors, bounds, sizes))
        if error.size:
            finite = np.isfinite(bound)
            ratio = error[finite & (error > 0.0)] / bound[finite & (error > 0.0)]
            found.append(
                Cell(
                    program,
                    target,
                    family,
                    error.size,
                    int((error > LUCK * bound).sum()),
                    int(((error > bound) & (error <= LUCK * bound)).sum()),
                    float(ratio.max(initial=0.0)),
                    float(1.0 / np.median(ratio)) if ratio.size else 0.0,
                    int((~finite).sum()),
                    int((error[~finite] <= weights.report.predicted_error).sum()),
                    int((finite & ~(size >= bound)).sum()),
                )
            )
    return found


SHARES = ("unknown", "needless", "marked")
"""Counts that are printed as shares of the predictions."""


def report(cells: list[Cell]) -> None:
    by: dict[str, Callable[[Cell], str]] = {
        "program": lambda c: f"{c.program} {c.target}", "family": lambda c: c.family,
    }  # fmt: skip
    for title, key in by.items():
        rows = []
        for name in dict.fromkeys(map(key, cells)):
            some = [c for c in cells if key(c) == name]
            total = {field: sum(getattr(c, field) for c in some) for field in ("predictions", "above", "lifted")}
            share = {field: sum(getattr(c, field) for c in some) / total["predictions"] for field in SHARES}
            worst = max(some, key=lambda c: c.worst)
            medians = [c.median for c in some if c.median]
            rows.append([
                name, f"{total['predictions']:,}", f"{total['above']:,}", f"{total['lifted']:,}", f"{worst.worst:.2f}",
                f"{worst.program} {worst.target} {worst.family}", f"{np.median(medians):.0f}" if medians else "–",
                *(f"{share[field]:.1%}" for field in SHARES),
            ])  # fmt: skip
        heads = (title, "predictions", "above", "lifted", "worst", "where", "median", *SHARES)
        show("Errors and bounds", heads, (title, "where"), rows, width=170)
    above = sum(c.above for c in cells)
    print(f"{sum(c.predictions for c in cells):,} predictions, {above} above their bounds")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", nargs="+", choices=names(), default=names(), metavar="NAME")
    parser.add_argument("--target", nargs="+", choices=TARGETS)
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    parser.add_argument("--family", nargs="+", choices=FAMILIES, default=list(FAMILIES), metavar="NAME")
    parser.add_argument("--tasks", type=int, default=64, help="of each program, target and family")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("-o", "--output", type=Path, help="a file for all cells, JSON")
    options = parser.parse_args()
    jobs = [(p, t) for p in options.program for t in targets(p, options.target or WALKED)]
    cells: list[Cell] = []
    asked: list[Job] = [(p, t, options.dtype, tuple(options.family), options.tasks) for p, t in jobs]
    for job, some in track(results(cells_of, asked, options.workers, RESTART), "running", len(jobs), transient=True):
        if some is None:
            raise SystemExit(f"{job[0]} on {job[1]}: the process died")
        cells += some
        if options.output is not None:
            options.output.write_text(json.dumps([asdict(c) for c in cells], indent=1) + "\n", encoding="utf-8")
    report(sorted(cells, key=lambda c: (names().index(c.program), c.target)))
    return 1 if any(c.above for c in cells) else 0


if __name__ == "__main__":
    sys.exit(main())
