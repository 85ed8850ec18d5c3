"""The figures of compiler/squares.py and compiler/fit.py, measured in float32 through the runtime's own GELU."""

from __future__ import annotations

import numpy as np
import pytest
from innerloop.compiler.fit import fit
from innerloop.compiler.oracle import function
from innerloop.compiler.squares import Bank, gelu, square_bank
from innerloop.runtime.forward import gelu as runtime_gelu


def square(bank: Bank, s: np.ndarray) -> np.ndarray:
    """The bank's s² in float32."""
    up, bias, down = (a.astype(np.float32) for a in (bank.up, bank.bias, bank.down))
    neurons = np.asarray(runtime_gelu(s[:, None] * up + bias)) * down
    return np.asarray(np.add.accumulate(neurons, axis=1)[:, -1])


@pytest.mark.parametrize(
    ("fine", "radius", "figure"),
    [
        (False, 1.0, 1.2e-7), (False, 0.3, 3.0e-8), (False, 0.1, 8.2e-9), (False, 0.03, 3.8e-9), (False, 0.01, 1.2e-9),
        (True, 1.0, 1.1e-7), (True, 0.3, 1.5e-8), (True, 0.1, 5.0e-9), (True, 0.03, 1.7e-9), (True, 0.01, 5.5e-10),
    ],
)  # fmt: skip
def test_a_square_is_as_exact_as_the_table_says(fine: bool, radius: float, figure: float) -> None:
    s = np.random.default_rng(0).uniform(radius / 2, radius, 40_000).astype(np.float32)
    error = square(square_bank("float32", fine), s) - s.astype(np.float64) ** 2
    assert np.sqrt(np.mean(error**2)) <= 1.3 * figure


def test_copies_of_a_bank_round_independently() -> None:
    s = np.sort(np.random.default_rng(0).uniform(0.02, 0.1, 5_000)).astype(np.float32)

    def noise(copies: int) -> float:
        """Of the neurons alone, and of neighbours against each other, since what is smooth is no noise."""
        bank = square_bank("float32", True, copies)
        up, bias, down = (a.astype(np.float32) for a in (bank.up, bank.bias, bank.down))
        neurons = np.asarray(runtime_gelu(s[:, None] * up + bias)).astype(np.float64)
        wide_up, wide_bias, wide_down = (a.astype(np.float64) for a in (up, bias, down))
        error = (neurons - gelu(s[:, None].astype(np.float64) * wide_up + wide_bias)) @ wide_down
        return float(np.std(np.diff(error)))

    assert noise(6) < 0.6 * noise(1)


def test_a_square_in_float64() -> None:
    s = np.random.default_rng(0).uniform(-1, 1, 40_000)
    bank = square_bank("float64")
    found = gelu(s[:, None] * bank.up + bank.bias) @ bank.down
    assert np.abs(found - s**2).max() <= 1e-11


def test_a_product_by_zero_is_zero() -> None:
    b = np.random.default_rng(0).uniform(-1, 1, 1000).astype(np.float32)
    bank = square_bank("float32")
    assert np.abs(square(bank, b / 2) - square(bank, -b / 2)).max() <= 3e-7


@pytest.mark.parametrize(
    ("name", "arguments", "low", "high", "relative"),
    [
        ("relu", (), -8, 8, 3e-7), ("abs", (), -8, 8, 6e-7), ("clip", (-1.0, 2.0), -8, 8, 6e-7),
        ("sigmoid", (), -8, 8, 2e-6), ("tanh", (), -8, 8, 2e-6), ("exp", (), -4, 4, 2e-6), ("log", (), 0.1, 10, 2e-6),
        ("sqrt", (), 0.1, 10, 2e-6),
    ],
)  # fmt: skip
def test_a_function_is_as_exact_as_its_curve_says(
    name: str, arguments: tuple[float, ...], low: float, high: float, relative: float
) -> None:
    curve = fit(name, arguments, low, high, "float32")
    x = np.linspace(low, high, 20_011)
    found = curve.constant + curve.slope * x + gelu(x[:, None] * curve.up + curve.bias) @ curve.down
    truth = function(name, arguments, x)
    assert np.abs(found - truth).max() <= 1.5 * curve.error + 1e-12
    assert curve.error <= relative * np.abs(truth).max()
