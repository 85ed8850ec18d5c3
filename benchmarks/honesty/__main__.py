"""Is a compiled program ever silently wrong? Every shipped program on every target, on families of data.

    python -m benchmarks.honesty [--program NAME …] [--target gpt2 …] [--family "noise 1" …] [--tasks 64] [-o FILE]

From the root of the repository. Programs are compiled without calibration data, with the parameters of the tests' table
of cases (conjugate_gradient with its own floor), and the tasks of a family run in one call under the guard, whose
warnings name tasks: by the runtime without JAX, for which nothing is to be compiled; those of the default family by
JAX's as well. A task is

    right     its largest error is within the certificate's, the report's predicted error, and the guard said nothing
    warned    the guard said something; an alarm is false where the error is within the certificate all the same
    refused   the program did not compile, or the data were refused
    silent    the error is above the certificate, or the answer is no number, and nobody said so

and vague if it is right, but the certificate leaves nothing of its answer (the error is above the answer's root mean
square). With --certify, so many tasks of each family are certified (`Transformer.certify`), and are unsound where an
error is above its own bound. A run that was stopped goes on: programs and targets that FILE holds are taken from there.
Exit status 1 if any task is silent or unsound, or, on the calibration's own data, warned.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from innerloop.artifact.words import TargetName
from innerloop.compiler.architectures.targets import TARGETS
from innerloop.programs import names
from rich.progress import track

from tests.reference import WALKED, targets

from .cells import CHOICES, kept, report, wrong
from .tasks import measured


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", nargs="+", choices=names(), default=names(), metavar="NAME")
    parser.add_argument("--target", nargs="+", choices=TARGETS)
    parser.add_argument("--family", nargs="+", choices=CHOICES, default=list(CHOICES), metavar="NAME")
    parser.add_argument("--tasks", type=int, default=64, help="of each program, target and family")
    parser.add_argument("--certify", type=int, default=0, metavar="N", help="tasks of each family to certify")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("-o", "--output", type=Path, help="a file for all cells, JSON")
    options = parser.parse_args()
    jobs: list[tuple[str, TargetName]] = [(p, t) for p in options.program for t in targets(p, options.target or WALKED)]
    cells = kept(options.output, jobs, options.family)
    done = {(c.program, c.target) for c in cells}
    jobs = [job for job in jobs if job not in done]
    if done:
        print(f"{len(done)} programs on targets are taken from {options.output}: remove it to begin anew")
    found = measured(jobs, options.family, options.tasks, options.certify, options.workers)
    for some in track(found, "running", len(jobs), transient=True):
        cells += some
        if options.output is not None:
            new = options.output.with_suffix(".new")
            new.write_text(json.dumps([asdict(c) for c in cells], indent=1) + "\n", encoding="utf-8")
            new.replace(options.output)  # a run that is killed leaves the last whole file
    report(sorted(cells, key=lambda c: (names().index(c.program), c.target)))
    return 1 if wrong(cells) else 0


if __name__ == "__main__":
    sys.exit(main())
