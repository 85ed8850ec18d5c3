"""Scans of which each token runs its own pass, against the same weights with every pass at every token."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from innerloop.artifact.arrays import Dtype, Floats
from innerloop.artifact.numpy_forward import forward as numpy_forward
from innerloop.artifact.numpy_sublayers import Heads
from innerloop.artifact.parts import Attention, Repeated, stored
from innerloop.artifact.tokens import TokenData, output_rows, read_data
from innerloop.artifact.turns import turns
from innerloop.artifact.weights import Weights
from innerloop.compiler import compile_program
from innerloop.compiler.architectures.targets import TargetName
from innerloop.compiler.interpreter.default_tasks import CORE, draw
from innerloop.compiler.interpreter.oracle import evaluate
from innerloop.compiler.ir.build import graph_of
from innerloop.programs import load, names
from innerloop.runtime import RangeWarning, Transformer
from innerloop.runtime.forward import forward

from tests.reference import case_of

SCANS = [name for name in names() if "\nscan " in load(name)]
SMALL: dict[str, dict[str, Any]] = {
    "sherman_morrison": {"d": 3, "examples": 9},
    "perceptron": {"d": 2, "examples": 6},
}


def scan_of(weights: Weights) -> Repeated:
    (loop,) = [item for item in weights.body if isinstance(item, Repeated) and item.scan]
    return loop


def drawn(weights: Weights, groups: int, tasks: int = 6) -> TokenData:
    return read_data(weights.signature, draw(weights.signature, groups, tasks, 77, family=CORE))


def four_ways(weights: Weights, data: TokenData) -> list[Floats]:
    """The outputs of both runtimes, in turn and at all tokens."""
    rows = output_rows(data.sequence, weights.output.kinds)
    model = Transformer(weights, guard="off")
    features = model.features(data, 0, data.batch, data.batch)
    places = turns(weights.body, data.sequence.kinds)
    assert places
    with model.precision():
        jax = [np.asarray(forward(model.parameters, features, rows + 1, {}, each)[0]) for each in (places, None)]
    return [*jax, *(numpy_forward(weights, data, whole=whole)[:, rows] for whole in (False, True))]


@pytest.mark.parametrize(("target", "dtype"), [("gpt2", "float32"), ("llama", "float32"), ("llama", "float64")])
@pytest.mark.parametrize("name", SMALL)
def test_a_pass_at_its_own_token_is_enough(name: str, target: TargetName, dtype: Dtype) -> None:
    """For as many tokens as were compiled for, for fewer, and for none."""
    weights = compile_program(load(name), target=target, dtype=dtype, **SMALL[name])
    for some in (SMALL[name]["examples"], 0) if dtype == "float32" else (2,):
        data = drawn(weights, some)
        if len(data.sequence):
            one, *others = four_ways(weights, data)
            for other in others:
                assert np.abs(one - other).max() <= 2 * weights.report.predicted_error


@pytest.mark.slow
@pytest.mark.parametrize("target", ["gpt2", "gelu", "llama"])
@pytest.mark.parametrize("name", SCANS)
def test_every_shipped_scan_runs_in_turn(name: str, target: TargetName) -> None:
    weights = compile_program(load(name), target=target, **case_of(name).parameters)
    loop = scan_of(weights)
    assert loop.turn is not None
    data = drawn(weights, loop.count + 1)
    exact = evaluate(graph_of(load(name), case_of(name).parameters), data).reshape(data.batch, -1)
    for found in four_ways(weights, data):
        assert np.abs(found.reshape(exact.shape) - exact).max() <= weights.report.predicted_error


def test_a_scan_of_n_tokens_runs_n_passes_at_one_token_each(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = compile_program(load("sherman_morrison"), d=2, examples=8)
    attention = sum(isinstance(item, Attention) for item in stored(scan_of(weights).body))
    columns: list[int] = []
    among = Heads.among

    def counted(self: Heads, rows: Floats, others: list[Floats], scale: Floats) -> Floats:
        columns.append(rows[0].size)
        return among(self, rows, others, scale)

    monkeypatch.setattr(Heads, "among", counted)
    numpy_forward(weights, drawn(weights, 5, tasks=3))
    assert columns == [1] * attention + [3] * attention * 5  # the rest token's, then each token's of all tasks


READS_OTHERS = """program p(d)
tokens (x y)* x
    x : vector[d]
    y : scalar
at y
    u = move x from previous
w : vector[d] = 0
scan y up to 6
    w = w - 0.1 * {}
at x
    output dot(w, x)
"""


@pytest.mark.parametrize("own", [True, False])
def test_a_body_that_reads_other_tokens_runs_at_all_of_them(own: bool) -> None:
    step = "(dot(w, u) - y) * u" if own else "softmax[j in y](dot(w, u[j]), y[j]) * u"
    weights = compile_program(READS_OTHERS.format(step), d=2)
    assert scan_of(weights).turn == ("y" if own else None)
    data = drawn(weights, 6)
    exact = evaluate(graph_of(READS_OTHERS.format(step), {"d": 2}), data)
    fields = {"x": data.fields["x"][:, ::2], "y": data.fields["y"][:, 1::2, 0]}
    found = Transformer(weights, guard="raise")(**fields)
    assert np.abs(found.ravel() - exact.ravel()).max() <= weights.report.predicted_error


def test_the_guard_looks_at_each_token_in_its_turn() -> None:
    """A bound that only the largest carried value passes: the place that is named is where the oracle has it."""
    weights = compile_program(load("stochastic_gradient_descent"), d=2, examples=8, rate=0.1)
    data = drawn(weights, 8, tasks=1)
    seen: list[Floats] = []
    graph = graph_of(load("stochastic_gradient_descent"), {"d": 2, "examples": 8, "rate": 0.1})
    carried = next(graph.loops()).carried[0].result
    evaluate(graph, data, lambda value, array: seen.append(array) if value == carried else None)
    w = np.concatenate(seen, 1)[0]  # [8, 2]
    step, component = np.unravel_index(np.abs(w).argmax(), w.shape)
    bound = np.full(2, 0.5 * (np.sort(np.abs(w).ravel())[-1] + np.sort(np.abs(w).ravel())[-2]))
    (end,) = (p for p in weights.layout if p.name == "w" and p.first == scan_end(weights))
    tight = [replace(p, low=-bound, high=bound) if p is end else p for p in weights.layout]
    fields = {"x": data.fields["x"][:, ::2], "y": data.fields["y"][:, 1::2, 0]}
    with pytest.warns(RangeWarning, match=rf"w reached .* token {2 * step + 1} \(task 0, component {component}\)"):
        Transformer(replace(weights, layout=tuple(tight)))(**fields)


def scan_end(weights: Weights) -> int:
    """The stored number of the scan's last sublayer."""
    place = weights.body.index(scan_of(weights))
    return len(list(stored(weights.body[: place + 1]))) - 1
