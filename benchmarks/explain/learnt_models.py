"""Models that were trained, and predictors that are none of the programs: what this benchmark asks about.

in       how many taught models
out      `Case`s (known_models.py); what is trained is kept in the benchmark's folder
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from innerloop.artifact.tokens import sequence_of
from innerloop.artifact.weights import Weights
from innerloop.compiler import compile_program
from innerloop.explain.behaviour import Behaviour, of_function, of_weights
from innerloop.laboratory.figures import figure, von_oswald_1, zhang_gamma, zheng_ar
from innerloop.laboratory.figures.shared.frame import Setting
from innerloop.laboratory.figures.shared.small import fresh
from innerloop.laboratory.training.tasks import TaskDistribution, task
from innerloop.laboratory.training.train import train
from innerloop.programs import load
from innerloop.runtime.differentiable.function import Differentiable
from innerloop.runtime.surroundings import promoting

from .known_models import LINEAR, Case, D, Floats, N, sizes, told

NOISY = task("noisy_linear", d=D, n=N, noise=0.5)
STEPS, LONG = 2000, 6000
SEEDS = (0, 1, 2)

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


def _kept(name: str, make: Callable[[Path], Weights]) -> Callable[[Path], Behaviour]:
    """The weights in a folder of that name, made where it is not there yet."""

    def behaviour(folder: Path) -> Behaviour:
        place = folder / "".join(c if c.isalnum() or c in "-." else "-" for c in name)
        if not place.is_dir():
            make(folder / "training").save(place)
        return of_weights(Weights.load(place), name)

    return behaviour


def _gpt2(on: TaskDistribution, seed: int, steps: int, name: str, layers: int = 4) -> Callable[[Path], Behaviour]:
    def make(_: Path) -> Weights:
        start = fresh(compile_program(load("averaging"), target="gpt2", d=D), layers, N, seed)
        if not steps:
            return start.weights(start.parameters)
        return train(start, on, steps=steps, batch=64, rate=3e-3, warmup=200, seed=seed).weights

    return _kept(name, make)


def taught(count: int) -> Iterator[Case]:
    """GPT-2s trained on a program's answers; family, parameters and steps drawn at random."""
    rng = np.random.default_rng(19)
    for number in range(count):
        draws: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
            ("gradient_descent", {"rate": float(rng.uniform(0.1, 0.3))}, {"steps": int(rng.integers(1, 4))}),
            ("sherman_morrison", {"ridge": float(rng.uniform(0.3, 2.0))}, {}),
            ("kernel_regression", {"width": float(rng.uniform(0.6, 1.2))}, {}),
            ("stochastic_gradient_descent", {"rate": float(rng.uniform(0.05, 0.1))}, {}),
        ]
        program, reals, counts = draws[number % len(draws)]
        name = f"taught {number}: {program} {told(reals, counts)}"
        yield Case(name, _gpt2(_answers(load(program), {**sizes(program), **reals, **counts}), number, STEPS, name),
                   program, reals, counts)  # fmt: skip


EDITED: list[tuple[str, str, str, str, dict[str, Any]]] = [
    ("decayed weight", "gradient_descent", "w = w - rate", "w = 0.5 * w - rate",
     {"steps": 2, "rate": 0.3}),
    ("mean label beside", "gradient_descent", "output dot(w, x)", "output dot(w, x) + 0.4 * mean[j in y](y[j])",
     {"steps": 2, "rate": 0.2}),
    ("later examples count more", "gradient_descent", "mean[j in y](", "softmax[j in y](0.5 * place[j], ",
     {"steps": 2, "rate": 0.2}),
]  # fmt: skip
NAMED = {"decayed weight": ("decayed_gradient_descent", {"rate": 0.3, "decay": 0.5})}
"""Edits that have a name by now, and its parameters."""


def edited(_: int) -> Iterator[Case]:
    """GPT-2s trained on the answers of programs that no library has: a text of it with one change."""
    for number, (what, program, old, new, given) in enumerate(EDITED):
        text = load(program).replace("at y\n", "at y\n    place = sum[k in y](1)\n").replace(old, new)
        exact = Differentiable(text, (), d=D, **given)
        said, counts = f"{what}, {program}", {"steps": given["steps"]}
        of = of_function(lambda x, y, f=exact: f(x=x, y=y)[:, -1], said)  # type: ignore[misc]
        yield Case(f"edited: {said}, itself", lambda _, of=of: of, None, {}, counts, exact=of)  # type: ignore[misc]
        name = f"edited: {said}, taught"
        made = _gpt2(Taught("linear", LINEAR.parameters, "all", exact), number, STEPS, name)
        if what in NAMED:
            yield Case(name, made, *NAMED[what], counts)
        else:
            yield Case(name, made, None, {}, counts, within=0.1, exact=of)


def _answers(text: str, given: dict[str, Any]) -> Taught:
    return Taught("linear", LINEAR.parameters, "all", Differentiable(text, (), **given))


def known(_: int) -> Iterator[Case]:
    """What published figures train, as the laboratory reproduces them; and ridge regression on noisy labels."""
    yield Case("known: von Oswald, one layer", _published("von_oswald_1", "trained"), "gradient_descent",
               {"rate": von_oswald_1.best_step()[0]}, {"steps": 1}, von_oswald_1.TASKS, within=0.03)  # fmt: skip
    yield Case("known: von Oswald, two layers", _published("von_oswald_2", "trained"), "gd_plus",
               {"curvature": 0.176}, {"steps": 2}, von_oswald_1.TASKS, within=0.03)  # fmt: skip
    inverse = np.linalg.inv(zhang_gamma.gamma())
    yield Case("known: Zhang, one layer", _published("zhang_gamma", "trained"), "preconditioned_gradient_descent",
               {"A": inverse}, {"steps": 1}, zhang_gamma.TASKS, within=0.03)  # fmt: skip
    for start, scale in (("gaussian", zheng_ar.SIGMA), ("sparse", zheng_ar.C)):
        states = task("autoregressive", d=zheng_ar.D, n=zheng_ar.T, form="complex", start=start, start_scale=scale)
        yield Case(f"known: Zheng, {start} start", _published("zheng_ar", f"trained_{start}"), "ar_mesa_optimizer",
                   {"rate": zheng_ar.closed_form(start, scale=scale)}, on=states, within=0.03)  # fmt: skip
    for seed in SEEDS[:2]:
        name = f"known: GPT-2 on noisy labels, seed {seed}"
        yield Case(name, _gpt2(NOISY, seed, LONG, name), "sherman_morrison", {"ridge": 0.25}, on=NOISY, within=0.25)


def _published(name: str, which: str) -> Callable[[Path], Behaviour]:
    return _kept(f"{name} {which}", lambda folder: figure(name).run(Setting(folder / name / which)).weights[which])


def open_(_: int) -> Iterator[Case]:
    """GPT-2s trained on the task itself: what they run is not known, and should not depend on the seed."""
    for layers in (1, 2, 4):
        for seed in SEEDS:
            name = f"open: GPT-2 of {layers} layers, seed {seed}"
            yield Case(name, _gpt2(LINEAR, seed, STEPS, name, layers), None, wanted="open")


# None of the programs ----------------------------------------------------------------------------


def null(_: int) -> Iterator[Case]:
    shuffled = Shuffled("linear", LINEAR.parameters)
    trainings = (("untrained", LINEAR, 0), ("labels of others", shuffled, STEPS), ("half-trained", LINEAR, 250))
    for seed in SEEDS[:2]:
        for what, on, steps in trainings:
            name = f"null: {what}, seed {seed}"
            yield Case(name, _gpt2(on, seed, steps, name), None, wanted="refused")
    callables: list[tuple[str, Callable[[Floats, Floats], Floats], str | None, dict[str, float]]] = [
        ("3 nearest neighbours", neighbours, "nearest_neighbours", {}),
        ("Gaussian process", process, "kernel_ridge", {"width": 1.0, "ridge": 0.1}),
        ("random forest", forest, None, {}),
        ("boosted trees", boosted, None, {}),
    ]
    for name, function, truth, reals in callables:
        model = of_function(function, name)
        yield Case(f"null: {name}", lambda _, model=model: model, truth, reals, wanted="either")  # type: ignore[misc]


def neighbours(x: Floats, y: Floats) -> Floats:
    distance = ((x[:, :-1] - x[:, -1:]) ** 2).sum(-1)
    return np.asarray(np.take_along_axis(y, np.argsort(distance, 1)[:, :3], 1).mean(1))


def process(x: Floats, y: Floats) -> Floats:
    """The mean of a Gaussian process of an RBF kernel of width 1 and noise 0.1."""
    kernel = np.exp(-((x[:, :, None] - x[:, None]) ** 2).sum(-1) / 2)
    inside = kernel[:, :-1, :-1] + 0.1 * np.eye(y.shape[1])
    return np.asarray(np.einsum("tj,tj->t", kernel[:, -1, :-1], np.linalg.solve(inside, y[..., None])[..., 0]))


def forest(x: Floats, y: Floats) -> Floats:
    """Ten trees."""
    from sklearn.ensemble import RandomForestRegressor

    return _each(lambda: RandomForestRegressor(10, random_state=0), x, y)


def boosted(x: Floats, y: Floats) -> Floats:
    """Twenty trees, each on what those before it leave."""
    from sklearn.ensemble import GradientBoostingRegressor

    return _each(lambda: GradientBoostingRegressor(n_estimators=20, random_state=0), x, y)


def _each(make: Callable[[], Any], x: Floats, y: Floats) -> Floats:
    return np.array([make().fit(a[:-1], b).predict(a[-1:])[0] for a, b in zip(x, y, strict=True)])


SETS: dict[str, Callable[[int], Iterator[Case]]] = {
    "known": known,
    "open": open_,
    "null": null,
    "taught": taught,
    "edited": edited,
}
