"""torchwright's side of benchmarks/peers (side.py): its SwiGLU operations, whose products are exact."""

import itertools

import numpy as np
import torch
from side import answer
from torchwright import compile_headless
from torchwright.graph import RopeConfig
from torchwright.ops.attention_ops import attend_argmax_dot, attend_causal_mean, attend_to_offset
from torchwright.ops.inout_nodes import create_input
from torchwright.ops.linear import add_scaled_nodes, concat, multiply_const, slice_columns, sum_nodes
from torchwright.ops.swiglu.arithmetic_ops import multiply

WIDTH, HEAD = 128, 32  # the least with which all three take the fewest layers


def share(rope, asked):
    symbol = create_input("s", asked["symbols"], value_range=(0, 1))
    return attend_causal_mean(rope, slice_columns(symbol, 0, 1))


def induction(rope, asked):
    symbol = create_input("s", asked["symbols"], value_range=(0, 1))
    return attend_argmax_dot(rope, symbol, attend_to_offset(rope, symbol), symbol)


def gradient_descent(rope, asked):
    """From the means of u u' and y u, which do not change: w <- w - rate (A w - b), from 0."""
    d = len(asked["x"][0][0])
    u, y, x = (create_input(name, width, value_range=(-6, 6)) for name, width in (("u", d), ("y", 1), ("x", d)))
    part = [slice_columns(u, k, 1) for k in range(d)]
    pairs = list(itertools.combinations_with_replacement(range(d), 2))
    moments = [multiply(part[a], part[b]) for a, b in pairs] + [multiply(y, one) for one in part]
    means = attend_causal_mean(rope, concat(moments), claim_range=False)
    second = {pair: slice_columns(means, k, 1) for k, pair in enumerate(pairs)}
    first = [slice_columns(means, len(pairs) + k, 1) for k in range(d)]
    rate = asked["rate"]
    w = [multiply_const(one, rate) for one in first]
    for _ in range(asked["steps"] - 1):
        curved = [sum_nodes([multiply(w[b], second[min(a, b), max(a, b)]) for b in range(d)]) for a in range(d)]
        w = [add_scaled_nodes(1.0, w[a], rate, add_scaled_nodes(-1.0, curved[a], 1.0, first[a])) for a in range(d)]
    return sum_nodes([multiply(w[k], slice_columns(x, k, 1)) for k in range(d)])


def inputs(module, asked):
    """[sequences, tokens, columns] in the order that the module asks."""
    if asked["program"] == "gradient_descent":
        x, y = np.array(asked["x"]), np.array(asked["y"])  # a token holds an example, and the next question
        given = {"u": x[:, :-1], "y": y[..., None], "x": x[:, 1:]}
    else:
        given = {"s": np.eye(asked["symbols"])[np.array(asked["sequences"])]}
    if asked["program"] == "induction":  # before the first stands a token without a symbol, as in Tracr
        given["s"] = np.pad(given["s"], ((0, 0), (1, 0), (0, 0)))
    return torch.tensor(np.concatenate([given[name] for name, *_ in module.input_specs], -1), dtype=torch.float32)


def matrices(module):
    """Of every layer what its attention and its MLP hold."""
    for layer in module.net.layers:
        for block in (layer.attn.attn, *vars(layer.mlp).values()):
            yield from (w.numpy() for w in getattr(block, "__dict__", {}).values() if torch.is_tensor(w))


def build(asked):
    given = asked["y"] if asked["program"] == "gradient_descent" else asked["sequences"]
    rope = RopeConfig(d_head=HEAD, max_positions=len(given[0]) + 1)
    output = {"share": share, "induction": induction, "gradient_descent": gradient_descent}[asked["program"]]
    module = compile_headless(output(rope, asked), d=WIDTH, d_head=HEAD, optimize=2)
    given = inputs(module, asked)

    def forward():
        with torch.no_grad():
            found = np.array([module(row).numpy() for row in given])
        return found[:, 1:].argmax(-1) if asked["program"] == "induction" else found[..., 0]

    return list(matrices(module)), module.n_layers, WIDTH, forward


torch.set_num_threads(1)
answer(build)
