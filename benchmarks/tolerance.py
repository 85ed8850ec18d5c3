"""What a tolerance costs: neurons, and the largest error measured, of the cheapest constructions that meet it.

    python -m benchmarks.tolerance [--program sherman_morrison …]

d = 8, target gpt2, ranges from the default tasks.
"""

from __future__ import annotations

import argparse
from typing import Any

from innerloop.compiler import CompileError, compile_program
from innerloop.programs import load

from .support.tables import show

TOLERANCES = (None, 1e-2, 1e-3, 1e-4, 1e-5)
LINES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("gradient_descent", {"steps": 10, "rate": 0.05}),
    ("gradient_descent", {"steps": 10, "rate": 0.1}),
    ("stochastic_gradient_descent", {}),
    ("sherman_morrison", {"ridge": 0.1}),
)


def cell(program: str, parameters: dict[str, Any], tolerance: float | None) -> str:
    """Neurons, and in brackets the largest error measured."""
    try:
        report = compile_program(load(program), tolerance=tolerance, d=8, **parameters).report
    except CompileError:
        return "refused"
    return f"{report.neurons:,} ({report.measured_error:.1e})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", nargs="+", choices=sorted({name for name, _ in LINES}))
    chosen = parser.parse_args().program
    show(
        "neurons (largest error measured) by tolerance, d = 8, float32",
        ("program", "parameters", *("default" if t is None else f"{t:g}" for t in TOLERANCES)),
        ("program", "parameters"),
        [
            [name, ", ".join(f"{k} {v:g}" for k, v in given.items()), *(cell(name, given, t) for t in TOLERANCES)]
            for name, given in LINES
            if chosen is None or name in chosen
        ],
        width=140,
    )


if __name__ == "__main__":
    main()
