"""The catalogue of the library: a page a program, with its text and what every target makes of it, and an overview.

    python -m benchmarks.catalogue [-o docs/catalogue] [--program NAME …] [--workers 2]

From the root of the repository. Parameters, data and what the programs are held against are those of tests/reference,
and so are the reasons for what is not exact; exit status 1 if one is missing or no longer holds. There are no times and
no paths in what is written, and errors have one digit, so that a second run writes the same. With `--program`, the
other programs keep their pages and their rows of the overview.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
from functools import partial
from pathlib import Path

from innerloop.programs import names
from rich.progress import track

from tests.reference.measured import Measured, Refused
from tests.reference.reasons import Place

from .pages import PICTURES, PLACES, faults, measured, overview, page, rows_of
from .pictures import draw


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, default=Path("docs/catalogue"))
    parser.add_argument("--program", nargs="+", choices=names(), default=names())
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    jobs = [(name, place) for name in options.program for place in PLACES]
    with multiprocessing.get_context("spawn").Pool(options.workers) as pool:
        results = list(track(pool.imap(measured, jobs), "compiling", len(jobs), transient=True))
        drawing = pool.imap(partial(draw, folder=options.output / PICTURES), options.program)
        seen = dict(zip(options.program, track(drawing, "drawing", len(options.program), transient=True), strict=True))
    pages: dict[str, dict[Place, Measured | Refused]] = {}
    for (name, place), found in zip(jobs, results, strict=True):
        pages.setdefault(name, {})[place] = found
    options.output.mkdir(parents=True, exist_ok=True)
    kept = rows_of(options.output)
    for old in [*options.output.glob("*.md"), *options.output.glob(f"{PICTURES}/*.png")]:
        if old.stem not in pages and old.stem not in kept:
            old.unlink()
    for name, places in pages.items():
        (options.output / f"{name}.md").write_text(page(name, places, seen[name]), encoding="utf-8")
    (options.output / "README.md").write_text(overview(pages, kept), encoding="utf-8")
    for fault in (wrong := faults(pages)):
        print(fault, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
