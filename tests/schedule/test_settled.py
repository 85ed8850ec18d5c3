"""Differences under curves that are steep: rounded once, in a slot of their own, where each neuron would round them by
itself; and nothing else is."""

from __future__ import annotations

import numpy as np
import pytest
from innerloop.artifact.arrays import Dtype, Floats
from innerloop.artifact.words import TargetName
from innerloop.compiler import compile_program, interpret
from innerloop.compiler.schedule.instructions import Linear
from innerloop.runtime.unjitted import Unjitted

from tests.support.placed import placed

SPREAD = """program spread()

tokens (y)* query  visible context
    y : scalar in [-6, 6]

m = mean[j in y](y[j])
s = mean[j in y](y[j] * y[j])
at query
    output {answer}
"""


def answered(answer: str) -> str:
    return SPREAD.format(answer=answer)


def labels(count: int) -> Floats:
    """[count, 12]: about a number of up to 3 for each task, from almost all the same on to well apart."""
    rng = np.random.default_rng(count)
    spread = 10.0 ** rng.uniform(-6.0, 0.5, (count, 1))
    found = rng.uniform(-3.0, 3.0, (count, 1)) + spread * rng.standard_normal((count, 12))
    return np.clip(found, -6.0, 6.0)


@pytest.mark.parametrize(
    ("target", "dtype"), [("gpt2", "float32"), ("gelu", "float32"), ("llama", "float32"), ("gpt2", "float64")]
)
def test_a_deviation_is_right_where_labels_do_not_vary(target: TargetName, dtype: Dtype) -> None:
    """What the parts are rounded by, 1e-6 of 20, is 1e-3 under the root, and no more."""
    text = answered("sqrt(s - m * m)")
    weights = compile_program(text, target=target, dtype=dtype, calibration={"y": labels(400)})
    report = weights.report
    assert report.predicted_error < {"float32": 5e-2, "float64": 2e-4}[dtype] * report.output_rms
    y = labels(100)
    error = np.abs(np.asarray(Unjitted(weights, most=np.inf)(y=y)) - interpret(text, y=y))
    assert error.max() <= report.predicted_error


@pytest.mark.parametrize(
    ("answer", "settles"),
    [
        ("sqrt(s - m * m)", True),
        ("clip(s - m * m, 0, 0.001)", True),  # two kinks that round apart, and at which it is level
        ("sqrt(relu(s - m * m))", False),
        ("sqrt(s + m * m)", False),  # nothing is taken away
        ("log(1000 + s - m * m)", False),  # far from where it is steep
        ("exp(m * m - s)", False),
    ],
)
def test_what_gets_a_slot(answer: str, settles: bool) -> None:
    made, _ = placed(answered(answer), data={"y": labels(100)})
    found = [p.instruction.op for sublayer in made.walk() for p in sublayer.placed]
    assert (Linear(settles=True) in found) == settles


ENTROPY = """program entropy()

tokens (e)*
    x : vector[3] on e

p = softmax(2 * x)
output -dot(p, log(p + 0.000001))
"""


@pytest.mark.parametrize(("text", "of"), [(answered("sqrt(s - m * m)"), Linear(settles=True)), (ENTROPY, "exp")])
def test_small_digits_take_no_slot_that_is_emptied_as_it_is_filled(text: str, of: Linear | str) -> None:
    """They would round at the size of what was there: exp(-13) beside an x of 2, by 5 %, and then its logarithm."""
    made, slots = placed(text, data=None if text is ENTROPY else {"y": labels(100)})
    for placed_ in (p for sublayer in made.walk() for p in sublayer.placed):
        op = placed_.instruction.op
        if of in (op, getattr(op, "name", None)):
            atom = placed_.instruction.out
            emptied = {s for a in slots.clears.get(slots.lifetimes[atom].birth, ()) for s in slots.slots[a].tolist()}
            assert emptied.isdisjoint(slots.slots[atom].tolist())
            return
    raise AssertionError(of)
