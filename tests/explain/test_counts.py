"""Counts beyond the grid, and estimates that their intervals hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from innerloop.artifact.arrays import Floats
from innerloop.compiler import interpret
from innerloop.explain import counts
from innerloop.explain.candidate import Candidate
from innerloop.explain.counts import fit
from innerloop.explain.families import of_program, regression
from innerloop.explain.fit import Fitted, Tasks, ends
from innerloop.explain.intervals import settled
from innerloop.explain.verdict import said
from innerloop.laboratory.training.tasks import task
from innerloop.programs import load

D, N = 2, 6
FAMILIES = {family.name: family for family in regression(D, N)}


def tasks(answers: Any) -> tuple[Tasks, Tasks]:
    """Of the fit, and held out, with `answers`(x, y) after 2 and after all examples."""
    found = []
    for seed in (1, 2):
        fields = task("linear", d=D, n=N).drawn(48, seed, jit=False)
        x, y = fields["x"], fields["y"]
        found.append(Tasks(x, y, np.stack([answers(x[:, : k + 1], y[:, :k]) for k in (2, N)], 1), (2, N)))
    return found[0], found[1]


def descent(x: Floats, y: Floats) -> Floats:
    return np.asarray(interpret(load("gradient_descent"), x=x, y=y, d=D, steps=10, rate=0.1))[:, -1]


def test_a_count_beyond_the_grid_is_found_or_said_to_be_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten steps, of a grid that ends at 6: 12 is tried, and then what lies between; or no more than 8 are."""
    family = replace(FAMILIES["gradient_descent"], whole={"steps": (3, 6)})
    candidate, (seen, held) = Candidate(family, N, (2, N)), tasks(descent)
    best = min(fit(candidate, seen, held), key=lambda f: f.typical)
    assert best.counts == {"steps": 10}
    assert not best.edge
    assert "steps 10, rate = 0.1 [0.1, 0.1]" in said(best)
    monkeypatch.setattr(counts, "MOST", 8)
    best = min(fit(candidate, seen, held), key=lambda f: f.typical)
    assert best.counts == {"steps": 8}
    assert best.edge
    assert best.intervals() == {}
    assert "with steps at least 8 (at 8: rate = " in said(best)


def fitted_as(left: Callable[[int], float], monkeypatch: pytest.MonkeyPatch) -> list[Fitted]:
    """Fits of gradient descent that leave so much of k steps."""

    def fitted(candidate: Any, of: Any, starts: Any, *_: Any) -> Fitted:
        share = left(of["steps"])
        return Fitted(candidate, of, np.zeros(0), np.zeros((1, 1)), share, share, np.zeros((1, 0)))

    monkeypatch.setattr(counts, "_plain", fitted)
    monkeypatch.setattr(counts, "_refined", lambda fit, *_: fit)
    candidate: Any = SimpleNamespace(family=FAMILIES["gradient_descent"], starts=list)
    return fit(candidate, *tasks(lambda x, y: y[:, 0]))


@pytest.mark.parametrize(("truth", "found", "most"), [(7, 7, 20), (13, 13, 20), (30, 30, 80), (101, 101, 160)])
def test_the_grid_is_left_only_as_far_as_it_helps(truth: int, found: int, most: int, monkeypatch: Any) -> None:
    """Of k steps (1/k − 1/truth)² is left, as descent at its best rate leaves."""
    fits = fitted_as(lambda k: (1 / k - 1 / truth) ** 2, monkeypatch)
    assert min(fits, key=lambda f: f.left).counts == {"steps": found}
    assert max(f.counts["steps"] for f in fits) == most
    assert len(fits) < 30


def test_counts_that_leave_the_same_are_not_looked_between(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a model that no count is, and many are as near to: 9, 10 and 11, 13 … are not fitted."""
    fits = fitted_as(lambda k: 0.02 + 1e-4 * abs(k - 14), monkeypatch)
    assert [f.counts["steps"] for f in fits] == list(FAMILIES["gradient_descent"].whole["steps"])


def test_a_range_of_counts_is_kept() -> None:
    text = load("gradient_descent").replace("steps = 1", "steps = 2 in [2, 8]")
    family = of_program(text, "mine.icl", {"d": D})
    assert family.whole == {"steps": (2, 3, 4, 6, 8)}
    assert not family.takes({"steps": 16})


def least_squares(x: Floats, y: Floats) -> Floats:
    return np.array([query[-1] @ np.linalg.pinv(query[:-1]) @ b for query, b in zip(x, y, strict=True)])


RIDGE = FAMILIES["sherman_morrison"]


def test_what_a_fit_never_settles_at_has_no_interval() -> None:
    """Least squares is ridge regression of no ridge: the fit runs on towards it for ever, by a factor of e a step."""
    (found,) = fit(Candidate(RIDGE, N, (2, N)), *tasks(least_squares))
    assert found.left < 1e-10
    assert found.intervals() == {}
    assert "(not determined)" in said(found)


def test_a_fit_is_moved_on_until_its_interval_holds_it() -> None:
    """Ridge regression from a ridge that is 10 % off: by Gauss and Newton's steps it is the one of the answers."""
    candidate = Candidate(RIDGE, N, (2, N))
    seen, _ = tasks(lambda x, y: np.asarray(interpret(RIDGE.text, x=x, y=y, ridge=0.3, d=D, examples=N))[:, -1])
    theta, shift = settled(candidate, {}, np.log([0.33]), seen, False, 8)
    assert np.exp(theta) == pytest.approx(0.3, rel=1e-6)
    assert np.isfinite(ends(theta, shift)).all()
    assert np.isnan(ends(*settled(candidate, {}, np.log([0.33]), seen, False, 0))).all()
