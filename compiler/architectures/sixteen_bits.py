"""What 16 bits cannot have: a program that asks for it is refused by one sentence, which names the operation.

operation             why                                                       instead
comparison            its threshold is 2⁻²⁵ of the range from 0                 float32
softmax, scored read  logits are rounded to 8 or 11 bits                        float32
division, gpt2        squares of GELUs are off by a hundredth of their range    llama, or float32
division, float16     the norm's constants go from the smallest divisor to the  exp(-log(s)) for 1/s, or bfloat16
                      largest twice, beyond 65504
first, last, latest   of no fixed distance: phases that turn too slowly         gpt2, where positions say it
"""

from __future__ import annotations

from innerloop.artifact.arrays import Dtype
from innerloop.artifact.precisions import SHORT

from ..ir.graph import Attend, Divide, Graph, Keep, Op, Softmax
from .targets import Target

STOCK = ("gpt2", "llama")
"""The targets that stock libraries run in 16 bits."""


def verify_short(graph: Graph, target: Target, dtype: Dtype) -> None:
    """Raises CompileError, with its place, for the first operation that has no construction in this precision."""
    if dtype not in SHORT:
        return
    if target.name not in STOCK:
        message = f"target {target.name} has no {dtype}: no stock library runs it"
        raise graph.signature.refusal(message, None, f"compile for {' or '.join(STOCK)}, or in float32")
    for value in graph.values():
        node = graph[value]
        if (found := _missing(node.op, target, dtype)) is not None:
            what, hint = found
            raise graph.signature.refusal(f"target {target.name} has no {what} in {dtype}", node.span, hint)


def _missing(op: Op, target: Target, dtype: Dtype) -> tuple[str, str] | None:
    """What there is not, and what to do instead."""
    match op:
        case Keep():
            return "comparison, and what follows from one (sign, max, argmax, if),", "compile in float32"
        case Attend() | Softmax():
            return "read that scores tokens", "compile in float32"
        case Divide() if not target.gated:
            return "division", "compile for llama, or in float32"
        case Divide() if dtype == "float16":
            return "division by the norm", "write exp(-log(s)) for 1/s where s is positive, or compile in bfloat16"
        case _:
            return None
