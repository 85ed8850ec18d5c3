"""Export: compiled weights as a folder that a stock library loads, written whole or not at all.

    huggingface      config.json and model.safetensors, which `GPT2Model.from_pretrained` loads, or
                     `LlamaModel.from_pretrained` where the target is llama; or shards of it, and their index
    transformerlens  config.json and model.safetensors of a `HookedTransformer`, and layout.json: which named
                     value is read where in its cache

    in both          interface.safetensors   embedding, readout, readout_bias: from features to the stream and back
                     tasks.safetensors       a few tasks and the float64 oracle's output, for a first try
                     program.icl, README.md  the program, and how to run it with the stock library

Stock models have no loops, and MLPs of one width: loops are unrolled, narrower MLPs padded with zeros, and
idle sublayers are written as zeros. `ExportSize` says beforehand what that takes.

Their LayerNorm and GELU round otherwise than the runtime's (artifact/reference/arithmetic.py), which a program that
multiplies errors shows: before anything is written the few tasks are run as a stock model rounds, and held against the
oracle.
"""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from innerloop.artifact.errors import InnerloopError
from innerloop.artifact.memory import bytes_of, spend
from innerloop.artifact.reference.arithmetic import OWN, STOCK, Arithmetic
from innerloop.artifact.reference.forward import forward
from innerloop.artifact.tokens import TokenData, output_rows, read_data
from innerloop.artifact.weights import Weights
from innerloop.artifact.words import Library
from innerloop.compiler.interpreter.default_tasks import draw
from innerloop.compiler.interpreter.oracle import evaluate
from innerloop.compiler.ir.build import graph_of

from ..whole import whole_folder
from . import huggingface as export_huggingface
from . import llama as export_llama
from . import transformerlens as export_transformerlens
from .readme import readme
from .tensors import Floats, Tensor, dense, write_shards, write_tensors


class _Library(Protocol):
    """What a module for one library and target has."""

    @property
    def RUN(self) -> str: ...
    @property
    def NOTE(self) -> str: ...

    def config(self, weights: Weights) -> dict[str, Any]: ...
    def tensors(self, weights: Weights) -> list[Tensor]: ...


_LIBRARIES: dict[Library, dict[str, _Library]] = {
    "huggingface": {"gpt2": export_huggingface, "llama": export_llama},
    "transformerlens": {"gpt2": export_transformerlens},
}
"""By library, then by target."""
SHARD = "50GB"
DENSE = 24
"""Bytes of memory for each number of a tensor that is being written."""
TASKS = 8
"""Tasks that go along, as long as the program takes but for this many groups at most."""
GROUPS = 40


@dataclass(frozen=True)
class ExportSize:
    """What the unrolled weights take: numbers, and bytes both in the file and in the memory of what loads it."""

    parameters: int
    bytes: int

    def __str__(self) -> str:
        return f"{self.parameters:,} parameters, {_mebibytes(self.bytes)}"


def size(weights: Weights, to: Library) -> ExportSize:
    """What `export` will write. Raises InnerloopError as it does for weights that `to` does not hold."""
    return _size(weights, _library(weights, to).tensors(weights))


def export(
    weights: Weights,
    folder: str | os.PathLike[str],
    to: Library = "huggingface",
    accept_error: bool = False,
    max_shard_size: int | str | None = None,
) -> None:
    """Writes a new folder, its parents included, for the library `to`, "huggingface" or "transformerlens".

    max_shard_size: as `save_pretrained` of transformers has it, "5GB" say; its default is `SHARD`. Only one tensor is
    dense in memory at a time.

    Raises InnerloopError for weights of an architecture that the library does not hold, for a folder that exists or
    cannot be written, for more than fits the disk, or one tensor the memory, and unless `accept_error` for weights that
    are beyond their certificate in the library's arithmetic.
    """
    library, most = _library(weights, to), _shard(to, max_shard_size)
    tensors = library.tensors(weights)
    target = Path(folder)
    if os.path.lexists(target):
        raise InnerloopError(f"{target} exists already: give a new folder, or remove it first")
    _fits(weights, tensors, target)
    data, truth = _tasks(weights)
    stock = _errors(weights, data, truth, STOCK)
    if not accept_error:
        _within(weights, len(data.sequence), _errors(weights, data, truth, OWN), stock)
    interface = [
        Tensor("embedding", weights.embedding.shape, lambda: dense(weights.embedding)),
        Tensor("readout", weights.readout.shape, lambda: dense(weights.readout)),
        Tensor("readout_bias", weights.readout_bias.shape, lambda: weights.readout_bias),
    ]
    texts = {
        "config.json": json.dumps(library.config(weights), indent=1) + "\n",
        "program.icl": weights.signature.text,
        "README.md": readme(
            weights, library.RUN, library.NOTE, (0, *data.sequence.roles), stock.max(0, initial=0.0).tolist()
        ),
    }
    arrays: dict[str, Sequence[Tensor]] = {
        "interface.safetensors": interface,
        "tasks.safetensors": _held(weights, data, truth),
    }
    if to == "transformerlens":
        places, matrices = export_transformerlens.layout(weights)
        texts["layout.json"] = json.dumps(places, indent=1) + "\n"
        arrays["layout.safetensors"] = matrices
    try:
        with whole_folder(target) as scratch:
            for name, text in texts.items():
                (scratch / name).write_text(text, encoding="utf-8")
            for name, some in arrays.items():
                write_tensors(scratch / name, some, weights.config.dtype)
            write_shards(scratch, tensors, weights.config.dtype, most)
    except OSError as error:
        raise InnerloopError(f"cannot write {target}: {error.strerror or error}") from None


def _library(weights: Weights, to: Library) -> _Library:
    if to not in _LIBRARIES:
        raise InnerloopError(f"there is no export to {to!r}; exports: {', '.join(_LIBRARIES)}")
    target, held = weights.config.target, _LIBRARIES[to]
    if target not in held:
        raise InnerloopError(
            f"{weights.signature.name} is compiled for target `{target}`, which {to} does not hold: "
            f"compile it with target {' or '.join(held)} to export it"
        )
    return held[target]


def _size(weights: Weights, tensors: Sequence[Tensor]) -> ExportSize:
    parameters = sum(tensor.size for tensor in tensors)
    return ExportSize(parameters, parameters * np.dtype(weights.config.dtype).itemsize)


def _shard(to: str, given: int | str | None) -> float:
    """Bytes of a shard at most."""
    if to != "huggingface":
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
            f"compile for fewer examples or steps, which are layers of a stock model"
        )
    largest = max(tensors, key=lambda tensor: tensor.size)
    spend(DENSE * largest.size, f"the numbers of {largest.name}, as they are written,", "compile for smaller sizes")


def _mebibytes(count: float) -> str:
    return f"{count / 2**20:,.1f} MiB"


def _tasks(weights: Weights) -> tuple[TokenData, Floats]:
    """A few tasks within the compiled ranges, and the oracle's outputs side by side, [tasks, rows, *shape]."""
    signature, pattern = weights.signature, weights.signature.pattern
    room = weights.config.n_positions - 1 - len(pattern.prefix) - len(pattern.suffix)
    drawn = draw(signature, max(1, min(GROUPS, room // len(pattern.group))), TASKS, seed=3)
    for each in weights.inputs:
        drawn[each.name] = np.clip(drawn[each.name], each.low, each.high)
    data = read_data(signature, drawn)
    return data, evaluate(graph_of(signature.text, signature.parameters, signature.source), data)


def _errors(weights: Weights, data: TokenData, truth: Floats, arithmetic: Arithmetic) -> Floats:
    """How far off each output is at most in each task, [tasks, outputs]."""
    rows = output_rows(data.sequence, weights.output.kinds)
    with np.errstate(all="ignore"):
        found = forward(weights, data, arithmetic=arithmetic, whole=True)[:, rows].reshape(truth.shape)
    error = np.nan_to_num(np.abs(found - truth), nan=np.inf)
    parts = weights.output.split(error)
    return np.stack([part.reshape(len(part), -1).max(1, initial=0.0) for part in parts], 1)


def _within(weights: Weights, tokens: int, own: Floats, stock: Floats) -> None:
    """Raises InnerloopError where tasks that are within the certificate in this package's arithmetic are not in the
    library's. The others left a range, as the guard would say; weights without a certificate promise nothing."""
    for number, error in enumerate(weights.report.each):
        most, alone, there = error.predicted_error, own[:, number], stock[:, number]
        beyond = there[(alone <= most) & ~(there <= most)]
        if not beyond.size or not np.isfinite(most):
            continue
        raise InnerloopError(
            f"{weights.signature.name} multiplies errors: as a stock model rounds it is off by {beyond.max():.3g} on "
            f"tasks of {tokens} tokens, where its certificate says {most:.3g} at most. Compile it with milder "
            "parameters, or with data like yours (`calibration=`), or accept the error (`accept_error=True`, "
            "`--accept-error`)"
        )


def _held(weights: Weights, data: TokenData, truth: Floats) -> list[Tensor]:
    """The tasks as tensors: each field at the tokens that hold it, and the output."""
    held = {f.name: data.fields[f.name][:, output_rows(data.sequence, f.kinds)] for f in weights.signature.fields}
    arrays: dict[str, Floats] = {f"field.{name}": array for name, array in held.items()}
    arrays["output"] = truth.reshape(*truth.shape[:2], -1)
    return [Tensor(name, a.shape, _constant(a)) for name, a in arrays.items()]


def _constant(array: Floats) -> Callable[[], Floats]:
    return lambda: array
