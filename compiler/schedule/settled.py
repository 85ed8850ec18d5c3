"""Arguments that stand in slots of their own, lest every neuron of a curve round a difference by itself.

before   sqrt(s − m²), s and m² up to 60      each neuron reads w s − w m²; near 0, where they add up to a level line,
                                              slopes of 10⁶ are left of what each has rounded
after    a = s − m², rounded once             each neuron reads w a
         sqrt(a)

With parts that cancel up to C, a neuron's argument is off by δ = u C, each by another: of the curve that is
δ √Σ (its neurons' slopes)². Where all read the same argument it is what the curve changes by over δ. Where δ is more
than the whole range, neither says anything; and what is below `LEAST` of all that the curve spans is no layer's worth.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from innerloop.artifact.arrays import Dtype, Floats
from innerloop.artifact.precisions import SHORT, UNIT

from ..numerics.activations import Activation
from ..numerics.fit_smooth import fit
from .constructions import CURVE
from .instructions import ROLES, Apply, AtomInfo, LinearForm

TIMES = 4.0
"""So many times what a curve is off by anyway."""
LEAST = 64.0
"""Units of what the curve spans."""
AROUND = np.array([0.25, 0.5, 1.0, 2.0, 4.0])
"""Of δ: so far beyond each end, and within."""
POINTS = 200


def scattered(op: Apply, form: LinearForm, atoms: list[AtomInfo], dtype: Dtype, activation: Activation) -> bool:
    """Whether what the curve's neurons round of the form's parts, each by itself, is more than all else that it is off
    by. In 16 bits sums are made in more, and a neuron rounds what comes of them."""
    delta = UNIT[dtype] * cancelled(form, atoms)
    if not delta or dtype in SHORT:
        return False
    low, high = float(op.low.min()), float(op.high.max())
    if delta >= high - low:
        return False
    curve = fit(op.name, op.arguments, low, high, op.tolerance or CURVE[dtype], activation)
    x = _places(low, high, delta)
    value, units = curve.neurons(x)
    together = np.maximum(*(np.abs(curve.neurons(x + side * delta)[0] - value) for side in (-1.0, 1.0)))
    apart = delta * curve.scatter(x)
    least = LEAST * UNIT[dtype] * float(np.ptp(value))
    return bool(np.any(apart > TIMES * (together + UNIT[dtype] * units) + curve.error + least))


def cancelled(form: LinearForm, atoms: list[AtomInfo]) -> float:
    """As much as parts of one component may cancel of each other: the smaller of what they add and of what they take
    away at most."""
    more, less = np.zeros(form.size), np.zeros(form.size)
    for atom, matrix in form.parts:
        up, down = matrix.csr.maximum(0), (-matrix.csr).maximum(0)
        if atom == ROLES:  # a token has one role
            more += up.max(axis=1).toarray().ravel()
            less += down.max(axis=1).toarray().ravel()
            continue
        above, below = np.maximum(atoms[atom].high, 0.0), np.maximum(-atoms[atom].low, 0.0)
        more += up @ above + down @ below
        less += up @ below + down @ above
    several = sum((np.diff(matrix.csr.indptr) for _, matrix in form.parts), np.zeros(form.size)) > 1
    return float(np.where(several, np.minimum(more, less), 0.0).max(initial=0.0))


def _places(low: float, high: float, delta: float) -> Floats:
    """Where a curve is looked at: more closely at its ends, which rounding may leave."""
    span = high - low
    near = np.concatenate([AROUND * delta, np.geomspace(1e-12, 0.5, POINTS) * span])
    ends: Iterable[Floats] = (low - AROUND * delta, low + near, high - near, high + AROUND * delta)
    return np.concatenate([np.array([low, high]), *ends])
