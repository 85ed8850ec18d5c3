"""Stock models from exported folders, and data as they take it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import torch
from innerloop.artifact.arrays import Floats
from innerloop.artifact.precisions import carrier
from innerloop.artifact.tokens import output_rows, read_data
from innerloop.compiler import Weights
from innerloop.programs import load
from innerloop.runtime.differentiable.function import Differentiable
from innerloop.runtime.exports.export import export
from innerloop.runtime.surroundings import settled
from safetensors.torch import load_file


def features(weights: Weights, **fields: Any) -> tuple[torch.Tensor, Any]:
    """[batch, tokens, features], written out as the folder's README says, and the tokens that give output."""
    data = read_data(weights.signature, fields)
    held = np.concatenate([data.fields[field.name] for field in weights.signature.fields], -1)
    held = np.pad(held, ((0, 0), (1, 0), (0, 0)))
    roles = np.broadcast_to(
        np.eye(len(weights.roles))[[0, *data.sequence.roles]], (*held.shape[:2], len(weights.roles))
    )
    rows = output_rows(data.sequence, weights.output.kinds) + 1
    return torch.tensor(
        np.concatenate([roles, held], -1), dtype=getattr(torch, carrier(weights.config.dtype).name)
    ), rows


def outputs(kind: type[Any], folder: Path, weights: Weights, **fields: Any) -> Floats:
    """The output of unmodified transformers, its model class `kind`, on the exported folder: [batch, rows, *shape]."""
    torch.set_num_threads(1)  # more threads than cores wait for each other: pytest runs a process a core
    model, told = kind.from_pretrained(folder, output_loading_info=True, attn_implementation="eager")
    assert not any(told.values()), told
    assert type(model) is kind
    interface = load_file(folder / "interface.safetensors")
    given, rows = features(weights, **fields)
    with torch.no_grad():
        assert model.dtype == getattr(torch, weights.config.dtype)
        stream = model.eval()(inputs_embeds=(given @ interface["embedding"]).to(model.dtype)).last_hidden_state
    output = stream.to(given.dtype) @ interface["readout"] + interface["readout_bias"]
    return np.asarray(output[:, rows], np.float64).reshape(len(output), len(rows), *weights.output.shape)


def gradient(
    kind: type[Any], folder: Path, weights: Weights, cut: bool = True, last: bool = False, **fields: Any
) -> torch.Tensor:
    """Of the sum of all outputs, or the `last` one's, by the features that go into the stock model [tasks, tokens,
    features], as the folder's README takes it, or as it comes."""
    model = kind.from_pretrained(folder, attn_implementation="eager").eval()
    interface = load_file(folder / "interface.safetensors")
    held, rows = features(weights, **fields)
    keep = torch.ones(held.shape[1], interface["embedding"].shape[1], dtype=interface["embedding"].dtype)
    keep[:, json.loads((folder / "layout.json").read_text())["constant"]] = 0.0
    keep[0] = 0.0

    def hook(_block: Any, _given: Any, out: torch.Tensor) -> None:
        out.register_hook(lambda back: back * keep)

    if cut:
        norms: list[Any] = [part for part in model.modules() if "Norm" in type(part).__name__]
        for norm in norms:
            if norm.weight[0] == norms[-1].weight[0]:
                norm.register_full_backward_hook(lambda _norm, _given, made: (made[0] * keep,))
        for block in model.h if hasattr(model, "h") else model.layers:
            block.register_forward_hook(hook)
    held.requires_grad_()
    output = model(inputs_embeds=held @ interface["embedding"]).last_hidden_state @ interface["readout"]
    (found,) = torch.autograd.grad(output[:, rows[-1:] if last else rows].sum(), held)
    return found


def by_field(weights: Weights, features: torch.Tensor, **fields: Any) -> dict[str, Floats]:
    """Each field's part of them, a row for each token that holds it [tasks, rows, size]."""
    data, at, found = read_data(weights.signature, fields), len(weights.roles), {}
    for spec in weights.signature.fields:
        size = data.fields[spec.name].shape[-1]
        rows = 1 + np.asarray(output_rows(data.sequence, spec.kinds))
        found[spec.name] = np.asarray(features[:, rows, at : at + size], np.float64)
        at += size
    return found


def interpreter_gradient(weights: Weights, **fields: Any) -> dict[str, Floats]:
    """Of the last output by each field [tasks, rows, size], of the interpreter in JAX and float64."""
    signature = weights.signature
    parameters: dict[str, Any] = dict(signature.parameters)
    function = Differentiable(signature.text, **parameters)
    data = read_data(signature, fields)
    many = function.many(data.sequence)
    with settled("float64"):

        def last(rows: dict[str, Any]) -> Any:
            output = many(dict(function.start), rows)
            return output.reshape(*output.shape[:2], -1)[:, -1].sum()

        return {name: np.asarray(part) for name, part in jax.jit(jax.grad(last))(function.rows(data)).items()}


def readme_difference(folder: Path) -> float:
    """What the example of the folder's README, run by itself there, says is its largest difference from the oracle;
    of several outputs the largest of all."""
    example, *_ = re.findall("```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}
    run = subprocess.run(
        [sys.executable, "-c", example], cwd=folder, env=one_thread, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    lines = run.stdout.splitlines()
    said = [re.fullmatch(r"(?:\w+: )?largest difference from the oracle: (\S+)", line) for line in lines]
    return max(float(one[1]) for one in said if one is not None)


def export_random(weights: Weights, folder: Path, **settings: Any) -> None:
    """Random weights have no program whose oracle could give sample tasks: that of a program with the same tokens."""
    text = load("gradient_descent")
    export(replace(weights, signature=replace(weights.signature, text=text, parameters={"d": 3})), folder, **settings)
