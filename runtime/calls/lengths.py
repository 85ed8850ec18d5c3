"""Sequences of few lengths: a small call is filled up with tokens behind its own, so that a pass is compiled for a few
numbers of tokens and not for each.

    before   the data's tokens
    after    those, and behind them tokens that fill: none of the data's sees them

A token that fills is zero in every feature, and no sublayer changes its stream: it can neither overflow nor be read.
Filled are calls that go through in one piece with what fills them, where compiling is most of what they take; others
pay for each token.
"""

from __future__ import annotations

from dataclasses import replace

from innerloop.artifact.repetitions import at_most
from innerloop.artifact.tokens import Sequence
from innerloop.artifact.weights import Weights
from innerloop.compiler.interpreter.chunks import of_few

LEAST = 4
"""The smallest number of repetitions that is filled up to."""


def filled(weights: Weights, line: Sequence) -> Sequence | None:
    """The sequence, and behind it the tokens by which each group comes as often as the next of `few`, or as often as
    the weights take. None where tokens see those behind them."""
    config, signature = weights.config, weights.signature
    room = config.n_positions - 1
    if not config.causal or config.attention == "linear":
        return None
    most = at_most(signature.pattern, signature.scans, room, room)
    more = [max(0, min(few(times), limit) - times) for times, limit in zip(line.repetitions, most, strict=True)]
    fill = tuple(kind for group, times in zip(signature.pattern.groups, more, strict=True) for kind in group * times)
    fill = fill if len(line) + len(fill) <= room else ()
    return replace(line, roles=line.roles + (0,) * len(fill), kinds=line.kinds + fill)


def few(repetitions: int) -> int:
    """The next of 4, 6, 8, 12, 16, 24, 32 …: two for each doubling."""
    return max(LEAST, of_few(repetitions, 2))
