"""How long the sequences may be that a program is compiled for.

no scan            tokens=…, or 1,024
a scan             what its `up to` says
learned positions  4,096 in float32: heads find a token by its place and the square of it, which are exact so far
"""

from __future__ import annotations

from innerloop.artifact.arrays import Dtype
from innerloop.artifact.limits import MOST_TOKENS

from .architectures.targets import Learned, Target
from .interpreter.default_tasks import repetitions
from .ir.graph import Graph

TOKENS = 1024
"""That a program without a scan is compiled for unasked, the rest token not counted."""
FARTHEST: dict[Dtype, int] = {"float32": 2**12, "float64": 2**26, "bfloat16": 2**12, "float16": 2**12}
"""Tokens that learned positions tell apart: squares of places are whole numbers of 24 or 53 bits. Of 16 bits, whose
positions are digits, it is what was tried."""


def verify_positions(graph: Graph, target: Target, dtype: Dtype, count: int) -> None:
    """Raises CompileError for a table of so many positions, the rest token's included, that heads cannot tell apart."""
    if not isinstance(target.positions, Learned) or target.linear or count - 1 <= FARTHEST[dtype]:
        return
    message = f"target {target.name} in {dtype} tells {FARTHEST[dtype]:,} tokens apart, and these are {count - 1:,}"
    others = "compile for llama, whose positions are angles" + (", or in float64" if dtype != "float64" else "")
    raise graph.signature.refusal(message, None, others)


def positions(graph: Graph, tokens: int | None) -> int:
    """How many tokens the position table holds, the rest token included. Raises CompileError for `tokens` that are no
    such number, or that the program's scan decides."""
    pattern = graph.signature.pattern
    fewest = len(pattern.prefix) + len(pattern.group) + len(pattern.suffix)
    scans = any(loop.kind is not None for loop in graph.loops())
    if scans and tokens is not None:
        message = f"tokens is {tokens!r}, and a program with a scan takes as many as its `up to` says"
        raise graph.signature.refusal(message, None, "leave tokens out, and raise that limit")
    if scans:
        return 1 + fewest + len(pattern.group) * (repetitions(graph) - 1)
    if tokens is None:
        return 1 + TOKENS
    if isinstance(tokens, bool) or not isinstance(tokens, int) or not fewest <= tokens <= MOST_TOKENS:
        message = f"tokens is {tokens!r}: not a whole number from {fewest} to {MOST_TOKENS:,}"
        raise graph.signature.refusal(message, None, "give the longest sequence's length, the rest token not counted")
    return 1 + tokens
