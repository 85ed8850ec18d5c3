"""What no family explains is sought among edits of texts, and among mixtures of two."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from innerloop.compiler import interpret
from innerloop.explain.behaviour import Behaviour, of_function
from innerloop.explain.edits import Edit, edited, edits
from innerloop.explain.explain import Settings, explain
from innerloop.explain.families import Family, regression
from innerloop.explain.mixtures import mixed
from innerloop.explain.verdict import verdict
from innerloop.laboratory.training.tasks import task
from innerloop.programs import load

D, N = 2, 5
TASK = task("linear", d=D, n=N)
FEW = Settings(fitted=64, held=128, sought=64)


def family(name: str) -> Family:
    return next(f for f in regression(D, N) if f.name == name)


def prompt(seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {"x": rng.standard_normal((4, N + 1, D)), "y": rng.standard_normal((4, N))}


def model(text: str, **parameters: Any) -> Behaviour:
    return of_function(lambda x, y: np.asarray(interpret(text, x=x, y=y, d=D, **parameters))[:, -1], "model")


@pytest.mark.parametrize("name", ["gradient_descent", "sherman_morrison", "kernel_regression", "gd_plus"])
def test_all_edits_at_once_change_nothing_until_their_numbers_do(name: str) -> None:
    of = family(name)
    found = edits(of)
    assert {e.kind for e in found} >= {"scaled", "added"}
    whole = {n: values[-1] for n, values in of.whole.items()}
    given: Any = {**of.given, **whole}
    every = edited(of, [(e, e.neutral) for e in found])
    wanted = interpret(of.text, **prompt(), **given)
    assert np.allclose(interpret(every.text, **prompt(), **given), wanted, rtol=1e-12, atol=1e-12)
    moved: Any = dict.fromkeys((n for n in every.reals if n.startswith("edit_")), 0.7)
    assert not np.allclose(interpret(every.text, **prompt(), **given, **moved), wanted)


def test_what_is_dropped_is_gone() -> None:
    of = family("gradient_descent")
    term = next(e for e in edits(of) if e.kind == "scaled" and e.said == "`dot(w, u[j])`")
    text = edited(of, [(Edit("dropped", term.span, "", term.said), 0.0)]).text
    plain = load("gradient_descent").replace("(dot(w, u[j]) - y[j])", "(-y[j])")
    shared: Any = {"d": D, "steps": 3, "rate": 0.2}
    assert np.allclose(interpret(text, **prompt(), **shared), interpret(plain, **prompt(), **shared))


@pytest.mark.parametrize(
    ("first", "second"), [("gradient_descent", "kernel_regression"), ("gd_plus", "gd_plus_layers_2")]
)
def test_a_mixture_answers_as_the_two_by_its_weight(first: str, second: str) -> None:
    a, b = family(first), family(second)
    counts: list[dict[str, int]] = [{n: values[0] for n, values in f.whole.items()} for f in (a, b)]
    of = mixed(a, b, (counts[0], counts[1]))
    given: Any = {**of.given, **{n: values[0] for n, values in of.whole.items()}}
    both: list[Any] = [{**f.given, **c} for f, c in zip((a, b), counts, strict=True)]
    answers = [interpret(f.text, **prompt(), **values) for f, values in zip((a, b), both, strict=True)]
    found = interpret(of.text, **prompt(), **given, weight=0.3)
    assert np.allclose(found[:, 1:], (0.3 * answers[0] + 0.7 * answers[1])[:, 1:])


@pytest.mark.slow
def test_an_edited_program_is_found_where_the_library_has_none() -> None:
    text = load("gradient_descent").replace("output dot(w, x)", "output dot(w, x) + 0.4 * mean[j in y](y[j])")
    found = explain(model(text, steps=2, rate=0.2), TASK, only=["gradient_descent"], settings=FEW)
    said, best = verdict(found), found.choice.best
    assert said.status == 0
    assert best.label == "gradient_descent_edited (steps 2)"
    assert float(best.values["edit_1"]) == pytest.approx(0.4, rel=1e-4)
    assert "added to the output" in said.sentence


@pytest.mark.slow
def test_an_edit_is_found_behind_a_program_that_explains_nearly_all() -> None:
    """Descent whose w decays is exact at 3 steps; at 4 plain descent, which leaves less typically, stands before it."""
    text = load("gradient_descent").replace("w = w -", "w = 0.97 * w -")
    only = ["gradient_descent", "heavy_ball"]
    found = explain(model(text, steps=3, rate=0.15), TASK, only=only, settings=FEW)
    said, best = verdict(found), found.choice.best
    assert said.kind == "runs"
    assert best.full == "gradient_descent_edited (steps 3), `w` scaled by edit_1"
    assert [float(best.values[n]) for n in ("rate", "edit_1")] == pytest.approx([0.15, 0.97], rel=1e-6)
