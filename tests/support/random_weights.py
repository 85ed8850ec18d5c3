"""Random small weight trees of every shape that the runtime must hold."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import scipy.sparse as sp
from innerloop.artifact.arrays import Dtype, Floats
from innerloop.artifact.claims import InputRange, Placement, Report
from innerloop.artifact.outputs import OutputSpec
from innerloop.artifact.parts import (
    Attention,
    Body,
    Config,
    DeltaAttention,
    Idle,
    LinearAttention,
    Mlp,
    Norm,
    Repeated,
    Sublayer,
)
from innerloop.artifact.signature import FieldSpec, Pattern, Signature
from innerloop.artifact.sparse import Matrix
from innerloop.artifact.tokens import roles
from innerloop.artifact.weights import Weights
from innerloop.artifact.words import ActivationName, NormKind

REPORT = Report(4, 3, 16, 12, 8, 20, 2, 300, 4000, 1e-7, 2e-7, 1.0, 64)


def signature(d: int = 3) -> Signature:
    """`tokens (x y)* x` with a vector x and a scalar y."""
    fields = (FieldSpec("x", (d,), ("x",), -4.0, 4.0), FieldSpec("y", (), ("y",)))
    text = f"program random(d = {d})\n"
    return Signature("random", Pattern((), ("x", "y"), ("x",)), fields, {"d": d, "rate": 0.1}, text, "random.icl")


class Random:
    """Draws sublayers of one configuration; `density` is the share of nonzero entries."""

    def __init__(self, seed: int, config: Config, density: float = 0.4) -> None:
        self.rng = np.random.default_rng(seed)
        self.config = config
        self.density = density

    def matrix(self, rows: int, columns: int, scale: float = 1.0, density: float | None = None) -> Matrix:
        density = self.density if density is None else density
        values = self.rng.standard_normal((rows, columns)) * scale / np.sqrt(max(1.0, density * rows))
        return Matrix(sp.csr_array(self.rounded(values * (self.rng.random((rows, columns)) < density))))

    def vector(self, size: int, scale: float = 0.1) -> Floats:
        return self.rounded(self.rng.standard_normal(size) * scale)

    def rounded(self, values: Floats) -> Floats:
        return values.astype(self.config.dtype).astype(np.float64)

    def norm(self) -> Norm | None:
        """One where the configuration has them; with `dividing` every other time."""
        if self.config.norm == "none" or (self.config.norm == "dividing" and self.rng.random() < 0.5):
            return None
        gain, bias = self.rounded(1.0 + self.vector(self.config.d_model)), self.vector(self.config.d_model)
        return Norm(gain, bias * (self.config.norm != "rmsnorm"))

    def attention(self, density: float | None = None) -> Attention:
        d, h = self.config.d_model, self.config.n_head * self.config.d_head
        sizes = h, *[(self.config.n_kv_head or self.config.n_head) * self.config.d_head] * 2
        query, key, value = (self.matrix(d, size, 1.5, density) for size in sizes)
        biases = [self.vector(size) for size in sizes]
        if density is not None:  # a compiled head: some of its dimensions idle
            biases = [b * (self.rng.random(b.size) < density) for b in biases]
        output = self.matrix(h, d, 0.5, density)
        return Attention(self.norm(), query, biases[0], key, biases[1], value, biases[2], output, self.vector(d))

    def linear_attention(self, density: float | None = None) -> LinearAttention:
        """The first head counts the last slot, the others nothing."""
        d, heads, h = self.config.d_model, self.config.n_head, self.config.n_head * self.config.d_head
        shared = (self.config.n_kv_head or heads) * self.config.d_head
        query, key, value = (self.matrix(d, size, 0.3, density) for size in (h, shared, shared))
        return LinearAttention(
            query, key, value, self.matrix(h, d, 0.15, density), Matrix.of([d - 1], [0], [1.0], (d, heads))
        )

    def mlp(self, neurons: int | None = None, density: float | None = None) -> Mlp:
        """With a gate if the activation is Llama's."""
        d, n = self.config.d_model, self.config.d_mlp if neurons is None else neurons
        up, down = self.matrix(d, n, 1.5, density), self.matrix(n, d, 0.5, density)
        mlp = Mlp(self.norm(), up, self.vector(n), down, self.vector(d))
        return mlp if self.config.activation != "silu" else replace(mlp, gate=self.matrix(d, n, 1.5, density))

    def weights(self, body: Body, d: int = 3, layout: tuple[Placement, ...] = ()) -> Weights:
        of = signature(d)
        width = self.config.d_model
        embedding = self.matrix(len(roles(of.pattern)) + d + 1, width, 1.5)
        positions = self.rounded(0.3 * self.rng.standard_normal((self.config.n_positions, width)))
        return Weights(
            self.config,
            of,
            roles(of.pattern),
            embedding,
            positions,
            body,
            self.norm(),
            self.matrix(width, 1),
            self.vector(1),
            OutputSpec("output", (), frozenset({"x"})),
            layout,
            (InputRange("x", -4.0, 4.0), InputRange("y", -20.0, 20.0)),
            REPORT,
        )


def config(
    layers: int, width: int = 16, heads: int = 2, d_mlp: int = 20, causal: bool = True, dtype: Dtype = "float32"
) -> Config:
    return Config("gpt2", layers, width, heads, width // heads, d_mlp, 64, causal=causal, dtype=dtype)


def tree(seed: int, causal: bool = True, dtype: Dtype = "float32", width: int = 16) -> Weights:
    """Distinct layers, a loop, a loop in a loop, idle sublayers and idle heads, MLPs of several widths."""
    draw = Random(seed, config(19, width, causal=causal, dtype=dtype))
    inner = Repeated(3, (draw.attention(0.2), Idle("mlp")))
    body = (
        draw.attention(),
        draw.mlp(),
        Repeated(4, (draw.attention(0.1), draw.mlp(7, 0.2), inner)),
        Idle("attention"),
        draw.mlp(13),
        draw.attention(0.0),
        draw.mlp(5, 0.0),
        Repeated(0, (draw.attention(), draw.mlp())),
    )
    return draw.weights(body)


def normless_tree(seed: int, norm: NormKind, causal: bool = True, dtype: Dtype = "float32") -> Weights:
    """Few layers, of which a loop, with norms here and there (`dividing`) or none at all."""
    draw = Random(seed, replace(config(4, causal=causal, dtype=dtype), norm=norm))
    loop = Repeated(2, (draw.attention(0.1), draw.mlp(7, 0.1)))
    return draw.weights((draw.attention(0.2), draw.mlp(13, 0.2), loop, draw.attention(0.1), Idle("mlp")))


def llama_tree(seed: int, dtype: Dtype = "float32", **parts: Any) -> Weights:
    """Few layers, of which a loop, idle sublayers and heads; `parts` are of Llama's that the configuration has."""
    drawn = replace(config(7, heads=4, dtype=dtype), **parts)
    draw = Random(seed, drawn)
    loop = Repeated(3, (draw.attention(0.1), draw.mlp(7, 0.2)))
    body = (
        draw.attention(0.15),
        draw.mlp(13),
        loop,
        draw.attention(),
        Idle("mlp"),
        Idle("attention"),
        draw.mlp(5, 0.1),
    )
    last = draw.attention(0.0), draw.mlp(9, 0.0)
    return draw.weights((*body, *last))


def linear_tree(
    seed: int, causal: bool = True, unread: int = 0, dtype: Dtype = "float32", activation: ActivationName = "none",
    norm: NormKind = "none",
) -> Weights:  # fmt: skip
    """Softmax and linear attention in distinct layers, a loop, a loop in a loop, idle heads; ρ is the number of y."""
    drawn = replace(
        config(9, causal=causal, dtype=dtype), attention="linear", activation=activation, norm=norm, unread=unread
    )
    draw = Random(seed, drawn)

    def mlp() -> Mlp | Idle:
        return Idle("mlp") if activation == "none" else draw.mlp()

    inner = Repeated(2, (draw.linear_attention(0.3), Idle("mlp")))
    body = (
        draw.attention(),
        mlp(),
        draw.linear_attention(),
        Idle("mlp"),
        Repeated(2, (draw.linear_attention(0.1), mlp(), inner)),
        draw.linear_attention(0.0),
        mlp(),
    )
    return _counting(draw.weights(body))


def _counting(weights: Weights) -> Weights:
    """The same with a last slot that is 1 at y tokens and 0 at all others, which no sublayer writes."""
    others = np.arange(weights.config.d_model) < weights.config.d_model - 1

    def leave(written: Matrix) -> Matrix:
        return Matrix(written.csr.toarray() * others)

    def one(item: Sublayer | Repeated) -> Sublayer | Repeated:
        match item:
            case Repeated():
                return replace(item, body=tuple(map(one, item.body)))
            case Attention():
                return replace(item, output=leave(item.output), output_bias=item.output_bias * others)
            case LinearAttention() | DeltaAttention():
                return replace(item, output=leave(item.output))
            case Mlp():
                return replace(item, down=leave(item.down), down_bias=item.down_bias * others)
            case Idle():
                return item

    embedding = weights.embedding.csr.toarray() * others
    embedding[weights.roles.index("group:y"), -1] = 1.0
    return replace(
        weights,
        embedding=Matrix(embedding),
        positions=weights.positions * others,
        body=tuple(map(one, weights.body)),
    )


def without_biases(weights: Weights, kept: tuple[str, ...] = ()) -> Weights:
    """The same with biases of 0, but for those `kept`, and an empty table of positions, as a stock Llama's."""

    def of(item: Sublayer | Repeated) -> Sublayer | Repeated:
        if isinstance(item, Repeated):
            return replace(item, body=tuple(map(of, item.body)))
        biases = {n: 0.0 * value for n, value in vars(item).items() if n.endswith("_bias") and n not in kept}
        return replace(item, **biases)

    return replace(weights, positions=0.0 * weights.positions, body=tuple(map(of, weights.body)))
