"""What local operations mean that are no maps, in NumPy float64: at tokens, at the pairs of a read, of constants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from innerloop.artifact.arrays import Floats

from ..ir.graph import Divide, Function, Keep, Softmax
from ..numerics.functions import function
from ..numerics.operations import divide, keep, softmax


def local(op: Divide | Function | Keep | Softmax, operands: Sequence[Floats]) -> Floats:
    """Of operands [..., their sizes], in the order of the node: [..., size]."""
    match op:
        case Divide():
            return divide(operands[0], operands[1])
        case Function(name, arguments):
            return function(name, arguments, operands[0])
        case Keep(strict, which):
            return keep(strict, operands[0][..., which], operands[1])
        case Softmax():
            return softmax(operands[0])
        case other:
            assert_never(other)
