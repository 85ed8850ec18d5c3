"""What the guard costs: CPU seconds of a call with it and without, taking turns in one process.

    python -m benchmarks.guard [--tasks 64] [--rounds 7]

Each row: the median of the rounds' ratios, and the medians of both. The data are the default tasks, on which the guard
says nothing; what it looks at is counted as numbers for each task.
"""

from __future__ import annotations

import argparse
import time
import warnings
from typing import Any

import numpy as np
from innerloop.artifact.words import GuardMode, TargetName
from innerloop.compiler import compile_program
from innerloop.compiler.interpreter.default_tasks import draw, repetitions
from innerloop.compiler.ir.build import graph_of
from innerloop.programs import load
from innerloop.runtime import Transformer

from .support.tables import show

ROWS: list[tuple[str, TargetName, dict[str, Any]]] = [
    ("gradient_descent", "gpt2", {"d": 8, "steps": 10}),
    ("sherman_morrison", "gpt2", {"d": 8, "ridge": 0.1}),
    ("stochastic_gradient_descent", "gpt2", {"d": 8}),
    ("k_means", "gpt2", {"d": 3, "k": 2, "sharpness": 1e5}),
    ("kernel_regression", "gpt2", {"d": 3}),
    ("perceptron", "gpt2", {"d": 3}),
    ("gradient_descent", "llama", {"d": 8, "steps": 10}),
    ("sherman_morrison", "llama", {"d": 8, "ridge": 0.1}),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    rows = []
    for name, target, parameters in ROWS:
        weights = compile_program(load(name), target=target, **parameters)
        graph = graph_of(weights.signature.text, weights.signature.parameters, name)
        data = draw(weights.signature, repetitions(graph), arguments.tasks, 7)
        modes: tuple[GuardMode, ...] = ("warn", "off")
        models = {mode: Transformer(weights, guard=mode) for mode in modes}
        seconds: dict[str, list[float]] = {mode: [] for mode in models}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for round_ in range(arguments.rounds + 1):
                for mode, model in models.items():
                    start = time.process_time()
                    model(**data)
                    if round_:  # the first compiles
                        seconds[mode].append(time.process_time() - start)
        ratio = float(np.median(np.array(seconds["warn"]) / np.array(seconds["off"])))
        looked = sum(watch.size for watch in models["warn"]._guard.watches)
        told = ", ".join(f"{k} {v}" for k, v in parameters.items())
        medians = [f"{np.median(seconds[mode]):.3f}" for mode in ("warn", "off")]
        rows.append([name, target, told, str(looked), *medians, f"{ratio:.3f}"])
    heads = ["program", "target", "parameters", "looks at", "with", "without", "ratio"]
    show(f"CPU seconds of {arguments.tasks} tasks, with the guard and without", heads, heads[:3], rows, 120)


if __name__ == "__main__":
    main()
