"""Models that are compiled, so that it is known what runs in them: what this benchmark asks about.

in       how many
out      `Case`s: a name, the model, the program that it runs (None: none of them) and its real parameters
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from innerloop.compiler import compile_program
from innerloop.explain.behaviour import Behaviour, of_weights
from innerloop.laboratory.training.model import Model
from innerloop.laboratory.training.tasks import TaskDistribution, task
from innerloop.programs import load
from numpy.typing import ArrayLike, NDArray

from tests.support.permuted import permuted

D, N = 3, 10
LINEAR = task("linear", d=D, n=N)
TARGETS = ("gpt2", "llama", "gelu", "qwen2", "gemma", "neox")
Floats = NDArray[np.float64]
Draw = tuple[str, dict[str, Any], dict[str, Any]]
"""A program, its real parameters, its counts."""


@dataclass(frozen=True)
class Case:
    """`truth`: the program's name, None for no program; `parameters` its real ones, which are to be found `within` so
    much of their size; `make(folder)` gives the model. `wanted`: that it is named, refused, either, or anything (open).
    `exact`: of a program without a name, what it answers; to be named is one whose answers are `within` so much."""

    name: str
    make: Callable[[Path], Behaviour]
    truth: str | None
    parameters: Mapping[str, ArrayLike] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    on: TaskDistribution = LINEAR
    wanted: str = "named"
    within: float = 0.05
    exact: Behaviour | None = None


def draws(rng: np.random.Generator) -> list[Draw]:
    """A program of each family, its parameters drawn at random."""

    def between(low: float, high: float) -> float:
        return float(np.exp(rng.uniform(np.log(low), np.log(high))))

    def steps(most: int) -> dict[str, int]:
        return {"steps": int(rng.integers(1, most + 1))}

    a = rng.standard_normal((D, D))
    return [
        ("gradient_descent", {"rate": between(0.05, 0.3)}, steps(6)),
        ("sherman_morrison", {"ridge": between(0.05, 2.0)}, {}),
        ("kernel_regression", {"width": between(0.5, 1.5)}, {}),
        ("stochastic_gradient_descent", {"rate": between(0.03, 0.1)}, {}),
        (
            "heavy_ball", {"rate": between(0.05, 0.2), "momentum": between(0.3, 0.8)},
            {"steps": int(rng.integers(2, 5))},
        ),
        ("averaging", {}, {}),
        ("gd_plus", {"rate": between(0.2, 0.6), "curvature": between(0.01, 0.03)}, {"steps": int(rng.integers(2, 4))}),
        ("normalized_least_mean_squares", {"rate": between(0.3, 1.0), "epsilon": between(0.05, 0.3)}, {}),
        ("preconditioned_gradient_descent", {"A": 0.1 * np.eye(D) + 0.05 * a @ a.T}, {"steps": 1}),
        ("recursive_least_squares", {"ridge": between(0.2, 2.0), "forget": float(rng.uniform(0.7, 0.95))}, {}),
    ]  # fmt: skip


def told(reals: Mapping[str, Any], counts: Mapping[str, int]) -> str:
    """Parameters in words; a matrix by its diagonal."""
    numbers = [
        f"{n} {float(v):.3g}" if np.ndim(v) == 0 else f"{n} diagonal {' '.join(f'{x:.3g}' for x in np.diag(v))}"
        for n, v in reals.items()
    ]
    return ", ".join([*(f"{n} {v}" for n, v in counts.items()), *numbers])


def sizes(program: str) -> dict[str, Any]:
    """The parameters that the tasks decide."""
    return {"d": D, **({"examples": N} if "examples" in load(program).split("tokens")[0] else {})}


def planted(count: int) -> Iterator[Case]:
    """On every target and dtype, heads and neurons permuted; GD++ on linear attention, every other time with noise."""
    rng = np.random.default_rng(18)
    for number in range(count):
        drawn = draws(rng)
        program, reals, counts = drawn[number % len(drawn)]
        turn = number // len(drawn) + number
        target, dtype = TARGETS[turn % len(TARGETS)], ("float32", "float64")[turn % 5 == 4]
        noise = 0.0
        if program == "gd_plus":
            target, dtype, noise = "lsa", "float32", 0.01 * (number // len(drawn) % 2)
        said = f"planted {number}: {program} {told(reals, counts)} on {target}, {dtype}"
        make = _compiled(program, target, {**reals, **counts}, noise, dtype, number)
        within = 0.01 if not noise else 0.1
        yield Case(f"{said}{', noise 1 %' if noise else ''}", make, program, reals, counts, within=within)


def broken(count: int) -> Iterator[Case]:
    """Softmax models with relative noise of 1e-3 on every weight: most compute nothing any more."""
    rng = np.random.default_rng(20)
    for number in range(count):
        drawn = [draw for draw in draws(rng) if draw[0] != "gd_plus"]
        program, reals, counts = drawn[number % len(drawn)]
        target = ("gpt2", "llama")[(number + number // len(drawn)) % 2]
        name = f"broken {number}: {program} {told(reals, counts)} on {target}"
        make = _compiled(program, target, {**reals, **counts}, 1e-3, "float32", number)
        yield Case(name, make, program, reals, counts, wanted="either")


def _compiled(
    program: str, target: str, given: dict[str, Any], noise: float, dtype: str, seed: int
) -> Callable[[Path], Behaviour]:  # fmt: skip
    def make(_: Path) -> Behaviour:
        options: dict[str, Any] = {"target": target, "dtype": dtype, **sizes(program), **given}
        weights = compile_program(load(program), **options)
        if not noise:
            return of_weights(permuted(weights, seed), program)
        model, rng = Model.of(weights), np.random.default_rng(seed)
        noisy = {n: np.asarray(v) * (1 + noise * rng.standard_normal(v.shape)) for n, v in model.parameters.items()}
        return of_weights(model.weights(noisy), program)

    return make
