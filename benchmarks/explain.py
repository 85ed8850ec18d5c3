"""Does `innerloop explain` say what runs? Models whose answer is known, and models that are none of the programs.

    python -m benchmarks.explain [--set planted taught trained null] [--count 8] [-o FOLDER]
    python -m benchmarks.explain --interpreter        the programs in JAX against the NumPy oracle on 1,000 tasks
    python -m benchmarks.explain --pairs              which programs can be told apart, by which prompts

From the root of the repository. FOLDER holds results.json and the trained weights: a run that is killed goes on from
there. The sets, all of d = 3 and prompts of 10 examples:

    planted   compiled programs, their parameters drawn at random, on gpt2, llama and lsa; lsa also with 1 % noise
    taught    GPT-2s of 4 layers, width 32, trained on a program's answers
    trained   one layer of linear attention on skewed inputs; GPT-2s of 4 layers on linear and on noisy tasks
    null      untrained; trained on the labels of other tasks; a forest, nearest neighbours, a Gaussian process

A row is right where the program is named, first or as one that these tasks cannot tell from it; of a null model, where
none is named. `off` is the largest relative error of the real parameters.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from innerloop.artifact.weights import Weights
from innerloop.compiler import compile_program, interpret
from innerloop.explain.behaviour import Behaviour, of_function, of_weights
from innerloop.explain.explain import candidate_of, explain
from innerloop.explain.families import regression
from innerloop.explain.fit import Tasks, fit
from innerloop.explain.verdict import verdict
from innerloop.laboratory.figures.layers import random_layers
from innerloop.laboratory.figures.small import fresh
from innerloop.laboratory.training.model import Model
from innerloop.laboratory.training.tasks import TaskDistribution, task
from innerloop.laboratory.training.train import train
from innerloop.programs import load
from innerloop.runtime.differentiable.function import Differentiable
from innerloop.runtime.surroundings import promoting, settled
from numpy.typing import NDArray

from .tables import show

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
        draws: list[tuple[str, dict[str, float], dict[str, int]]] = [
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
        from innerloop.artifact.tokens import sequence_of

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
        draws: list[tuple[str, dict[str, float], dict[str, int]]] = [
            ("gradient_descent", {"rate": float(rng.uniform(0.1, 0.3))}, {"steps": int(rng.integers(1, 4))}),
            ("sherman_morrison", {"ridge": float(rng.uniform(0.3, 2.0))}, {}),
            ("kernel_regression", {"width": float(rng.uniform(0.6, 1.2))}, {}),
            ("stochastic_gradient_descent", {"rate": float(rng.uniform(0.05, 0.1))}, {}),
        ]
        program, reals, counts = draws[number % len(draws)]
        examples = {"examples": N} if "examples" in load(program).split("tokens")[0] else {}
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


# The table ---------------------------------------------------------------------------------------

SETS: dict[str, Callable[[int], Iterator[Case]]] = {
    "planted": planted,
    "taught": taught,
    "trained": trained,
    "null": null,
}


def judged(case: Case, folder: Path) -> dict[str, Any]:
    """A row of the table."""
    start = time.process_time()
    model = case.make(folder)
    made = time.process_time()
    found = explain(model, case.on)
    said, best = verdict(found), found.choice.best
    match = next((f for f in said.named if f.candidate.name == case.truth and f.counts == case.counts), None)
    match = match or next((f for f in said.named if f.candidate.name == case.truth), None)
    return {
        "name": case.name,
        "verdict": said.kind,
        "sentence": said.sentence,
        "first": best.label,
        "unexplained": best.left,
        "margin": min(found.choice.margin, 1e99),
        "right": (said.status != 0) if case.truth is None else match is not None,
        "named": [f.label for f in said.named],
        "off": None if match is None else _off(case, {n: np.asarray(v) for n, v in match.values.items()}),
        "steps": None if not case.counts or match is None else case.counts == match.counts,
        "telling": [t.says for t in found.telling],
        "by_prefix": {n: v.tolist() for n, v in found.evidence.parameters.items()},
        "made_s": made - start,
        "explained_s": time.process_time() - made,
    }


def _off(case: Case, values: dict[str, Floats]) -> float:
    """Of the parameters that are known; of a matrix, its diagonal."""
    errors = [0.0]
    for name, wanted in case.parameters.items():
        whole, _, place = name.partition("[")
        value = values[whole][tuple(int(k) for k in place[:-1].split(","))] if place else values[whole]
        errors.append(abs(float(value) / wanted - 1))
    return max(errors)


def run(options: argparse.Namespace) -> None:
    folder = Path(options.output)
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / "results.json"
    done: dict[str, dict[str, Any]] = json.loads(kept.read_text()) if kept.is_file() else {}
    cases = [case for name in options.set for case in SETS[name](options.count)]
    for case in cases:
        if case.name not in done:
            done[case.name] = judged(case, folder)
            kept.write_text(json.dumps(done, indent=1, ensure_ascii=False))
            print(case.name, "→", done[case.name]["sentence"][:200], flush=True)
    rows = [done[case.name] for case in cases]
    show(
        f"d = {D}, n = {N}: {sum(r['right'] for r in rows)} of {len(rows)} right",
        ("model", "verdict", "first", "unexplained", "margin", "off", "right", "CPU s"),
        ("model", "verdict", "first"),
        [
            [
                r["name"], r["verdict"], r["first"], f"{r['unexplained']:.1e}", f"{r['margin']:.1e}",
                "–" if r["off"] is None else f"{r['off']:.1e}", "yes" if r["right"] else "NO",
                f"{r['explained_s']:.0f}",
            ]
            for r in rows
        ],
        190,
    )  # fmt: skip


# Pairs, and the interpreter's speed --------------------------------------------------------------


def pairs(_: argparse.Namespace) -> None:
    """Each program, exact, and the best imitation by every other family: at all prefixes, and at the last alone."""
    exact: list[tuple[str, str, dict[str, Any]]] = [
        ("GD, 1 step", "gradient_descent", {"steps": 1, "rate": 0.2}),
        ("GD, 3 steps", "gradient_descent", {"steps": 3, "rate": 0.137}),
        ("GD++, 2 layers", "gd_plus", {"steps": 2, "rate": 0.3, "curvature": 0.02}),
        ("heavy ball, 4 steps", "heavy_ball", {"steps": 4, "rate": 0.1, "momentum": 0.6}),
        ("SGD", "stochastic_gradient_descent", {"rate": 0.08}),
        ("ridge 0.3", "sherman_morrison", {"ridge": 0.3}),
        ("kernel 1", "kernel_regression", {"width": 1.0}),
    ]
    rows = []
    for label, program, given in exact:
        f = Differentiable(load(program), (), d=D, **given)
        model = of_function(lambda x, y, f=f: f(x=x, y=y)[:, -1], program)  # type: ignore[misc]
        for what, prefixes in (("all", model.prefixes(N)), ("last", (N,))):
            seen, held = (_tasks(model, count, seed, prefixes) for count, seed in ((128, 0), (512, 1)))
            found = []
            for family in regression(D, N):
                if family.name != program:
                    fits = fit(candidate_of(family, N, prefixes), seen, held)
                    found.append(min(fits, key=lambda s: s.left))
            nearest = sorted(found, key=lambda s: s.left)[:3]
            most = float(((nearest[0].answers - held.model) ** 2).sum(1).max())
            rows.append([label, what, *(f"{s.label}: {s.left:.1e}" for s in nearest), f"{most:.2g}"])
    show(
        "unexplained by the best imitations of other families, and the largest (f − g)² of 512 tasks",
        ("program", "prefixes", "nearest", "second", "third", "most"),
        ("program", "prefixes", "nearest", "second", "third"),
        rows,
        190,
    )


def _tasks(model: Behaviour, count: int, seed: int, prefixes: tuple[int, ...]) -> Tasks:
    fields = LINEAR.drawn(count, seed, jit=False)
    x, y = fields["x"], fields["y"]
    return Tasks(x, y, model.ask(x, y[:, :-1], prefixes), prefixes)


def interpreter(_: argparse.Namespace) -> None:
    """Every shipped program on 1,000 tasks of its reference case: largest error, CPU seconds, ratio."""
    from innerloop.artifact.tokens import read_data
    from innerloop.compiler.interpreter.oracle import evaluate
    from innerloop.compiler.ir.build import graph_of
    from innerloop.compiler.syntax.parse import parse
    from innerloop.programs import names
    from innerloop.runtime.differentiable.opened import real_parameters

    from tests.reference import case_of

    def seconds(function: Callable[..., Any], *args: Any, **fields: Any) -> float:
        times = []
        for _ in range(4):
            start = time.process_time()
            function(*args, **fields)
            times.append(time.process_time() - start)
        return min(times)

    rows, ratios = [], []
    for name in names():
        case = case_of(name)
        data: dict[str, Any] = dict(case.data(5, 1000))
        f = Differentiable(load(name), real_parameters(parse(load(name))), **case.parameters)
        graph = graph_of(load(name), case.parameters)
        tokens = read_data(f.program.signature, data)
        wanted = evaluate(graph, tokens)
        error = float(np.abs(f(**data) - wanted).max() / max(1.0, float(np.abs(wanted).max())))
        line, rows_of = tokens.sequence, f.rows(tokens)
        with settled("float64"):
            held = jax.block_until_ready(jax.device_put((dict(f.start), rows_of)))
            kernel = seconds(lambda k, h: k(*h).block_until_ready(), f.batch(line), held)
        alone = [seconds(evaluate, graph, tokens), kernel]
        called = [seconds(interpret, load(name), **data, **case.parameters), seconds(f, **data)]
        ratios.append((alone[0] / alone[1], called[0] / called[1]))
        numbers = [f"{1e3 * number:.1f}" for number in (*alone, *called)]
        rows.append([name, f"{error:.1e}", *numbers[:2], f"{ratios[-1][0]:.1f}", *numbers[2:], f"{ratios[-1][1]:.1f}"])
    medians = np.median(ratios, 0)
    show(
        f"1,000 tasks, CPU milliseconds: graph against graph, median ratio {medians[0]:.1f}; call against call "
        f"{medians[1]:.1f}",
        ("program", "error", "oracle", "JAX", "ratio", "interpret", "Differentiable", "ratio "),
        ("program",),
        rows,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", nargs="+", default=list(SETS), choices=list(SETS))
    parser.add_argument("--count", type=int, default=8, help="of planted and of taught models")
    parser.add_argument("-o", "--output", default="out/explain")
    parser.add_argument("--interpreter", action="store_true")
    parser.add_argument("--pairs", action="store_true")
    options = parser.parse_args()
    (interpreter if options.interpreter else pairs if options.pairs else run)(options)


if __name__ == "__main__":
    main()
