"""Every program on every machine, beside the target whose MLP it has: layers, size and SPD/d, here and in transformers;
and every program on `deltanet`, beside `gpt2` and `llama`.

    python -m benchmarks.machines [-o PAGE] [--program NAME …] [--target neox …] [--workers 2]

From the root of the repository. The page is docs/machines.md where every program was run on every target, and
out/machines.md otherwise. Parameters, data and what programs are held against are those of tests/reference. What
is measured is kept beside the page, in out/machines.jsonl, so that a run that was stopped goes on where it was. Exit
status 1 where SPD/d is more than `MOST` times its neighbour's.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import tempfile
import time
import warnings
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import transformers
from innerloop.artifact.words import TargetName
from innerloop.programs import names
from innerloop.runtime.exports.export import export
from rich.progress import track

from tests.reference import MACHINES, case_of
from tests.reference.measured import compiled, numpy_run, size
from tests.support.stock_models import outputs

from .support.revision import kept_in, revision

NEIGHBOURS: dict[TargetName, TargetName] = {"gemma": "llama", "neox": "gpt2", "qwen2": "llama"}
"""The targets with their MLPs: with gates, and without."""
CLASSES = {
    "gpt2": "GPT2Model", "llama": "LlamaModel", "gemma": "GemmaModel", "neox": "GPTNeoXModel", "qwen2": "Qwen2Model",
}  # fmt: skip
TARGETS: tuple[TargetName, ...] = (*MACHINES, "deltanet", "gpt2", "llama")
PAGE = Path("docs/machines.md")
MOST = 10.0
NOTHING = 1e-20
"""An SPD/d below which there is no difference."""
TASKS, STOCK = 64, 8
"""Tasks that are run here, and those of them in transformers."""


@dataclass(frozen=True)
class Line:
    """One program on one target; `said` is a refusal. `spd` in this package's arithmetic, `stock` in transformers (NaN
    where it has no such model, or there is no memory for it)."""

    program: str
    target: str
    layers: int = 0
    width: int = 0
    neurons: int = 0
    spd: float = float("nan")
    stock: float = float("nan")
    said: str = ""
    revision: str = ""
    """Of the code that compiled it, where git knows one."""
    seconds: float = 0.0
    """Of the processor, all together."""


def measured(job: tuple[str, TargetName]) -> Line:
    started = time.process_time()
    line = _measured(job)
    return replace(line, revision=revision(), seconds=round(time.process_time() - started, 1))


def _measured(job: tuple[str, TargetName]) -> Line:
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    program, target = job
    case = case_of(program)
    try:
        weights = compiled(case, target)
    except Exception as refusal:
        return Line(program, target, said=f"{type(refusal).__name__}: {str(refusal).splitlines()[0]}")
    fields = case.data(seed=0, tasks=TASKS)
    few = {name: array[:STOCK] for name, array in fields.items()}
    truth = case.answers(fields)

    def spd(found: Any) -> float:
        apart = np.asarray(found, np.float64) - truth[: len(found)]
        return float(np.mean(np.sum(apart.reshape(*apart.shape[:2], -1) ** 2, axis=-1))) / size(case)

    stock = float("nan")
    try:
        with tempfile.TemporaryDirectory() as folder:
            if target in CLASSES:
                export(weights, Path(folder) / "out", accept_error=True)
                stock = spd(outputs(getattr(transformers, CLASSES[target]), Path(folder) / "out", weights, **few))
    except MemoryError:
        pass
    of = weights.config
    return Line(program, target, of.n_layer, of.d_model, weights.report.neurons, spd(numpy_run(weights, fields)), stock)


def page(lines: dict[tuple[str, str], Line]) -> str:
    parts = [_OPENING]
    for machine in MACHINES:
        near = NEIGHBOURS[machine]
        pairs = [(lines[p, machine], lines[p, near]) for p in names() if {(p, machine), (p, near)} <= lines.keys()]
        rows = [_row(own, other) for own, other in pairs]
        held = [(own, other) for own, other in pairs if not own.said and not other.said]
        figures = [
            (max(f, NOTHING) / max(g, NOTHING), own.program)
            for own, other in held
            for f, g in ((own.spd, other.spd), (own.stock, other.stock))
            if not np.isnan(f + g)
        ]
        worst, whose = max(figures, default=(1.0, "none"))
        said = f"{len(rows)} of {len(names())} programs; SPD/d is {worst:.1f} times that of `{near}` at most ({whose})."
        head = f"| program | `{machine}` | `{near}` | SPD/d | of `{near}` | in transformers | of `{near}` |"
        parts.append("\n".join([f"## {machine}\n", f"{said}\n", head, "|---|---|---|--:|--:|--:|--:|", *rows]))
        parts.append(_revisions([own for own, _ in pairs]))
    parts.append("\n".join([_DELTANET, "", *_scans(lines)]))
    return "\n\n".join(parts) + "\n"


def _revisions(rows: list[Line]) -> str:
    """Of which code the rows are, and which programs have none."""
    of: dict[str, list[str]] = {}
    for row in rows:
        of.setdefault(row.revision, []).append(row.program)
    told = [f"Revision {revision}: {', '.join(of[revision])}." for revision in sorted(of) if revision]
    told += ["The other rows are of revisions before these."] if "" in of else []
    missing = [name for name in names() if name not in {row.program for row in rows}]
    told += [f"Not run: {', '.join(missing)}."] if missing else []
    return " ".join(told)


def _scans(lines: dict[tuple[str, str], Line]) -> list[str]:
    """Every program on `deltanet`: layers there, on gpt2 and on llama, SPD/d, or why not."""
    rows = ["| program | `deltanet` | `gpt2` | `llama` | SPD/d | of `llama` | |", "|---|--:|--:|--:|--:|--:|---|"]
    for name in names():
        own, *near = (lines.get((name, target)) for target in ("deltanet", "gpt2", "llama"))
        if own is None or None in near:
            continue
        layers = ["–" if line is None or line.said else str(line.layers) for line in (own, *near)]
        figures = ["–" if line is None or line.said else f"{line.spd:.0e}" for line in (own, near[1])]
        rows.append(f"| {name} | {' | '.join(layers)} | {' | '.join(figures)} | {_why(own.said)} |")
    return rows


def _why(said: str) -> str:
    """What a refusal of `deltanet` says of the program."""
    what, _, scan = said.partition(", and this one ")
    return scan or what.partition("target deltanet ")[2].partition(": ")[0]


_DELTANET = """\
## deltanet

A layer of `deltanet` is no attention: each of its heads carries a matrix S from token to token,

    S ← α S (I − β k kᵀ) + β v kᵀ,   o = S q

the delta rule of Widrow & Hoff 1960 as fast weights (Schlag et al. 2021, arXiv 2102.11174), with the forget gate α of
gated DeltaNet (Yang et al. 2024, arXiv 2412.06464): the
recurrence that `flash-linear-attention` publishes. q, 1 − α and β are linear in a token's stream, k and v too, under
a short convolution over four tokens; β may be divided by
ε + |k|², which is that recurrence on keys and values over √(ε + |k|²). There is no MLP and no norm.

A scan takes one layer where its pass, however it is written, is that rule:

- What is carried is a vector, S of one row, with keys of its size, or of one column, with a key of 1 (z ← a z + b, z
  ← z + b); or a matrix, S or its transpose. Several names that are
  carried, each by itself, are heads of one layer. They start from constants.
- k, v, 1 − α and β are linear in what the token holds that is scanned; β may be that over ε + |k|². β is one number:
  a rate for each component is none.
- The compiler looks through sums, products and quotients: it asks the pass at random points, and two rational
  functions that agree there are the same (Schwartz 1980).
- What the scan leaves may be multiplied by what a token holds, a head for each O S (Q q) that the product is a sum of
  (`W @ q`, `dot(w, x)`: one), or be taken whole, a head a column.
- What a key or a value was moved by, up to three tokens, the convolution does; another move from `previous`, or of
  the latest token of another kind, is a head of a layer before.

All else is refused in one sentence, with its place: reads over tokens, functions and products of what tokens hold,
scans whose pass is another. Every program, and what is refused of it first:"""


_OPENING = f"""\
# Machines

Programs that ship, on the targets that are made of others' parts, beside the one whose MLP they have. `make
benchmark-machines` runs all and writes this page; each table says how many of them are in it. A cell says
layers × width, neurons; SPD/d is the mean squared difference from an
independent implementation over d, in float32: on {TASKS} tasks in this package's arithmetic, and on {STOCK} of them in
unmodified `transformers` on PyTorch. – is a refusal."""


def _row(own: Line, near: Line) -> str:
    cells = [f"{line.layers} × {line.width}, {line.neurons:,}" if not line.said else "–" for line in (own, near)]
    figures = [f"{figure:.0e}" for figure in (own.spd, near.spd, own.stock, near.stock)]
    return f"| {own.program} | {' | '.join(cells)} | {' | '.join(figures)} |"


def faults(lines: dict[tuple[str, str], Line]) -> list[str]:
    """Programs that a machine has worse than its neighbour, or refuses."""
    said = []
    for (program, target), own in lines.items():
        near = lines.get((program, NEIGHBOURS.get(target, target)))  # type: ignore[call-overload]
        if target not in NEIGHBOURS or near is None or near.said:
            continue
        if own.said:
            said.append(f"{program} on {target}: {own.said}")
        for where, mine, theirs in (("here", own.spd, near.spd), ("in transformers", own.stock, near.stock)):
            if mine > MOST * max(theirs, NOTHING):
                said.append(f"{program} on {target}, {where}: {mine:.0e}, for {theirs:.0e} on {near.target}")
    return said


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--kept", type=Path, default=Path("out/machines.jsonl"))
    parser.add_argument("--program", nargs="+", choices=names(), default=names())
    parser.add_argument("--target", nargs="+", choices=get_args(TargetName), default=TARGETS)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    lines = {(line.program, line.target): line for line in kept_in(options.kept, Line)}
    jobs = [(p, t) for p in options.program for t in options.target if (p, t) not in lines]
    with (
        multiprocessing.get_context("spawn").Pool(options.workers, maxtasksperchild=4) as pool,
        options.kept.open("a", encoding="utf-8") as file,
    ):
        for line in track(pool.imap_unordered(measured, jobs), "compiling", len(jobs), transient=True):
            lines[line.program, line.target] = line
            print(json.dumps(asdict(line)), file=file, flush=True)
    whole = {(p, t) for p in names() for t in TARGETS} <= lines.keys()
    output = options.output or (PAGE if whole else options.kept.with_suffix(".md"))
    output.write_text(page(lines), encoding="utf-8")
    print(output)
    for fault in (wrong := faults(lines)):
        print(fault, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
