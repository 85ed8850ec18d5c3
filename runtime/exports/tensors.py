"""Tensors that are made when they are written, one at a time: unrolled weights are never in memory as a whole.

before   Tensor(name, shape, make), …
after    a safetensors file: eight bytes with the header's length, the header (JSON), the numbers, little-endian;
         or several, and an index of which holds what, as Hugging Face's `save_pretrained` writes them
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from innerloop.artifact.arrays import Dtype, Floats
from innerloop.artifact.parts import Sublayer
from innerloop.artifact.sparse import Matrix
from innerloop.artifact.weights import Weights
from numpy.typing import NDArray

__all__ = ["Floats", "Tensor", "constant", "dense", "layers", "vector", "write_shards", "write_tensors"]

_CODES = {"float32": "F32", "float64": "F64", "bfloat16": "BF16", "float16": "F16"}


@dataclass(frozen=True)
class Tensor:
    """`make()` gives the numbers, of this shape."""

    name: str
    shape: tuple[int, ...]
    make: Callable[[], Floats]

    @property
    def size(self) -> int:
        return prod(self.shape)


def write_tensors(path: Path, tensors: Sequence[Tensor], dtype: Dtype) -> None:
    """Writes a new file of `dtype`. Raises OSError."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for tensor in tensors:
        start, end = end, end + tensor.size * np.dtype(dtype).itemsize
        header[tensor.name] = {"dtype": _CODES[dtype], "shape": tensor.shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("xb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for tensor in tensors:
            array = _little(tensor.make(), dtype)
            assert array.shape == tensor.shape, (tensor.name, array.shape)
            file.write(array.tobytes())


def _little(array: Floats, dtype: Dtype) -> NDArray[Any]:
    """In that precision, the lowest byte first; ml_dtypes' bfloat16 has the machine's order alone."""
    kind = np.dtype(dtype)
    found = np.ascontiguousarray(array, kind)
    return found.view(f"u{kind.itemsize}").astype(f"<u{kind.itemsize}")


def write_shards(folder: Path, tensors: Sequence[Tensor], dtype: Dtype, most: float) -> None:
    """Writes model.safetensors where that has at most `most` bytes of numbers; else shards of as many, or of one tensor
    that has more, model-00001-of-00007.safetensors …, and model.safetensors.index.json. Raises OSError."""
    unit = np.dtype(dtype).itemsize
    shards: list[list[Tensor]] = [[]]
    room = most
    for tensor in tensors:
        if shards[-1] and tensor.size * unit > room:
            shards.append([])
            room = most
        shards[-1].append(tensor)
        room -= tensor.size * unit
    if len(shards) == 1:
        write_tensors(folder / "model.safetensors", tensors, dtype)
        return
    held: dict[str, str] = {}
    for number, shard in enumerate(shards, 1):
        name = f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        write_tensors(folder / name, shard, dtype)
        held |= {tensor.name: name for tensor in shard}
    count = sum(tensor.size for tensor in tensors)
    index = {"metadata": {"total_parameters": count, "total_size": count * unit}, "weight_map": held}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")


Part = Callable[[str, Sublayer, Weights], list[Tensor]]
"""(the layer's name, a sublayer, the weights) → the sublayer's tensors."""


def layers(weights: Weights, prefix: str, attention: Part, mlp: Part) -> list[Tensor]:
    """The tensors of every layer, loops unrolled; layer n is named "`prefix`.n"."""
    return [
        tensor
        for index, (_, item) in enumerate(weights.unrolled())
        for tensor in (mlp if index % 2 else attention)(f"{prefix}.{index // 2}", item, weights)
    ]


def dense(matrix: Matrix, shape: tuple[int, int] | None = None) -> Floats:
    """The matrix as an array, with zeros below and to the right up to `shape`."""
    result = np.zeros(shape or matrix.shape)
    result[: matrix.shape[0], : matrix.shape[1]] = matrix.csr.toarray()
    return result


def vector(array: Floats, size: int) -> Floats:
    """The array with zeros behind it up to `size`."""
    return np.pad(array, (0, size - array.size))


def constant(name: str, value: float, *shape: int) -> Tensor:
    """A tensor that holds one number."""
    return Tensor(name, shape, lambda: np.full(shape, value))
