"""All that is the same program is named beside it, and its number of steps is found among those that are near."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from innerloop.compiler import interpret
from innerloop.explain.behaviour import Behaviour, of_function
from innerloop.explain.explain import Settings, explain
from innerloop.explain.verdict import verdict
from innerloop.laboratory.training.tasks import task
from innerloop.programs import load

D, N = 3, 8
TASK = task("linear", d=D, n=N)
FEW = Settings(fitted=64, held=128, sought=256)


def program(name: str, **parameters: Any) -> Behaviour:
    def answer(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.asarray(interpret(load(name), x=x, y=y, d=D, **parameters))[:, -1]

    return of_function(answer, name)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "parameters", "usual"),
    [
        ("nesterov", {"steps": 2, "rate": 0.15}, "gradient_descent_schedule_2"),
        ("ridge", {"ridge": 0.3, "steps": 30}, "sherman_morrison"),
    ],
)
def test_a_rarer_program_is_named_beside_the_usual_one_that_it_is(
    name: str, parameters: dict[str, Any], usual: str
) -> None:
    found = explain(program(name, **parameters), TASK, only=[usual, name, "averaging"], settings=FEW)
    said = verdict(found)
    assert said.kind == "runs"
    assert {usual, name} <= {f.candidate.name for f in said.named}


@pytest.mark.slow
def test_two_steps_are_found_where_three_are_near() -> None:
    """Three steps of Adam leave 1e-4 of two, and a fit of two that begins there does not come to them."""
    found = explain(program("adam", steps=2, rate=0.054), TASK, only=["adam"], settings=FEW)
    said = verdict(found)
    assert said.named[0].label == "adam (steps 2)"
    assert float(said.named[0].values["rate"]) == pytest.approx(0.054, rel=1e-3)
