"""The figures of small GPT-2s: what their measures say of models that are known, and tiny runs from end to end."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from innerloop.artifact.weights import Weights
from innerloop.laboratory.figures import akyurek_algorithms as akyurek
from innerloop.laboratory.figures import akyurek_predictors as predictors
from innerloop.laboratory.figures import akyurek_width as width
from innerloop.laboratory.figures import figure, probes
from innerloop.laboratory.figures import raventos_diversity as raventos
from innerloop.laboratory.figures.shared import regression
from innerloop.laboratory.figures.shared.small import CALIBRATION, MEASURED, WIDTH, fresh
from innerloop.laboratory.measures.nearest import nearest
from innerloop.laboratory.measures.references import gradient_descent, reference
from innerloop.laboratory.reproduce import reproduce
from innerloop.programs import load

from tests.support.shared import compiled_once

CLEAN = regression.TASKS
NOISY = regression.noisy(akyurek.NOISE)


def test_the_best_rate_of_one_step_is_the_analytic_one() -> None:
    """Over k = 1 … n examples of N(0, I) the loss of one step is d (1 − 2η + η² (1 + (d + 1) mean 1/k)) on average."""
    best = akyurek.best_rate(
        lambda rate: reference(gradient_descent, steps=1, rate=rate), CLEAN.drawn(4000, CALIBRATION)
    )
    expected = 1 / (1 + (regression.D + 1) * np.mean(1 / np.arange(1, regression.N + 1)))
    assert best == pytest.approx(expected, rel=0.1)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_compiled_models_are_recognised_as_what_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """One compiled GD step in place of the shallow model, least squares of the deepest, Bayes ridge of that with
    noise: every check holds; and with the first two exchanged those of the depths do not."""
    monkeypatch.setattr(akyurek, "STEPS", (1,))
    fields, noisy = CLEAN.drawn(300, MEASURED), NOISY.drawn(300, MEASURED)
    usual = CLEAN.drawn(2048, CALIBRATION)
    known = akyurek.descents(usual) | akyurek.ridges(usual, (akyurek.SMALLEST,))
    bayes = {value: akyurek.ridges(noisy, (value,))[f"ridge {value:g}"][0] for value in (0.25, 1.0)}
    assert max(akyurek.off(pair, fields) for pair in known.values()) < 1e-8
    first, last = known["GD, 1 step"][0], known["least squares"][0]

    def held(shallow: Weights, deepest: Weights) -> list[bool]:
        models = akyurek.predictors({"1 layer": shallow, "4 layers": deepest})
        table = nearest(models, akyurek.predictors({n: w for n, (w, _) in known.items()}), fields, regression.D)
        lines = {
            0.0: np.array([1e-6, 1e-3, 1e-2, 0.1, 0.2]),
            akyurek.NOISE: np.array([9.0, 0.1, 0.05, 0.0, 0.1]),
        }
        return [check.holds for check in akyurek.checks(table, lines, 0.0)]

    assert all(held(first, last))
    assert held(last, first) == [True, False, False, False, True, True]
    line = akyurek.by_ridge(bayes[0.25], bayes, noisy)
    assert line.argmin() == 1  # after λ = 0
    assert line[1] == 0


def test_by_width_one_step_and_least_squares_are_recognised() -> None:
    """Compiled one step in place of the narrow models, least squares of the wide ones: every check holds, and the other
    way round those of the order do not."""
    fields, usual = CLEAN.drawn(100, MEASURED), CLEAN.drawn(2048, CALIBRATION)
    known = {name: w for name, (w, _) in akyurek.ridges(usual, (akyurek.SMALLEST,)).items()}
    known["GD, 1 step"] = compiled_once(load("gradient_descent"), d=regression.D, steps=1)
    references = akyurek.predictors(known)

    def held(*names: str) -> list[bool]:
        tables = {4 * 2**k: nearest({"0": references[name]}, references, fields, regression.D)
                  for k, name in enumerate(names)}  # fmt: skip
        assert [width.named(table) for table in tables.values()] == [[name] for name in names]
        with np.errstate(divide="ignore"):
            return [check.holds for check in width.checks(tables, 0.0)]

    assert all(held("GD, 1 step", "least squares"))
    assert held("least squares", "GD, 1 step") == [True, False, False, False, False]


def test_a_model_of_either_kind_is_told_apart_by_diversity() -> None:
    on, fresh_tasks = raventos.pretraining(4), raventos.FRESH.drawn(300, MEASURED)
    ridge = compiled_once(load("sherman_morrison"), d=raventos.D, examples=raventos.N, ridge=raventos.NOISE**2)
    discrete = compiled_once(
        load("bayes_model_average"), d=raventos.D, m=4, noise=raventos.NOISE**2, known=np.asarray(on.pool(), float)
    )
    places = {"pretraining": on.drawn(300, MEASURED), "fresh": fresh_tasks}
    assert raventos.off(discrete, places["pretraining"]) < 1e-7
    few, many = (raventos.measured(4, w, discrete, ridge, places) for w in (discrete, ridge))
    assert few.from_discrete == {"pretraining": 0, "fresh": 0}
    assert many.from_ridge == {"pretraining": 0, "fresh": 0}
    assert few.loss["pretraining"] < many.loss["pretraining"]
    assert few.loss["fresh"] > many.loss["fresh"]
    halfway = raventos.Point(8, few.loss, few.loss, few.loss, *(dict.fromkeys(places, 1.0) for _ in range(2)))
    small = raventos.Point(2, few.loss, few.loss, few.loss, dict.fromkeys(places, 0.1), dict.fromkeys(places, 1.0))
    large = raventos.Point(32, few.loss, few.loss, few.loss, dict.fromkeys(places, 1.0), dict.fromkeys(places, 0.1))
    assert all(check.holds for check in raventos.checks([small, halfway, large], 0.01, 1e-9))
    assert not any(check.holds for check in raventos.checks([large, halfway, small], 2.0, 1e-3))


def test_ridge_is_recognised_by_its_own_ridge_and_where_least_squares_has_no_bound() -> None:
    """Compiled ridge in place of the trained models: λ is found again, and SPD from least squares peaks at n = d."""
    fields = regression.noisy(0.5).drawn(1000, MEASURED)
    model = akyurek.ridges(regression.noisy(0.5).drawn(2048, CALIBRATION), (0.25,))["ridge 0.25"][0]
    found = predictors.measured({"0": model, "1": model}, {"ridge 0.25": model}, fields)
    assert found.ridge == pytest.approx(0.25, rel=0.06)  # of the grid
    assert found.mean("ridge 0.25") == pytest.approx(0)
    assert list(predictors.peak(found.away["least squares"])) == [regression.D, regression.D]


def test_fresh_models_are_what_is_asked_for() -> None:
    like = compiled_once(load("gradient_descent"), d=2)
    model = fresh(like, 3, 5)
    config = model.config
    assert (config.n_layer, config.d_model, config.n_positions) == (3, WIDTH, 12)
    deviation = float(np.asarray(model.parameters["body.1.mlp.up"]).std())
    assert deviation == pytest.approx(WIDTH**-0.5, rel=0.05)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("akyurek_algorithms", marks=pytest.mark.slow),
        pytest.param("akyurek_predictors", marks=pytest.mark.slow),
        pytest.param("akyurek_width", marks=pytest.mark.slow),
        pytest.param("raventos_diversity", marks=pytest.mark.slow),
        "probes",
    ],
)
@pytest.mark.usefixtures("trained_sooner")
def test_a_tiny_run_writes_the_figure(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With some steps of training: what is compiled holds, whatever the trained models do."""
    monkeypatch.setattr(akyurek, "DEPTHS", (1, 2))
    monkeypatch.setattr(akyurek, "STEPS", (1, 4))
    monkeypatch.setattr(akyurek, "RIDGES", (0.1, 0.25))
    monkeypatch.setattr(predictors, "NOISES", (0.5,))
    monkeypatch.setattr(predictors, "SEEDS", (0,))
    monkeypatch.setattr(width, "WIDTHS", (2, 4))
    monkeypatch.setattr(width, "DESCENTS", (1,))
    monkeypatch.setattr(width, "RIDGES", (akyurek.SMALLEST,))
    monkeypatch.setattr(width, "SEEDS", (0,))
    monkeypatch.setattr(raventos, "DIVERSITY", (2, 4))
    monkeypatch.setattr(raventos, "LAYERS", 1)
    monkeypatch.setattr(probes, "LAYERS", 1)
    result = reproduce(figure(name), tmp_path / name, share=0.002)
    compiled = [check for check in result.checks if "compiled" in check.name]
    assert compiled
    assert all(check.holds for check in compiled), compiled
    assert (tmp_path / name / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    found = json.loads((tmp_path / name / "figures.json").read_text())
    assert [check["name"] for check in found["checks"]] == [check.name for check in result.checks]
