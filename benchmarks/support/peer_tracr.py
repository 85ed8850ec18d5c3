"""Tracr's side of benchmarks/peers.py: run by the Python of an environment that has Tracr, and imports nothing else.

in       on standard input, JSON: program, symbols, length, sequences (lists of whole numbers)
out      on standard output, JSON: layers, width, parameters, nonzeros, seconds, what it answers
"""

import json
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
from tracr.compiler import compiling, lib
from tracr.rasp import rasp


def program(name):
    """The RASP program of that name."""
    if name == "share":
        return lib.make_frac_prevs(rasp.numerical(rasp.Map(lambda s: 1.0 if s == 0 else 0.0, rasp.tokens)))
    before = lib.shift_by(1, rasp.tokens)
    return rasp.Aggregate(rasp.Select(before, rasp.tokens, rasp.Comparison.EQ), rasp.tokens)


def main():
    asked = json.load(sys.stdin)
    started = time.process_time()
    model = compiling.compile_rasp_to_model(
        program(asked["program"]), set(range(asked["symbols"])), asked["length"], causal=True, compiler_bos="BOS"
    )
    compiled = time.process_time() - started
    encode = model.input_encoder.encode
    tokens = jnp.array([encode(["BOS", *row]) for row in asked["sequences"]])
    forward = jax.jit(lambda params, tokens: model.forward(params, tokens).unembedded_output)
    found = np.asarray(forward(model.params, tokens))[:, 1:]
    if asked["program"] == "induction":
        found = np.array([model.output_encoder.decode(row.tolist()) for row in found])
    seconds = []
    for _ in range(asked["rounds"]):
        started = time.process_time()
        forward(model.params, tokens).block_until_ready()
        seconds.append(time.process_time() - started)
    weights = jax.tree_util.tree_leaves(model.params)
    json.dump(
        {
            "layers": model.model_config.num_layers,
            "width": len(model.residual_labels),
            "parameters": int(sum(w.size for w in weights)),
            "nonzeros": int(sum(np.count_nonzero(w) for w in weights)),
            "compile_s": compiled,
            "forward_s": min(seconds),
            "found": found.tolist(),
        },
        sys.stdout,
    )


main()
