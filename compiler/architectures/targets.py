"""Targets: the architectures that a program compiles to, and what each has to build with.

    target   attention              MLP          norm                                   positions
    lsa      linear, no softmax     none         none                                   learned, for copies only
    gelu     softmax                tanh-GELU    LayerNorm where a division uses it     learned
    gpt2     softmax                tanh-GELU    LayerNorm before every sublayer        learned
    llama    softmax                SwiGLU       RMSNorm before every sublayer          rotary

`lsa` is the linear self-attention of von Oswald et al. 2022 and Ahn et al. 2023: no MLP, no norm, no
biases. Where tokens alternate, softmax heads copy between them first (von Oswald et al. 2022, Prop. 3). `gelu` is
the model of Akyürek et al. 2022, App. C, and `gpt2` and `llama` the stock architectures.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """`attention`: softmax or linear; `activation`: of the MLPs, none for no MLPs; `norm`: layernorm, rmsnorm, dividing
    (LayerNorm only where a division uses it) or none; `positions`: learned or rotary. Where they are rotary there are
    no biases either, and every neuron has a gate."""

    name: str
    attention: str
    activation: str
    norm: str
    positions: str = "learned"

    @property
    def linear(self) -> bool:
        """Whether attention is linear: a head multiplies query, key and value exactly."""
        return self.attention == "linear"

    @property
    def neurons(self) -> bool:
        """Whether there are MLPs."""
        return self.activation != "none"

    @property
    def rotary(self) -> bool:
        """Whether a token knows its position by the phases of its queries and keys alone."""
        return self.positions == "rotary"


TARGETS = {
    t.name: t
    for t in (
        Target("gpt2", "softmax", "gelu_tanh", "layernorm"),
        Target("gelu", "softmax", "gelu_tanh", "dividing"),
        Target("llama", "softmax", "silu", "rmsnorm", "rotary"),
        Target("lsa", "linear", "none", "none"),
    )
}
