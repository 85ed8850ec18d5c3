"""Verification of schedules: divisors, and what the rest token holds."""

from __future__ import annotations

import numpy as np
import pytest
from innerloop.artifact.errors import InternalError
from innerloop.artifact.words import TargetName
from innerloop.compiler import compile_program
from innerloop.compiler.schedule.verify_schedule import verify_schedule

from tests.reference.measured import numpy_run
from tests.support.broken_schedules import sublayers, where
from tests.support.placed import DIVIDED, TWICE, placed


def test_a_divisor_that_changes_before_it_is_cleared() -> None:
    made, slots = placed(DIVIDED)
    time = next(t for t, sublayer in enumerate(sublayers(made)) if sublayer.prepares is not None)
    state = next(a for a in sublayers(made)[time].divisors[0].atoms)
    _, update = where(made, lambda p: any(w.atom == state for w in p.writes) and bool(p.instruction.kinds))
    sublayers(made)[time].placed.append(update)
    for sublayer in sublayers(made)[time + 1 :]:
        sublayer.placed = [p for p in sublayer.placed if p is not update]
    with pytest.raises(InternalError, match=r"schedule: sublayer 3 \(mlp\) reads `w.*`, changed already"):
        verify_schedule(made, slots)


def test_a_divisor_that_is_not_the_one_prepared() -> None:
    made, slots = placed(TWICE)
    divides = [t for t, sublayer in enumerate(sublayers(made)) if sublayer.division is not None]
    sublayers(made)[divides[0]].division = sublayers(made)[divides[1]].division
    with pytest.raises(InternalError, match="divides by another divisor than was prepared"):
        verify_schedule(made, slots)


def test_a_divisor_that_is_never_cleared() -> None:
    made, slots = placed(TWICE)
    next(sublayer for sublayer in sublayers(made) if sublayer.clears is not None).clears = None
    with pytest.raises(InternalError, match="divides by another divisor than was prepared"):
        verify_schedule(made, slots)


def test_a_division_before_the_last_one_is_swept_out() -> None:
    made, slots = placed(TWICE)
    line = sublayers(made)
    second = [t for t, sublayer in enumerate(line) if sublayer.division is not None][1]
    for at, field in ((second - 1, "prepares"), (second, "division"), (second, "placed"), (second + 1, "clears")):
        there = getattr(line[at], field)
        setattr(line[at], field, [] if field == "placed" else None)
        setattr(line[at - 2], field, there)
    with pytest.raises(InternalError, match="prepares a divisor where rounding left some of another"):
        verify_schedule(made, slots)


RESTING = """program resting()

tokens (x y)* x
    x : scalar in [-1, 1]
    y : scalar in [-1, 1]

s : scalar = 0.5
scan x up to 8
    s = (s + x > 0) + relu((s > x) - (s + x > 0))
output s
"""


@pytest.mark.parametrize("target", ["gpt2", "gelu", "llama"])
def test_a_state_that_the_rest_token_holds_is_changed_once_a_pass(target: TargetName) -> None:
    """What is left of a change waits for neurons there, and all of the change for what is left."""
    weights = compile_program(RESTING, target=target)
    rng = np.random.default_rng(0)
    fields = {"x": rng.uniform(-1, 1, (32, 8)), "y": rng.uniform(-1, 1, (32, 7))}
    s, wanted = np.full(32, 0.5), []
    for x in fields["x"].T:
        s = np.maximum((s + x > 0).astype(float), (s > x).astype(float))
        wanted.append(s)
    found = numpy_run(weights, fields)[:, 0::2]  # at x
    np.testing.assert_allclose(found, np.stack(wanted, axis=1), rtol=0, atol=1e-6)
