"""Models of softmax attention alone, without MLPs, and how their heads look.

GPT-2, random                 →   without_mlps   →   its attention, norms, embedding and positions
                              →   marked         →   one-hot positions beside the tokens
a layer of linear attention   →   softmax_layer  →   softmax in its place, on tokens that are the data themselves
"""

from __future__ import annotations

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
from innerloop.artifact.parts import Attention, Idle, Mlp
from innerloop.artifact.sparse import Matrix
from innerloop.artifact.weights import Weights

from ...measures.distance import Floats
from ...training.model import Model
from .layers import slots, without_roles


def without_mlps(model: Model) -> Model:
    """The same without its MLPs, which add nothing."""
    body = tuple(Idle("mlp") if isinstance(item, Mlp) else item for item in model.template.body)
    return _without(".mlp.", model, replace(model.template, body=body))


def softmax_layer(
    linear: Weights, seed: int, heads: int, deviation: float, sink: bool = False
) -> tuple[Model, list[str]]:
    """One layer of softmax attention, its matrices N(0, deviation²), with the tokens and the readout of `linear`; and
    the biases, which stay 0. Tokens are (x, y) as published; with a `sink` they are flagged by what they are, too, so
    that heads can leave a share of their attention at the rest token."""
    weights = linear if sink else without_roles(linear)
    width = weights.config.d_model
    inside = heads * width
    rng = np.random.default_rng(seed)

    def drawn(*shape: int) -> Matrix:
        return Matrix(deviation * rng.standard_normal(shape))

    query, key, value = (drawn(width, inside) for _ in range(3))
    none, nothing = np.zeros(inside), np.zeros(width)
    layer = Attention(None, query, none, key, none, value, none, drawn(inside, width), nothing)
    config = replace(weights.config, n_head=heads, n_kv_head=None, d_head=width)
    model = Model.of(replace(weights.bare(), config=config, body=(layer, Idle("mlp"))))
    return model, [name for name in model.parameters if name.endswith("_bias")]


def products(weights: Weights) -> tuple[Floats, Floats]:
    """Of each head of a lone layer of softmax on tokens (x, y): W_Q W_Kᵀ/√d_head between inputs [heads, d, d], and the
    number by which a label is written to the prediction [heads]."""
    (layer,) = (item for item in weights.body if isinstance(item, Attention))
    config = weights.config
    heads, size = config.n_head, config.d_head
    x, (y,) = slots(weights, "x"), slots(weights, "y")
    query, key = (m.csr.toarray()[x].reshape(-1, heads, size) for m in (layer.query, layer.key))
    value = layer.value.csr.toarray()[y].reshape(heads, size)
    written = (layer.output.csr.toarray() @ weights.readout.csr.toarray()[:, 0]).reshape(heads, size)
    scores = np.einsum("ahs,bhs->hab", query, key) / size**0.5
    return scores, np.einsum("hs,hs->h", value, written)


def without_norms(model: Model) -> Model:
    """The same without its norms: attention reads the stream as it is."""
    body = tuple(replace(item, norm=None) if isinstance(item, Attention) else item for item in model.template.body)
    config = replace(model.config, norm="none")
    return _without("norm.", model, replace(model.template, body=body, final_norm=None, config=config))


def marked(model: Model) -> Model:
    """The same with one-hot positions, a slot each, the last ones, into which tokens are not embedded (von Oswald et
    al. 2022). Small heads of rotary positions cannot well tell a token from its neighbours."""
    embedding = np.array(model.parameters["embedding"])
    positions = np.zeros(model.parameters["positions"].shape)
    count, width = positions.shape
    embedding[:, width - count :] = 0
    positions[:, width - count :] = np.eye(count)
    changed = {"embedding": embedding, "positions": positions.astype(embedding.dtype)}
    return replace(model, parameters=model.parameters | {name: jnp.asarray(v) for name, v in changed.items()})


def _without(part: str, model: Model, template: Weights) -> Model:
    """The model in another form, which has no numbers of this part."""
    parameters, constants = (
        {name: value for name, value in tree.items() if part not in name}
        for tree in (model.parameters, model.constants)
    )
    return Model(template, parameters, constants)
