"""A long run: Sherman–Morrison for 512 examples, d = 4, one block run over and over."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from innerloop.artifact.parts import Repeated
from innerloop.artifact.weights import Weights
from innerloop.compiler import compile_program, interpret
from innerloop.programs import load
from innerloop.runtime import Transformer
from innerloop.runtime.calls.reading import read
from innerloop.runtime.forward import streams

from tests.support.linear_tasks import linear_tasks

D, EXAMPLES, TASKS, LAST = 4, 512, 2, 10


def constants(weights: Weights) -> np.ndarray:
    """The slots that hold the norm's ±C: every position has the same large numbers there."""
    table = weights.positions
    slots = np.flatnonzero((np.ptp(table, axis=0) == 0.0) & (np.abs(table[0]) >= 2.0**16))
    assert slots.size
    assert table[0, slots].sum() == 0.0
    return slots


@pytest.mark.slow
def test_the_certificate_holds_and_the_norm_does_not_drift() -> None:
    weights = compile_program(load("sherman_morrison"), d=D, examples=EXAMPLES)
    assert [type(item) for item in weights.body].count(Repeated) == 1
    assert weights.config.n_layer >= 2 * EXAMPLES - 2
    fields = linear_tasks(TASKS, EXAMPLES, D, seed=512)
    model = Transformer(weights, guard="off")
    truth = interpret(load("sherman_morrison"), **fields, d=D, examples=EXAMPLES)
    error = np.abs(model(**fields) - truth)
    report = weights.report
    print(
        f"{weights.config.n_layer} layers; largest error of the last {LAST} predictions {error[:, -LAST:].max():.2e}, "
        f"of all {error.max():.2e}; measured {report.measured_error:.2e}, predicted {report.predicted_error:.2e}"
    )
    assert report.measured_error <= report.predicted_error <= 100 * report.measured_error
    assert error[:, -LAST:].max() <= report.predicted_error
    slots = constants(weights)
    data = read(weights, model._guard, {name: array[:1] for name, array in fields.items()})
    (_, _, features), *_ = model.chunks(data)
    found = np.asarray(streams(model.parameters, jax.device_put(features), slots.astype(np.int32), every=2))
    held = found[found.any((1, 2, 3))]  # a layer that ends with a divisor in their place holds 0 there
    assert len(held) >= EXAMPLES
    assert np.array_equal(held, np.broadcast_to(weights.positions[0, slots].astype(held.dtype), held.shape))
