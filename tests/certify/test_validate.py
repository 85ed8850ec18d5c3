"""Validation: weights that are not what the program says are refused where they first go wrong, and right ones are
not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from innerloop.artifact.arrays import Dtype
from innerloop.artifact.errors import InternalError
from innerloop.artifact.parts import Mlp, Repeated
from innerloop.artifact.reference import forward
from innerloop.artifact.sparse import Matrix
from innerloop.artifact.words import TargetName
from innerloop.compiler import CompileError, Weights, compile_program
from innerloop.compiler import finish as passes
from innerloop.compiler.certify import validate as validation
from innerloop.compiler.certify.plan import Plan
from innerloop.compiler.certify.sample_tasks import sample_tasks
from innerloop.compiler.certify.slots import SlotSizes
from innerloop.compiler.certify.validate import validate
from innerloop.compiler.emit.positions import PositionScheme
from innerloop.compiler.emit.residual_stream import Stream
from innerloop.compiler.interpreter.default_tasks import draw
from innerloop.compiler.ir.build import graph_of
from innerloop.programs import load

from tests.support.broken_schedules import LOG, log_moved

SEEN = """program seen(n = 2)

tokens (s)*  visible context
    s : scalar

v = mean[j in s](s[j])
w = v / (1 + v ^ 2)
output w / (1 + w ^ 2)
"""


def made(
    text: str, monkeypatch: pytest.MonkeyPatch, dtype: Dtype = "float32", **parameters: Any
) -> tuple[Plan, Weights, Stream]:
    """What the compiler hands to its validation."""
    found: list[tuple[Plan, Weights, Stream]] = []

    def kept(*given: Any) -> SlotSizes:
        found.append(given)
        return SlotSizes(given[2])

    monkeypatch.setattr(passes, "validate", kept)
    compile_program(text, calibration=sample(text, **parameters), dtype=dtype, **parameters)
    return found[-1]


def sample(text: str, **parameters: object) -> dict[str, Any]:
    """Fewer tasks than the default."""
    signature = graph_of(text, parameters).signature
    return dict(draw(signature, 3, 128, 0))


@pytest.mark.parametrize("target", ["gpt2", "gelu", "llama"])
def test_a_product_moved_past_an_update_is_seen_in_the_weights(
    target: TargetName, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the check of the schedule, which sees it first."""
    monkeypatch.setattr(passes, "balance", log_moved)
    monkeypatch.setattr(passes, "verify_schedule", lambda *_: None)
    wrong = r"program:\d+:\d+: error: fault of the compiler: emit: `.*` is .* after sublayer \d+ \(mlp\)"
    with pytest.raises(CompileError, match=wrong):
        compile_program(LOG, target=target, calibration=sample(LOG))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("target", ["gpt2", "gelu"])
def test_what_the_rest_token_holds_is_seen(target: TargetName, dtype: Dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PositionScheme, "causal", True)
    with pytest.raises(CompileError, match=r"sublayer 0 \(attention\) leaves .* in the slots of `v` at the rest token"):
        compile_program(SEEN, target=target, dtype=dtype, calibration=sample(SEEN))


def scaled(body: Any, wanted: Mlp, scale: float) -> Any:
    """The sublayers, of which one writes so many times as much."""
    return tuple(
        replace(item, body=scaled(item.body, wanted, scale))
        if isinstance(item, Repeated)
        else replace(item, down=Matrix(item.down.csr * scale))
        if item is wanted
        else item
        for item in body
    )


PROGRAMS: dict[str, dict[str, Any]] = {
    "gradient_descent": {"d": 2, "steps": 3},
    "stochastic_gradient_descent": {"d": 2, "examples": 3},
    "sherman_morrison": {"d": 2, "examples": 3},
}


@pytest.mark.parametrize("whole", [3, 0])
@pytest.mark.parametrize("program", PROGRAMS)
def test_each_sublayer_is_held_against_the_oracle(program: str, whole: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that writes a thousandth too much is where it goes wrong, whether what it makes has a name or not; and where
    passes are held at the token whose turn it is."""
    monkeypatch.setattr(validation, "PASSES", whole)
    plan, weights, stream = made(load(program), monkeypatch, "float64", **PROGRAMS[program])
    validate(plan, weights, stream)
    sublayers = list(plan.schedule.walk())
    numbers = [t for t, sublayer in enumerate(sublayers) if sublayer.side == "mlp"]
    stored = _stored(weights.body)
    tried = 0
    for number in numbers:
        part = stored[number]
        if (
            not isinstance(part, Mlp)
            or not sublayers[number].placed
            or sublayers[number].prepares
            or sublayers[number].clears
        ):
            continue
        wrong = replace(weights, body=scaled(weights.body, part, 1.001))
        with pytest.raises(InternalError, match=rf"after sublayer {number} \(mlp\)"):
            validate(plan, wrong, stream)
        tried += 1
    assert tried


@pytest.mark.parametrize("everywhere", [True, False])
def test_a_pass_that_does_not_repeat_what_it_did_is_seen_at_all_tokens(
    everywhere: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token that adds to what it has when its turn is over is right in its own pass."""
    plan, weights, stream = made(load("sherman_morrison"), monkeypatch, "float64", d=2, examples=5)
    monkeypatch.setattr(validation, "PASSES", 0)
    run = forward.InTurn.__init__

    def few(self: forward.InTurn, numbers: Any, see: Any) -> None:
        def later(turn: forward.Turn, x: Any, place: int | None) -> None:
            if place is None and turn.number:
                x[:, :, 2] += 0.5  # the first token of the scan
            see(turn, x, place)

        run(self, numbers if everywhere else (), later)

    monkeypatch.setattr(forward.InTurn, "__init__", few)
    if not everywhere:
        validate(plan, weights, stream)
        return
    with pytest.raises(InternalError, match=r"in pass 1, .* at token 1 "):
        validate(plan, weights, stream)


def _stored(body: Any) -> list[Any]:
    return [part for item in body for part in (_stored(item.body) if isinstance(item, Repeated) else [item])]


def test_an_output_that_is_read_wrong_is_seen_by_what_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    plan, weights, stream = made(LOG, monkeypatch)
    wrong = replace(weights, readout=Matrix(weights.readout.csr * 1.1))
    validate(plan, wrong, stream)
    off = replace(weights.report, measured_error=4.0 * weights.report.predicted_error)
    validate(plan, replace(weights, report=off), stream)  # no value is off, and the output is what it should be
    with pytest.raises(InternalError, match="the output is off by"):
        validate(plan, replace(wrong, report=off), stream)


def test_corners_of_the_ranges_are_among_the_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "program p()\n\ntokens (x)*\n    x : scalar in [-8, 8]\n\noutput x ^ 2\n"
    plan, weights, stream = made(text, monkeypatch)
    validate(plan, weights, stream)
    assert max(np.abs(data.fields["x"]).max() for data in sample_tasks(plan)) == 8.0


def test_undecided_comparisons_say_nothing() -> None:
    """A label and a score that differ by rounding alone."""
    text = (
        "program p()\n\ntokens (x)*\n    x : vector[2]\n\na = sum(x)\nb = 0.1 * a * 10\noutput sign(a - b) + sum(x)\n"
    )
    compile_program(text, calibration=sample(text))


@pytest.mark.parametrize("target", ["gpt2", "gelu", "llama"])
def test_the_rest_token_may_hold_a_start_beyond_the_range(target: TargetName) -> None:
    """Of s after the scan, which no token but the rest token ends with."""
    text = (
        "program p()\n\ntokens h (x y)*\n    a : scalar on h, x, y\n\ns : scalar = -2\n"
        "scan h up to 8\n    s = 0.1 * s + 0.1 * tanh(a)\nat y\n    output s\n"
    )
    compile_program(text, target=target, calibration=sample(text))


def test_a_tie_that_the_calibration_never_held_is_no_fault() -> None:
    """At a corner both components are alike: what decides is 0 there, and for a 0 these weights were not made."""
    text = """program tie()
tokens h q (x)*
    y : vector[2] on h, q, x in [-3, 0]
at h
    output argmax(y / (0.5 + abs(y)))"""
    sample = {"y": np.random.default_rng(1).uniform(-3.0, 0.0, (60, 5, 2))}
    report = compile_program(text, target="gelu", calibration=sample, certify=8).report
    assert report.measured_error <= report.predicted_error


def test_a_kink_is_no_blunter_for_what_takes_its_slots_later() -> None:
    """m, up to e^128, stands where n was read by `clip`: a neuron that reads so much has no kink at 1."""
    text = """program late()
tokens (x)*
    n : scalar on x in [-4, 4]
c = clip(n, -1, 1)
m = exp(c * n / 4)
repeat 7
    m = m * m
output c = c
output m = m
"""
    c, m = compile_program(text, target="llama", dtype="float64", calibration=sample(text), certify=8).report.each
    assert c.measured_error <= c.predicted_error < 1e-12
    assert m.measured_error <= m.predicted_error


def test_what_a_norm_leaves_of_a_value_that_was_cleared_is_no_fault() -> None:
    """Of random program 33267: a 0 where the mean was, which the norm has made smaller by 1 % before it was cleared."""
    text = """program left()
tokens (x)* q
    n : vector[2] on q, x in [-1, 1]
p : vector[2] = 1.75
repeat 3 as i
    p = 0.5 * p + argmax[j in x](0.3, n[j])
output p + softmax[j in x](1e-2, n[j] > n[j])
"""
    report = compile_program(text, dtype="float16", calibration=sample(text), certify=8).report
    assert report.measured_error <= report.predicted_error
