"""How exact one division and one product are, as programs of one line, on every target that holds them.

    python -m benchmarks.operations [--dtype float32 float64] [--points 20000]

Division: the largest relative error of 1 / s, s log-uniform in [0.3, 200], the ends included (torchwright's tabulated
reciprocal: 5.7e-2). Product: the largest error of a · b over R², a and b uniform in [−R, R], R = 10, the corners
included.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np
from innerloop.artifact.arrays import Dtype
from innerloop.artifact.weights import Weights
from innerloop.artifact.words import TargetName
from innerloop.compiler import CompileError, compile_program
from innerloop.compiler.architectures.targets import TARGETS
from innerloop.runtime import Transformer

from .support.tables import show

LOW, HIGH, RADIUS = 0.3, 200.0, 10.0
DIVISION = f"""program division()

tokens (number)*
    s : scalar on number in [{LOW}, {HIGH}]

output 1 / s
"""
PRODUCT = f"""program product()

tokens (number)*
    a : scalar on number in [-{RADIUS}, {RADIUS}]
    b : scalar on number in [-{RADIUS}, {RADIUS}]

output a * b
"""
GOALS = {("division", "llama"): 1e-6, ("division", "gpt2"): 1e-5, ("product", "llama"): 2e-7, ("product", "gpt2"): 2e-6}
"""In float32."""
TOKENS = 50


@dataclass(frozen=True)
class Measured:
    """`error`: relative for a division, over R² for a product."""

    weights: Weights
    error: float


def division(target: TargetName, dtype: Dtype, points: int, seed: int = 0) -> Measured:
    """Raises CompileError on a target that cannot divide."""
    weights = compile_program(DIVISION, target=target, dtype=dtype)
    rng = np.random.default_rng(seed)
    s = np.exp(rng.uniform(np.log(LOW), np.log(HIGH), (points // TOKENS, TOKENS))).clip(LOW, HIGH)
    s[0, :2] = LOW, HIGH
    found = np.asarray(Transformer(weights)(s=s), np.float64)
    return Measured(weights, float(np.abs(found * s - 1.0).max()))


def product(target: TargetName, dtype: Dtype, points: int, seed: int = 0) -> Measured:
    """Raises CompileError on a target that cannot multiply within a token."""
    weights = compile_program(PRODUCT, target=target, dtype=dtype)
    a, b = np.random.default_rng(seed).uniform(-RADIUS, RADIUS, (2, points // TOKENS, TOKENS))
    a[0, :4], b[0, :4] = RADIUS * np.array([1, 1, -1, -1]), RADIUS * np.array([1, -1, 1, -1])
    found = np.asarray(Transformer(weights)(a=a, b=b), np.float64)
    return Measured(weights, float(np.abs(found - a * b).max()) / RADIUS**2)


OPERATIONS = {"division": division, "product": product}


def line(operation: str, target: TargetName, dtype: Dtype, points: int) -> list[str]:
    try:
        found = OPERATIONS[operation](target, dtype, points)
    except CompileError as error:
        return [operation, target, dtype, "–", "–", "–", "–", error.diagnostics[0].message[:60]]
    report, goal = found.weights.report, GOALS.get((operation, target)) if dtype == "float32" else None
    asked = "–" if goal is None else f"≤ {goal:.0e}{'' if found.error <= goal else '  MISSED'}"
    return [operation, target, dtype, f"{found.error:.1e}", asked, str(report.layers), f"{report.neurons:,}", ""]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--dtype", nargs="+", default=["float32", "float64"], choices=["float32", "float64"])
    parser.add_argument("--points", type=int, default=20_000)
    options = parser.parse_args()
    show(
        f"{options.points} points; division: relative error; product: error over R²",
        ("operation", "target", "dtype", "error", "goal", "layers", "neurons", "refused"),
        ("operation", "target", "dtype", "goal", "refused"),
        [line(o, target, dtype, options.points) for o in OPERATIONS for target in TARGETS for dtype in options.dtype],
    )


if __name__ == "__main__":
    main()
