"""Which module writes for which library and target.

before   "huggingface", weights of target llama
after    llama.py
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, get_args

from innerloop.artifact.errors import InnerloopError
from innerloop.artifact.precisions import SHORT
from innerloop.artifact.weights import Weights
from innerloop.artifact.words import Library, TargetName

from .circuits import circuit
from .engines import gguf_folder, onnx_folder
from .folder import Folder, Sample
from .stock import gemma, gpt2, llama, neox, qwen2, transformerlens
from .symbols import tokens
from .tensors import Tensor


class Writer(Protocol):
    """What a module for one library and target has."""

    def tensors(self, weights: Weights) -> list[Tensor]: ...
    def folder(self, weights: Weights, sample: Sample) -> Folder: ...


LIBRARIES: dict[Library, Mapping[str, Writer]] = {
    "huggingface": {"gpt2": gpt2, "llama": llama, "gemma": gemma, "neox": neox, "qwen2": qwen2},
    "transformerlens": {"gpt2": transformerlens},
    "tokens": {"gpt2": tokens, "llama": tokens},
    "onnx": {target: onnx_folder for target in get_args(TargetName) if target not in ("neox", "deltanet")},
    "gguf": {"llama": gguf_folder},
    "circuit": {"gpt2": circuit, "llama": circuit},
}
"""By library, then by target."""
TOKENS: tuple[Library, ...] = ("tokens", "gguf", "circuit")
"""Those where a program of symbols is a model of token ids."""
SHARDED: tuple[Library, ...] = ("huggingface", "tokens")
"""Those whose tensors may stand in several files."""
SIXTEEN: tuple[Library, ...] = ("huggingface",)
"""Those that were held against weights of 16 bits."""
ONE_OUTPUT: tuple[Library, ...] = ("tokens", "gguf", "circuit")
"""Those whose models have one output."""


def module_of(weights: Weights, to: Library) -> Writer:
    """Raises InnerloopError for a library that there is not, or that does not hold the target."""
    if to not in LIBRARIES:
        raise InnerloopError(f"there is no export to {to!r}; exports: {', '.join(LIBRARIES)}")
    target, held = weights.config.target, LIBRARIES[to]
    if target == "deltanet":
        raise InnerloopError(
            f"{weights.signature.name} is compiled for target `deltanet`, which no {to} model holds: published layers "
            f"of the delta rule take σ of rates and norms of keys and outputs; compile it with target "
            f"{' or '.join(held)} to export it"
        )
    if target not in held:
        raise InnerloopError(
            f"{weights.signature.name} is compiled for target `{target}`, which {to} does not hold: "
            f"compile it with target {' or '.join(held)} to export it"
        )
    if weights.config.dtype in SHORT and to not in SIXTEEN:
        raise InnerloopError(
            f"{weights.signature.name} is compiled for {weights.config.dtype}, in which {to} was never held against "
            "it: export it to huggingface, or compile it for float32"
        )
    if weights.output.answers and to in ONE_OUTPUT:
        raise InnerloopError(f"{weights.signature.name} has several outputs, and a model of {to} has one")
    return held[target]
