"""Functions that are steep at one end: off by their tolerance, relative to themselves, at every size of x."""

from __future__ import annotations

import numpy as np
import pytest
from innerloop.artifact.arrays import Dtype, Floats
from innerloop.compiler.numerics.activations import GELU, SILU, Activation
from innerloop.compiler.numerics.approximant import Approximant, NoFit
from innerloop.compiler.numerics.fit_smooth import fit
from innerloop.compiler.numerics.functions import function

ACTIVATIONS = {"gelu": GELU, "silu": SILU}
CURVE = {"float32": 3e-7, "float64": 1e-10}


def made(curve: Approximant, x: Floats, activation: Activation, dtype: Dtype) -> Floats:
    """What neurons make of x in this precision; the activation itself is exact."""
    up, bias, down, line = (np.asarray(part, dtype) for part in (curve.up, curve.bias, curve.down, curve.slope))
    inside = x.astype(dtype)[:, None] * up + bias
    neurons = activation.value(inside.astype(np.float64)).astype(dtype)
    return np.asarray(((neurons * down).astype(np.float64).sum(1) + line * x + curve.constant).astype(np.float64))


def log_uniform(low: float, high: float) -> Floats:
    return np.exp(np.random.default_rng(0).uniform(np.log(low), np.log(high), 2000)).astype(np.float32).astype(float)


@pytest.mark.parametrize("dtype", CURVE)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(("low", "high"), [(1e-3, 3.0), (1e-3, 30.0), (1e-6, 276.0), (0.05, 1.1), (-30.0, -1e-3)])
def test_one_over_x_is_relatively_exact(low: float, high: float, activation: str, dtype: Dtype) -> None:
    x = np.sign(low) * log_uniform(min(abs(low), abs(high)), max(abs(low), abs(high)))
    curve = fit("reciprocal", (), low, high, CURVE[dtype], ACTIVATIONS[activation])
    found = made(curve, x, ACTIVATIONS[activation], dtype)
    assert np.abs(found * x - 1.0).max() < {"float32": 5e-7, "float64": 1e-10}[dtype]


@pytest.mark.parametrize("dtype", CURVE)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_exp_is_zero_below_and_exact_above(activation: str, dtype: Dtype) -> None:
    x = np.concatenate([np.linspace(-60.0, 0.0, 1000), [-3e3, -2e6]])
    curve = fit("exp", (), -2e6, 0.0, CURVE[dtype], ACTIVATIONS[activation])
    found = made(curve, x, ACTIVATIONS[activation], dtype)
    assert np.abs(found - np.exp(x)).max() < {"float32": 4e-7, "float64": 1e-10}[dtype]
    assert not found[-2:].any()


@pytest.mark.parametrize("dtype", CURVE)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("low", [0.0, 1e-3])
def test_a_root_down_to_0_and_below(low: float, activation: str, dtype: Dtype) -> None:
    high = 400.0
    x = log_uniform(max(low, 1e-12), high)
    curve = fit("sqrt", (), low, high, CURVE[dtype], ACTIVATIONS[activation])
    found = made(curve, x, ACTIVATIONS[activation], dtype)
    allowed = {"float32": 1e-6, "float64": 1e-8}[dtype] * np.sqrt(high)
    assert np.abs(found - np.sqrt(x)).max() < allowed
    noise = made(curve, -np.geomspace(1e-12, 1e-5, 50), ACTIVATIONS[activation], dtype)
    assert np.abs(noise).max() < np.sqrt(low) + 3e-4
    if dtype == "float64":
        some = x[x > 1e-6 * high]
        exact = made(curve, some, ACTIVATIONS[activation], dtype) / np.sqrt(some)
        assert np.abs(exact - 1.0).max() < 1e-9


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_logarithm_over_eleven_decades(activation: str) -> None:
    x = log_uniform(1e-9, 100.0)
    curve = fit("log", (), 1e-9, 100.0, CURVE["float32"], ACTIVATIONS[activation])
    assert np.abs(made(curve, x, ACTIVATIONS[activation], "float32") - np.log(x)).max() < 1e-5


def test_errors_are_what_the_curve_says() -> None:
    for name, low, high in (("reciprocal", 1e-3, 30.0), ("exp", -40.0, 0.0), ("sqrt", 0.0, 9.0), ("log", 1e-5, 9.0)):
        curve = fit(name, (), low, high, 3e-7)
        off = np.abs(made(curve, curve.grid, GELU, "float64") - function(name, (), curve.grid)).max()
        assert off <= 1.001 * curve.error + 1e-12


def test_what_is_not_finite() -> None:
    for name in ("log", "sqrt"):
        with pytest.raises(NoFit, match=name):
            fit(name, (), -2.0, -1.0, 3e-7)
    with pytest.raises(NoFit, match="1/x"):
        fit("reciprocal", (), -1.0, 2.0, 3e-7)


@pytest.mark.parametrize("high", [1e5, 1.6e10])
def test_a_curve_that_bends_at_one_end_of_a_wide_range(high: float) -> None:
    """The grid is to see what lies between the bend and the other end: what is found there is what was claimed."""
    curve = fit("tanh", (), 1e-6, high, 1e-9, SILU)
    x = np.concatenate([np.linspace(0.0, 60.0, 601), np.geomspace(1.0, high, 200)])
    assert np.abs(curve.neurons(x)[0] - np.tanh(x)).max() <= curve.error < 0.05


@pytest.mark.parametrize("activation", [GELU, SILU])
@pytest.mark.parametrize("name", ["sigmoid", "tanh", "erf"])
@pytest.mark.parametrize(
    ("low", "high"), [(-1525.0, 545.0), (1e3, 2e3), (-53113.0, -28136.0), (15354.0, 76543.0), (-4e5, 1e5), (-3e8, 3.0)]
)
def test_what_is_level_far_out_is_fitted_where_it_bends(
    name: str, low: float, high: float, activation: Activation
) -> None:
    """Points of the grid that were all but the same ended the fit (NaN); between others a bend was not seen."""
    curve = fit(name, (), low, high, 1e-7, activation)
    x = np.concatenate([np.linspace(low, high, 1001), np.linspace(-60.0, 60.0, 1201)])
    x = x[(x >= low) & (x <= high)]
    off = np.abs(curve.neurons(x)[0] - function(name, (), x)).max()
    assert off <= 1.1 * curve.error  # points of the fit's grid, and others
    assert curve.error < 5e-6
    if name != "sigmoid" or high > 0.0:  # else it is exp, whose neurons are shut far out
        assert curve.grid[0] <= low
        assert curve.grid[-1] >= high
    assert (np.diff(curve.grid) > 0.0).all()


@pytest.mark.parametrize("name", ["exp", "sigmoid"])
def test_what_vanishes_on_its_whole_range_is_0(name: str) -> None:
    curve = fit(name, (), -2000.0, -800.0, 1e-7)
    assert np.abs(curve.neurons(np.linspace(-2000.0, -800.0, 101))[0]).max() < 1e-250


def test_exp_is_not_fitted_where_it_is_no_number() -> None:
    with pytest.raises(NoFit, match="up to 700"):
        fit("exp", (), 0.0, 701.0, 1e-7)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "low", "high"), [("tanh", 1e-6, 9e14), ("erf", -9.2e14, 7e13)])
def test_what_is_too_wide_for_a_fit_is_claimed_to_be(name: str, low: float, high: float) -> None:
    """Of ranges a thousand times as wide 0.49 and 0.25 were claimed: the grid that the curve was fitted on held no
    point between two of its bends."""
    curve = fit(name, (), low, high, 2.9e-5, SILU)
    sizes = np.geomspace(1e-3, 1e18, 4001)
    x = np.concatenate([-sizes, np.linspace(-60.0, 60.0, 601), sizes])
    x = x[(x >= low) & (x <= high)]
    assert np.abs(curve.neurons(x)[0] - function(name, (), x)).max() <= curve.error
