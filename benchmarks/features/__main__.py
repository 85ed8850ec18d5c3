"""What the language can say, each way of saying it against NumPy: is it exact, and within its certificate?

    python -m benchmarks.features [--only transpose] [--tasks 64] [-o docs/features.md]

From the root of the repository. A row is a program that uses the feature, drawn tasks, and the same computed by NumPy
alone, on gpt2 and llama in float32 with ranges from other tasks. `error` is the largest error over the root mean square
of the output, of several outputs the one that holds least; `certificate` the predicted error over the same. Exit status
1 where an error is above 1e-5 or above its certificate. `-o` writes the table as a page, too.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..support.tables import show
from .measured import TARGETS, measured
from .references import EXAMPLES
from .table import FEATURES

PAGE = """\
# How exact each construct is

`python -m benchmarks.features -o docs/features.md` writes this page: a program for each feature of
[the language](language.md), on {tasks} tasks of {examples} examples, where none are said, in float32, against NumPy.
Errors are the largest, over the root mean square of the output; behind "of" the certificate, in the same unit. The
interpreter, in float64, is within {oracle:.0e}.

| feature | layers on `gpt2` | error | layers on `llama` | error |
|---|--:|---|--:|---|
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="features whose name begins so")
    parser.add_argument("--tasks", type=int, default=64)
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    rows, holds, lines, oracle = [], True, [], 0.0
    for feature in (f for f in FEATURES if f.name.startswith(options.only)):
        lines.append(f"| {feature.name} |")
        for target in TARGETS:
            found = measured(feature, target, options.tasks)
            holds, oracle = holds and found.holds, max(oracle, found.oracle)
            lines[-1] += f" {found.layers} | {found.error:.1e} of {found.certificate:.1e} |"
            told = "" if found.holds else "  MISSED"
            rows.append([feature.name, target, str(found.layers), f"{found.error:.1e}{told}",
                         f"{found.certificate:.1e}", f"{found.oracle:.0e}"])  # fmt: skip
    columns = ("feature", "target", "layers", "error", "certificate", "interpreter")
    show(f"{options.tasks} tasks of {EXAMPLES} examples, where none are said, float32", columns, columns[:2], rows)
    if options.output is not None:
        page = PAGE.format(tasks=options.tasks, examples=EXAMPLES, oracle=oracle)
        options.output.write_text(page + "\n".join([*lines, ""]), encoding="utf-8")
    return int(not holds)


if __name__ == "__main__":
    sys.exit(main())
