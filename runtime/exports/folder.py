"""What a form of export writes beside the program: texts, and files that are written by a function each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from innerloop.artifact.arrays import Floats
from innerloop.artifact.reference.arithmetic import OWN, normalise
from innerloop.artifact.reference.forward import forward
from innerloop.artifact.tokens import TokenData
from innerloop.artifact.weights import Weights


@dataclass(frozen=True)
class Sample:
    """A few tasks, the oracle's output [tasks, rows, *shape] at the tokens that give one, and how far off the
    library's arithmetic is on them."""

    data: TokenData
    truth: Floats
    error: float


@dataclass(frozen=True)
class Folder:
    """Files by name: those that are text, and those that are written to a path that does not exist; where there is none
    of these, the tensors stand in model.safetensors. `tasks`: whether the tasks stand in tasks.safetensors."""

    texts: Mapping[str, str]
    files: Mapping[str, Callable[[Path], None]] = field(default_factory=dict)
    tasks: bool = False


def constant_slot(weights: Weights, data: TokenData) -> tuple[int, float]:
    """A slot of the final stream that holds the same number at every token of the data, and that number: the norm's
    own, of which there is one. What has no biases gets one by a row on that slot."""
    seen: list[Floats] = []
    forward(weights, data, observe=lambda stream: seen.append(stream))
    last = seen[-1].reshape(seen[-1].shape[0], -1)
    final = normalise(last, weights.final_norm, weights.config, OWN).astype(np.float64)
    least, most = final.min(1), final.max(1)
    level = np.where(least == most, np.abs(most), 0.0)
    slot = int(level.argmax())
    assert level[slot] > 0.0, "no slot of the final stream is constant"
    return slot, float(most[slot])
