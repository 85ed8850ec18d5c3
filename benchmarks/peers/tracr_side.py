"""Tracr's side of benchmarks/peers (side.py)."""

import jax
import jax.numpy as jnp
import numpy as np
from side import answer
from tracr.compiler import compiling, lib
from tracr.rasp import rasp


def program(name):
    """The RASP program of that name."""
    if name == "share":
        return lib.make_frac_prevs(rasp.numerical(rasp.Map(lambda s: 1.0 if s == 0 else 0.0, rasp.tokens)))
    before = lib.shift_by(1, rasp.tokens)
    return rasp.Aggregate(rasp.Select(before, rasp.tokens, rasp.Comparison.EQ), rasp.tokens)


def build(asked):
    length = len(asked["sequences"][0])
    model = compiling.compile_rasp_to_model(
        program(asked["program"]), set(range(asked["symbols"])), length, causal=True, compiler_bos="BOS"
    )
    encode = model.input_encoder.encode
    tokens = jnp.array([encode(["BOS", *row]) for row in asked["sequences"]])
    jitted = jax.jit(lambda params, tokens: model.forward(params, tokens).unembedded_output)

    def forward():
        found = np.asarray(jitted(model.params, tokens))[:, 1:]
        if asked["program"] == "induction":
            return np.array([model.output_encoder.decode(row.tolist()) for row in found])
        return found

    weights = [np.asarray(w) for w in jax.tree_util.tree_leaves(model.params)]
    return weights, model.model_config.num_layers, len(model.residual_labels), forward


answer(build)
