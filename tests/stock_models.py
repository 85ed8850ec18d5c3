"""Data as stock models take it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from innerloop.compiler import Weights
from innerloop.compiler.tokens import output_rows, read_data


def features(weights: Weights, **fields: Any) -> tuple[torch.Tensor, Any]:
    """[batch, tokens, features], written out as the folder's README says, and the tokens that give output."""
    data = read_data(weights.signature, fields)
    held = np.concatenate([data.fields[field.name] for field in weights.signature.fields], -1)
    held = np.pad(held, ((0, 0), (1, 0), (0, 0)))
    roles = np.broadcast_to(
        np.eye(len(weights.roles))[[0, *data.sequence.roles]], (*held.shape[:2], len(weights.roles))
    )
    rows = output_rows(data.sequence, weights.output.kinds) + 1
    return torch.tensor(np.concatenate([roles, held], -1), dtype=getattr(torch, weights.config.dtype)), rows
