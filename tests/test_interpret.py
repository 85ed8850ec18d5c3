"""The oracle: every program against an independent implementation, and every fault of data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from innerloop.compiler.interpret import interpret

from .reference import CASES, Case

PROGRAMS = Path(__file__).parent / "cases" / "programs"


def program(name: str) -> str:
    return (PROGRAMS / f"{name}.icl").read_text(encoding="utf-8")


def test_every_program_has_a_reference() -> None:
    assert sorted(case.program for case in CASES) == sorted(path.stem for path in PROGRAMS.glob("*.icl"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.program)
def test_program_agrees_with_its_reference(case: Case) -> None:
    data = case.data(seed=0, tasks=3)
    answers = case.answers(data)
    found = interpret(program(case.program), **data, **case.parameters)
    assert found.shape == answers.shape
    np.testing.assert_allclose(found, answers, rtol=0, atol=case.tolerance * max(1.0, np.abs(answers).max()))
