"""What stands in a folder beside the weights and the program, and the tasks that go along."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from innerloop.artifact.arrays import Floats
from innerloop.artifact.tokens import TokenData, output_rows
from innerloop.artifact.weights import Weights

from .tensors import Tensor


@dataclass(frozen=True)
class Sample:
    """A few tasks, the oracle's outputs side by side, [tasks, rows, *shape], at the tokens that give them, and how far
    off each of them is at most as the library computes; `left`: the tasks that are beyond the certificate in this
    package's own arithmetic, since a value left its range."""

    data: TokenData
    truth: Floats
    errors: tuple[float, ...]
    left: tuple[int, ...] = ()

    @property
    def error(self) -> float:
        """The largest."""
        return max(self.errors)

    @property
    def note(self) -> str:
        """What a README adds where it says how far off the tasks are; nothing where all keep the certificate."""
        if not self.left:
            return ""
        return (
            f" Of these {self.data.batch} tasks {len(self.left)} (from 0: {', '.join(map(str, self.left))}) are beyond "
            "the certificate in innerloop's own forward pass, too: a value leaves the range it was compiled for, which "
            "innerloop refuses when it runs, and this folder cannot tell."
        )

    def tensors(self, weights: Weights) -> list[Tensor]:
        """Each field at the tokens that hold it, and the output."""
        line, fields = self.data.sequence, weights.signature.fields
        arrays = {f"field.{f.name}": self.data.fields[f.name][:, output_rows(line, f.kinds)] for f in fields}
        arrays["output"] = self.truth.reshape(*self.truth.shape[:2], -1)
        return [Tensor(name, array.shape, partial(np.asarray, array)) for name, array in arrays.items()]


@dataclass(frozen=True)
class Folder:
    """Files by name: texts; tensors of safetensors; and those that are written to a path that does not exist, which
    hold the weights. Where there is none of these, the weights stand in model.safetensors."""

    texts: Mapping[str, str]
    arrays: Mapping[str, Sequence[Tensor]] = field(default_factory=dict)
    files: Mapping[str, Callable[[Path], None]] = field(default_factory=dict)
