"""What runs in a model is found again, and what is no program is refused."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from innerloop.artifact.errors import DataError, InnerloopError
from innerloop.compiler import compile_program, interpret
from innerloop.explain.behaviour import Behaviour, load, of_function, of_weights
from innerloop.explain.candidate import Candidate
from innerloop.explain.choice import choose
from innerloop.explain.counts import fit
from innerloop.explain.explain import HARDLY, Explanation, Settings, explain, holds
from innerloop.explain.families import of_program, regression
from innerloop.explain.fit import Fitted, Tasks, trivial
from innerloop.explain.library import rest
from innerloop.explain.report import write
from innerloop.explain.verdict import verdict
from innerloop.explain.written import written
from innerloop.laboratory.training.tasks import task
from innerloop.programs import load as shipped
from innerloop.programs import names

from tests.support.models import descent, dual

D, N = 2, 6
TASK = task("linear", d=D, n=N)
FEW = Settings(fitted=64, held=128, sought=256)


def program(name: str, **parameters: Any) -> Behaviour:
    def answer(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        found = np.asarray(interpret(shipped(name), x=x, y=y, d=D, **parameters))
        return found[:, -1]

    return of_function(answer, name)


@cache
def steps() -> Explanation:
    twin = program("gradient_descent", steps=3, rate=0.14)
    return explain(program("gradient_descent", steps=3, rate=0.137), TASK, only=TRIED, twin=twin, settings=FEW)


TRIED = ("averaging", "gradient_descent", "sherman_morrison")


@pytest.mark.slow
def test_a_program_is_found_again_with_its_parameters() -> None:
    found = steps()
    said = verdict(found)
    assert (said.kind, said.status) == ("runs", 0)
    first = said.named[0]
    assert first.label == "gradient_descent (steps 3)"
    assert float(first.values["rate"]) == pytest.approx(0.137, rel=1e-6)
    assert np.allclose(found.evidence.parameters["rate"], 0.137, rtol=1e-5)
    assert found.evidence.label_slopes.low > 0.999
    assert found.twins is not None
    assert found.twins < 1e-6  # nearer to the program than to its twin
    assert "sherman_morrison" in said.sentence  # the telling prompts speak against it
    assert {t.says for t in found.telling} == {"first"}


def test_what_is_written_compiles_and_says_the_same(tmp_path: Path) -> None:
    found = steps()
    write(found, tmp_path / "what")
    told = json.loads((tmp_path / "what" / "verdict.json").read_text())
    assert told["verdict"] == "runs"
    assert told["named"][0]["parameters"]["rate"] == pytest.approx(0.137)
    text = (tmp_path / "what" / "program.icl").read_text()
    x, y = np.random.default_rng(0).standard_normal((2, 4, N + 1, D))
    wanted = interpret(shipped("gradient_descent"), x=x, y=y[:, :-1, 0], d=D, steps=3, rate=0.137)
    assert np.allclose(interpret(text, x=x, y=y[:, :-1, 0]), wanted)
    page = (tmp_path / "what" / "report.html").read_text()
    assert "<svg" in page
    assert "gradient_descent" in page


@pytest.mark.slow
@pytest.mark.parametrize(
    "family",
    [f for f in (*regression(2, 6), *rest(2, 6)) if f.name not in names()],
    ids=lambda family: family.name,
)
def test_the_texts_of_its_own_compile(family: Any) -> None:
    """Programs of the library do (tests/whole); what is written in program.icl is one of these too."""
    counts = {name: values[1] for name, values in family.whole.items()}
    compile_program(family.text, target="gpt2", **family.given, **counts)


def nearest(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The label of the example whose first component is largest: none of the programs that are tried."""
    place = x[:, :-1, 0].argmax(1)
    return np.take_along_axis(y, place[:, None], 1)[:, 0]


def noise(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A fixed function of the query."""
    return np.asarray(np.sin(7 * x[:, -1].sum(-1)))


@pytest.mark.parametrize("function", [nearest, noise])
def test_what_is_no_program_is_refused(function: Callable[..., Any], tmp_path: Path) -> None:
    found = explain(of_function(function, "other"), TASK, only=TRIED, settings=FEW, search_too=function is noise)
    said = write(found, tmp_path / "what")
    assert said.status == 3
    assert said.sentence.startswith("no known program: ")
    most = 1 - min(f.left for f in found.choice.order)
    assert most <= 0 or f"explains {100 * most:.1f} %" in said.sentence  # of all fits, and not of the shortest
    assert not (tmp_path / "what" / "program.icl").exists()


QUICK = ("gd_plus", "preconditioned_gradient_descent", "nearest_neighbours", "ridge_with_intercept")
EVERY = [
    f
    for f in (*regression(D, N), *rest(D, N))
    if f.name in QUICK or not (f.name in names() or f.name[-2:] in ("_4", "_5", "_6"))
]
"""Without the library's own texts, which tests/differentiable holds, and all lengths of schedules but two."""


@pytest.mark.parametrize(
    "family",
    [f if f.name in QUICK else pytest.param(f, marks=pytest.mark.slow) for f in EVERY],
    ids=lambda family: family.name,
)
def test_every_family_answers_as_the_interpreter(family: Any) -> None:
    """At two prefixes, at its starting parameters and the least of its counts; also those that see all examples."""
    candidate = Candidate(family, N, (2, N))
    theta = candidate.starts()[0]
    counts = {name: values[0] for name, values in family.whole.items()}
    fields = TASK.drawn(3, 0, jit=False)
    x, y = fields["x"], fields["y"]
    found, slopes = candidate.run(theta, counts, x, y[:, :-1])
    values = {name: np.asarray(v) for name, v in candidate.values(theta).items()}
    for column, k in enumerate((2, N)):
        wanted = interpret(family.text, x=x[:, : k + 1], y=y[:, :k], **family.given, **counts, **values)
        assert np.allclose(found[:, column], np.asarray(wanted)[:, -1], rtol=1e-9, atol=1e-12)
    assert slopes.shape == (3, 2, candidate.reals)
    text = written(fit_of(candidate, counts, theta), "found")
    assert np.allclose(interpret(text, x=x, y=y[:, :-1])[:, -1], found[:, 1], rtol=1e-9, atol=1e-12)


def five_nearest(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    distance = ((x[:, :-1] - x[:, -1:]) ** 2).sum(-1)
    return np.asarray(np.take_along_axis(y, np.argsort(distance, 1)[:, :5], 1).mean(1))


def optimised(x: np.ndarray, y: np.ndarray, how: str) -> np.ndarray:
    """Three steps of descent at rate 0.2, as optimisers take them."""
    u, w, every = x[:, :-1], np.zeros((len(x), x.shape[2])), []
    for _ in range(3):
        g = ((np.einsum("tnd,td->tn", u, w) - y)[..., None] * u).mean(1)
        if how == "clipped":
            g = g * np.minimum(1.0, 0.5 / np.maximum(np.linalg.norm(g, axis=1, keepdims=True), 1e-12))
        w = (0.6 if how == "decayed" else 1.0) * w - 0.2 * g
        every.append(w)
    return np.asarray(((np.mean(every, 0) if how == "averaged" else w) * x[:, -1]).sum(1))


@pytest.mark.slow
@pytest.mark.parametrize("how", ["clipped", "decayed", "averaged"])
def test_what_optimisers_do_is_named(how: str) -> None:
    name = f"{how}_gradient_descent"
    found = explain(of_function(partial(optimised, how=how), how), TASK, only=("gradient_descent", name), settings=FEW)
    first = found.choice.best
    assert first.label == f"{name} (steps 3)"
    assert found.interval[1] <= 1e-9
    wanted = {"rate": 0.2} | {"clipped": {"most": 0.5}, "decayed": {"decay": 0.6}, "averaged": {}}[how]
    assert {n: float(v) for n, v in first.values.items()} == pytest.approx(wanted, rel=1e-5)


@pytest.mark.slow
def test_what_is_nearly_the_mean_of_all_labels_is_named_too() -> None:
    """Five neighbours of at most six, of which the rest of the library knows."""
    found = explain(of_function(five_nearest, "five"), TASK, only=("averaging", "nearest_neighbours"), settings=FEW)
    assert found.spread < HARDLY * found.size
    assert verdict(found).kind == "runs"
    assert found.choice.best.label == "nearest_neighbours (k 5)"


def fit_of(candidate: Candidate, counts: Any, theta: Any) -> Any:
    return Fitted(candidate, counts, theta, np.zeros((1, 1)), 0.0, 0.0, np.zeros((1, theta.size)))


def test_intervals_hold_the_truth_of_noisy_models() -> None:
    """Of ridge with answers that are off by noise, 20 times: 95 % intervals hold λ in at least 15, and are narrow."""
    exact, rng = program("sherman_morrison", ridge=0.3), np.random.default_rng(0)
    candidate = Candidate(next(f for f in regression(D, N) if f.name == "sherman_morrison"), N, (2, N))
    fields = TASK.drawn(20 * 128, 1, jit=False)
    x, y = fields["x"], fields["y"]
    answers = exact.ask(x, y[:, :-1], (2, N))
    noisy = answers + 0.05 * rng.standard_normal(answers.shape)
    inside = 0
    for start in range(0, len(x), 128):
        some = slice(start, start + 128)
        tasks = Tasks(x[some], y[some], noisy[some], (2, N))
        (found,) = fit(candidate, tasks, tasks)
        low, high = (float(end) for end in found.intervals()["ridge"])
        inside += low < 0.3 < high
        assert 0.005 < high - low < 0.3
        base = trivial(tasks)
        assert found.left == pytest.approx(0.05**2 / ((tasks.model - base) ** 2).mean(), rel=0.3)
    assert 15 <= inside <= 20


def test_programs_that_are_the_same_are_named_together() -> None:
    """One step of rate 1 is averaging: the shorter is named, the other beside it."""
    fields = TASK.drawn(64, 0, jit=False)
    model = program("averaging")
    tasks = Tasks(fields["x"], fields["y"], model.ask(fields["x"], fields["y"][:, :-1], (N,)), (N,))
    families = [f for f in regression(D, N) if f.name in ("averaging", "gradient_descent")]
    fits = [f for family in families for f in fit(Candidate(family, N, (N,)), tasks, tasks)]
    choice = choose(fits, tasks.model, trivial(tasks))
    assert choice.best.label == "averaging"
    assert "gradient_descent (steps 1)" in {f.label for f in choice.alike}


def test_a_family_that_holds_the_best_fit_as_a_special_case_is_no_rival() -> None:
    """A matrix fitted to few and noisy answers is worse than the one rate that it holds."""
    rng, parts = np.random.default_rng(0), []
    for count, seed in ((24, 1), (64, 2)):
        fields = TASK.drawn(count, seed, jit=False)
        answers = program("gradient_descent", steps=1, rate=0.3).ask(fields["x"], fields["y"][:, :-1], (N,))
        parts.append(Tasks(fields["x"], fields["y"], answers + 0.1 * rng.standard_normal(answers.shape), (N,)))
    seen, held = parts
    tried = {"gradient_descent": {"steps": (1,)}, "preconditioned_gradient_descent": {"steps": (1,)}}
    families = [replace(f, whole=tried[f.name]) for f in regression(D, N) if f.name in tried]
    rate, matrix = (fit(Candidate(family, N, (N,)), seen, held)[0] for family in families)
    assert holds(matrix, rate, seen, held)
    assert not holds(rate, matrix, seen, held)
    choice = choose([rate, matrix], held.model, trivial(held), [matrix])
    assert (choice.best, choice.rival, choice.alike) == (rate, None, (matrix,))


def test_weights_answer_at_every_prefix_or_at_their_query() -> None:
    many, one = of_weights(descent(), "many"), of_weights(dual(), "one")
    assert many.prefixes(20) == (1, 2, 3, 5, 7, 10, 14, 20)
    assert one.prefixes(20) == (20,)
    fields = TASK.drawn(5, 0, jit=False)
    x, y = fields["x"], fields["y"][:, :-1]
    assert np.allclose(many.ask(x, y, (N,)), one.ask(x, y, (N,)), atol=1e-3)


def test_a_program_of_ones_own_is_tried() -> None:
    text = shipped("gradient_descent").replace("program gradient_descent(", "program mine(")
    family = of_program(text, "mine.icl", {"d": D})
    assert family.reals["rate"].scale == "logarithmic"
    found = explain(program("gradient_descent", steps=2, rate=0.2), TASK, [family], ["mine"], settings=FEW)
    assert verdict(found).named[0].label == "mine (steps 2)"


def test_faults_are_said(tmp_path: Path) -> None:
    with pytest.raises(InnerloopError, match="knows no program `nothing`"):
        explain(program("averaging"), TASK, only=["nothing"], settings=FEW)
    with pytest.raises(InnerloopError, match="takes weights of tokens that hold a state each"):
        explain(program("averaging"), task("autoregressive"), settings=FEW)
    with pytest.raises(DataError, match="gave shape"):
        explain(of_function(lambda x, y: y, "labels"), TASK, settings=FEW)
    with pytest.raises(DataError, match=r"raises: ZeroDivisionError: .*it was asked with x \(128, 2, 2\)"):
        explain(of_function(lambda x, y: 1 / 0, "raises"), TASK)
    with pytest.raises(DataError, match="leaves: SystemExit: 5"):
        explain(of_function(lambda x, y: sys.exit(5), "leaves"), TASK, settings=FEW)
    with pytest.raises(DataError, match="twofold: TypeError: complex answers"):
        explain(of_function(lambda x, y: y.mean(1) + 1j, "twofold"), TASK, settings=FEW)
    (tmp_path / "folder.py").mkdir()
    with pytest.raises((InnerloopError, OSError), match=r"^(?!.*names no function)"):
        load(f"{tmp_path}/folder.py")
    with pytest.raises(InnerloopError, match="names no function"):
        load(f"{tmp_path}/model.py")
    (tmp_path / "model.py").write_text("def answer(x, y):\n    return y.mean(1)\n")
    assert load(f"{tmp_path}/model.py:answer").name == "answer"
    with pytest.raises(InnerloopError, match="has no function `other`"):
        load(f"{tmp_path}/model.py:other")
    with pytest.raises(InnerloopError, match="there is no such file"):
        load(f"{tmp_path}/none.py:answer")


@pytest.mark.slow
def test_what_continues_a_sequence_is_found_again() -> None:
    """One step on x_{t+1} = W x_t, W complex: an answer for each component, at every prefix."""
    weights = compile_program(shipped("ar_mesa_optimizer"), target="lsa", d=D, rate=0.21)
    states = task("autoregressive", d=D, n=N, form="complex")
    found = explain(of_weights(weights, "states"), states, settings=FEW)
    said = verdict(found)
    assert said.kind == "runs"
    assert said.named[0].label == "ar_mesa_optimizer"
    assert float(said.named[0].values["rate"]) == pytest.approx(0.21, rel=1e-5)
    assert found.held.model.shape == (FEW.held, len(found.prefixes) * 2 * D)
    assert np.allclose(found.evidence.parameters["rate"], 0.21, rtol=1e-4)
    assert found.evidence.weights is None
