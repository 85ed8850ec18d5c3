"""Who looks at whom: each head's shares of attention in one layer, from the weights run in NumPy.

    attention_maps(weights, data, layer=0)   →   {head: [batch, 1 + tokens, 1 + tokens]}, the rest token first

A row is the token that reads. Softmax shares sum to 1; of linear attention they are q·k over the count.
"""

from __future__ import annotations

from itertools import count

import numpy as np
from innerloop.artifact.errors import InnerloopError, counted
from innerloop.artifact.memory import spend
from innerloop.artifact.parts import Attention, LinearAttention
from innerloop.artifact.precisions import carrier
from innerloop.artifact.reference.arithmetic import Real, arithmetic_of, normalise
from innerloop.artifact.reference.forward import embedded, forward
from innerloop.artifact.reference.sublayers import Heads, linear, softmax
from innerloop.artifact.tokens import TokenData
from innerloop.artifact.weights import Weights


def attention_maps(weights: Weights, data: TokenData, layer: int) -> dict[int, Real]:
    """Of those heads that write anything. Raises InnerloopError for a layer that there is not."""
    steps, config = list(weights.unrolled()), weights.config
    if not 0 <= layer < config.n_layer:
        raise InnerloopError(f"there is no layer {layer}: the weights have {counted(config.n_layer, 'layer')}, from 0")
    _, part = steps[2 * layer]
    if not isinstance(part, Attention | LinearAttention):
        return {}
    return maps_on(weights, part, _stream_under(weights, data, 2 * layer))


def maps_on(weights: Weights, part: Attention | LinearAttention, x: Real) -> dict[int, Real]:
    """The same for the stream [width, batch, 1 + tokens] that a sublayer reads."""
    config = weights.config
    _, batch, tokens = x.shape
    x, dtype = x.reshape(-1, batch * tokens), carrier(config.dtype)
    spend(8 * config.n_head * batch * tokens**2, "the attention maps", "give fewer tasks")
    heads = Heads.of(part, config, tokens)
    seen = np.tril(np.ones((tokens, tokens), bool)) if config.causal else np.ones((tokens, tokens), bool)
    if isinstance(part, Attention):
        x, mix = normalise(x, part.norm, config, arithmetic_of(config)), softmax(seen, config.d_head, config.dtype)
    else:
        mix = linear(seen & (np.arange(tokens) < tokens - config.unread), (heads.count @ x).reshape(-1, batch, tokens))
    found: dict[int, Real] = {}
    one = np.broadcast_to(np.eye(tokens, dtype=dtype), (batch, tokens, tokens))

    def recorded(head: int, scores: Real, values: Real) -> Real:
        found[head] = mix(head, scores.copy(), one)
        return mix(head, scores, values)

    heads.run(x, batch, recorded)
    return found


def _stream_under(weights: Weights, data: TokenData, place: int) -> Real:
    """The stream [width, batch, 1 + tokens] before the sublayer at this place of those that run."""
    found, passed = [embedded(weights, data)], count(1)

    def observe(stream: Real) -> None:
        if next(passed) == place:
            found[0] = stream.copy()

    if place:
        forward(weights, data, observe)
    return found[0]
