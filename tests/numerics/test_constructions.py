"""Each construction by itself: one-line programs through the whole compiler and the forward pass."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from innerloop.artifact.arrays import Dtype
from innerloop.artifact.errors import CompileError
from innerloop.artifact.signature import Pattern
from innerloop.artifact.words import TargetName
from innerloop.compiler.architectures.learned_positions import copy_rule
from innerloop.compiler.architectures.relation import Relation
from innerloop.compiler.compile import compile_program
from numpy.typing import NDArray

from tests.support.against_oracle import both

HEAD = "program test(d = 4)\n\ntokens (x y)* x\n    x : vector[d]\n    y : scalar\n\n"
Array = NDArray[Any]


def draw(examples: int, tasks: int = 4, seed: int = 0) -> dict[str, Array]:
    """Numbers that float32 holds."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((tasks, examples + 1, 4)).astype(np.float32).astype(np.float64)
    y = rng.standard_normal((tasks, examples)).astype(np.float32).astype(np.float64)
    return {"x": x, "y": y}


# Attention ---------------------------------------------------------------------------------------

MOVES = {
    "previous": "at y\n    output move x from previous\n",
    "previous, everywhere": "p : vector[d] = 0\nat x\n    p = x\noutput move p from previous\n",
    "first": "output move x from first x\n",
    "first label": "output move y from first y\n",
}


@pytest.mark.parametrize("move", MOVES)
def test_a_move_copies_bit_for_bit(move: str) -> None:
    """Over 1,023 tokens, random numbers of many sizes."""
    fields = draw(511, tasks=2)
    sizes = 10.0 ** np.random.default_rng(1).uniform(-4, 0, fields["x"].shape)
    fields["x"] = (fields["x"] * sizes).astype(np.float32).astype(np.float64)
    fields["y"] = fields["y"].astype(np.float32).astype(np.float64)
    found, truth = both(HEAD + MOVES[move], fields)
    np.testing.assert_array_equal(found, truth.astype(np.float32))


GATHERS = {
    "mean": "output mean[j in y](y[j])\n",
    "mean of vectors": "output mean[j in x](x[j])\n",
    "mean at another kind alone": "at x\n    output mean[j in y](y[j])\n",
    "sum": "output sum[j in y](y[j])\n",
    "count": "output sum[j in y](1)\n",
    "mean of moved": "at y\n    u = move x from previous\noutput mean[j in y](u[j])\n",
}


@pytest.mark.parametrize("examples", [0, 1, 2, 40])
@pytest.mark.parametrize("gather", GATHERS)
def test_means_and_sums(gather: str, examples: int) -> None:
    """Of no token, 0: the first x sees no y."""
    found, truth = both(HEAD + GATHERS[gather], draw(examples), sample=draw(40, tasks=32))
    scale = max(1.0, float(np.abs(truth).max()))
    np.testing.assert_allclose(found, truth, rtol=0, atol=2e-5 * scale)


@pytest.mark.parametrize("target", ["gpt2", "llama"])
@pytest.mark.parametrize("gather", ["mean", "mean at another kind alone", "mean of moved"])
def test_a_mean_reads_its_members_alone(gather: str, target: TargetName) -> None:
    """To float64's last digits: the shares of the rest token and of other kinds are nothing at all, not e⁻²⁰."""
    fields = draw(40, tasks=4)
    found, truth = both(HEAD + GATHERS[gather], fields, target, "float64", sample=draw(40, tasks=32))
    np.testing.assert_allclose(found, truth, rtol=0, atol=1e-13)


# Neurons -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("examples", [1, 2, 40])
@pytest.mark.parametrize("target", ["gpt2", "gelu", "llama"])
def test_the_rest_token_has_no_share_in_a_mean(target: TargetName, examples: int) -> None:
    """In float64 e⁻²⁰ of a value would be seen."""
    fields = draw(examples, tasks=64)
    found, truth = both(HEAD + GATHERS["mean"], fields, target, "float64")
    np.testing.assert_allclose(found, truth, rtol=0, atol=1e-14)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("target", ["gpt2", "gelu", "llama"])
def test_neurons_are_shut_at_tokens_of_other_kinds(target: TargetName, dtype: Dtype) -> None:
    """To the last bit, whatever their biases are."""
    text = HEAD + "p : vector[d] = 0\nat x\n    p = x * x\noutput p\n"
    found, _ = both(text, draw(8, tasks=64), target, dtype)
    np.testing.assert_array_equal(found[:, 1::2], 0.0)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 5e-6), ("float64", 1e-9)])
@pytest.mark.parametrize("scale", [0.1, 1.0, 10.0])
@pytest.mark.parametrize("value", ["x * x", "x ^ 3", "dot(x, x)", "sum(x) * x", "outer(x, x)"])
def test_products(value: str, scale: float, dtype: Dtype, tolerance: float) -> None:
    fields = {"x": scale * draw(10, tasks=16)["x"], "y": draw(10, tasks=16)["y"]}
    found, truth = both(f"{HEAD}at x\n    output {value}\n", fields, dtype=dtype)
    assert np.abs(found - truth).max() < tolerance * np.abs(truth).max()


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("float64", 1e-9)])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("wide", [2.0, 10.0, 1000.0])
def test_division_by_numbers_of_one_sign(wide: float, sign: int, dtype: Dtype, tolerance: float) -> None:
    text = HEAD.replace("y : scalar", f"y : scalar in [{1 if sign > 0 else -wide}, {wide if sign > 0 else -1}]")
    fields = draw(10, tasks=16)
    fields["y"] = sign * np.exp(np.random.default_rng(1).uniform(0, np.log(wide), fields["y"].shape))
    found, truth = both(f"{text}at y\n    u = move x from previous\n    output u / y\n", fields, dtype=dtype)
    np.testing.assert_allclose(found, truth, rtol=0, atol=tolerance * np.abs(truth).max())


FUNCTIONS = {
    "relu(x)": 2e-7, "abs(x)": 2e-7, "clip(x, -1, 0.5)": 2e-7, "sigmoid(x)": 5e-6, "tanh(x)": 5e-6, "exp(x)": 5e-5,
    "log(3 + tanh(x))": 2e-5, "sqrt(3 + tanh(x))": 2e-5, "sin(x)": 5e-6, "cos(x)": 5e-6,
    "erf(x)": 5e-6, "softplus(x)": 5e-6,
}  # fmt: skip
"""Each with its largest error on [−3, 3]."""


@pytest.mark.parametrize("value", FUNCTIONS)
def test_functions(value: str) -> None:
    fields = draw(10, tasks=16)
    fields["x"] = np.random.default_rng(2).uniform(-3, 3, fields["x"].shape)
    text = HEAD.replace("vector[d]", "vector[d] in [-3, 3]")
    found, truth = both(f"{text}at x\n    output {value}\n", fields)
    assert np.abs(found - truth).max() < FUNCTIONS[value]


def test_norms_pass_values_through() -> None:
    """A program of no operation: the embedding, the final norm and the readout."""
    fields = draw(20)
    fields["x"] = np.round(fields["x"] * 2**10) / 2**10
    found, truth = both(f"{HEAD}at x\n    output x\n", fields)
    np.testing.assert_array_equal(found, truth.astype(np.float32))


# Refusals ----------------------------------------------------------------------------------------

REFUSALS = {
    "at x\n    output x / sum(x)\n": "divides by a number of one sign only",
    "at x\n    output x / (1e-30 + dot(x, x) ^ 8)\n": "cannot divide in float32 by numbers from",
    "s = mean[j in y](y[j])\nrepeat 40\n    s = 4 * s\nat x\n    output s * x\n": "cannot hold values of up to",
    "s = mean[j in y](y[j])\nt = 1 + s ^ 2\nrepeat 40\n    s = 4 * s / t\nat x\n    output s * x\n": (
        "in float32 beside a division by numbers of"
    ),
    "at x\n    output log(sum(x) - 100)\n": "takes log of positive numbers only",
}


@pytest.mark.parametrize("body", REFUSALS)
def test_what_has_no_construction_is_refused_with_its_place(body: str) -> None:
    with pytest.raises(CompileError) as error:
        compile_program(HEAD + body, calibration=draw(10))
    (fault,) = error.value.diagnostics
    assert REFUSALS[body] in fault.message
    assert fault.span is not None


def test_a_sum_under_visible_context_is_weighed_by_one_head() -> None:
    """No token knows how many there are, and so no mean times their number is the sum."""
    text = HEAD.replace("x\n    x", "x  visible context\n    x") + "output sum[j in y](y[j] + 1)\n"
    for examples in (10, 1):
        found, truth = both(text, draw(examples), sample=draw(10))
        np.testing.assert_allclose(found, truth, atol=2e-6 * np.abs(truth).max())


def test_suffix_tokens_are_hidden_under_visible_context() -> None:
    text = "program test()\n\ntokens (a)* q q  visible context\n    v : scalar on a, q\n\noutput mean[j in q](v[j])\n"
    found, truth = both(text, {"v": np.random.default_rng(0).standard_normal((3, 6))})
    assert not truth[:, :4].any()
    np.testing.assert_allclose(found, truth, atol=1e-5)


def test_a_role_that_finds_no_token_looks_below_the_first_position() -> None:
    """Of `t (x)*` the token before t is none: one rule for both, and no table of positions."""
    rule = copy_rule(Pattern(("t",), ("x",), ()), Relation("previous"), frozenset({"t", "x"}), 16)
    assert rule is not None
    assert (rule.slope, rule.table) == (1.0, None)
    t, x = rule.offsets[1:]
    assert 1 + t <= 0
    assert x == -1


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "erf", "softplus", "sin"])
def test_a_range_on_which_no_curve_can_be_drawn_is_refused(name: str) -> None:
    """At 1e16 neighbouring numbers are two apart, and knots were no longer two."""
    text = f"program p()\ntokens (x)*\n    x : scalar on x in [-1e16, 1e16]\nat x\n    output {name}(x)"
    with pytest.raises(CompileError, match=f"takes {name} of numbers no more than 1e\\+15 apart"):
        compile_program(text)
