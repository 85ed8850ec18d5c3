"""The figures of compiler/numerics/square_banks.py and compiler/numerics/fit_smooth.py, measured in float32 through the
runtime's own GELU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import pytest
import torch
from innerloop.artifact.arrays import Dtype
from innerloop.artifact.precisions import UNIT
from innerloop.compiler import compile_program, interpret
from innerloop.compiler.interpreter.ball import Ball
from innerloop.compiler.numerics.activations import GELU, GELU_ERF, Activation, gelu
from innerloop.compiler.numerics.fit_smooth import fit
from innerloop.compiler.numerics.functions import function
from innerloop.compiler.numerics.square_banks import FINENESS, MOST_COPIES, Bank, Squares, square_bank
from innerloop.compiler.numerics.square_tables import SHIFTED
from innerloop.compiler.schedule.constructions import CURVE, default_squares
from innerloop.runtime import Transformer
from innerloop.runtime.layers.functions import gelu as runtime_gelu
from transformers.activations import NewGELUActivation


def square(bank: Bank, s: np.ndarray, activation: Callable[[np.ndarray], Any] = runtime_gelu) -> np.ndarray:
    """The bank's s² in float32."""
    up, bias, down = (a.astype(np.float32) for a in (bank.up, bank.bias, bank.down))
    neurons = np.asarray(activation(s[:, None] * up + bias)) * down
    straight = np.float32(bank.slope) * s[:, None]
    return np.asarray(np.add.accumulate(np.concatenate([neurons, straight], axis=1), axis=1)[:, -1])


SQUARES = {
    ("coarse", "here"): (1.2e-7, 2.0e-8, 9.6e-9, 2.7e-9, 7.7e-10),
    ("coarse", "tanh"): (1.2e-7, 2.0e-8, 1.0e-8, 4.6e-9, 4.0e-9),
    ("coarse", "erf"): (2.2e-7, 3.6e-8, 1.2e-8, 3.2e-9, 1.4e-9),
    ("fine", "here"): (6.7e-8, 1.6e-8, 5.1e-9, 1.8e-9, 6.1e-10),
    ("fine", "tanh"): (6.7e-8, 1.7e-8, 6.7e-9, 6.0e-9, 4.6e-9),
    ("fine", "erf"): (8.3e-8, 2.2e-8, 5.6e-9, 3.1e-9, 1.4e-9),
    ("finer", "here"): (4.8e-8, 7.7e-9, 1.7e-9, 5.2e-10, 2.9e-10),
    ("finer", "tanh"): (4.7e-8, 8.4e-9, 2.7e-9, 1.7e-9, 1.6e-9),
    ("finer", "erf"): (7.0e-8, 1.0e-8, 3.6e-9, 1.3e-9, 1.4e-9),
    ("finest", "here"): (5.7e-8, 6.5e-9, 1.1e-9, 1.8e-10, 8.9e-11),
    ("finest", "tanh"): (5.7e-8, 7.4e-9, 1.4e-9, 9.1e-10, 8.9e-10),
    ("finest", "erf"): (7.7e-8, 1.0e-8, 1.7e-9, 6.4e-10, 5.2e-10),
}  # fmt: skip
"""Rms errors for s in [R/2, R] by this runtime and by PyTorch's two GELUs, as square_banks.py and square_tables.py have
them."""
RADII = (1.0, 0.3, 0.1, 0.03, 0.01)
STOCK: dict[str, Callable[[Any], Any]] = {"tanh": NewGELUActivation(), "erf": torch.nn.functional.gelu}


@pytest.mark.parametrize(("bank", "by"), SQUARES)
def test_a_square_is_as_exact_as_the_table_says(bank: str, by: str) -> None:
    neurons = square_bank(Squares(bank), GELU_ERF if by == "erf" else GELU)
    stock = STOCK.get(by)
    for radius, figure in zip(RADII, SQUARES[bank, by], strict=True):
        s = np.random.default_rng(0).uniform(radius / 2, radius, 40_000).astype(np.float32)
        found = square(neurons, s, runtime_gelu if stock is None else lambda x: stock(torch.tensor(x)))
        assert np.sqrt(np.mean((found - s.astype(np.float64) ** 2) ** 2)) <= 1.3 * figure


def test_copies_of_a_bank_round_independently() -> None:
    s = np.sort(np.random.default_rng(0).uniform(0.02, 0.1, 5_000)).astype(np.float32)

    def noise(copies: int) -> float:
        """Of the neurons alone, and of neighbours against each other, since what is smooth is no noise."""
        bank = square_bank(Squares("exact", copies))
        up, bias, down = (a.astype(np.float32) for a in (bank.up, bank.bias, bank.down))
        neurons = np.asarray(runtime_gelu(s[:, None] * up + bias)).astype(np.float64)
        wide_up, wide_bias, wide_down = (a.astype(np.float64) for a in (up, bias, down))
        error = (neurons - gelu(s[:, None].astype(np.float64) * wide_up + wide_bias)) @ wide_down
        return float(np.std(np.diff(error)))

    assert noise(6) < 0.6 * noise(1)


@pytest.mark.parametrize("activation", [GELU, GELU_ERF])
def test_more_copies_round_less(activation: Activation) -> None:
    """48 copies of a fine bank rounded sixty times worse than one: the widest were as good as flat."""
    rates = [square_bank(Squares("exact", n), activation).most for n in range(1, MOST_COPIES + 1)]
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] < 0.45 * rates[0]
    for many in (Squares("exact", MOST_COPIES + 1), Squares("fine", 2)):
        with pytest.raises(AssertionError, match="copies"):
            square_bank(many, activation)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("products", [1, 2, 3, 16, 47, 48])
@pytest.mark.parametrize("spread", [1.0, 200.0, 1e6])
def test_products_of_far_tails_take_a_bank_that_there_is(dtype: Dtype, products: int, spread: float) -> None:
    ball = Ball(np.zeros(1), np.ones(1), spread=spread)
    assert default_squares(ball, ball, products, dtype).copies <= MOST_COPIES


@pytest.mark.parametrize("activation", [GELU, GELU_ERF])
def test_slopes_are_those_of_squares(activation: Activation) -> None:
    """Gradients of a model go by them: a fit of values alone leaves ten times as much at the ends."""
    s = np.linspace(0.0, 1.0, 4001)
    for name in SHIFTED[1:]:
        bank = square_bank(Squares(name), activation)
        slope = activation.derivative(s[:, None] * bank.up + bank.bias) * bank.up @ bank.down
        assert np.abs(slope - 2.0 * s).max() <= 8e-6
        assert np.abs(slope - 2.0 * s)[s < 0.5].max() <= 3e-7


@pytest.mark.parametrize("activation", [GELU, GELU_ERF])
def test_more_pairs_round_less(activation: Activation) -> None:
    """The smaller the square the more so; and what is fitted is no further off than what is rounded."""
    banks = [square_bank(Squares(name), activation) for name in SHIFTED]
    for size in (0.01, 0.1, 1.0):
        left = [np.linalg.norm(bank.units(np.array([size])) * bank.down) for bank in banks]
        assert left == sorted(left, reverse=True)
    assert banks[-1].rounding[1] < 0.15 * banks[0].rounding[1]
    assert all(np.abs(bank.fit).max() < UNIT["float32"] * bank.most for bank in banks[1:])


def test_a_square_in_float64() -> None:
    s = np.random.default_rng(0).uniform(-1, 1, 40_000)
    assert np.abs(square_bank(Squares("exact")).square(s) - s**2).max() <= 1e-11
    assert np.abs(square_bank(Squares("exact", halved=True)).square(s) - s**2).max() <= 1e-11


def test_a_product_by_zero_is_zero() -> None:
    b = np.random.default_rng(0).uniform(-1, 1, 1000).astype(np.float32)
    bank = square_bank(Squares("coarse"))
    assert np.abs(square(bank, b / 2) - square(bank, -b / 2)).max() <= 3e-7


PRODUCTS = {
    Squares(1): (2.7e-5, 3.2e-6), Squares(1, shared=True): (3.2e-5, 6.2e-6),
    Squares(1, halved=True): (3.4e-5, 3.9e-6), Squares(1, halved=True, shared=True): (5.2e-5, 7.1e-6),
    Squares(2): (3.3e-6, 5.7e-7), Squares(2, shared=True): (5.1e-6, 8.7e-7),
    Squares(2, halved=True): (4.6e-6, 8.0e-7), Squares(2, halved=True, shared=True): (8.4e-6, 1.1e-6),
    Squares(3): (1.6e-6, 2.7e-7), Squares(3, shared=True): (3.3e-6, 4.1e-7),
    Squares(3, halved=True): (2.1e-6, 3.9e-7), Squares(3, halved=True, shared=True): (4.3e-6, 5.4e-7),
    Squares("coarse"): (5.1e-7, 8.5e-8), Squares("coarse", shared=True): (8.9e-7, 1.2e-7),
    Squares("fine"): (3.5e-7, 5.0e-8), Squares("fine", shared=True): (8.2e-7, 7.8e-8),
    Squares("finer"): (2.7e-7, 3.9e-8), Squares("finer", shared=True): (4.7e-7, 6.0e-8),
    Squares("finest"): (2.7e-7, 4.2e-8), Squares("finest", shared=True): (6.0e-7, 6.6e-8),
}  # fmt: skip
"""Largest and rms error of products of factors in [−1, 1], as the table of square_banks.py has them."""


def factors(count: int, radius: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    a, b = np.random.default_rng(1).uniform(-radius, radius, (2, count)).astype(np.float32)
    return a, b


def product(squares: Squares, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    bank = square_bank(squares)
    both = square(bank, (a + b) / 2)
    return 2 * both - square(bank, a) / 2 - square(bank, b) / 2 if squares.shared else both - square(bank, (a - b) / 2)


@pytest.mark.parametrize("squares", PRODUCTS)
def test_a_product_is_as_exact_as_the_table_says(squares: Squares) -> None:
    a, b = factors(40_000)
    error = product(squares, a, b) - a.astype(np.float64) * b
    largest, rms = PRODUCTS[squares]
    assert np.abs(error).max() <= 1.3 * largest
    assert np.sqrt(np.mean(error**2)) <= 1.1 * rms


@pytest.mark.parametrize("radius", [1.0, 0.1, 0.01])
@pytest.mark.parametrize("squares", PRODUCTS)
def test_the_model_of_a_square_holds_at_every_size(squares: Squares, radius: float) -> None:
    """What is left beyond the bank's fit is rounding of the size that the bank says, and not far below it."""
    bank = square_bank(squares)
    s = np.random.default_rng(0).uniform(radius / 2, radius, 20_000).astype(np.float32)
    fitted = bank.square(s.astype(np.float64)) - s.astype(np.float64) ** 2
    assert np.abs(fitted).max() <= 1.01 * np.abs(bank.fit).max()
    assert np.abs(np.interp(s, np.linspace(-1, 1, 2 * FINENESS + 1), bank.fit) - fitted).max() <= 1e-8
    left = square(bank, s) - s.astype(np.float64) ** 2 - fitted
    floor, linear, square_ = bank.rounding
    sizes = UNIT["float32"] * np.sqrt(floor**2 + (linear * s) ** 2 + (square_ * s * s) ** 2)
    assert 0.05 <= np.sqrt(np.mean((left / sizes) ** 2)) <= 1.2


@pytest.mark.parametrize(
    ("name", "arguments", "low", "high", "relative"),
    [
        ("relu", (), -8, 8, 3e-7), ("abs", (), -8, 8, 6e-7), ("clip", (-1.0, 2.0), -8, 8, 6e-7),
        ("clip", (-1e6, 1e6), -8, 8, 0.0), ("clip", (-20.0, -10.0), 3, 4, 0.0), ("relu", (), 9, 10, 0.0),
        ("sigmoid", (), -8, 8, 2e-6), ("tanh", (), -8, 8, 2e-6), ("exp", (), -4, 4, 2e-6), ("log", (), 0.1, 10, 2e-6),
        ("sqrt", (), 0.1, 10, 2e-6),
    ],
)  # fmt: skip
def test_a_function_is_as_exact_as_its_curve_says(
    name: str, arguments: tuple[float, ...], low: float, high: float, relative: float
) -> None:
    curve = fit(name, arguments, low, high, CURVE["float32"])
    x = np.linspace(low, high, 20_011)
    found = curve.constant + curve.slope * x + gelu(x[:, None] * curve.up + curve.bias) @ curve.down
    truth = function(name, arguments, x)
    assert np.abs(found - truth).max() <= 1.5 * curve.error + 1e-12
    assert curve.error <= relative * np.abs(truth).max()


@pytest.mark.parametrize("options", [{}, {"dtype": "float64"}, {"tolerance": 1e-2}], ids=str)
def test_a_value_that_stands_on_both_sides_has_its_own_centre_on_each(options: dict[str, Any]) -> None:
    """The factors of A[1, 2] A[1, 1] and of A[1, 1] A[1, 2] are the same, and their centres are not."""
    text = """program gram()

tokens (e)* q
    x : vector[2] on e, q

A = outer(x, x) + identity(2)
C = transpose(A) @ A
at q
    output C[1]
"""
    weights = compile_program(text, **options)
    x = np.random.default_rng(0).uniform(-1.5, 1.5, (16, 3, 2))
    found = np.asarray(Transformer(weights)(x=x), np.float64)
    assert np.abs(found - interpret(text, x=x)).max() <= weights.report.predicted_error


@pytest.mark.parametrize("target", ["gpt2", "neox"])
def test_a_product_with_a_code_is_two_neurons_and_exact(target: Literal["gpt2", "neox"]) -> None:
    """What the code takes away is 0, and what it keeps is rounded as often as it is passed on: also of a sum of its
    components, and of a code that was moved, which is 0 where there was none."""
    text = (
        "program p()\n\ntokens (s)* x\n    s : onehot[3]\n    v : scalar on s\n    x : scalar\n\n"
        "at s\n    before = move s from previous s\n    output a = (1 - s[1]) * v\n"
        "    output b = outer(s, [v, 2 * v])\n    output c = v * before\n"
    )
    rng = np.random.default_rng(0)
    s, v = np.eye(3)[rng.integers(0, 3, (64, 9))], rng.standard_normal((64, 9))
    data = {"s": s, "v": v, "x": np.zeros((64, 1))}
    weights = compile_program(text, target=target, calibration=data)
    assert weights.report.neurons < 40, "squares take more than a hundred"
    found, truth = Transformer(weights, guard="off")(**data), interpret(text, **data)
    for name in truth:
        assert np.abs(found[name])[truth[name] == 0.0].max() < 1e-9, name
        assert np.abs(found[name] - truth[name]).max() <= 2.0**-21 * np.abs(v).max(), name


def test_a_code_that_was_moved_closes_no_neuron_in_16_bits() -> None:
    """There it is not 1 to the last bit, and of two of them multiplied nothing would be left."""
    text = (
        "program p()\n\ntokens (s)* x\n    s : onehot[3]\n    v : scalar on s\n    x : scalar\n\n"
        "at s\n    a = move s from first s\n    b = move s from last s\n    output a[1] * b[2] * v\n"
    )
    rng = np.random.default_rng(0)
    data = {"s": np.eye(3)[rng.integers(0, 3, (32, 9))], "v": rng.standard_normal((32, 9)), "x": np.zeros((32, 1))}
    weights = compile_program(text, calibration=data, dtype="bfloat16", accept_error=True)
    difference = np.abs(Transformer(weights, guard="off")(**data) - interpret(text, **data))
    assert difference.max() < 0.1 * np.abs(data["v"]).max()


def test_what_a_code_closes_is_watched_component_by_component() -> None:
    text = (
        "program p()\n\ntokens (s)* x\n    s : onehot[3]\n    v : scalar on s\n    x : scalar\n\n"
        "at s\n    w = [v ^ 2, 1000 * v ^ 2]\n    output s[1] * w\n"
    )
    data = {"s": np.eye(3)[[[0, 1, 2]]], "v": np.array([[1.0, 2.0, 3.0]]), "x": np.zeros((1, 1))}
    domains = [d for d in compile_program(text, calibration=data).domains if d.what == ("w",)]
    (closed,) = (d for d in domains if d.construction == "product")
    np.testing.assert_allclose(closed.high[1], 1e3 * closed.high[0])
