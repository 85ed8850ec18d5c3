"""What functions and divisions are built for: the ranges of their operands, or a refusal that says what they take.

before   a node of the graph, ranges
after    Apply or Quotient
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from innerloop.artifact.errors import CompileError

from ..interpreter.calibrate import Ranges
from ..ir.graph import Divide, Function, Node, Product, Softmax
from ..numerics.fit_smooth import no_fit
from ..numerics.functions import POINTWISE
from .instructions import Apply, Quotient

Refuse = Callable[[Node, str, str], CompileError]
"""(node, what is wrong, the mend) → the error."""
_WITHIN = {Product: "a product within one token", Divide: "a division", Softmax: "a softmax over components"}
_ONE_SIGN = "divides by a number of one sign only"
FLOOR = "add a floor to it (to a count `max(n, 1)`), or declare the ranges of the fields"


def _reach(low: float, high: float, what: str = "this") -> str:
    return f"{what} reaches from {low:.4g} to {high:.4g} on the calibration data"


def applied(node: Node, ranges: Ranges, refuse: Refuse) -> Apply:
    """A function on its operand's range. Raises CompileError where it is not defined on all of it."""
    assert isinstance(node.op, Function)
    name, (low, high) = node.op.name, ranges.domain(node.op.name, node.operands[0])
    reaches = _reach(low.min(), high.max())
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        raise refuse(node, f"takes {name} of finite numbers only; {reaches}", FLOOR)
    takes = POINTWISE[name].takes
    if takes == "numbers of one sign" and low.min() <= 0.0 <= high.max():
        raise refuse(node, f"{_ONE_SIGN}; {_reach(low.min(), high.max(), 'this divisor')}", FLOOR)
    if (takes == "positive numbers" and low.min() <= 0.0) or (
        takes == "numbers that are not negative" and low.min() < 0.0
    ):
        raise refuse(node, f"takes {name} of {takes} only; {reaches}", FLOOR)
    if (only := no_fit(name, float(low.min()), float(high.max()))) is not None:
        raise refuse(node, f"takes {name} {only}; {reaches}", "clip it, as `clip(v, -100, 100)`, or scale the data")
    return Apply(name, node.op.arguments, low, high)


def quotient(node: Node, ranges: Ranges, refuse: Refuse) -> Quotient:
    """A division by a number of one sign. Raises CompileError where it is none."""
    assert isinstance(node.op, Divide)
    low, high = (float(b[0]) for b in ranges.tight(node.operands[1]))
    if low <= 0.0 <= high:
        raise refuse(node, f"{_ONE_SIGN}; {_reach(low, high, 'this divisor')}", FLOOR)
    return Quotient(low, high, node.op.again)


def no_place(node: Node, refuse: Refuse) -> CompileError:
    """The error for what needs an MLP, on a target that has none."""
    what = f"`{node.op.name}`" if isinstance(node.op, Function) else _WITHIN[type(node.op)]
    hint = "let attention multiply: carry at each token what it adds to the sum, as gradient_descent_dual does"
    return refuse(node, f"has no MLP: {what} has no place", hint)
