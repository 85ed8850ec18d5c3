"""The blocks of GPT-2 and Llama as transformers saves them, read into the project's parts.

    config.json's entries   →   Family: what is asked of it, and how its tensors become sublayers

What the project's forward pass does not compute is refused by the entry that asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from innerloop.artifact.arrays import Floats
from innerloop.artifact.errors import InnerloopError
from innerloop.artifact.parts import Attention, Body, Config, Mlp, Norm
from innerloop.artifact.sparse import Matrix

from .tensors import Tensors

SUFFIXES = {"gpt2": ("h.0.ln_1.weight", "ln_f"), "llama": ("layers.0.input_layernorm.weight", "norm")}
TANH = "gelu_new", "gelu_pytorch_tanh", "gelu_fast"
PLAIN: Mapping[str, tuple[Any, ...]] = {
    "scale_attn_weights": (True,),
    "scale_attn_by_inverse_layer_idx": (False,),
    "add_cross_attention": (False,),
    "use_sliding_window": (False,),
    "sliding_window": (None,),
    "pretraining_tp": (1,),
}
"""Entries that change what is computed, and the values at which they do not."""


@dataclass(frozen=True)
class Family:
    """`kind`: gpt2, or llama, of which qwen2 and mistral are; `entries`: those of config.json."""

    folder: Path
    kind: Literal["gpt2", "llama"]
    entries: Mapping[str, Any]
    width: int
    layers: int
    heads: int
    neurons: int

    @property
    def causal(self) -> bool:
        return bool(self.entries.get("is_causal", True))

    @property
    def first(self) -> str:
        """The end of the name of a tensor that only the model's first layer has."""
        return SUFFIXES[self.kind][0]

    @property
    def last(self) -> str:
        """The name of the final norm."""
        return SUFFIXES[self.kind][1]

    def config(self, positions: int) -> Config:
        dtype: Literal["float32", "float64"] = "float64" if self._dtype == "float64" else "float32"
        learned = Config(
            "gpt2", self.layers, self.width, self.heads, self.head, self.neurons, positions, dtype=dtype,
            causal=self.causal, norm_epsilon=float(self.entries.get("layer_norm_epsilon", 1e-5)),
        )  # fmt: skip
        if self.kind == "gpt2":
            return learned
        rope = self.entries.get("rope_parameters") or self.entries.get("rope_scaling") or {}
        return replace(
            learned,
            target="llama",
            activation="silu",
            norm="rmsnorm",
            positions="rotary",
            norm_epsilon=float(self.entries.get("rms_norm_eps", 1e-6)),
            rope_theta=float(rope.get("rope_theta", self.entries.get("rope_theta", 10_000.0))),
            n_kv_head=self.groups,
        )

    @property
    def head(self) -> int:
        return int(self.entries.get("head_dim") or self.width // self.heads)

    @property
    def groups(self) -> int:
        """Heads of keys and values."""
        return int(self.entries.get("num_key_value_heads") or self.heads)

    @property
    def _dtype(self) -> Any:
        return self.entries.get("dtype", self.entries.get("torch_dtype", "float32"))

    def positions(self, tensors: Tensors, prefix: str) -> Floats:
        """The table of positions [positions, width]; where they are rotary, zeros."""
        if self.kind == "gpt2":
            return tensors.get(f"{prefix}wpe.weight", (None, self.width))
        return np.zeros((min(4096, _whole(self.folder, self.entries, "max_position_embeddings", 2048)), self.width))

    def norm(self, tensors: Tensors, name: str) -> Norm:
        gain = tensors.get(f"{name}.weight", (self.width,))
        return Norm(gain, tensors.get(f"{name}.bias", (self.width,)) if self.kind == "gpt2" else np.zeros(self.width))

    def body(self, tensors: Tensors, prefix: str) -> Body:
        made: Callable[[Tensors, str], tuple[Attention, Mlp]] = self._gpt2 if self.kind == "gpt2" else self._llama
        layers = "h" if self.kind == "gpt2" else "layers"
        return tuple(part for n in range(self.layers) for part in made(tensors, f"{prefix}{layers}.{n}"))

    def _gpt2(self, tensors: Tensors, layer: str) -> tuple[Attention, Mlp]:
        width, neurons = self.width, self.neurons
        three = np.split(tensors.get(f"{layer}.attn.c_attn.weight", (width, 3 * width)), 3, 1)
        biases = np.split(tensors.get(f"{layer}.attn.c_attn.bias", (3 * width,)), 3)
        query, key, value = map(Matrix, three)
        attention = Attention(
            self.norm(tensors, f"{layer}.ln_1"), query, biases[0], key, biases[1], value, biases[2],
            Matrix(tensors.get(f"{layer}.attn.c_proj.weight", (width, width))),
            tensors.get(f"{layer}.attn.c_proj.bias", (width,)),
        )  # fmt: skip
        return attention, Mlp(
            self.norm(tensors, f"{layer}.ln_2"),
            Matrix(tensors.get(f"{layer}.mlp.c_fc.weight", (width, neurons))),
            tensors.get(f"{layer}.mlp.c_fc.bias", (neurons,)),
            Matrix(tensors.get(f"{layer}.mlp.c_proj.weight", (neurons, width))),
            tensors.get(f"{layer}.mlp.c_proj.bias", (width,)),
        )

    def _llama(self, tensors: Tensors, layer: str) -> tuple[Attention, Mlp]:
        width, neurons = self.width, self.neurons
        every, shared = self.heads * self.head, self.groups * self.head

        def linear(name: str, inputs: int, outputs: int) -> tuple[Matrix, Floats]:
            bias = f"{layer}.{name}.bias"
            offset = tensors.get(bias, (outputs,)) if bias in tensors else np.zeros(outputs)
            return Matrix(tensors.get(f"{layer}.{name}.weight", (outputs, inputs)).T), offset

        attention = Attention(
            self.norm(tensors, f"{layer}.input_layernorm"),
            *linear("self_attn.q_proj", width, every),
            *linear("self_attn.k_proj", width, shared),
            *linear("self_attn.v_proj", width, shared),
            *linear("self_attn.o_proj", every, width),
        )
        gate, gated = linear("mlp.gate_proj", width, neurons)
        if gated.any():
            raise InnerloopError(f"{self.folder}: mlp_bias: biases of gates are not computed here")
        return attention, Mlp(
            self.norm(tensors, f"{layer}.post_attention_layernorm"),
            *linear("mlp.up_proj", width, neurons),
            *linear("mlp.down_proj", neurons, width),
            gate=gate,
        )


def family_of(folder: Path, entries: Mapping[str, Any]) -> Family:
    """Raises InnerloopError for a model that is not computed here."""
    kind = {"gpt2": "gpt2", "llama": "llama", "qwen2": "llama", "mistral": "llama"}.get(str(entries.get("model_type")))
    if kind is None:
        raise InnerloopError(
            f'{folder}: config.json has model_type "{entries.get("model_type")}"; explain runs gpt2, llama, qwen2 and '
            f"mistral. Another model can be given as a Python function: FILE.py:FUNCTION"
        )
    for name, plain in PLAIN.items():
        if name in entries and entries[name] not in plain and not (name == "sliding_window" and not _slides(entries)):
            raise InnerloopError(f"{folder}: config.json has {name} = {entries[name]!r}, which is not computed here")
    gpt2 = kind == "gpt2"
    rope = entries.get("rope_parameters") or entries.get("rope_scaling") or {}
    if not gpt2 and rope.get("rope_type", rope.get("type", "default")) != "default":
        raise InnerloopError(f"{folder}: config.json has rotary positions of {rope}, which are not computed here")
    activation = entries.get("activation_function", "gelu_new") if gpt2 else entries.get("hidden_act", "silu")
    if activation not in (TANH if gpt2 else ("silu", "swish")):
        raise InnerloopError(f"{folder}: config.json has the activation {activation}, which is not computed here")
    names = ("n_embd", "n_layer", "n_head") if gpt2 else ("hidden_size", "num_hidden_layers", "num_attention_heads")
    width, layers, heads = (_whole(folder, entries, name) for name in names)
    neurons = entries.get("n_inner" if gpt2 else "intermediate_size") or 4 * width
    return Family(folder, "gpt2" if gpt2 else "llama", entries, width, layers, heads, int(neurons))


def _slides(entries: Mapping[str, Any]) -> bool:
    """A window that no prompt of 4,096 tokens fills does nothing."""
    window = entries.get("sliding_window")
    return window is not None and (not isinstance(window, int) or window < 4096)


def _whole(folder: Path, entries: Mapping[str, Any], name: str, default: int | None = None) -> int:
    value = entries.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InnerloopError(f"{folder}: config.json has {name} = {value!r}; wanted a whole number of at least 1")
    return value
