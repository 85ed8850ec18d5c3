"""What NumPy does not have: divisions, switches, softmaxes and the error function, of arrays [..., size] in float64."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .when_used import np

if TYPE_CHECKING:
    from innerloop.artifact.arrays import Floats


def divide(a: Floats, b: Floats) -> Floats:
    """a / b, component by component, b perhaps of one component; 0/0 is 0."""
    a, b = np.broadcast_arrays(a, b)
    both = (a == 0) & (b == 0)
    with np.errstate(all="ignore"):
        return np.where(both, 0.0, a / np.where(both, 1.0, b))


def keep(strict: bool, x: Floats, value: Floats) -> Floats:
    """The value where x > 0 (`strict`) or x ≥ 0, else 0."""
    return np.where(x > 0.0 if strict else x >= 0.0, value, 0.0)


def softmax(x: Floats) -> Floats:
    """Over the last axis."""
    e = np.exp(x - x.max(-1, keepdims=True))
    return np.asarray(e / e.sum(-1, keepdims=True))


def erf(x: Floats) -> Floats:
    """2/√π ∫₀ˣ exp(−t²) dt. SciPy is imported when it is used, as NumPy is."""
    from scipy.special import erf as value

    return np.asarray(value(x))
