"""What the guard costs: CPU seconds of a call with it and without, taking turns in one process.

    python -m benchmarks.guard [--tasks 64] [--rounds 7]

Each row: the medians of the first calls, beside which the program is interpreted by NumPy, and the median of the
rounds' ratios; which call it was that compiled the interpreter (runtime/guard/jitted.py), and what that took; and the
medians and the ratio of the calls after it. The data are the default tasks, on which the guard says nothing; what it
looks at is counted as numbers for each task.
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


def _cpu_seconds(model: Transformer, data: dict[str, Any]) -> float:
    start = time.process_time()
    model(**data)
    return time.process_time() - start


def _by_turns(models: dict[GuardMode, Transformer], data: dict[str, Any], rounds: int) -> list[str]:
    """With the guard, without, and their ratio."""
    seconds = np.array([[_cpu_seconds(models[mode], data) for mode in ("warn", "off")] for _ in range(rounds)])
    ratio = np.median(seconds[:, 0] / seconds[:, 1])
    return [*(f"{median:.4f}" for median in np.median(seconds, 0)), f"{ratio:.3f}"]


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
        models: dict[GuardMode, Transformer] = {"warn": Transformer(weights), "off": Transformer(weights, guard="off")}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for model in models.values():
                model(**data)  # which compiles the pass
            first = _by_turns(models, data, arguments.rounds)
            calls, compiling = 1 + arguments.rounds, 0.0
            while not models["warn"]._interpreter.runs:
                calls, compiling = calls + 1, _cpu_seconds(models["warn"], data)
            later = _by_turns(models, data, arguments.rounds)
        looked = sum(watch.size for watch in models["warn"]._guard.watches)
        told = ", ".join(f"{k} {v}" for k, v in parameters.items())
        rows.append([name, target, told, str(looked), *first, str(calls), f"{compiling:.2f}", *later])
    took = ["with", "without", "ratio"]
    heads = ["program", "target", "parameters", "looks at", *took, "compiled at call", "s", *took]
    show(f"CPU seconds of {arguments.tasks} tasks, with the guard and without", heads, heads[:3], rows, 140)


if __name__ == "__main__":
    main()
