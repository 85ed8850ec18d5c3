"""Export: compiled weights as a folder that a stock library loads, written whole or not at all.

    huggingface      config.json and model.safetensors, which `GPT2Model.from_pretrained` loads, or the model that
                     is the target's: LlamaModel, GemmaModel, GPTNeoXModel, Qwen2Model; or shards, and their index
    transformerlens  config.json and model.safetensors of a `HookedTransformer`
    tokens           config.json, model.safetensors and tokenizer.json, which `AutoModelForCausalLM.from_pretrained` and
                     `AutoTokenizer` load: a program of symbols as a model of token ids (tokens.py)
    onnx             model.onnx, of standard operators, for onnxruntime and others (onnx_graph.py)
    gguf             model.gguf in float32, for llama.cpp and what else reads it, of target llama (gguf_folder.py)
    circuit          circuit.json, the edges between heads and MLPs that carry the program, and prompts (circuits/)

    in all           program.icl, README.md  the program, and how to run it with the stock library
                     tasks.safetensors       a few tasks and the float64 oracle's output, for a first try (tasks.json
                                             of tokens)
    the first two    interface.safetensors   embedding, readout, readout_bias: from features to the stream and back,
                                             in float32 where the weights have 16 bits
                     layout.json, layout.safetensors   where the stream holds the program's variables, and how to change
                                             them (layout.py)

Stock models have no loops, and MLPs of one width: loops are unrolled, narrower MLPs padded with zeros, and
idle sublayers are written as zeros. `ExportSize` says beforehand what that takes.

Their LayerNorm and GELU round otherwise than the runtime's (artifact/reference/arithmetic.py), which a program that
multiplies errors shows: before anything is written the few tasks are run as a stock model rounds, and held against the
oracle.
"""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from innerloop.artifact.errors import InnerloopError
from innerloop.artifact.memory import bytes_of, spend
from innerloop.artifact.precisions import carrier
from innerloop.artifact.reference.arithmetic import OWN, STOCK
from innerloop.artifact.weights import Weights
from innerloop.artifact.words import Library

from ..whole import whole_folder
from .check import checked
from .libraries import SHARDED, TOKENS, module_of
from .symbols.logits import log_probabilities
from .tensors import Tensor, write_shards, write_tensors

SHARD = "50GB"
DENSE = 24
"""Bytes of memory for each number of a tensor that is being written."""


@dataclass(frozen=True)
class ExportSize:
    """What the unrolled weights take: numbers, and bytes both in the file and in the memory of what loads it."""

    parameters: int
    bytes: int

    def __str__(self) -> str:
        return f"{self.parameters:,} parameters, {_mebibytes(self.bytes)}"


def size(weights: Weights, to: Library) -> ExportSize:
    """What `export` will write. Raises InnerloopError as it does for weights that `to` does not hold."""
    return _size(weights, module_of(weights, to).tensors(weights))


def export(
    weights: Weights,
    folder: str | os.PathLike[str],
    to: Library = "huggingface",
    accept_error: bool = False,
    max_shard_size: int | str | None = None,
) -> None:
    """Writes a new folder, its parents included, for the library `to` (artifact/words.py).

    max_shard_size: as `save_pretrained` of transformers has it, "5GB" say; its default is `SHARD`. Only one tensor is
    dense in memory at a time.

    Raises InnerloopError for weights of an architecture that the library does not hold, for a folder that exists or
    cannot be written, for more than fits the disk, or one tensor the memory, and unless `accept_error` for weights that
    are beyond their certificate in the library's arithmetic.
    """
    weights = prepared(weights, to)
    writer, most = module_of(weights, to), _shard(to, max_shard_size)
    tensors = writer.tensors(weights)
    target = Path(folder)
    if os.path.lexists(target):
        raise InnerloopError(f"{target} exists already: give a new folder, or remove it first")
    _fits(weights, tensors, target)
    sample = checked(weights, OWN if to == "onnx" else STOCK, accept_error)
    made = writer.folder(weights, sample)
    with _new(target) as scratch:
        for name, text in {**made.texts, "program.icl": weights.signature.text}.items():
            (scratch / name).write_text(text, encoding="utf-8")
        for name, some in made.arrays.items():
            write_tensors(scratch / name, some, carrier(weights.config.dtype).name)  # type: ignore[arg-type]
        for name, write in made.files.items():
            write(scratch / name)
        if not made.files:
            write_shards(scratch, tensors, weights.config.dtype, most)


def prepared(weights: Weights, to: Library) -> Weights:
    """The weights that `export` writes: where token models have logits, a program that gives probabilities is compiled
    again for their logarithms (logits.py). Raises InnerloopError as `export` does for what `to` does not hold."""
    module_of(weights, to)
    if to not in TOKENS or not all(field.onehot for field in weights.signature.fields):
        return weights
    return log_probabilities(weights)


@contextmanager
def _new(target: Path) -> Iterator[Path]:
    """A folder to fill, which is moved to `target` when it is whole."""
    try:
        with whole_folder(target) as scratch:
            yield scratch
    except OSError as error:
        raise InnerloopError(f"cannot write {target}: {error.strerror or error}") from None


def _size(weights: Weights, tensors: Sequence[Tensor]) -> ExportSize:
    parameters = sum(tensor.size for tensor in tensors)
    return ExportSize(parameters, parameters * np.dtype(weights.config.dtype).itemsize)


def _shard(to: str, given: int | str | None) -> float:
    """Bytes of a shard at most."""
    if to not in SHARDED:
        if given is not None:
            raise InnerloopError(f"max_shard_size is {given!r}; {to} reads one file")
        return math.inf
    most = bytes_of("max_shard_size", SHARD if given is None else str(given))
    if not most:
        raise InnerloopError(f"max_shard_size is {given!r}; a shard holds at least something")
    return most


def _fits(weights: Weights, tensors: Sequence[Tensor], target: Path) -> None:
    """Raises InnerloopError where the files would fill the disk, or the largest tensor the memory."""
    where = next(above for above in target.absolute().parents if above.exists())
    need, left = _size(weights, tensors), shutil.disk_usage(where).free
    if need.bytes > left:
        raise InnerloopError(
            f"cannot write {target}: unrolled, the weights are {need}, and {_mebibytes(left)} of disk are free; "
            "make room, write to another disk, or compile for fewer examples or steps: layers of a stock model"
        )
    largest = max(tensors, key=lambda tensor: tensor.size)
    spend(DENSE * largest.size, f"the numbers of {largest.name}, as they are written,", "compile for smaller sizes")


def _mebibytes(count: float) -> str:
    return f"{count / 2**20:,.1f} MiB"
