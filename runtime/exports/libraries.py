"""Which module writes for which library and target.

before   "huggingface", weights of target llama
after    llama.py
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, get_args

from innerloop.artifact.errors import InnerloopError
from innerloop.artifact.weights import Weights
from innerloop.artifact.words import Library, TargetName

from . import gguf_folder, huggingface, llama, onnx_folder, tokens, transformerlens
from .circuits import circuit
from .folder import Folder, Sample
from .tensors import Tensor


class Writer(Protocol):
    """What a module for one library and target has."""

    def tensors(self, weights: Weights) -> list[Tensor]: ...


class Model(Writer, Protocol):
    """Of a library whose folder is a configuration, tensors, the interface and a README of one kind."""

    @property
    def RUN(self) -> str: ...
    @property
    def NOTE(self) -> str: ...

    def config(self, weights: Weights) -> dict[str, Any]: ...


class Form(Writer, Protocol):
    """Of one that says itself what stands in its folder."""

    def folder(self, weights: Weights, sample: Sample) -> Folder: ...


LIBRARIES: dict[Library, dict[str, Model]] = {
    "huggingface": {"gpt2": huggingface, "llama": llama},
    "transformerlens": {"gpt2": transformerlens},
}
"""By library, then by target."""
FORMS: dict[Library, dict[str, Form]] = {
    "tokens": {"gpt2": tokens, "llama": tokens},
    "onnx": dict.fromkeys(get_args(TargetName), onnx_folder),
    "gguf": {"llama": gguf_folder},
    "circuit": {"gpt2": circuit, "llama": circuit},
}
"""The same, of the others."""
TOKENS: tuple[Library, ...] = ("tokens", "gguf", "circuit")
"""Those where a program of symbols is a model of token ids."""
SHARDED: tuple[Library, ...] = ("huggingface", "tokens")
"""Those whose tensors may stand in several files."""


def module_of(weights: Weights, to: Library) -> Writer:
    """Raises InnerloopError for a library that there is not, or that does not hold the target."""
    every: dict[Library, Mapping[str, Writer]] = {**LIBRARIES, **FORMS}
    if to not in every:
        raise InnerloopError(f"there is no export to {to!r}; exports: {', '.join(every)}")
    target, held = weights.config.target, every[to]
    if target not in held:
        raise InnerloopError(
            f"{weights.signature.name} is compiled for target `{target}`, which {to} does not hold: "
            f"compile it with target {' or '.join(held)} to export it"
        )
    return held[target]
