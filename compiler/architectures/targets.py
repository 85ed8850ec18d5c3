"""Targets: the architectures that a program compiles to, each said by its parts.

    target   attention              MLP          norm                                   positions    biases
    lsa      linear, no softmax     none         none                                   learned      of queries
    deltanet the delta rule         none         none                                   none         none
    gelu     softmax                tanh-GELU    LayerNorm where a division uses it     learned      everywhere
    gpt2     softmax                tanh-GELU    LayerNorm before every sublayer        learned      everywhere
    llama    softmax                SwiGLU       RMSNorm before every sublayer          rotary       none
    gemma    softmax, heads of 256  GeGLU        RMSNorm before every sublayer          rotary       none
    neox     softmax                erf-GELU     LayerNorm before every sublayer        rotary, ¼    everywhere
    qwen2    softmax                SwiGLU       RMSNorm before every sublayer          rotary       of q, k and v

`lsa` is the linear self-attention of von Oswald et al. 2022 and Ahn et al. 2023: no MLP, no norm, and no biases in
what is linear. Where tokens alternate, softmax heads copy between them first (von Oswald et al. 2022, Prop. 3), by
learned positions and biases of queries. `gelu` is the model of Akyürek et al. 2022, App. C, and `gpt2` and `llama` the
stock architectures. `deltanet` has layers that each write matrices by the delta rule and read them, with short
convolutions (artifact/parts.py), and no MLPs. `gemma` multiplies embeddings of tokens by √width, and its norms' gains
are 1 + w (runtime/exports/stock/gemma.py). In a layer of `neox` attention and MLP read the same stream.

Which of the emitter's parts build a target is decided by these fields alone (`backend_of`, emit/backend.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from innerloop.artifact.words import AttentionKind, BlockKind, NormKind, PositionKind, TargetName

from ..numerics.activations import GELU, GELU_ERF, SILU, Activation

THETA = 1e15
"""Of rotary positions: so large that half of the pairs stand still (rotary_frequencies.py)."""
Biases = Literal["everywhere", "queries", "none"]
"""Of every linear map; of queries, keys and values; or of none."""


@dataclass(frozen=True)
class Mlp:
    """Neurons activation(x @ up) @ down; `gated`: activation(x @ gate) · (x @ up) @ down."""

    activation: Activation
    gated: bool = False


@dataclass(frozen=True)
class Learned:
    """A table of positions, added to the embedding: it tells each token where it is, and what may be counted there."""

    name: ClassVar[PositionKind] = "learned"


@dataclass(frozen=True)
class Rotary:
    """Pairs of a query's and a key's dimensions turn with the position, at the angles p θ^(−2i/n) of the first
    n = `fraction` · d_head dimensions: heads know distances alone."""

    theta: float = THETA
    fraction: float = 1.0
    name: ClassVar[PositionKind] = "rotary"


ROTARY = Rotary()
"""As Llama turns: all dimensions."""


@dataclass(frozen=True)
class Target:
    """An architecture: what the graph, the schedule and the emitter may take for granted of it. `mlp` None: no MLPs."""

    name: TargetName
    attention: AttentionKind = "softmax"
    mlp: Mlp | None = None
    norm: NormKind = "none"
    positions: Learned | Rotary = Learned()
    biases: Biases = "everywhere"
    block: BlockKind = "serial"
    head: int | None = None
    """Dimensions of a head, however wide the stream is; None: heads divide the width among them."""
    scaled: bool = False
    """Whether embeddings of tokens are multiplied by √width, which is then a whole number."""

    @property
    def linear(self) -> bool:
        """Whether heads multiply query, key and value exactly, without a softmax."""
        return self.attention != "softmax"

    @property
    def delta(self) -> bool:
        """Whether heads write by the delta rule."""
        return self.attention == "delta"

    @property
    def parallel(self) -> bool:
        """Whether the MLP of a layer reads what its attention reads."""
        return self.block == "parallel"

    @property
    def gated(self) -> bool:
        """Whether neurons have gates, and so multiply exactly."""
        return self.mlp is not None and self.mlp.gated

    @property
    def activation(self) -> Activation:
        """What functions are sums of; asked where there are MLPs only."""
        assert self.mlp is not None
        return self.mlp.activation


TARGETS = {
    t.name: t
    for t in (
        Target("gpt2", mlp=Mlp(GELU), norm="layernorm"),
        Target("gelu", mlp=Mlp(GELU), norm="dividing"),
        Target("llama", mlp=Mlp(SILU, gated=True), norm="rmsnorm", positions=ROTARY, biases="none"),
        Target("lsa", attention="linear", biases="queries"),
        Target("deltanet", attention="delta", biases="queries"),
        Target(
            "gemma", mlp=Mlp(GELU, gated=True), norm="rmsnorm", positions=ROTARY, biases="none", head=256, scaled=True
        ),
        Target("neox", mlp=Mlp(GELU_ERF), norm="layernorm", positions=Rotary(1e6, 0.25), block="parallel"),
        Target("qwen2", mlp=Mlp(SILU, gated=True), norm="rmsnorm", positions=ROTARY, biases="queries"),
    )
}
