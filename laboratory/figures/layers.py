"""What the layers of linear attention compute: their loss, and the algorithm, read off their weights.

    e_t ← e_t + Σ_h 1/ρ Σ_j (e_t S_h e_jᵀ) e_j V_h,   S = W_Q W_Kᵀ, V = W_V P

S and V alone matter, of which the blocks between the slots of the fields say which algorithm it is.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from innerloop.artifact.features import FeatureLayout
from innerloop.artifact.parts import Attention, LinearAttention, Repeated, Sublayer
from innerloop.artifact.sparse import Matrix
from innerloop.artifact.weights import Weights

from ..measures.distance import Fields, Floats, squared_error
from ..measures.gauge import products
from ..measures.subject import Subject
from ..training.model import Model


def half_loss(weights: Weights, fields: Fields) -> float:
    """½ E (ŷ − y)² at the query."""
    return float(squared_error(Subject(weights, "weights")(fields), fields["y"][:, -1:])[0]) / 2


def off(found: Floats, wanted: Floats) -> float:
    """‖found − wanted‖_F / ‖wanted‖_F"""
    return float(np.linalg.norm(found - wanted) / np.linalg.norm(wanted))


def off_identity(matrix: Floats) -> float:
    """How far a matrix is `off` from m I, m its mean diagonal."""
    return off(matrix, np.trace(matrix) / len(matrix) * np.eye(len(matrix)))


def slots(weights: Weights, field: str) -> np.ndarray:
    """The slots [size] into which the components of a field are embedded, one each."""
    rows = weights.embedding.csr.toarray()[FeatureLayout.of(weights.signature).fields[field]]
    return np.asarray(np.abs(rows).argmax(1))


def layer(weights: Weights, number: int = 0) -> tuple[Floats, Floats]:
    """S and V [heads, d_model, d_model] of the stored layer of linear attention of this number."""
    stored = [item for item in weights.sublayers() if isinstance(item, LinearAttention)]
    return products(stored[number], weights.config)


def preconditioner(weights: Weights) -> Floats:
    """M [d, d] of one layer on tokens (x, y): the part x_qᵀ M (1/ρ) Σⱼ yⱼ xⱼ of its prediction.

        M[a, b] = Σ_h (S[xₐ, x_b] V[y, r] + S[xₐ, y] V[x_b, r]) · readout[r]

    Gradient descent has M = η I (von Oswald et al. 2022), its preconditioned form M = A (Zhang et al. 2023)."""
    scores, values = layer(weights)
    x, (y,) = slots(weights, "x"), slots(weights, "y")
    written = values @ weights.readout.csr.toarray()[:, 0]  # [heads, d_model]
    found = np.einsum("hab,h->ab", scores[:, x][:, :, x], written[:, y])
    return np.asarray(found + np.einsum("ha,hb->ab", scores[:, x, y], written[:, x]))


def curvature(weights: Weights) -> tuple[float, float]:
    """γ of x_t ← (I − γ Σⱼ xⱼ xⱼᵀ) x_t in a layer of one head whose ρ is 1, γ = −s v; and how far the layer's matrices
    on x are from multiples of I: the larger of the two's `off_identity`.

    Source: von Oswald et al. 2022, appendix A.10 (GD++)."""
    scores, values = layer(weights)
    x = slots(weights, "x")
    blocks = scores[0][np.ix_(x, x)], values[0][np.ix_(x, x)]
    s, v = (float(np.trace(block)) / len(x) for block in blocks)
    return -s * v, max(map(off_identity, blocks))


def random_layers(weights: Weights, seed: int, deviation: float = 0.05, **changes: Any) -> Model:
    """`Model.fresh` as published: tokens are their fields alone, without flags of what they are, the stream is no
    wider than they are, ρ, which counts by the flags, is 1, and attention is N(0, deviation²). Slots beside the fields
    would be memory that the published layers have not; smaller numbers stay near the saddle at 0 for long."""
    model = Model.fresh(without_roles(weights), seed, **changes)
    drawn = np.concatenate([np.ravel(value) for value in model.parameters.values()])
    return replace(model, parameters={n: deviation / np.std(drawn) * value for n, value in model.parameters.items()})


def without_roles(weights: Weights) -> Weights:
    """The same without the slots that only roles are embedded in, and with nothing that ρ counts."""
    kept = np.concatenate([slots(weights, field.name) for field in weights.signature.fields])
    embedding = weights.embedding.csr.toarray()[:, kept]
    embedding[: len(weights.roles)] = 0

    def narrowed(item: Sublayer | Repeated) -> Sublayer | Repeated:
        if isinstance(item, Repeated):
            return replace(item, body=tuple(narrowed(one) for one in item.body))
        if not isinstance(item, LinearAttention):
            return item
        query, key, value = (Matrix(m.csr.toarray()[kept]) for m in (item.query, item.key, item.value))
        output = Matrix(item.output.csr.toarray()[:, kept])
        return LinearAttention(query, key, value, output, Matrix.zero(len(kept), weights.config.n_head))

    return replace(
        weights,
        config=replace(weights.config, d_model=len(kept)),
        embedding=Matrix(embedding),
        positions=weights.positions[:, kept],
        body=tuple(narrowed(item) for item in weights.body),
        readout=Matrix(weights.readout.csr.toarray()[kept]),
        layout=(),
        inputs=(),
    )


def copies(weights: Weights) -> list[str]:
    """The parameters, by the beginning of their names, of the softmax layers that copy between tokens: as compiled
    they do exactly that, and are not to be trained."""
    return [f"body.{k}" for k, item in enumerate(weights.body) if isinstance(item, Attention)]
