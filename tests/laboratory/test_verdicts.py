"""Intervals over tasks, and what is said of two models: one algorithm or two, and which known one is near."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from innerloop.compiler import DataError, Weights
from innerloop.laboratory import compare, task
from innerloop.laboratory.compared import Comparison
from innerloop.laboratory.comparison import between
from innerloop.laboratory.figures.shared.layers import random_layers
from innerloop.laboratory.headlines import columns, rows
from innerloop.laboratory.measures.gauge import of_one_basis
from innerloop.laboratory.measures.nearest import nearest
from innerloop.laboratory.measures.references import gradient_descent, reference, ridge_regression
from innerloop.laboratory.measures.sample import Sample, pooled
from innerloop.laboratory.report import figures
from innerloop.laboratory.setting import Settings
from innerloop.laboratory.training.model import Model
from innerloop.laboratory.training.train import train
from innerloop.laboratory.verdict import among_seeds, extremes, judged, verdict
from innerloop.programs import load
from scipy.stats import bootstrap

from tests.support.models import D, compiled, descent, dual, tasks
from tests.support.shared import compiled_once

RNG = np.random.default_rng(5)


def test_the_interval_of_a_mean_is_scipys() -> None:
    values = RNG.exponential(size=(200, 3))
    low, high = Sample(values).interval
    for k in range(3):
        theirs = bootstrap((values[:, k],), np.mean, method="percentile", n_resamples=4000, random_state=1)
        ends = theirs.confidence_interval
        np.testing.assert_allclose((low[k], high[k]), (ends.low, ends.high), atol=0.03)
    np.testing.assert_allclose(Sample(values).value, values.mean(0))


def test_the_interval_of_a_share_covers_what_it_estimates() -> None:
    """R² of y = z + e, E e² / E y² = 1/5, in 19 of 20 draws."""
    inside = 0
    for _ in range(40):
        z, e = 2 * RNG.standard_normal(150), RNG.standard_normal(150)
        found = Sample(e**2, (z + e) ** 2, explained=True)
        low, high = found.interval
        assert low < found.value < high
        inside += bool(low <= 0.8 <= high)
    assert inside >= 34


def test_what_diverges_is_infinite_and_what_is_sure_has_no_width() -> None:
    found = Sample(np.array([[1.0, 1.0, np.inf], [1.0, 3.0, 0.0]]))
    np.testing.assert_array_equal(found.value, [1, 2, np.inf])
    low, high = found.interval
    assert (low[0], high[0], low[2], high[2]) == (1, 1, np.inf, np.inf)
    assert low[1] < 2 < high[1]
    both = pooled([Sample(np.array([1.0, 3.0])), Sample(np.array([3.0, 5.0]))])
    assert both.value == 3
    with pytest.raises(DataError, match="nothing to pool"):
        pooled([])


def test_a_tie_is_said_and_nothing_near_is_none() -> None:
    """A model halfway between two references is as near to either; one that is far from all is near to none."""
    fields, _ = tasks(200)
    one, other = (reference(ridge_regression, ridge=r) for r in (0.1, 0.3))
    middle = (np.asarray(one(fields)) + np.asarray(other(fields))) / 2
    known = {"one": one, "other": other, "far": reference(gradient_descent, steps=1, rate=0.1)}
    models = {"middle": lambda _: middle, "half": lambda _: 0.5 * middle, "it": one}
    table = nearest(models, known, fields, D, own={"one": "it"})
    found = table.judged("middle")
    assert {found.name, *found.ties} == {"one", "other"}
    assert found.near
    assert not table.judged("half").near
    itself = table.judged("it")
    assert itself.name == "other"  # a model is not its own reference
    assert np.isnan(table.mean[2, 0])


def test_undecided_where_the_limit_is_within_the_interval() -> None:
    f = RNG.standard_normal((50, 4))
    near, far, open_ = (between(f, f + scale * RNG.standard_normal(f.shape)) for scale in (0.01, 1.0, 0.18))
    assert [judged(left, 0.03, "why").kind for left in (near, far, open_)] == ["same", "different", "undecided"]
    assert judged(near, 0.03, "why").sentence.startswith("the same algorithm: ")


def stirred(weights: Weights, seed: int, by: float) -> Weights:
    """As a training of another seed leaves them: every number a little off."""
    model, rng = Model.of(weights), np.random.default_rng(seed)
    numbers = {n: np.asarray(v) * (1 + by * rng.standard_normal(v.shape)) for n, v in model.parameters.items()}
    found = model.weights(numbers)
    return replace(found, report=replace(found.report, trained=f"3 steps, seed {seed}"))


@pytest.fixture(scope="module")
def seeds() -> Comparison:
    one, *others = (stirred(dual(1), seed, 0.01) for seed in range(3))
    return compare(one, others, task("linear", d=D, n=6), Settings(tasks=60, inside=40))


def test_seeds_of_one_training_are_the_same_algorithm(seeds: Comparison) -> None:
    assert (seeds.first, list(seeds.trained)) == ("first", ["second 1", "second 2"])
    among = among_seeds(seeds)
    assert among is not None
    assert among.kind == "same"
    assert seeds.algorithms is not None
    assert not any("first" in name for name in seeds.algorithms.references)  # a training is no known algorithm
    assert "[" in among.sentence
    assert columns(seeds)[-1] == "2 seeds"
    table = {row[0]: row for row in rows(seeds)}
    assert " … " in table["loss at the query"][-1]
    assert any("no layout" in note for note in seeds.left_out)
    assert [each.model for each in seeds.inside.taken] == ["first", "second 1", "second 2"]  # without a layout, too
    for each in seeds.inside.taken:
        assert each.values.shape == (1, 7)
    assert figures(seeds)["line"][1].startswith("Loss of (1 − α) first + α second, ")  # neither is compiled


def test_a_shift_says_where_the_task_itself_is(seeds: Comparison) -> None:
    power = next(shift for shift in seeds.shifts if shift.what == "power")
    assert power.usual == 0
    assert 0.0 not in power.values[power.off]
    off = [row[0] for row in rows(seeds) if row[0].startswith("off: ")]
    assert len(off) == 4
    assert not any(name.endswith("= 0") for name in off)


@pytest.mark.slow
def test_two_seeds_of_a_training_are_one_algorithm() -> None:
    """Of one layer of linear attention, from two random starts."""
    on = task("linear", d=2, n=6, rows="query")
    like = compiled_once(load("gradient_descent_dual"), target="lsa", d=2, steps=1)
    one, other = (
        train(random_layers(like, s, deviation=0.1), on, steps=1500, batch=256, rate=1e-2, warmup=50, seed=s).weights
        for s in (0, 1)
    )
    answer = verdict(compare(one, other, on, Settings(tasks=200, inside=40)))
    assert answer.kind == "same"
    assert answer.sentence.startswith("the same algorithm: ")


@pytest.mark.slow
def test_descent_and_ridge_are_different_and_it_says_where() -> None:
    found = compare(
        descent(2, 0.1), compiled("sherman_morrison", examples=6, ridge=0.1), task("linear", d=D, n=6),
        Settings(tasks=100, inside=40),
    )  # fmt: skip
    answer = verdict(found)
    assert answer.kind == "different"
    assert answer.sentence.startswith("different: ")
    most = extremes(found)
    away = found.spd["trained"].left[:, -1]
    assert list(most.tasks) == list(np.argsort(-away)[:3])
    assert "‖x‖ of the query" in most.traits
    assert found.algorithms is not None
    assert found.algorithms.judged("trained").name == "ridge 0.1"
    assert not found.algorithms.judged("compiled").near


@pytest.mark.slow
def test_the_nearest_is_sought_at_the_rows_that_are_scored() -> None:
    """Of tasks of which the query alone is, what is said of earlier rows is not asked."""
    queries = task("linear", d=D, n=6, rows="query")
    found = compare(descent(2, 0.1), descent(3, 0.1), queries, Settings(tasks=20, inside=40))
    assert found.algorithms is not None
    assert found.algorithms.spd.shape[-1] == 1
    assert found.algorithms.references[-1] == "gradient_descent, compiled"


def test_no_line_where_the_streams_have_two_bases() -> None:
    fresh = Model.fresh(descent(), 0)
    of = fresh.weights(fresh.parameters)
    assert "their embeddings agree to a cosine of" in str(of_one_basis(of, descent()))
    assert of_one_basis(stirred(descent(), 0, 0.01), descent()) is None
    fresh = Model.fresh(dual(), 0)
    assert of_one_basis(fresh.weights(fresh.parameters), dual()) is None  # linear attention: the tokens are given
