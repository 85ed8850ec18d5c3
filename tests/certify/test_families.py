"""Families of default tasks: what they are, which of them weights are made for, and that those run right."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from innerloop.artifact.signature import Signature
from innerloop.artifact.tokens import read_data
from innerloop.artifact.words import TargetName
from innerloop.compiler import compile_program, interpret
from innerloop.compiler.architectures.targets import TARGETS
from innerloop.compiler.certify.families import affordable
from innerloop.compiler.interpreter.calibrate import MARGIN, calibrate, joined, observe, ranges_of
from innerloop.compiler.interpreter.default_tasks import WILD, core_tasks, draw, samples
from innerloop.compiler.interpreter.task_families import CORE, FAMILIES, Family
from innerloop.compiler.ir.build import graph_of
from innerloop.compiler.ir.graph import Divide, Field, Function, Graph, Product
from innerloop.compiler.transforms.divide_by_curves import divide_by_curves
from innerloop.programs import load

from tests.reference.measured import numpy_run

NAMED = {family.words: family for family in FAMILIES}
TOKENS = "program p(d = 2)\n\ntokens (x y)* x\n    x : vector[d]\n    y : scalar\n\n"
HEAD = TOKENS + "at y\n    u = move x from previous\n    output "


def graph(text: str, **parameters: Any) -> tuple[Graph, Signature]:
    found = graph_of(text, parameters)
    return found, found.signature


def drawn(words: str, text: str = HEAD + "dot(u, u) * y\n", tasks: int = 400) -> dict[str, np.ndarray]:
    return draw(graph(text)[1], 20, tasks, 3, family=NAMED[words])


def test_what_families_draw() -> None:
    core = drawn("label noise of 0.1 to 1") | {"core": draw(graph(HEAD + "y\n")[1], 20, 400, 3, family=CORE)["y"]}
    off = np.std(core["y"] - core["core"], axis=1)  # x and w are the core's
    assert np.quantile(off, [0.05, 0.5, 0.95]) == pytest.approx([0.1, 0.5, 1.0], rel=0.4)
    assert set(np.unique(drawn("labels of ±1")["y"])) == {-1.0, 1.0}
    assert (drawn("a first component of 1")["x"][..., 0] == 1.0).all()
    for share in (0.95, 0.999):
        x = drawn(f"inputs correlated by {share:g}")["x"].reshape(-1, 2)
        assert np.corrcoef(x.T)[0, 1] == pytest.approx(share, abs=0.01)
    outlier = drawn("an outlier among the labels")["y"]
    assert (np.abs(outlier).max(axis=1) == np.abs(outlier).max()).all()
    whole = drawn("small whole numbers, zeros and repeated rows")["x"]
    assert set(np.unique(whole)) == {-2.0, -1.0, 0.0, 1.0, 2.0}
    assert (whole == 0.0).all(axis=2).mean() > 0.1
    scale = np.abs(drawn("scales of 0.001 to 1")["x"]).max(axis=(1, 2))
    assert scale.min() < 0.01
    assert scale.max() > 1.0


def test_families_change_what_there_is_to_change() -> None:
    declared = "program p()\n\ntokens (s)*\n    s : scalar in [2, 3]\n\noutput s * s\n"
    signature = graph(declared)[1]
    assert [f.words for f in FAMILIES if f.applies(signature)] == ["declared fields at the ends of their ranges"]
    ends = draw(signature, 5, 8, 0, family=NAMED["declared fields at the ends of their ranges"])["s"]
    assert set(np.unique(ends)) == {2.0, 3.0}
    labels = graph(HEAD.replace("y : scalar", "y : scalar in [-1, 1]") + "y\n")[1]
    assert NAMED["label noise of 3"].applies(labels)
    noisy, clean = (draw(labels, 20, 50, 3, family=f)["y"] for f in (NAMED["label noise of 3"], CORE))
    assert set(np.unique(noisy)) == {-1.0, 1.0}
    assert 0.1 < np.mean(noisy != clean) < 0.6


def kept(text: str, target: TargetName = "gpt2", **parameters: Any) -> list[str]:
    found, _ = graph(text, **parameters)
    some = samples(found)
    seen = [(s.family, observe(found, s.data, WILD)) for s in some]
    _, families = affordable(found, seen, core_tasks(some), TARGETS[target], "float32")
    return [f.words for f in families]


def test_families_that_diverge_or_leave_a_sign_are_too_dear() -> None:
    descent = kept(load("gradient_descent"), d=4, steps=8, rate=0.1)
    assert "label noise of 0.1 to 1" in descent
    assert "inputs correlated by 0.95" not in descent
    over = kept(HEAD + "y / dot(u, u)\n")
    assert "small whole numbers, zeros and repeated rows" not in over
    assert "label noise of 0.1 to 1" in over
    root = kept(HEAD + "sqrt(y ^ 2)\n")
    assert "an outlier among the labels" in root


def test_the_wildest_tasks_are_left_out_and_no_more() -> None:
    text = "program p()\n\ntokens (s)*\n    s : scalar\n\noutput s * s\n"
    found, signature = graph(text)
    s = np.random.default_rng(0).standard_normal((1000, 4))
    s[[3, 5, 7], 0] = 1e3, 1e4, 1e5
    data = [read_data(signature, {"s": s})]
    (field,) = (v for v in found.values() if isinstance(found[v].op, Field))
    for share, most in ((0.0, 1e5), (0.001, 1e4), (0.002, 1e3)):
        assert ranges_of(found, observe(found, data, share)).high[field].max() == most
    tame = [read_data(signature, {"s": np.clip(s, -4.0, 4.0)})]
    assert ranges_of(found, observe(found, tame, 0.01)).high[field].max() == 4.0  # nothing is far out


def test_long_tails_are_doubled_and_alike_on_both_sides_and_others_are_not() -> None:
    found, signature = graph("program p()\n\ntokens (s)*\n    s : scalar\n\noutput s * s\n")
    s = np.random.default_rng(0).standard_normal((2000, 2))
    s[0, 0] = 100.0
    seen = observe(found, [read_data(signature, {"s": s})])
    (product,) = (v for v in found.values() if isinstance(found[v].op, Product))
    operand = found[product].operands[0]
    long = ranges_of(found, seen)
    assert long.ball(operand).radius == pytest.approx(220.0)
    assert np.concatenate(long[operand]) == pytest.approx([-220.0, 220.0])
    s[0, 0] = 5.0
    short = ranges_of(found, observe(found, [read_data(signature, {"s": s})]))
    assert short.ball(operand).radius == pytest.approx(5.5)
    assert short[operand][0] > -5.0
    s = np.abs(s)
    s[0, 0] = 100.0
    positive = ranges_of(found, observe(found, [read_data(signature, {"s": s})]))
    assert positive[operand][0] >= 0.0
    assert positive[operand][1] > 200.0


def test_families_that_join_widen_what_a_reciprocal_is_built_for() -> None:
    """1/t is a curve for half of the least t that any family holds, and what reads 1/t is built for as much."""
    built, signature = graph("program p()\n\ntokens (t)*\n    t : scalar\n\noutput t / t\n")
    found = divide_by_curves(built)
    (value,) = (v for v in found.values() if found[v].op == Function("reciprocal"))
    core, other = (observe(found, [read_data(signature, {"t": [[least, 2.0]]})]) for least in (1.0, 0.5))
    ranges = joined(ranges_of(found, core), other)
    least = ranges.domain("reciprocal", found[value].operands[0])[0].min()
    assert least == 0.25
    assert ranges[value][1].max() >= 0.999 / least


def test_ranges_have_a_margin_and_divisors_one_on_both_sides() -> None:
    tokens = "program p()\n\ntokens (s t)*\n    s : scalar\n    t : scalar\n\n"
    found, signature = graph(tokens + "at t\n    v = move s from previous\n    output v / t\n")
    ranges = calibrate(found, [read_data(signature, {"s": [[-2.0, 4.0]], "t": [[1.0, 3.0]]})])
    (divide,) = (v for v in found.values() if isinstance(found[v].op, Divide))
    top, bottom = found[divide].operands
    assert MARGIN >= 0.1
    low, high = ranges[top]
    assert low[0] <= -2.0 * 1.1
    assert high[0] >= 4.0 * 1.1
    low, high = ranges.tight(bottom)
    assert low[0] <= 1.0 / 1.1
    assert high[0] >= 3.0 * 1.1
    wider = joined(ranges, observe(found, [read_data(signature, {"s": [[9.0]], "t": [[0.5]]})]))
    assert wider[top][1][0] >= 9.0 * 1.1
    assert wider.tight(bottom)[0][0] <= 0.5 / 1.1


def test_divisors_a_little_beyond_the_sample_divide_right() -> None:
    text = "program p()\n\ntokens (s)*\n    s : scalar\n\noutput 1 / s\n"
    weights = compile_program(text, calibration={"s": np.linspace(1.0, 3.0, 50)})
    s = np.array([[0.92, 3.2]])
    assert numpy_run(weights, {"s": s}) == pytest.approx(interpret(text, s=s), rel=1e-5)


@pytest.mark.parametrize("target", ["gpt2", "llama"])
@pytest.mark.parametrize("name", ["recursive_least_squares", "kalman_filter"])
@pytest.mark.parametrize("d", [3, pytest.param(8, marks=pytest.mark.slow)])
def test_noisy_labels_are_regressed_on_rightly(d: int, name: str, target: TargetName) -> None:
    rng = np.random.default_rng(0)
    n = 5 * d
    x = rng.standard_normal((16, n + 1, d))
    y = np.einsum("bnd,bd->bn", x, rng.standard_normal((16, d))) + rng.standard_normal((16, n + 1))
    fields = {"x": x, "y": y[:, :n]}
    weights = compile_program(load(name), target=target, d=d, examples=n)
    assert np.abs(numpy_run(weights, fields) - interpret(load(name), d=d, examples=n, **fields)).max() <= 2.5e-4


def test_a_family_of_ones_own_is_no_part_of_the_core() -> None:
    _, signature = graph(HEAD + "y\n")
    plain = draw(signature, 5, 4, 9)
    assert all(np.array_equal(plain[k], a) for k, a in draw(signature, 5, 4, 9, family=Family("nothing")).items())
