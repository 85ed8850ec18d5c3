"""Markov chains in context: sequences of symbols, and what the known predictors say of the next one.

matrices [batch, symbols, symbols], a row for each symbol   →   s, next: one-hot [batch, tokens, symbols]
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from innerloop.artifact.tokens import read_data
from innerloop.artifact.weights import Weights
from innerloop.runtime.attention_maps import attention_maps
from numpy.typing import NDArray
from scipy.special import rel_entr

from ...measures.distance import Fields, Floats
from ...training.kinds import Array
from ..shared.streams import answers

UNIGRAM = """\
# Probabilities of the next symbol from how often each came, with Laplace's prior.
program unigram(vocabulary, prior = 1)

tokens (s)*
    s : onehot[vocabulary]

n = sum[j in s](s[j])
output (prior + n) / sum(prior + n)
"""


def walked(key: Any, matrices: Array, tokens: int) -> dict[str, Array]:
    """A walk of so many symbols, from any, along each matrix; `next` is the symbol after each."""
    of_start, of_steps = jax.random.split(key)
    batch, symbols = matrices.shape[:2]
    start = jax.random.randint(of_start, (batch,), 0, symbols)
    logs = jnp.log(matrices)

    def step(symbol: Array, key: Any) -> tuple[Array, Array]:
        return jax.random.categorical(key, logs[jnp.arange(batch), symbol]), symbol

    _, path = jax.lax.scan(step, start, jax.random.split(of_steps, tokens + 1))
    found = jax.nn.one_hot(path.T, symbols)
    return {"s": found[:, :-1], "next": found[:, 1:]}


def probabilities(trained: Weights, fields: Fields) -> Floats:
    """softmax of the outputs: [tasks, tokens, symbols]."""
    found = answers(trained, fields)
    shares = np.exp(found - found.max(-1, keepdims=True))
    return np.asarray(shares / shares.sum(-1, keepdims=True))


def divergence(known: Floats, found: Floats) -> float:
    """E KL(known ‖ found), nats, mean over tasks and tokens: [tasks, tokens, symbols] each, 0s in `known` too."""
    return float(rel_entr(known, found).sum(-1).mean())


def loss(found: Floats, fields: Fields) -> float:
    """−E log of what the symbol that came was given, nats."""
    return -float(np.log((found * fields["next"]).sum(-1)).mean())


def induction(weights: Weights, fields: Fields) -> tuple[float, float]:
    """`looked` of a model of two layers of one head."""
    data = read_data(weights.signature, {"s": fields["s"]})
    first, second = (attention_maps(weights, data, layer)[0][:, 1:, 1:] for layer in (0, 1))
    return looked(first, second, np.asarray(fields["s"]).argmax(-1))


def looked(first: Floats, second: Floats, symbols: NDArray[Any]) -> tuple[float, float]:
    """The share of the first layer's attention [sequences, readers, tokens] at the token before, and of the second's at
    tokens that come after one like the reader's, over the share that a uniform look would have there; the second of
    readers in the latter half, since early ones have nothing to match. symbols [sequences, tokens]."""
    tokens = symbols.shape[1]
    before = float(np.mean([first[:, t, t - 1] for t in range(1, tokens)]))
    after = np.zeros((len(symbols), tokens, tokens), bool)
    after[:, :, 1:] = symbols[:, :, None] == symbols[:, None, :-1]
    after &= np.tri(tokens, dtype=bool)
    late = np.arange(tokens) >= tokens // 2
    mass = float((second * after).sum(-1)[:, late].mean())
    uniform = float((after.sum(-1) / np.arange(2, tokens + 2))[:, late].mean())  # of the rest token, too
    return before, mass / uniform
