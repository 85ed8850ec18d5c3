"""Targets: the architectures that a program compiles to, and what each has to build with.

    target   attention              MLP          norm                                   positions
    lsa      linear, no softmax     none         none                                   learned, for copies only
    gelu     softmax                tanh-GELU    LayerNorm where a division uses it     learned
    gpt2     softmax                tanh-GELU    LayerNorm before every sublayer        learned

`lsa` is the linear self-attention of von Oswald et al. 2022 and Ahn et al. 2023: no MLP, no norm, no
biases. Where tokens alternate, softmax heads copy between them first (von Oswald et al. 2022, Prop. 3). `gelu` is
the model of Akyürek et al. 2022, App. C, and `gpt2` the stock architecture.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """`attention`: softmax or linear; `activation`: of the MLPs, none for no MLPs; `norm`: layernorm, dividing (only
    where a division uses it) or none."""

    name: str
    attention: str
    activation: str
    norm: str

    @property
    def linear(self) -> bool:
        """Whether attention is linear: a head multiplies query, key and value exactly."""
        return self.attention == "linear"

    @property
    def neurons(self) -> bool:
        """Whether there are MLPs."""
        return self.activation != "none"


TARGETS = {
    t.name: t
    for t in (
        Target("gpt2", "softmax", "gelu_tanh", "layernorm"),
        Target("gelu", "softmax", "gelu_tanh", "dividing"),
        Target("lsa", "linear", "none", "none"),
    )
}
