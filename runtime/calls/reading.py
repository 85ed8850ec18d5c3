"""What is asked of weights and of data before anything runs, in JAX or without.

before   Weights, the settings of a model; the fields of a call
after    tokens within the model's length and ranges, or an error that says what does not fit
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

import numpy as np
from innerloop.artifact.arrays import Dtype
from innerloop.artifact.errors import InnerloopError
from innerloop.artifact.precisions import SHORT
from innerloop.artifact.tokens import TokenData, output_rows, read_data, verify_length
from innerloop.artifact.weights import Weights
from innerloop.artifact.words import ActivationName, AttentionKind, GuardMode, NormKind, PositionKind, Share
from numpy.typing import ArrayLike

from ..guard.guard import Guard

_KNOWN = {
    "attention": get_args(AttentionKind),
    "activation": get_args(ActivationName),
    "norm": get_args(NormKind),
    "positions": get_args(PositionKind),
}


def verify(weights: Weights, dtype: str | None, guard: str, share: str = "tasks") -> None:
    """Raises InnerloopError for an architecture that does not run here, and for settings that there are not."""
    config = weights.config
    for what, known in _KNOWN.items():
        if (have := getattr(config, what)) not in known:
            runs = " or ".join(map(repr, known))
            raise InnerloopError(f"the weights have {what} {have!r}; this runtime runs {runs}")
    if dtype not in (None, *get_args(Dtype)):
        raise InnerloopError(f"dtype is {dtype!r}; it must be {' or '.join(map(repr, get_args(Dtype)))}")
    if dtype in SHORT and dtype != config.dtype:
        raise InnerloopError(
            f"the weights were compiled for {config.dtype}, whose numbers {dtype} does not hold: compile the program "
            f"with dtype {dtype} to run it so"
        )
    if guard not in get_args(GuardMode):
        raise InnerloopError(f"guard is {guard!r}; it must be 'warn', 'raise' or 'off'")
    if share not in get_args(Share):
        raise InnerloopError(f"share is {share!r}; it must be 'tasks' or 'weights'")


def read(weights: Weights, guard: Guard, fields: Mapping[str, ArrayLike]) -> TokenData:
    """The data as tokens. Raises DataError, and what the guard raises of fields out of their ranges; it warns two
    frames above the caller."""
    data = read_data(weights.signature, fields)
    verify_length(data.sequence, weights.signature, weights.config.n_positions)
    held = {
        field.name: np.isin(np.arange(len(data.sequence)), output_rows(data.sequence, field.kinds))
        for field in weights.signature.fields
    }
    guard.inspect_inputs(data.fields, held)
    return data
