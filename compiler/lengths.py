"""How long the sequences may be that a program is compiled for.

no scan            tokens=…, or 1,024
a scan             what its `up to` says; beside a group that is not scanned 1,024
learned positions  4,096 in float32: heads find a token by its place and the square of it, which are exact so far
"""

from __future__ import annotations

from innerloop.artifact.arrays import Dtype
from innerloop.artifact.limits import MOST_TOKENS
from innerloop.artifact.tokens import sequence

from .architectures.targets import Learned, Target
from .interpreter.default_tasks import repetitions, scans
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


def verify_tokens(graph: Graph, tokens: int | None) -> None:
    """Raises CompileError for `tokens` that are no number of tokens, or that the program's scan decides."""
    if tokens is None:
        return
    fewest = _fewest(graph)
    if scans(graph):
        message = f"tokens is {tokens!r}, and a program with a scan takes as many as its `up to` says"
        raise graph.signature.refusal(message, None, "leave tokens out, and raise that limit")
    if isinstance(tokens, bool) or not isinstance(tokens, int) or not fewest <= tokens <= MOST_TOKENS:
        message = f"tokens is {tokens!r}: not a whole number from {fewest} to {MOST_TOKENS:,}"
        raise graph.signature.refusal(message, None, "give the longest sequence's length, the rest token not counted")


def positions(graph: Graph, tokens: int | None) -> int:
    """How many tokens the position table holds, the rest token included."""
    pattern = graph.signature.pattern
    if scans(graph):
        scanned = 1 + len(sequence(pattern, repetitions(graph, tokens)))
        return scanned if len(pattern.groups) == 1 else max(scanned, 1 + TOKENS)
    return 1 + (TOKENS if tokens is None else tokens)


def limited(built: Graph, graph: Graph, tokens: int | None) -> int | None:
    """`tokens` for what a program was rewritten to: where a scan was left out, its limit holds all the same. Of several
    groups the signature has it."""
    gone = bool(scans(built)) and not scans(graph)
    if not gone and repetitions(built, tokens) >= repetitions(graph, tokens):
        return tokens
    return positions(built, tokens) - 1


def _fewest(graph: Graph) -> int:
    """Tokens where each group comes once."""
    pattern = graph.signature.pattern
    return len(pattern.prefix) + len(pattern.group) + len(pattern.suffix)
