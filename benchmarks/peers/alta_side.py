"""ALTA's side of benchmarks/peers (side.py). Its attention is not causal: it sees later symbols too."""

import numpy as np
from framework import program_builder as pb
from framework.compiler import compiler_config, compiler_utils
from framework.transformer import transformer_utils
from side import answer


def build(asked):
    symbols = asked["symbols"]
    variables = {
        "symbol": pb.input_var(symbols),
        "before": pb.var(symbols),
        "step": pb.var(2),
        "found": pb.var(symbols),
    }
    heads = {"left": pb.v_relative("symbol", -1), "follows": pb.qkv("symbol", "before", "symbol")}
    rules = pb.MLPBuilder(variables, heads)
    for step in rules.get("step"):
        if step == 0:
            rules.set("step", 1)
            for left, _ in rules.get("left", "before"):
                rules.set("before", left)
        else:
            for follows, _ in rules.get("follows", "found"):
                rules.set("found", follows)
    spec = pb.program_spec_from_rules(variables, heads, rules.rules, "found", input_range=symbols)
    parameters = compiler_utils.compile_transformer(spec, compiler_config.Config())
    weights = [parameters.embeddings.input_embeddings, parameters.output_transform]
    for head in parameters.attenion_heads:
        weights += [head.query_transform, head.key_transform, head.value_transform, head.output_transform]
    for layer in parameters.feed_forward_layers:
        weights += [layer.weights, layer.biases]
    layers = 2

    def forward():
        return np.array(
            [transformer_utils.run_transformer(parameters, None, row, max_layers=layers) for row in asked["sequences"]]
        )

    weights = [np.asarray(w) for w in weights]
    return weights, layers, weights[0].shape[-1], forward


answer(build)
