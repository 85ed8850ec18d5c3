"""The networks of baselines.py, on equinox: a stack of layers on features [tokens, inputs].

Recurrent   states [tokens, width] → those of a recurrent cell that reads them
Block       states → states + linear attention, and + an MLP
Stack       features → states, through the layers, → outputs [tokens, outputs]
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

Array = Any
CELLS = {"lstm": eqx.nn.LSTMCell, "gru": eqx.nn.GRUCell}


class Recurrent(eqx.Module):
    cell: Any

    def __init__(self, kind: str, width: int, key: Array) -> None:
        self.cell = CELLS[kind](width, width, key=key)

    def __call__(self, states: Array) -> Array:
        lstm = isinstance(self.cell, eqx.nn.LSTMCell)
        nothing = jnp.zeros(states.shape[1], states.dtype)

        def step(state: Any, each: Array) -> tuple[Any, Array]:
            state = self.cell(each, state)
            return state, state[0] if lstm else state

        return jax.lax.scan(step, (nothing, nothing) if lstm else nothing, states)[1]


class Block(eqx.Module):
    sides: tuple[eqx.nn.Linear, ...]
    output: eqx.nn.Linear
    norms: tuple[eqx.nn.LayerNorm, ...]
    mlp: eqx.nn.MLP

    def __init__(self, kind: str, width: int, key: Array) -> None:
        *of_sides, of_output, of_mlp = jax.random.split(key, 5)
        self.sides = tuple(eqx.nn.Linear(width, width, key=one) for one in of_sides)
        self.output = eqx.nn.Linear(width, width, key=of_output)
        self.norms = eqx.nn.LayerNorm(width), eqx.nn.LayerNorm(width)
        self.mlp = eqx.nn.MLP(width, width, 4 * width, 1, jax.nn.gelu, key=of_mlp)

    def __call__(self, states: Array) -> Array:
        normed = jax.vmap(self.norms[0])(states)
        query, key, value = (jax.vmap(side)(normed) for side in self.sides)
        states = states + jax.vmap(self.output)(linear_attention(query, key, value))
        return states + jax.vmap(self.mlp)(jax.vmap(self.norms[1])(states))


def linear_attention(query: Array, key: Array, value: Array) -> Array:
    """Causal: what each token [tokens, width] reads of those up to it."""
    query, key = jax.nn.elu(query) + 1, jax.nn.elu(key) + 1
    scores = jnp.tril(query @ key.T)
    return scores @ value / scores.sum(1, keepdims=True)


class Stack(eqx.Module):
    embedding: eqx.nn.Linear
    body: list[Any]
    readout: eqx.nn.Linear

    def __init__(
        self, inputs: int, width: int, outputs: int, body: list[Any], of_inputs: Array, of_outputs: Array
    ) -> None:
        self.embedding = eqx.nn.Linear(inputs, width, key=of_inputs)
        self.body = body
        self.readout = eqx.nn.Linear(width, outputs, key=of_outputs)

    def __call__(self, features: Array) -> Array:
        states = jax.vmap(self.embedding)(features)
        for layer in self.body:
            states = layer(states)
        return jax.vmap(self.readout)(states)
