"""The tables of constants come from scripts: fitted anew they are as good as those in the repository, or better."""

from __future__ import annotations

import numpy as np
import pytest
from innerloop.artifact.arrays import Dtype
from innerloop.compiler.numerics.activations import ACTIVATIONS, GELU
from innerloop.compiler.numerics.linear_by_softmax import SCALES
from innerloop.compiler.numerics.square_banks import Squares, square_bank

from scripts import refit_scales
from scripts.refit_squares import BANKS, criterion, fitted

from .test_products import square

FIGURES = {
    "coarse": {1.0: 1.2e-7, 0.3: 3.0e-8, 0.1: 8.2e-9, 0.03: 3.8e-9, 0.01: 1.2e-9},
    "fine": {1.0: 8.2e-8, 0.3: 1.1e-8, 0.1: 4.5e-9, 0.03: 1.1e-9, 0.01: 6.2e-10},
}


def tabled(name: str) -> float:
    """The criterion of the repository's table."""
    kind, bank = BANKS[name], square_bank(Squares(int(name) if name.isdigit() else name))
    scale, weight = bank.up[0::2], bank.down[0::2]
    return criterion(kind, GELU, scale, -bank.bias[0::2] / scale, weight)


@pytest.mark.parametrize("name", ["1", "2", "3"])
def test_unshifted_pairs(name: str) -> None:
    found, table = fitted(BANKS[name], GELU, 6), tabled(name)
    assert 0.99 * table <= found.criterion <= (1.0 + 1e-6) * table


def test_one_pair_is_the_tables() -> None:
    found, bank = fitted(BANKS["1"], GELU, 6), square_bank(Squares(1))
    np.testing.assert_allclose([found.scale[0], found.weight[0]], [bank.up[0], bank.down[0]], rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "starts"), [("coarse", 12), ("fine", 24)])
def test_shifted_pairs(name: str, starts: int) -> None:
    found = fitted(BANKS[name], GELU, starts)
    assert found.criterion <= tabled(name)
    for radius, figure in FIGURES[name].items():
        s = np.random.default_rng(0).uniform(radius / 2, radius, 40_000).astype(np.float32)
        error = square(found.bank(GELU), s) - s.astype(np.float64) ** 2
        assert np.sqrt(np.mean(error**2)) <= 1.1 * figure


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_any_activation_has_squares(activation: str) -> None:
    found = fitted(BANKS["2"], ACTIVATIONS[activation], 6)
    assert np.abs(found.bank(ACTIVATIONS[activation]).fit).max() <= 5e-6


@pytest.mark.parametrize("dtype", SCALES)
def test_heads_for_linear_attention(dtype: Dtype) -> None:
    scales, weights = (np.array(row) for row in zip(*((s.epsilon, s.weight) for s in SCALES[dtype]), strict=True))
    most = float(np.abs(weights).sum())
    found = refit_scales.fitted(most)
    assert np.abs(found[1]).sum() <= (1.0 + 1e-6) * most
    assert 0.4 * refit_scales.error(scales, weights) <= refit_scales.error(*found)
    assert refit_scales.error(*found) <= refit_scales.error(scales, weights)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_is_near_relu_and_has_its_derivative(name: str) -> None:
    activation = ACTIVATIONS[name]
    x, h = np.linspace(-8.0, 8.0, 3201), 1e-5
    slope = (activation.value(x + h) - activation.value(x - h)) / (2.0 * h)
    np.testing.assert_allclose(activation.derivative(x), slope, atol=1e-9)
    off = np.abs(activation.value(x) - np.maximum(x, 0.0)).max()
    assert 0.999 * activation.gap <= off <= activation.gap
