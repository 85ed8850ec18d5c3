"""A transformer as ONNX nodes, sublayer by sublayer, of every target.

    before   Weights
    after    nodes and initializers: features [batch, tokens, features] → output [batch, tokens, size],
             both dimensions free

Passes of a loop have nodes of their own and share their initializers, so that a file is as large as what is stored.
Norms and activations are written out as this package computes them (artifact/reference/arithmetic.py: slots eight apart
are added first, and the total is rounded at the size of the largest), and so round as it does, not as stock models.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from innerloop.artifact.arrays import Floats
from innerloop.artifact.errors import InternalError
from innerloop.artifact.parts import Attention, Config, DeltaAttention, Idle, LinearAttention, Mlp, Norm, Sublayer
from innerloop.artifact.rotations import rotations
from innerloop.artifact.sparse import Matrix
from innerloop.artifact.weights import Weights

from ..tensors import dense
from .onnx_nodes import Node, Nodes

GIVEN, FOUND = "features", "output"
"""The names of what goes in and comes out."""


def nodes_of(weights: Weights) -> Nodes:
    """The whole forward pass."""
    made = Nodes(weights.config.dtype)
    graph = _Graph(made, weights.config)
    graph.forward(weights)
    return made


@dataclass
class _Graph:
    """`to`: the nodes that are written; `tokens`: how many there are; `mask` [tokens, tokens]: 0 where the row's token
    sees the column's, and −∞; `read`: whether linear attention reads it; `turn`: cosines and sines [tokens,
    d_head / 2]."""

    to: Nodes
    config: Config
    tokens: str = ""
    mask: str = ""
    read: str = ""
    turn: tuple[str, str] = ("", "")

    def forward(self, weights: Weights) -> None:
        to, of = self.to, self.config
        self.tokens = to("Shape", GIVEN, start=1, end=2)
        places = to("Range", to.integer(0), to("Squeeze", self.tokens), to.integer(1))
        rows = to("Unsqueeze", places, to.integers(1))
        seen = to("GreaterOrEqual", rows, places) if of.causal else to("GreaterOrEqual", rows, to.integer(0))
        self.mask = to("Where", seen, to.number(0.0), to.number(-np.inf))
        if of.attention == "linear":
            self.read = to("And", seen, to("Less", places, to("Sub", self.tokens, to.integers(of.unread))))
        if of.positions == "rotary":
            tables = [table.astype(np.float64) for table in rotations(of.d_head, of.rope_theta, of.n_positions)]
            self.turn = (self._upto("cosines", tables[0]), self._upto("sines", tables[1]))
        x = self._linear(GIVEN, "embedding", weights.embedding)
        if weights.positions.any():
            x = to("Add", x, self._upto("positions", weights.positions))
        for number, part in weights.unrolled():
            x = self._sublayer(x, f"sublayer_{number}", part)
        x = self._normed(x, "final_norm", weights.final_norm)
        x = self._linear(x, "readout", weights.readout, weights.readout_bias)
        to.nodes.append(Node("Identity", (x,), FOUND, {}))

    def _sublayer(self, x: str, name: str, part: Sublayer) -> str:
        match part:
            case Attention():
                return self.to("Add", x, self._attention(self._normed(x, name, part.norm), name, part))
            case LinearAttention():
                return self.to("Add", x, self._linear_attention(x, name, part))
            case DeltaAttention():
                raise InternalError("onnx: libraries.py offers no export of layers of the delta rule")
            case Mlp():
                return self.to("Add", x, self._mlp(self._normed(x, name, part.norm), name, part))
            case Idle():
                return x

    # Attention -------------------------------------------------------------------------------------

    def _attention(self, x: str, name: str, part: Attention) -> str:
        to, of = self.to, self.config
        q = self._heads(x, f"{name}.query", part.query, part.query_bias)
        k = self._heads(x, f"{name}.key", part.key, part.key_bias)
        v = self._heads(x, f"{name}.value", part.value, part.value_bias)
        if of.positions == "rotary":
            q, k = self._turned(q), self._turned(k)
        scores = to("MatMul", q, to("Transpose", k, perm=[0, 1, 3, 2]))
        scores = to("Add", to("Div", scores, to.number(float(np.sqrt(of.d_head)))), self.mask)
        mixed = to("MatMul", to("Softmax", scores, axis=-1), v)
        return self._linear(self._joined(mixed), f"{name}.output", part.output, part.output_bias)

    def _linear_attention(self, x: str, name: str, part: LinearAttention) -> str:
        to = self.to
        q, k = self._heads(x, f"{name}.query", part.query), self._heads(x, f"{name}.key", part.key)
        v = self._heads(x, f"{name}.value", part.value)
        scores = to("MatMul", q, to("Transpose", k, perm=[0, 1, 3, 2]))
        mixed = to("MatMul", to("Where", self.read, scores, to.number(0.0)), v)
        counted = to("Where", self.read, to.number(1.0), to.number(0.0))
        rho = to("MatMul", counted, self._linear(x, f"{name}.count", part.count))
        rho = to("Where", to("Equal", rho, to.number(0.0)), to.number(1.0), rho)
        rho = to("Unsqueeze", to("Transpose", rho, perm=[0, 2, 1]), to.integers(3))
        return self._linear(self._joined(to("Div", mixed, rho)), f"{name}.output", part.output)

    def _heads(self, x: str, name: str, matrix: Matrix, bias: Floats | None = None) -> str:
        """Queries, keys or values [batch, heads, tokens, d_head]; those that heads share once for each."""
        of = self.config
        bias = np.zeros(matrix.shape[1]) if bias is None else bias
        group = of.n_head * of.d_head // bias.size
        if group > 1:
            columns = np.arange(bias.size).reshape(-1, of.d_head).repeat(group, axis=0).ravel()
            matrix, bias = Matrix(matrix.csr[:, columns]), bias[columns]
        side = self._linear(x, name, matrix, bias)
        apart = self.to("Reshape", side, self.to.integers(0, 0, of.n_head, of.d_head))
        return self.to("Transpose", apart, perm=[0, 2, 1, 3])

    def _joined(self, mixed: str) -> str:
        """[batch, tokens, heads · d_head]."""
        behind = self.to("Transpose", mixed, perm=[0, 2, 1, 3])
        return self.to("Reshape", behind, self.to.integers(0, 0, self.config.n_head * self.config.d_head))

    def _turned(self, side: str) -> str:
        """Dimensions i and i + d_head / 2 turned by the position."""
        to, half = self.to, self.config.d_head // 2
        cos, sin = self.turn
        low, high = (
            to("Slice", side, to.integers(start), to.integers(start + half), to.integers(3)) for start in (0, half)
        )
        lower = to("Sub", to("Mul", low, cos), to("Mul", high, sin))
        upper = to("Add", to("Mul", high, cos), to("Mul", low, sin))
        return to("Concat", lower, upper, axis=3)

    # Neurons and norms -----------------------------------------------------------------------------

    def _mlp(self, x: str, name: str, part: Mlp) -> str:
        to = self.to
        hidden = self._linear(x, f"{name}.up", part.up, part.up_bias)
        if part.gate is None:
            hidden = self._activation(hidden)
        else:
            hidden = to("Mul", self._activation(self._linear(x, f"{name}.gate", part.gate)), hidden)
        return self._linear(hidden, f"{name}.down", part.down, part.down_bias)

    def _activation(self, x: str) -> str:
        """x / (1 + exp z): z = −x for silu, −2 √(2/π) (x + 0.044715 x³) for the GELU of tanh."""
        to = self.to
        if self.config.activation == "silu":
            z = to("Neg", x)
        else:
            assert self.config.activation == "gelu_tanh", self.config.activation
            cube = to("Mul", to("Mul", to("Mul", x, to.number(0.044715)), x), x)
            z = to("Mul", to("Add", cube, x), to.number(float(-2.0 * np.sqrt(2.0 / np.pi))))
        return to("Div", x, to("Add", to("Exp", z), to.number(1.0)))

    def _normed(self, x: str, name: str, norm: Norm | None) -> str:
        if norm is None:
            return x
        to, width = self.to, self.config.d_model
        if self.config.norm != "rmsnorm":
            x = to("Sub", x, to("Div", self._total(x), to.number(float(width))))
        square = to("ReduceSum", to("Mul", x, x), to.integers(2))
        mean = to("Add", to("Div", square, to.number(float(width))), to.number(self.config.norm_epsilon))
        x = to("Mul", to("Div", x, to("Sqrt", mean)), to.held(f"{name}.gain", (width,), lambda: norm.gain))
        return self._biased(x, f"{name}.norm_bias", norm.bias)

    def _total(self, x: str) -> str:
        """The sum of the slots, as arithmetic.py adds them: those eight apart first; rounded at the largest."""
        to, width = self.to, self.config.d_model
        whole = width // 16 * 16
        pairs = to("Slice", x, to.integers(0), to.integers(whole), to.integers(2))
        pairs = to("ReduceSum", to("Reshape", pairs, to.integers(0, 0, whole // 16, 2, 8)), to.integers(3), keepdims=0)
        total = to("ReduceSum", to("Reshape", pairs, to.integers(0, 0, whole // 2)), to.integers(2))
        if whole < width:
            rest = to("Slice", x, to.integers(whole), to.integers(width), to.integers(2))
            total = to("Add", total, to("ReduceSum", rest, to.integers(2)))
        largest = to("ReduceMax", to("Abs", x), to.integers(2))
        return to("Sub", to("Add", total, largest), largest)

    # Numbers ---------------------------------------------------------------------------------------

    def _linear(self, x: str, name: str, matrix: Matrix, bias: Floats | None = None) -> str:
        found = self.to("MatMul", x, self.to.held(name, matrix.shape, partial(dense, matrix)))
        return found if bias is None else self._biased(found, f"{name}_bias", bias)

    def _biased(self, x: str, name: str, bias: Floats) -> str:
        return self.to("Add", x, self.to.held(name, bias.shape, lambda: bias)) if bias.any() else x

    def _upto(self, name: str, table: Floats) -> str:
        """The table's rows of the tokens that there are."""
        held = self.to.held(name, table.shape, lambda: table)
        return self.to("Slice", held, self.to.integers(0), self.tokens, self.to.integers(0))
