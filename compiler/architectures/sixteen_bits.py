"""What 16 bits cannot have, nor a stream that may be rotated, or whose slots are of like sizes: a program that asks for
it is refused by one sentence, which names the operation.

operation             why                                                       instead
comparison            its threshold is 2⁻²⁵ of the range from 0                 float32
softmax, scored read  logits are rounded to 8 or 11 bits                        float32
division, gpt2        squares of GELUs are off by a hundredth of their range    llama, or float32
division, rotated     what recursions make of the norm's own error              no rotation
division, like slots  its slots are as far above the rest as its bits           no spread
first, last, latest   of no fixed distance: phases that turn too slowly         gpt2, where positions say it
                      (emit/backend.py)

A rotation mixes all slots, so that each rounds at the size of the norm's constants; exact in theory it is under RMSNorm
alone, where no mean is taken away.
"""

from __future__ import annotations

import sys
from typing import assert_never

import numpy as np
from innerloop.artifact.arrays import Dtype
from innerloop.artifact.precisions import SHORT

from ..ir.graph import Attend, Divide, Graph, Keep, Op, Softmax
from ..ir.operation_classes import Local, Reads, Source, Structural
from ..ir.positional import Angles
from .targets import Target

STOCK = ("gpt2", "llama")
"""The targets that stock libraries run in 16 bits."""


def verify_precision(graph: Graph, target: Target, dtype: Dtype, rotation: bool) -> None:
    """Raises CompileError, with its place, for the first operation that has no construction in this precision, or in a
    stream that may be rotated."""
    if rotation and (target.name != "llama" or dtype != "float32"):
        message = f"target {target.name} in {dtype} has no stream that may be rotated: llama has, in float32"
        raise graph.signature.refusal(message, None, "leave the option rotation out, or compile for llama in float32")
    if not (rotation or dtype in SHORT):
        return
    if target.name not in STOCK:
        message = f"target {target.name} has no {dtype}: 16 bits are held against stock {' and '.join(STOCK)} alone"
        raise graph.signature.refusal(message, None, f"compile for {' or '.join(STOCK)}, or in float32")
    where = "in a stream that may be rotated" if rotation else f"in {dtype}"
    for value in graph.values():
        node = graph[value]
        if (found := _missing(node.op, target, rotation)) is not None:
            what, hint = found
            raise graph.signature.refusal(f"target {target.name} has no {what} {where}", node.span, hint)


def verify_spread(graph: Graph, target: Target, dtype: Dtype, spread: object) -> None:
    """Raises CompileError for a largest slot over the median one that cannot be asked for, and for the first operation
    that has no construction in a stream of such slots."""
    if spread is None:
        return
    number = isinstance(spread, int | float | np.integer | np.floating) and not isinstance(spread, bool)
    if not number or not 1.0 <= spread <= sys.float_info.max:  # type: ignore[operator]
        message = f"spread is {spread!r}: not a number from 1 on"
        raise graph.signature.refusal(message, None, "give the largest slot over the median one, such as 1e4")
    if target.name not in STOCK or dtype != "float32":
        message = f"target {target.name} in {dtype} has no spread to choose: {' and '.join(STOCK)} have, in float32"
        raise graph.signature.refusal(message, None, "leave the option spread out")
    for node in map(graph.__getitem__, graph.values()):
        if isinstance(node.op, Angles):
            message = "optimize='heads' lets moves share a read that scores tokens, which has none of like sizes"
            raise graph.signature.refusal(message, None, "leave the option spread out, or the option optimize")
        found = _missing(node.op, target, rotation=True)
        if found is not None:
            message = f"target {target.name} has no {found[0]} in a stream whose slots are of like sizes"
            raise graph.signature.refusal(message, node.span, "leave the option spread out")


def _missing(op: Op, target: Target, rotation: bool) -> tuple[str, str] | None:
    """What there is not, and what to do instead."""
    match op:
        case Keep():
            return "comparison (nor sign, max or argmax, which compare)", "compile in float32"
        case Attend() | Softmax():
            return "read that scores tokens", "compile in float32"
        case Divide() if rotation:
            return "division", "leave the option rotation out"
        case Divide() if not target.gated:
            return "division", "compile for llama, or in float32"
        case Source() | Local() | Reads() | Structural():
            return None
        case other:
            assert_never(other)
