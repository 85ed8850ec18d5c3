"""Edge attribution patching and its integrated gradients in TransformerLens, by autograd in float64.

before   a patched model (tests/support/patched_lens.py), edges by name
after    for each |score|: what the parent writes more on the corrupted prompt, times the metric's gradient by what the
         child reads, summed; the gradient at the clean prompt (Syed et al. 2023, arXiv 2310.10348), or the mean of
         those at inputs between clean and corrupted (Hanna et al. 2024, arXiv 2403.17806)

The metric is the mean square distance of the outputs from those of the corrupted prompts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from innerloop.artifact.arrays import Floats

from tests.support.patched_lens import PatchedLens


def scores(lens: PatchedLens, names: Sequence[str], shares: Sequence[float]) -> Floats:
    """`shares`: how far from clean to corrupted the inputs are at which gradients are taken."""
    gradients: dict[str, torch.Tensor] = {}
    for share in shares:
        for hook, gradient in _gradients(lens, share).items():
            gradients[hook] = gradients.get(hook, 0.0) + gradient / len(shares)
    apart = {parent: lens.apart(parent) for parent in {name.split("->")[0] for name in names}}
    return np.array([abs(_score(apart, gradients, lens.model.cfg.n_layers, name)) for name in names])


def _score(apart: dict[str, torch.Tensor], gradients: dict[str, torch.Tensor], layers: int, name: str) -> float:
    parent, child = name.split("->")
    hook, head = PatchedLens.reads(child, layers)
    gradient = gradients[hook] if head is None else gradients[hook][:, :, head]
    return float((apart[parent] * gradient).sum())


def _gradients(lens: PatchedLens, share: float) -> dict[str, torch.Tensor]:
    """By hook, the metric's gradient by what is read there."""
    held: dict[str, torch.Tensor] = {}

    def keep(value: torch.Tensor, hook: Any) -> torch.Tensor:
        value.retain_grad()
        held[hook.name] = value
        return value

    last = f"blocks.{lens.model.cfg.n_layers - 1}.hook_resid_post"
    read = re.compile(rf".*(hook_[qkv]_input|hook_mlp_in)|{re.escape(last)}")
    given = lens.stream("clean") + share * (lens.stream("corrupted") - lens.stream("clean"))
    with torch.enable_grad(), lens.model.hooks([(lambda name: bool(read.fullmatch(name)), keep)]):
        output = lens.model(given.requires_grad_(), start_at_layer=0)[:, lens.rows]
        (output - lens.goal).square().mean().backward()
    lens.model.zero_grad()
    return {hook: value.grad for hook, value in held.items() if value.grad is not None}
