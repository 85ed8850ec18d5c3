"""Divisions at some kinds of token, while others hold what crosses the dividing sublayer: random programs, of values
and divisors of many sizes, against the oracle."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np
import pytest
from innerloop.artifact.arrays import Dtype
from innerloop.artifact.errors import CompileError
from innerloop.artifact.reference.arithmetic import STOCK
from innerloop.artifact.reference.forward import forward
from innerloop.artifact.tokens import read_data
from innerloop.artifact.words import TargetName
from innerloop.compiler import compile_program
from innerloop.compiler.interpreter.default_tasks import draw
from innerloop.compiler.ir.build import graph_of
from innerloop.programs import load
from numpy.typing import NDArray

from tests.reference import measured
from tests.support.against_oracle import both

PROGRAMS = 24


@dataclass(frozen=True)
class Head:
    """A token pattern; `homes` are the kinds that hold each field."""

    text: str
    kinds: tuple[str, ...]
    homes: dict[str, tuple[str, ...]]


HEADS = (
    Head("tokens (x y)* x\n    x : vector[d]\n    y : scalar", ("x", "y"), {"x": ("x",), "y": ("y",)}),
    Head(
        "tokens h (x)* q  visible context\n    a : vector[d] on h\n    x : vector[d] on x, q\n    y : scalar on x",
        ("h", "x", "q"),
        {"a": ("h",), "x": ("x", "q"), "y": ("x",)},
    ),
    Head(
        "tokens h (x y)*\n    a : vector[d] on h, y\n    x : vector[d]\n    y : scalar on x, y",
        ("h", "x", "y"),
        {"a": ("h", "y"), "x": ("x",), "y": ("x", "y")},
    ),
)


def divided_program(random: Random) -> str:
    """Source text: `r` is a quotient at some kinds, what it was at the others, and all of it the output."""
    head = random.choice(HEADS)
    kinds = random.sample(head.kinds, random.randint(1, len(head.kinds) - 1))
    floor = random.choice(["0.5", "3", "30"])
    top = random.choice(["s * e", "p", "s * p", "e"])
    bottom = random.choice(["2 * s", "s + 1", f"{floor} + dot(p, p)"])
    held = random.choice(["p", "2 * p", "p + s * e"])
    lines = ["p : vector[2] = 1", "e : vector[2] = [1, -2]", f"at {random.choice(head.homes['x'])}", "    p = x"]
    lines += [f"s : scalar = {floor} + mean[j in {random.choice(head.homes['y'])}](y[j] ^ 2)"]
    match random.choice(["once", "twice", "repeat", "scan"]):
        case "scan":  # its start is held by the rest token
            start = random.choice([0, 1, 5])
            lines += [f"r : vector[2] = {start}", f"scan {kinds[0]} up to 8", f"    r = 0.5 * r + ({top}) / ({bottom})"]
        case "repeat":
            lines += ["r : vector[2] = p", "repeat 3"]
            for kind in kinds:
                lines += [f"    at {kind}", f"        r = ({top} + 0.5 * r) / ({bottom})"]
        case times:
            lines += [f"r : vector[2] = {held}"]
            for kind in kinds:
                lines += [f"at {kind}", f"    r = ({top}) / ({bottom})"]
            if times == "twice":
                lines += [f"at {random.choice(head.kinds)}", f"    r = (r + e) / ({floor} + dot(p, p))"]
    lines.append(random.choice(["output r", "output r + p"]))
    return "\n".join(["program divided()", "", head.text.replace("[d]", "[2]"), "", *lines, ""])


def largest(text: str, fields: dict[str, NDArray[Any]], target: TargetName, dtype: Dtype) -> float:
    """The largest error over the largest output."""
    found, truth = both(text, fields, target, dtype)
    return float(np.abs(found - truth).max() / np.abs(truth).max())


@pytest.mark.parametrize(("target", "dtype", "tolerance"), [("gpt2", "float32", 2e-4), ("gelu", "float64", 1e-9)])
def test_random_divisions_agree_with_the_oracle(target: TargetName, dtype: Dtype, tolerance: float) -> None:
    refused = 0
    for seed in range(PROGRAMS):
        random = Random(seed)
        text, scale, groups = divided_program(random), 10.0 ** random.randint(-1, 2), random.randint(1, 6)
        signature = graph_of(text, {}).signature
        fields = {name: scale * array for name, array in draw(signature, groups, 16, seed).items()}
        try:
            error = largest(text, fields, target, dtype)
        except CompileError as refusal:
            if "cannot divide in float32 by numbers from" not in refusal.diagnostics[0].message:
                raise  # nothing else may go wrong with what divides
            refused += 1
            continue
        assert error < tolerance, text
    assert refused <= PROGRAMS // 10


KINDS = {
    "a label": "at x\n    r = s / (2 * s)\nat y\n    r = y\n",
    "an input": "at y\n    r = s / (2 * s)\nat x\n    r = sum(x)\n",
    "what a scan starts from": "scan y up to 8\n    r = 0.5 * r + s / (2 * s)\n",
}


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("target", ["gpt2", "gelu"])
def test_what_tokens_hold_that_do_not_divide_stays(target: TargetName, name: str) -> None:
    """Divisors of up to 1e5: at tokens of other kinds the stream is divided by what happens to be there."""
    text = (
        "program p()\n\ntokens (x y)* x\n    x : vector[2]\n    y : scalar\n\n"
        f"r : scalar = 7\ns = 30 + mean[j in y](y[j] ^ 2)\n{KINDS[name]}output r\n"
    )
    rng = np.random.default_rng(0)
    fields = {"x": 100.0 * rng.standard_normal((64, 8, 2)), "y": 100.0 * rng.standard_normal((64, 7))}
    assert largest(text, fields, target, "float32") < 2e-6


TWO_QUOTIENTS = """program two_quotients()

tokens (s)*  visible context
    s : scalar

v = mean[j in s](s[j])
w = v / (1 + v ^ 2)
u = w + v
output u / (1 + u ^ 2)
"""
FAST_ICA = """program fast_ica()

tokens (x)*  visible context
    x : vector[2]

w : vector[2] = 1
repeat 2
    g = mean[j in x](dot(w, x[j]) ^ 3 * x[j]) - 3 * w
    w = g / sqrt(dot(g, g) + 0.1)
output w
"""
LENGTHS = (1, 2, 3, 4, 7, 8, 15, 16, 21, 40)


@pytest.mark.parametrize(("dtype", "atol"), [("float32", 2e-6), ("float64", 1e-10)])
@pytest.mark.parametrize("target", ["gpt2", "gelu", "llama"])
def test_a_division_after_another_where_all_see_all(target: TargetName, dtype: Dtype, atol: float) -> None:
    """The rest token sees the others there, and must hold nothing of them, whatever their positions."""
    weights = compile_program(TWO_QUOTIENTS, target=target, dtype=dtype)
    for length in LENGTHS:
        s = np.random.default_rng(length).standard_normal((16, length))
        v = s.mean(axis=1, keepdims=True) + 0.0 * s
        u = v / (1 + v**2) + v
        np.testing.assert_allclose(measured.numpy_run(weights, {"s": s}), u / (1 + u**2), rtol=0, atol=atol)


@pytest.mark.parametrize(("dtype", "most"), [("float32", 2e-2), ("float64", 1e-7)])
@pytest.mark.parametrize("target", ["gpt2", "gelu", "llama"])
def test_independent_components_where_all_see_all(target: TargetName, dtype: Dtype, most: float) -> None:
    """Hyvärinen 1999, equation 10, from g(u) = u³, with a floor under the norm; within the certificate."""
    weights = compile_program(FAST_ICA, target=target, dtype=dtype)
    assert weights.report.predicted_error < most
    for length in LENGTHS:
        x = np.random.default_rng(length).standard_normal((16, length, 2))
        w = np.ones((16, 2))
        for _ in range(2):
            g = np.einsum("bn,bni->bi", np.einsum("bni,bi->bn", x, w) ** 3, x) / length - 3.0 * w
            w = g / np.sqrt(np.sum(g**2, axis=1, keepdims=True) + 0.1)
        found = measured.numpy_run(weights, {"x": x})
        wanted = np.repeat(w[:, None], length, axis=1)
        np.testing.assert_allclose(found, wanted, rtol=0, atol=weights.report.predicted_error)


SMALL_AFTER_LARGE = """program small_after_large()

tokens (s)*
    s : scalar in [0, 1]

v = mean[j in s](s[j])
w = v / (1 + 1000 * v ^ 2)             # attention is idle between this and the next division
u = w + v
output w / (0.01 + u ^ 2)
"""


@pytest.mark.parametrize("target", ["gpt2", "gelu"])
def test_nothing_is_left_of_a_large_divisor_where_a_small_one_comes(target: TargetName) -> None:
    s = np.random.default_rng(0).uniform(0, 1, (32, 40))
    v = np.cumsum(s, axis=1) / np.arange(1, 41)
    w = v / (1 + 1000 * v**2)
    found = measured.numpy_run(compile_program(SMALL_AFTER_LARGE, target=target), {"s": s})
    np.testing.assert_allclose(found, w / (0.01 + (w + v) ** 2), rtol=0, atol=1e-4)


def test_divisions_leave_the_rest_token_as_it_was() -> None:
    """Where nothing is divided the norm divides by the largest divisor: by what small values stand there, rounding grew
    to 10⁹ in a few divisions, and to what PyTorch's gradients do not hold."""
    weights = compile_program(load("conjugate_gradient"), d=3)
    rest: list[NDArray[Any]] = []
    data = read_data(weights.signature, draw(weights.signature, 6, 4, seed=0))
    forward(weights, data, lambda stream: rest.append(stream[:, :, 0].copy()), STOCK, whole=True)
    np.testing.assert_allclose(rest[-1], rest[0], rtol=1e-6, atol=1e-2)
