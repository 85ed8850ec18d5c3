"""Weights as TransformerLens' HookedTransformer, and where its cache holds every named value.

    W_Q, W_K, W_V [heads, d_model, d_head], W_O [heads, d_head, d_model]: a head's columns (rows) of what GPT-2 has
    beside each other. W_E is the embedding, W_U the readout: the logits are the program's output. LayerNorms are not
    folded ("LN"), since the constants that they divide by stand in the stream.

The points of layout.json are hooks: "attention.3" is blocks.3.hook_resid_mid, "mlp.3" blocks.3.hook_resid_post, and
"embedding" blocks.0.hook_resid_pre.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from innerloop.artifact.arrays import Floats
from innerloop.artifact.parts import Attention, Mlp, Norm, Sublayer
from innerloop.artifact.sparse import Matrix
from innerloop.artifact.weights import Weights

from ..folder import Folder, Sample
from ..tensors import Tensor, constant, dense, layers, vector
from .examples import Example
from .stock_folder import stock_folder

EXAMPLE = Example(
    """\
import json
from transformer_lens import HookedTransformer, HookedTransformerConfig

config = json.load(open("config.json")) | {{"dtype": torch.{dtype}}}
model = HookedTransformer(HookedTransformerConfig.from_dict(config))
model.load_state_dict(load_file("model.safetensors"), strict=False)  # the causal mask is no weight
""",
    """\
stream = features @ interface["embedding"] + model.W_pos[: len(roles)]
output, cache = model.run_with_cache(stream, start_at_layer=0)
""",
    """\
points = {"embedding": "blocks.0.hook_resid_pre"}
for n in range(layout["layers"]):
    points |= {f"attention.{n}": f"blocks.{n}.hook_resid_mid", f"mlp.{n}": f"blocks.{n}.hook_resid_post"}
hooks = [(hook, lambda x, hook, point=point: x + edit(point, x)) for point, hook in points.items()]
with torch.no_grad():
    stream = features @ interface["embedding"] + model.W_pos[: len(roles)]
    output = model.run_with_hooks(stream, start_at_layer=0, fwd_hooks=hooks)""",
    notes=(
        "`HookedTransformer` is of TransformerLens 3; version 4 has none. There export to huggingface instead, and "
        "load that folder with its bridge, as docs/exports.md of innerloop has it.",
    ),
)


def config(weights: Weights) -> dict[str, Any]:
    """The entries of config.json: those of a HookedTransformerConfig but for its dtype, which JSON cannot hold."""
    of = weights.config
    return {
        "model_name": weights.signature.name,
        "n_layers": of.n_layer,
        "d_model": of.d_model,
        "n_ctx": of.n_positions,
        "n_heads": of.n_head,
        "d_head": of.d_head,
        "d_mlp": max(1, of.d_mlp),
        "d_vocab": weights.embedding.shape[0],
        "d_vocab_out": weights.readout.shape[1],
        "act_fn": "gelu_new",
        "normalization_type": "LN",
        "eps": of.norm_epsilon,
        "attention_dir": "causal" if of.causal else "bidirectional",
        "default_prepend_bos": False,
        "device": "cpu",
    }


def folder(weights: Weights, sample: Sample) -> Folder:
    """What stands in the folder beside the weights."""
    return stock_folder(weights, sample, config(weights), EXAMPLE, embeds=False)


def tensors(weights: Weights) -> list[Tensor]:
    """Every tensor of the model's state but for its causal masks."""
    return [
        Tensor("embed.W_E", weights.embedding.shape, partial(dense, weights.embedding)),
        Tensor("pos_embed.W_pos", weights.positions.shape, lambda: weights.positions),
        *layers(weights, "blocks", _attention, _mlp),
        *_norm("ln_final", weights.final_norm, weights.config.d_model),
        Tensor("unembed.W_U", weights.readout.shape, partial(dense, weights.readout)),
        Tensor("unembed.b_U", weights.readout_bias.shape, lambda: weights.readout_bias),
    ]


def _norm(name: str, norm: Norm | None, width: int) -> list[Tensor]:
    if norm is None:
        return [constant(f"{name}.w", 1.0, width), constant(f"{name}.b", 0.0, width)]
    return [Tensor(f"{name}.w", (width,), lambda: norm.gain), Tensor(f"{name}.b", (width,), lambda: norm.bias)]


def _attention(block: str, item: Sublayer, weights: Weights) -> list[Tensor]:
    of = weights.config
    heads, into, back = (of.n_head, of.d_head), (of.n_head, of.d_model, of.d_head), (of.n_head, of.d_head, of.d_model)
    names = [f"{block}.attn.{name}" for name in ("W_Q", "W_K", "W_V", "b_Q", "b_K", "b_V")]
    if not isinstance(item, Attention):
        read = [constant(name, 0.0, *shape) for name, shape in zip(names, [into] * 3 + [heads] * 3, strict=True)]
        written = [constant(f"{block}.attn.W_O", 0.0, *back), constant(f"{block}.attn.b_O", 0.0, of.d_model)]
        return [*_norm(f"{block}.ln1", None, of.d_model), *read, *written]

    def columns(matrix: Matrix) -> Floats:
        return dense(matrix).reshape(of.d_model, *heads).swapaxes(0, 1)

    matrices = [
        Tensor(n, into, partial(columns, m)) for n, m in zip(names, (item.query, item.key, item.value), strict=False)
    ]
    biases = (item.query_bias, item.key_bias, item.value_bias)
    return [
        *_norm(f"{block}.ln1", item.norm, of.d_model),
        *matrices,
        *(Tensor(n, heads, partial(b.reshape, heads)) for n, b in zip(names[3:], biases, strict=True)),
        Tensor(f"{block}.attn.W_O", back, lambda: dense(item.output).reshape(back)),
        Tensor(f"{block}.attn.b_O", (of.d_model,), lambda: item.output_bias),
    ]


def _mlp(block: str, item: Sublayer, weights: Weights) -> list[Tensor]:
    width, neurons = weights.config.d_model, max(1, weights.config.d_mlp)
    into, back = (width, neurons), (neurons, width)
    if not isinstance(item, Mlp):
        shapes: dict[str, tuple[int, ...]] = {"W_in": into, "b_in": (neurons,), "W_out": back, "b_out": (width,)}
        zeros = [constant(f"{block}.mlp.{name}", 0.0, *shape) for name, shape in shapes.items()]
        return [*_norm(f"{block}.ln2", None, width), *zeros]
    return [
        *_norm(f"{block}.ln2", item.norm, width),
        Tensor(f"{block}.mlp.W_in", into, partial(dense, item.up, into)),
        Tensor(f"{block}.mlp.b_in", (neurons,), partial(vector, item.up_bias, neurons)),
        Tensor(f"{block}.mlp.W_out", back, partial(dense, item.down, back)),
        Tensor(f"{block}.mlp.b_out", (width,), lambda: item.down_bias),
    ]
