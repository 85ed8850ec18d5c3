"""What counts as right in `python -m benchmarks.explain`."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from innerloop.explain.behaviour import prompts
from innerloop.explain.fit import Tasks

from benchmarks.explain.judged import matched
from benchmarks.explain.known_models import Case, D
from benchmarks.explain.learnt_models import edited


def fit(name: str, answers: Any, steps: int = 2, **values: float) -> Any:
    held = {name: np.array(value) for name, value in values.items()}
    return SimpleNamespace(candidate=SimpleNamespace(name=name), answers=answers, counts={"steps": steps}, values=held)


def test_an_edit_is_right_by_what_it_answers(tmp_path: Path) -> None:
    """Not by its name, which all edits of a text have, and without a number where a term was dropped."""
    case = next(edited(0))
    x, y = prompts(case.on, 50, 0)
    model = case.make(tmp_path).ask(x, y[:, :-1], (2, 10))
    held = Tasks(x, y, model, (2, 10))
    other, same = fit("gradient_descent_edited", 0.8 * model), fit("gradient_descent_edited", 1.01 * model)
    assert x.shape[2] == D
    assert matched(case, held, [other]) == (None, None)
    match, off = matched(case, held, [other, same])
    assert match is same
    assert off == pytest.approx(0.01, rel=0.2)


def test_a_program_with_a_name_is_right_by_it() -> None:
    case = Case("", lambda _: None, "gradient_descent", {"rate": 0.2}, {"steps": 2})  # type: ignore[arg-type, return-value]
    held: Any = None
    one, two = (fit("gradient_descent", None, steps, rate=0.21) for steps in (1, 2))
    match, off = matched(case, held, [fit("averaging", None), one, two])
    assert match is two
    assert off == pytest.approx(0.05)
    assert matched(case, held, [fit("averaging", None)]) == (None, None)
