"""A program's variables are found in the stream of what was compiled, whatever the order of its heads and neurons, and
its answer follows when they are changed; in a stream that holds nothing, nothing is found."""

from __future__ import annotations

import numpy as np
import pytest
from innerloop.artifact.weights import Weights
from innerloop.explain.candidate import Candidate
from innerloop.explain.choice import Choice, settled
from innerloop.explain.families import regression
from innerloop.explain.fit import Fitted
from innerloop.explain.stream import ANSWER, Held, Inside, inside
from innerloop.laboratory.figures.small import fresh
from innerloop.laboratory.measures.subject import Subject
from innerloop.laboratory.training.tasks import task

from tests.support.models import descent, dual
from tests.support.permuted import permuted

D, N = 2, 6
TASK = task("linear", d=D, n=N)


def found_in(weights: Weights, steps: int = 2) -> Inside:
    """Gradient descent of so many steps at rate 0.3, sought in a model."""
    family = next(f for f in regression(D, N) if f.name == "gradient_descent")
    candidate = Candidate(family, N, (N,))
    theta = candidate.free({"rate": np.array(0.3)})
    fitted = Fitted(candidate, {"steps": steps}, theta, np.zeros((1, 1)), 0.0, 0.0, np.zeros((1, 1)))
    fields = TASK.drawn(400, 3, jit=False)
    return inside(Subject(weights, "model"), fitted, (), fields["x"], fields["y"][:, :-1])


def by_name(found: Inside) -> dict[str, Held]:
    return {held.name: held for held in found.held}


@pytest.mark.slow
def test_a_compiled_models_variables_are_found_and_followed_whatever_the_order_of_its_parts() -> None:
    found = found_in(permuted(descent()))
    w = by_name(found)["w"]
    assert w.score[w.first] > 0.9999
    assert abs(w.control[w.first]) < 0.1
    assert w.slope is not None
    assert w.slope.low - 0.03 < 1 < w.slope.high + 0.03
    assert found.steps == 2
    assert len(found.passes) == 3


def test_a_dual_model_holds_the_answers_of_each_pass() -> None:
    """w stands nowhere in it (von Oswald et al. 2022): the query holds what each layer would answer."""
    found = found_in(dual())
    held = by_name(found)
    assert held["w"].score.max() < 0.1
    first, last = held[f"{ANSWER} after 1 of 2"], held[ANSWER]
    assert first.score[first.first] > 0.9999
    assert (first.place, last.place) == ("after the attention of layer 1", "after the attention of layer 2")
    assert last.slope is not None
    assert last.slope.value == pytest.approx(1, abs=1e-4)
    assert found.steps == 2


def test_of_more_steps_than_there_are_the_last_is_not_found() -> None:
    found = found_in(dual(), steps=3)
    assert found.steps == 2
    assert [score > 0.9 for score in found.passes] == [True, True, False, False]


def test_the_stream_decides_between_counts_that_the_answers_do_not_tell() -> None:
    """Of fits that are alike the one whose passes stand in the stream is named first; others stay where they are."""
    fits = [_fit("gradient_descent", count) for count in (3, 2, 4)] + [_fit("heavy_ball", 2)]
    choice = Choice(tuple(fits), tuple(fits[1:]), None, np.inf)
    chosen = settled(choice, 2)
    assert chosen.best.counts == {"steps": 2}
    assert chosen.best.candidate.name == "gradient_descent"
    assert next(f.label for f in chosen.alike) == "gradient_descent (steps 3)"
    assert len(chosen.order) == len(chosen.alike) + 1 == len(fits)
    assert settled(choice, None) is settled(choice, 3) is settled(choice, 7) is choice


def _fit(name: str, count: int) -> Fitted:
    family = next(f for f in regression(D, N) if f.name == name)
    candidate = Candidate(family, N, (N,))
    theta = candidate.starts()[0]
    return Fitted(candidate, {"steps": count}, theta, np.zeros((1, 1)), 0.0, 0.0, np.zeros((1, theta.size)))


@pytest.mark.slow
def test_in_random_weights_nothing_is_found() -> None:
    model = fresh(descent(), 2, N)
    found = found_in(model.weights(model.parameters))
    assert not any(held.found for held in found.held)
    assert all(held.slope is None for held in found.held)
    assert found.steps is None
