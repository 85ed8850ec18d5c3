"""What functions and divisions take ends at 0: a range that touches it is refused, one beside it is not."""

from __future__ import annotations

import numpy as np
import pytest
from innerloop.artifact.errors import CompileError, Diagnostic
from innerloop.compiler.interpreter.calibrate import Ranges
from innerloop.compiler.ir.graph import Divide, Function, Node, Op
from innerloop.compiler.schedule.arguments import applied, quotient


def refuse(node: Node, message: str, mend: str) -> CompileError:
    return CompileError([Diagnostic(message, node.span, mend)])


def argument(op: Op, low: float, high: float) -> None:
    """The operand of `op` has this range."""
    ranges = Ranges({0: np.array([low])}, {0: np.array([high])}, frozenset({0}), {}, {})
    divides = isinstance(op, Divide)
    node = Node(op, (0, 0) if divides else (0,), (), frozenset({"x"}))
    (quotient if divides else applied)(node, ranges, refuse)


@pytest.mark.parametrize(
    ("op", "low", "high", "said"),
    [
        (Divide(), 0.0, 2.0, "of one sign only"),
        (Divide(), -2.0, 0.0, "of one sign only"),
        (Function("reciprocal"), 0.0, 2.0, "of one sign only"),
        (Function("reciprocal"), -2.0, 0.0, "of one sign only"),
        (Function("log"), 0.0, 2.0, "of positive numbers only"),
        (Function("sqrt"), -1e-3, 2.0, "of numbers that are not negative only"),
    ],
)
def test_a_range_that_touches_0_is_refused(op: Op, low: float, high: float, said: str) -> None:
    with pytest.raises(CompileError, match=said):
        argument(op, low, high)
    beside = (low + 1e-2, high) if high else (low, -1e-2)
    argument(op, *beside)
