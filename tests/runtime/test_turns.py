"""Sublayers that run at the tokens that have to run, against the same weights with all tokens run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from innerloop.artifact.arrays import Dtype, Floats
from innerloop.artifact.parts import Attention, Repeated, stored
from innerloop.artifact.places import places
from innerloop.artifact.reference.forward import forward as numpy_forward
from innerloop.artifact.reference.sublayers import Heads
from innerloop.artifact.tokens import TokenData, output_rows, read_data
from innerloop.artifact.weights import Weights
from innerloop.artifact.words import TargetName
from innerloop.compiler import CompileError
from innerloop.compiler.interpreter.default_tasks import draw
from innerloop.compiler.interpreter.oracle import evaluate
from innerloop.compiler.interpreter.task_families import CORE
from innerloop.compiler.ir.build import graph_of
from innerloop.programs import load, names
from innerloop.runtime import RangeError, RangeWarning, Transformer
from innerloop.runtime.forward import forward
from innerloop.runtime.guard.interpreted import Interpreter

from tests.reference import case_of
from tests.reference.measured import compiled, jax_run
from tests.support.linear_tasks import linear_tasks
from tests.support.shared import compiled_once

SCANS = [name for name in names() if "\nscan " in load(name) and "visible context" not in load(name)]
AS_LLAMA = names()[1::2]
"""The other programs are run in JAX as a gpt2, by test_library.py."""
SMALL: dict[str, dict[str, Any]] = {
    "sherman_morrison": {"d": 3, "examples": 9},
    "perceptron": {"d": 2, "examples": 6},
}


def scan_of(weights: Weights) -> Repeated:
    (loop,) = [item for item in weights.body if isinstance(item, Repeated) and item.scan]
    return loop


def drawn(weights: Weights, groups: int, tasks: int = 6) -> TokenData:
    return read_data(weights.signature, draw(weights.signature, groups, tasks, 77, family=CORE))


def two_ways(weights: Weights, data: TokenData) -> list[Floats]:
    """What the runtime gives with the tokens that have to run, and with all."""
    model = Transformer(weights, guard="off")
    features = model.features(data, 0, data.batch, data.batch)
    rows = output_rows(data.sequence, weights.output.kinds) + 1
    run = places(weights, data.sequence.kinds)
    with model.precision():
        return [np.asarray(forward(model.parameters, features, rows, {}, each)[0]) for each in (run, None)]


def four_ways(weights: Weights, data: TokenData) -> list[Floats]:
    """The outputs of both runtimes, in turn and at all tokens."""
    rows = output_rows(data.sequence, weights.output.kinds)
    return [*two_ways(weights, data), *(numpy_forward(weights, data, whole=whole)[:, rows] for whole in (False, True))]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "target", "dtype"),
    [
        ("sherman_morrison", "gpt2", "float32"),
        ("perceptron", "llama", "float32"),
        ("sherman_morrison", "llama", "float64"),
        ("perceptron", "llama", "float64"),
    ],
)
def test_a_pass_at_its_own_token_is_enough(name: str, target: TargetName, dtype: Dtype) -> None:
    """For as many tokens as were compiled for, for fewer, and for none."""
    weights = compiled_once(load(name), target=target, dtype=dtype, **SMALL[name])
    for some in (SMALL[name]["examples"], 0) if dtype == "float32" else (2,):
        data = drawn(weights, some)
        if len(data.sequence):
            one, *others = four_ways(weights, data)
            for other in others:
                assert np.abs(one - other).max() <= 2 * weights.report.predicted_error


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in SCANS if name in AS_LLAMA])
def test_every_shipped_scan_runs_in_turn(name: str) -> None:
    weights = compiled_once(load(name), target="llama", **case_of(name).parameters)
    loop = scan_of(weights)
    assert loop.turn is not None
    data = drawn(weights, loop.count + 1)
    exact = evaluate(graph_of(load(name), case_of(name).parameters), data).reshape(data.batch, -1)
    for found in four_ways(weights, data):
        assert np.abs(found.reshape(exact.shape) - exact).max() <= weights.report.predicted_error


def test_a_scan_of_n_tokens_runs_n_passes_at_one_token_each(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = compiled_once(load("sherman_morrison"), d=2, examples=8)
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
    weights = compiled_once(READS_OTHERS.format(step), d=2)
    assert scan_of(weights).turn == ("y" if own else None)
    data = drawn(weights, 6)
    exact = evaluate(graph_of(READS_OTHERS.format(step), {"d": 2}), data)
    fields = {"x": data.fields["x"][:, ::2], "y": data.fields["y"][:, 1::2, 0]}
    found = Transformer(weights, guard="raise")(**fields)
    assert np.abs(found.ravel() - exact.ravel()).max() <= weights.report.predicted_error


def test_the_guard_looks_at_each_token_in_its_turn() -> None:
    """A bound that only the largest carried value passes: the place that is named is where the oracle has it."""
    weights = compiled_once(load("stochastic_gradient_descent"), d=2, examples=8, rate=0.1)
    data = drawn(weights, 8, tasks=1)
    seen: list[Floats] = []
    graph = graph_of(load("stochastic_gradient_descent"), {"d": 2, "examples": 8, "rate": 0.1})
    carried = next(graph.loops()).carried[0].result
    evaluate(graph, data, lambda value, array: seen.append(array) if value == carried else None)
    w = np.concatenate(seen, 1)[0]  # [8, 2]
    step, component = np.unravel_index(np.abs(w).argmax(), w.shape)
    bound = np.full(2, 0.5 * (np.sort(np.abs(w).ravel())[-1] + np.sort(np.abs(w).ravel())[-2]))
    tight = [replace(p, low=-bound, high=bound) if p.name == "w" else p for p in weights.layout]
    fields = {"x": data.fields["x"][:, ::2], "y": data.fields["y"][:, 1::2, 0]}
    with pytest.warns(RangeWarning, match=rf"w reached .* token {2 * step + 1} \(task 0, component {component}\)"):
        Transformer(replace(weights, layout=tuple(tight)))(**fields)


# Where sublayers are live ------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in AS_LLAMA if name not in SCANS])
def test_every_shipped_program_runs_where_it_is_live(name: str) -> None:
    case = case_of(name)
    try:
        weights = compiled(case, "llama")
    except CompileError as error:
        pytest.skip(f"llama does not hold it: {error.diagnostics[0].message}")
    fields = {field: array[:6] for field, array in case.sample().items()}
    data = read_data(weights.signature, fields)
    whole = numpy_forward(weights, data, whole=True)[:, output_rows(data.sequence, weights.output.kinds)]
    live = jax_run(weights, fields)
    assert np.abs(live.reshape(whole.shape) - whole).max() <= weights.report.predicted_error


def test_what_only_a_trace_shows_is_not_run() -> None:
    """Of gradient descent the y tokens hold what is read of them after the first layers, and w stands at both."""
    weights = compiled_once(load("gradient_descent"), d=2, steps=2)
    (loop,) = (item for item in weights.body if isinstance(item, Repeated))
    before = len(list(stored(weights.body[: weights.body.index(loop)])))
    inside = weights.live[before : before + len(loop.body)]
    assert frozenset({"x", "y"}) in weights.live
    assert all(kinds <= {"x"} for kinds in inside)
    w = next(p for p in weights.layout if p.name == "w" and before <= p.last)
    assert w.kinds == {"x", "y"}
    data = linear_tasks(5, 4, 2)
    trace = Transformer(weights).trace(**data)["w"]
    assert (np.abs(trace[-1, :, 1::2]).max((1, 2)) > 0.0).all()  # at y, where nothing comes of it


def test_a_stream_skips_what_is_not_live() -> None:
    weights = compiled_once(load("gradient_descent"), target="llama", d=2, steps=3)
    data = linear_tasks(2, 4, 2)
    model = Transformer(weights, guard="raise")
    stream, found = model.stream(2), []
    for k in range(5):
        output = stream.push(x=data["x"][:, k])
        assert output is not None
        found.append(output)
        if k < 4:
            stream.push(y=data["y"][:, k])
    assert np.abs(np.stack(found, 1) - model(**data)).max() <= weights.report.predicted_error


def test_values_that_reach_no_output_raise_no_alarm(monkeypatch: pytest.MonkeyPatch) -> None:
    """The range of what the last sublayers leave of w is narrowed at y alone, and then at x alone; where no interpreter
    says that the outputs are right all the same."""
    monkeypatch.setattr(Interpreter, "graph", None)
    weights = compiled_once(load("gradient_descent"), d=2, steps=2)
    data = linear_tasks(2, 4, 2)
    none = -np.full(2, 1e-6), np.full(2, 1e-6)
    for kind, alarm in (("y", False), ("x", True)):
        tight = tuple(
            replace(p, kinds=frozenset({kind}), low=none[0], high=none[1])
            if p.name == "w" and not any("y" in some for some in weights.live[p.first :])
            else p
            for p in weights.layout
        )
        model = Transformer(replace(weights, layout=tight, domains=()), guard="raise")
        if alarm:
            with pytest.raises(RangeError, match="w reached"):
                model(**data)
        else:
            model(**data)


DECAYED = """program p(d)
tokens (example)* query  visible context
    x : vector[d] on example, query
    y : scalar on example
w : vector[d] = 0
repeat 3
    w = 0.97 * w - 0.3 * mean[j in example]((dot(w, x[j]) - y[j]) * x[j])
at query
    output dot(w, x)
"""


@pytest.mark.parametrize("target", ["gpt2", "llama"])
def test_what_a_call_makes_a_part_of_raises_no_alarm(target: TargetName) -> None:
    """Examples hold w as the first pass leaves it, and the last sublayer runs there, too, to take it off."""
    data = linear_tasks(3, 8, 2)
    weights = compiled_once(DECAYED, target=target, d=2, calibration=data, accept_error=True)
    last = [p for p in weights.layout if p.name == "w"][-1]
    assert last.kinds == {"example", "query"}
    assert last.idle == {"example"}
    assert "example" in weights.live[last.first]
    Transformer(weights, guard="raise")(**data)
    tight = replace(weights, layout=(replace(last, low=-np.full(2, 1e-6), high=np.full(2, 1e-6)),), domains=())
    with pytest.raises(RangeError, match=r"w reached .* token 8 \(task"):
        Transformer(tight, guard="raise")(**data)


DIVIDES = """program p(d)
tokens (x y)*
    n : vector[d] on x, y
q = n / (0.05 + dot(n, n))
at x
    output q
"""


def test_where_something_is_divided_all_run_everywhere() -> None:
    """What prepares a division changes tokens of all kinds, and its heads find their own token by divided keys."""
    assert compiled_once(DIVIDES, d=2).live == ()
    assert compiled_once(DIVIDES.replace("n / (0.05 + dot(n, n))", "n * dot(n, n)"), d=2).live != ()
