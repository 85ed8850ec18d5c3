"""Models whose answer is known, and models that are none of the programs: what `benchmarks/explain.py` asks about.

in       how many planted and taught models
out      `Case`s: a name, the model, the program that it runs (None: none of them) and its real parameters
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from innerloop.artifact.tokens import sequence_of
from innerloop.artifact.weights import Weights
from innerloop.compiler import compile_program
from innerloop.explain.behaviour import Behaviour, of_function, of_weights
from innerloop.laboratory.figures.layers import random_layers
from innerloop.laboratory.figures.small import fresh
from innerloop.laboratory.training.model import Model
from innerloop.laboratory.training.tasks import TaskDistribution, task
from innerloop.laboratory.training.train import train
from innerloop.programs import load
from innerloop.runtime.differentiable.function import Differentiable
from innerloop.runtime.surroundings import promoting
from numpy.typing import NDArray

D, N = 3, 10
LINEAR = task("linear", d=D, n=N)
NOISY = task("noisy_linear", d=D, n=N, noise=0.5)
STEPS = 2000
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    """`truth`: the program's name, None for no program; `parameters` its real ones; `make(folder)` gives the model."""

    name: str
    make: Callable[[Path], Behaviour]
    truth: str | None
    parameters: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    on: TaskDistribution = LINEAR


# Planted -----------------------------------------------------------------------------------------


def planted(count: int) -> Iterator[Case]:
    rng = np.random.default_rng(18)

    def between(low: float, high: float) -> float:
        return float(np.exp(rng.uniform(np.log(low), np.log(high))))

    for number in range(count):
        target = ("gpt2", "llama")[number % 2]
        draws: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
            ("gradient_descent", {"rate": between(0.05, 0.3)}, {"steps": int(rng.integers(1, 7))}),
            ("sherman_morrison", {"ridge": between(0.05, 2.0)}, {}),
            ("kernel_regression", {"width": between(0.5, 1.5)}, {}),
            ("stochastic_gradient_descent", {"rate": between(0.03, 0.1)}, {}),
            (
                "heavy_ball",
                {"rate": between(0.05, 0.2), "momentum": between(0.3, 0.8)},
                {"steps": int(rng.integers(2, 5))},
            ),
            ("averaging", {}, {}),
            (
                "gd_plus",
                {"rate": between(0.2, 0.6), "curvature": between(0.01, 0.03)},
                {"steps": int(rng.integers(2, 4))},
            ),
            ("normalized_least_mean_squares", {"rate": between(0.3, 1.0), "epsilon": between(0.05, 0.3)}, {}),
        ]  # fmt: skip
        program, reals, counts = draws[number % len(draws)]
        noisy = program == "gd_plus" and number % 16 >= 8
        target = "lsa" if program == "gd_plus" else target
        yield Case(
            f"planted {number}: {program} {_told(reals, counts)} on {target}{', noise 1 %' if noisy else ''}",
            _compiled(program, target, {**reals, **counts}, 0.01 if noisy else 0.0),
            program, reals, counts,
        )  # fmt: skip


def _told(reals: dict[str, float], counts: dict[str, int]) -> str:
    return ", ".join([*(f"{n} {v}" for n, v in counts.items()), *(f"{n} {v:.3g}" for n, v in reals.items())])


def _compiled(program: str, target: str, given: dict[str, Any], noise: float) -> Callable[[Path], Behaviour]:
    def make(_: Path) -> Behaviour:
        examples = {"examples": N} if "examples" in load(program).split("tokens")[0] else {}
        weights = compile_program(load(program), target=target, d=D, **examples, **given)  # type: ignore[arg-type]
        if not noise:
            return of_weights(weights, program)
        model, rng = Model.of(weights), np.random.default_rng(0)
        noisy = {n: np.asarray(v) * (1 + noise * rng.standard_normal(v.shape)) for n, v in model.parameters.items()}
        return of_weights(model.weights(noisy), program)

    return make


# Taught and trained ------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Taught(TaskDistribution):
    """A task whose truth is what a program answers."""

    program: Differentiable | None = None

    def loss(self, outputs: Any, fields: Any) -> Any:
        assert self.program is not None
        signature = self.program.program.signature
        line = sequence_of(signature, {name: rows.shape[1] for name, rows in fields.items()})
        with promoting():
            rows = {"x": fields["x"], "y": fields["y"][:, :-1, None]}
            wanted = self.program.many(line)(dict(self.program.start), rows)
        return jnp.mean(jnp.square(outputs[:, 1:] - jax.lax.stop_gradient(wanted)[:, 1:]))


@dataclass(frozen=True, eq=False)
class Shuffled(TaskDistribution):
    """Labels of another task: nothing is to be learnt from the examples."""

    def sample(self, key: Any, batch: int, *args: Any, **kwargs: Any) -> Any:
        fields = super().sample(key, batch, *args, **kwargs)
        swapped = jnp.where(jnp.arange(fields["y"].shape[1]) % 2 == 0, jnp.roll(fields["y"], 1, 0), fields["y"])
        return {"x": fields["x"], "y": swapped}


def _gpt2(on: TaskDistribution, seed: int, steps: int, name: str) -> Callable[[Path], Behaviour]:
    def make(folder: Path) -> Behaviour:
        place = folder / name.replace(" ", "-").replace(":", "").replace(",", "")
        if not place.is_dir():
            like = compile_program(load("averaging"), target="gpt2", d=D)
            start = fresh(like, 4, N, seed)
            if steps:
                train(start, on, steps=steps, batch=64, rate=3e-3, warmup=200, seed=seed).weights.save(place)
            else:
                start.weights(start.parameters).save(place)
        return of_weights(Weights.load(place), name)

    return make


def taught(count: int) -> Iterator[Case]:
    rng = np.random.default_rng(19)
    for number in range(count):
        draws: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
            ("gradient_descent", {"rate": float(rng.uniform(0.1, 0.3))}, {"steps": int(rng.integers(1, 4))}),
            ("sherman_morrison", {"ridge": float(rng.uniform(0.3, 2.0))}, {}),
            ("kernel_regression", {"width": float(rng.uniform(0.6, 1.2))}, {}),
            ("stochastic_gradient_descent", {"rate": float(rng.uniform(0.05, 0.1))}, {}),
        ]
        program, reals, counts = draws[number % len(draws)]
        examples: dict[str, Any] = {"examples": N} if "examples" in load(program).split("tokens")[0] else {}
        teacher = Differentiable(load(program), (), d=D, **examples, **reals, **counts)
        on = Taught("linear", LINEAR.parameters, "all", teacher)
        name = f"taught {number}: {program} {_told(reals, counts)}"
        yield Case(name, _gpt2(on, number, STEPS, name), program, reals, counts)


def trained(_: int) -> Iterator[Case]:
    skewed = task("skewed_linear", d=D, n=N, power=1.0, rows="query")
    values = np.arange(1, D + 1.0) ** -1
    values /= values.mean()
    inverse = 1 / ((1 + 1 / N) * values + values.sum() / N)

    def layer(folder: Path) -> Behaviour:
        place = folder / "layer"
        if not place.is_dir():
            like = compile_program(load("gradient_descent_dual"), target="lsa", d=D, steps=1, rate=0.1)
            start = random_layers(like, seed=0, d_head=D + 1)
            train(start, skewed, steps=1500, batch=512, rate=5e-3, warmup=100, clip=10.0).weights.save(place)
        return of_weights(Weights.load(place), "layer")

    diagonal = {f"A[{k},{k}]": float(v) for k, v in enumerate(inverse)}
    yield Case(
        "trained: one linear layer, skewed inputs", layer, "preconditioned_gradient_descent", diagonal, on=skewed
    )
    ridge = {"ridge": 0.25}
    for seed in (0, 1):
        name = f"trained: GPT-2, noisy, seed {seed}"
        yield Case(name, _gpt2(NOISY, seed, STEPS, name), "sherman_morrison", ridge, on=NOISY)
    yield Case("trained: GPT-2, linear", _gpt2(LINEAR, 0, STEPS, "trained: GPT-2, linear"), "sherman_morrison")


# None of the programs ----------------------------------------------------------------------------


def null(_: int) -> Iterator[Case]:
    for seed in (0, 1):
        name = f"null: untrained, seed {seed}"
        yield Case(name, _gpt2(LINEAR, seed, 0, name), None)
    shuffled = Shuffled("linear", LINEAR.parameters)
    yield Case("null: labels of others", _gpt2(shuffled, 0, STEPS, "null: labels of others"), None)
    yield Case("null: half-trained", _gpt2(LINEAR, 2, 250, "null: half-trained"), None)
    yield Case("null: 3 nearest neighbours", lambda _: of_function(neighbours, "neighbours"), None)
    yield Case("null: Gaussian process", lambda _: of_function(process, "process"), None)
    yield Case("null: random forest", lambda _: of_function(forest, "forest"), None)


def neighbours(x: Floats, y: Floats) -> Floats:
    distance = ((x[:, :-1] - x[:, -1:]) ** 2).sum(-1)
    return np.asarray(np.take_along_axis(y, np.argsort(distance, 1)[:, :3], 1).mean(1))


def process(x: Floats, y: Floats) -> Floats:
    """The mean of a Gaussian process of an RBF kernel of width 1 and noise 0.1."""
    kernel = np.exp(-((x[:, :, None] - x[:, None]) ** 2).sum(-1) / 2)
    inside = kernel[:, :-1, :-1] + 0.1 * np.eye(y.shape[1])
    return np.asarray(np.einsum("tj,tj->t", kernel[:, -1, :-1], np.linalg.solve(inside, y[..., None])[..., 0]))


def forest(x: Floats, y: Floats) -> Floats:
    from sklearn.ensemble import RandomForestRegressor

    return np.array([
        RandomForestRegressor(10, random_state=0).fit(a[:-1], b).predict(a[-1:])[0] for a, b in zip(x, y, strict=True)
    ])  # fmt: skip


SETS: dict[str, Callable[[int], Iterator[Case]]] = {
    "planted": planted,
    "taught": taught,
    "trained": trained,
    "null": null,
}
