"""Random programs on random targets: is any silently wrong, and does any crash the compiler?

    python -m benchmarks.random_programs [--count 10000] [--seed 0] [-o FOLDER]      so many, each from its own seed
    python -m benchmarks.random_programs --text found.icl --target gpt2 --dtype float32 --seed 3     one of them again

From the root of the repository. A seed draws a program of all of the language, a target and a precision, and
verdicts.py says what becomes of it. The folder keeps a line for each seed in results.jsonl, so that a run that was
stopped goes on where it was, and each program that is silently wrong or crashes, made small. Exit status 1 if there is
one.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

from innerloop.artifact.words import TargetName
from rich.progress import track

from ..support.tables import show
from .drawn import DTYPES, FAULTS, TARGETS, Line, drawn, lines
from .verdicts import judge

RESULTS = ("right", "warned", "refused", "silent", "crashed")


def saved(line: Line, folder: Path) -> dict[str, Any]:
    """Writes a line, and the program if it is a fault."""
    entry = {**asdict(line), **asdict(line.verdict)}
    del entry["verdict"], entry["small"]
    with (folder / "results.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")
    if line.verdict.result in FAULTS:
        verdict = line.verdict
        told = verdict.said or f"× {verdict.worst:.3g} of {verdict.certificate:.2g} on {verdict.family}"
        again = f"--target {line.target} --dtype {line.dtype} --seed {line.seed}"
        comment = (
            f"# {verdict.result}: {' '.join(told.split())}\n# python -m benchmarks.random_programs --text … {again}\n"
        )
        text = line.small if line.small is not None else next(drawn(line.seed)).text
        (folder / f"{verdict.result}_{line.seed}.icl").write_text(comment + text, encoding="utf-8")
    return entry


def report(entries: list[dict[str, Any]]) -> None:
    rows = []
    for target in TARGETS:
        for dtype in DTYPES:
            counts = Counter(e["result"] for e in entries if (e["target"], e["dtype"]) == (target, dtype))
            if counts:
                rows.append([target, dtype, str(sum(counts.values())), *(str(counts[r]) for r in RESULTS)])
    show(f"{len(entries):,} random programs", ("target", "dtype", "programs", *RESULTS), ("target", "dtype"), rows)
    used = Counter(what for e in entries for what in e["constructs"])
    print("Programs that use: " + ", ".join(f"{what} {count}" for what, count in sorted(used.items())))
    silent = sorted((e for e in entries if e["result"] == "silent"), key=lambda e: -e["worst"])
    for e in silent:
        print(f"silent: seed {e['seed']}, {e['target']}, {e['dtype']}: × {e['worst']:.3g} of {e['certificate']:.2g}, "
              f"rms {e['rms']:.2g}, on {e['family']}")  # fmt: skip
    for e in (e for e in entries if e["result"] == "crashed"):
        print(f"crashed: seed {e['seed']}, {e['target']}, {e['dtype']}: {e['said']}")
    counts = Counter(e["result"] for e in entries)
    print(", ".join(f"{counts[r]:,} {r}" for r in RESULTS))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0, help="the first, or the text's")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--minimise", type=float, default=60.0, help="seconds to make one fault small")
    parser.add_argument("-o", "--output", type=Path, default=Path("out/random_programs"))
    parser.add_argument("--text", type=Path, help="one program, with its target, dtype and seed")
    parser.add_argument("--target", choices=get_args(TargetName), default="gpt2")
    parser.add_argument("--dtype", choices=DTYPES, default="float32")
    options = parser.parse_args()
    if options.text is not None:
        verdict = judge(options.text.read_text(encoding="utf-8"), options.target, options.dtype, options.seed)
        print(verdict if verdict is not None else "no sound program")
        return int(verdict is not None and verdict.result in FAULTS)
    options.output.mkdir(parents=True, exist_ok=True)
    file = options.output / "results.jsonl"
    seeds = range(options.seed, options.seed + options.count)
    old = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.is_file() else []
    entries = [entry for entry in old if entry["seed"] in seeds]
    left = sorted(set(seeds) - {entry["seed"] for entry in entries})
    for line in track(lines(left, options.minimise, options.workers), "judging", len(left), transient=True):
        entries.append(saved(line, options.output))
    report(entries)
    return int(any(entry["result"] in FAULTS for entry in entries))


if __name__ == "__main__":
    sys.exit(main())
