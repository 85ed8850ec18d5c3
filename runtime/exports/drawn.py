"""Tasks for an export, drawn as the compiler draws its own, no longer than the weights take.

before   weights, how often each group of their pattern should come
after    fields of tasks; of a group over which a scan goes fewer, where it goes no further
"""

from __future__ import annotations

import numpy as np
from innerloop.artifact.repetitions import at_most
from innerloop.artifact.weights import Weights
from innerloop.compiler.interpreter.default_tasks import draw

from .tensors import Floats


def repetitions(weights: Weights, groups: int) -> tuple[int, ...]:
    """How often each group comes, at most `groups` times: what scans and positions allow."""
    signature = weights.signature
    allowed = at_most(signature.pattern, signature.scans, groups, weights.config.n_positions - 1)
    return tuple(min(groups, times) for times in allowed)


def drawn(weights: Weights, groups: int, tasks: int, seed: int) -> dict[str, Floats]:
    """Fields [tasks, rows, *shape] within the compiled ranges."""
    fields = draw(weights.signature, repetitions(weights, groups), tasks, seed)
    for each in weights.inputs:
        fields[each.name] = np.clip(fields[each.name], each.low, each.high)
    return fields
