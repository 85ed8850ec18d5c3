"""The arithmetic that compiled constructions rest on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from innerloop.artifact.arrays import Dtype
from innerloop.artifact.parts import Norm
from innerloop.artifact.reference.arithmetic import OWN, normalise
from innerloop.runtime.arrays import matmul
from innerloop.runtime.layers.attention import attend
from innerloop.runtime.layers.functions import added, layer_norm, rms_norm, silu, stored
from innerloop.runtime.packing.packed import AttentionStep, NormStep, Spread

from tests.support.random_weights import config


def plain(width: int, dtype: Any, epsilon: float = 1e-5) -> NormStep:
    return NormStep(np.ones(width, dtype), np.zeros(width, dtype), np.asarray(epsilon, dtype), np.asarray(width, dtype))


@pytest.mark.parametrize("width", [64, 160, 250])
def test_large_constants_leave_the_mean_of_a_balanced_stream_exactly_zero(width: int) -> None:
    """Beside ±C and a smaller ±N: every value is divided by the same, to the last bits, and nothing is taken away."""
    rng = np.random.default_rng(width)
    x = rng.standard_normal((300, width)).astype(np.float32)
    x[:, 2], x[:, 10] = 2.0**40, -(2.0**40)
    x[:, 3] = rng.uniform(2**19, 2**21, 300)
    x[:, 11] = -x[:, 3]
    x[:, 0] = 0.0
    x[:, 0] = -np.delete(x, [2, 10, 3, 11], axis=1).astype(np.float64).sum(1)
    y = np.asarray(jax.jit(layer_norm)(x, plain(width, np.float32)))
    constant = np.sqrt(2.0 / width) * 2.0**40
    np.testing.assert_allclose(y * constant, x, rtol=1e-6, atol=0)


@pytest.mark.parametrize("width", [32, 128, 512, 160])
def test_a_norm_that_is_a_power_of_two_is_exact(width: int) -> None:
    """Slots ±C, eight apart, with (number of them) / width a power of four: the norm is C / 2ᵏ, bit for bit."""
    pairs = 5 if width == 160 else 1
    values = np.random.default_rng(0).standard_normal((64, width // 16, 8)).astype(np.float32)
    values[:, 0, :pairs] = 2.0**30
    x = np.stack([values, -values], 2).reshape(64, width)  # a mean of exactly 0
    y = np.asarray(jax.jit(layer_norm)(x, plain(width, np.float32)))
    scale = np.sqrt(2 * pairs / width) * 2.0**30
    assert np.log2(scale) % 1 == 0
    assert np.array_equal(y * np.float32(scale), x)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_huge_constant_makes_rms_norm_the_identity(dtype: Dtype) -> None:
    """Slots aᵢ·2³⁶ with Σ aᵢ² = width, gain 2³⁶ (float64: 2⁶⁴), in both passes and every way to write the width; of 41
    (float32) and 49 (float64) too, which times their reciprocals are not 1."""
    rng = np.random.default_rng(0)
    widths = {32: (4, 4), 256: (16,), 124: (1, 1, 1, 11), 334: (3, 6, 8, 15), 1022: (5, 6, 31), 41: (4, 5), 49: (7,)}
    for width, factors in widths.items():
        assert sum(a * a for a in factors) == width
        constant = 2.0 ** (36 if dtype == "float32" else 64)
        x = rng.standard_normal((50, width)) * 2.0 ** rng.integers(-20, 20, (50, 1))
        x = x.astype(dtype)
        x[:, rng.permutation(width)[: len(factors)]] = np.array(factors) * constant
        drawn = replace(config(1, width, dtype=dtype), norm="rmsnorm")
        gain = np.full(width, constant)
        with jax.enable_x64(dtype == "float64"):
            step = plain(width, dtype)._replace(gain=gain.astype(dtype), bias=None)
            assert np.array_equal(jax.jit(rms_norm)(x, step), x)
        assert np.array_equal(normalise(x.T, Norm(gain, np.zeros(width)), drawn, OWN).T, x)


def test_rms_norm_divides_by_a_value_that_outweighs_the_rest() -> None:
    """One slot at N·√width: every value is divided by N, to the last bits, for any N."""
    width = 256
    rng = np.random.default_rng(0)
    x = rng.standard_normal((300, width)).astype(np.float32)
    divisor = rng.uniform(2**20, 2**22, 300).astype(np.float32)
    x[:, 3] = 16 * divisor
    step = plain(width, np.float32)._replace(bias=None)
    np.testing.assert_allclose(jax.jit(rms_norm)(x, step), x / divisor[:, None], rtol=3e-7, atol=0)


@pytest.mark.parametrize(("dtype", "open_", "shut"), [("float32", 17.0, -104.0), ("float64", 37.0, -746.0)])
def test_silu_is_the_identity_when_open_and_zero_when_shut(dtype: Dtype, open_: float, shut: float) -> None:
    rng = np.random.default_rng(0)
    span = np.concatenate([[0.0], np.logspace(0, 30, 3001), rng.uniform(0, 1e4, 3001)])
    with jax.enable_x64(dtype == "float64"):
        for function in (jax.jit(silu), lambda x: OWN.activations["silu"](x, np.asarray)):
            for start, sign, kept in ((open_, 1, 1), (shut, -1, 0)):
                x = (start + sign * span).astype(dtype)
                assert np.array_equal(function(x), x * kept)


@pytest.mark.parametrize(("dtype", "gap"), [("float32", 104.0), ("float64", 746.0)])
def test_a_lone_winner_is_copied_bit_for_bit(dtype: Dtype, gap: float) -> None:
    tokens = 1024
    rng = np.random.default_rng(0)
    with jax.enable_x64(dtype == "float64"):
        qkv = np.zeros((1, tokens, 3), dtype)
        qkv[..., 0], qkv[..., 1] = 1.0, np.where(np.arange(tokens) == 0, gap, 0.0)
        qkv[..., 2] = rng.standard_normal(tokens)
        none: Any = np.zeros(1)
        step = AttentionStep(
            plain(1, dtype), None, none, none, none, Spread(None, none), 0, heads=1, qk=1, v=1, d_head=1, causal=True
        )
        mixed = np.asarray(jax.jit(lambda x: attend(x, step))(qkv))
    assert np.array_equal(mixed[0, :, 0], np.full(tokens, qkv[0, 0, 2]))


@pytest.mark.parametrize(("inside", "out"), [(3, 7), (7, 3)])
def test_derivatives_of_products_and_sums_are_those_of_the_formula(inside: int, out: int) -> None:
    """Both ways round, forward and backward, and a batch of them."""
    rng = np.random.default_rng(0)
    with jax.enable_x64(True):
        at = tuple(jnp.asarray(rng.standard_normal(shape)) for shape in [(2, 5, inside), (inside, out), (out,)])
        along = tuple(jnp.asarray(rng.standard_normal(a.shape)) for a in at)

        def ours(x: Any, w: Any, bias: Any) -> Any:
            return jnp.sin(stored(added(matmul(x, w), bias))).sum()

        def formula(x: Any, w: Any, bias: Any) -> Any:
            return jnp.sin(jnp.einsum("bti,io->bto", x, w) + bias).sum()

        of = (ours, formula)
        forward, plainly = (jax.jvp(f, at, along) for f in of)
        gradients, expected = (jax.jit(jax.grad(f, (0, 1, 2)))(*at) for f in of)
        many, each = (jax.vmap(jax.grad(f, (0, 1, 2)), (0, None, None))(at[0][:, None], *at[1:]) for f in of)
        np.testing.assert_allclose(forward, plainly, rtol=1e-12)
        for found, wanted in zip((*gradients, *many), (*expected, *each), strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-11, atol=1e-12)
