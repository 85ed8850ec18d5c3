"""Random small weight trees of every shape that the runtime must hold."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from innerloop.compiler.graph import FieldSpec, Pattern, Signature
from innerloop.compiler.sparse import Floats, Matrix
from innerloop.compiler.tokens import roles
from innerloop.compiler.weights import (
    Attention,
    Body,
    Config,
    Idle,
    InputRange,
    Mlp,
    Norm,
    OutputSpec,
    Placement,
    Repeated,
    Report,
    Weights,
)

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

    def norm(self) -> Norm:
        return Norm(self.rounded(1.0 + self.vector(self.config.d_model)), self.vector(self.config.d_model))

    def attention(self, density: float | None = None) -> Attention:
        d, h = self.config.d_model, self.config.n_head * self.config.d_head
        query, key, value = (self.matrix(d, h, 1.5, density) for _ in range(3))
        biases = [self.vector(h) for _ in range(3)]
        if density is not None:  # a compiled head: some of its dimensions idle
            biases = [b * (self.rng.random(h) < density) for b in biases]
        output = self.matrix(h, d, 0.5, density)
        return Attention(self.norm(), query, biases[0], key, biases[1], value, biases[2], output, self.vector(d))

    def mlp(self, neurons: int | None = None, density: float | None = None) -> Mlp:
        d, n = self.config.d_model, self.config.d_mlp if neurons is None else neurons
        up, down = self.matrix(d, n, 1.5, density), self.matrix(n, d, 0.5, density)
        return Mlp(self.norm(), up, self.vector(n), down, self.vector(d))

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
    layers: int, width: int = 16, heads: int = 2, d_mlp: int = 20, causal: bool = True, dtype: str = "float32"
) -> Config:
    return Config("gpt2", layers, width, heads, width // heads, d_mlp, 64, causal=causal, dtype=dtype)


def tree(seed: int, causal: bool = True, dtype: str = "float32", width: int = 16) -> Weights:
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
