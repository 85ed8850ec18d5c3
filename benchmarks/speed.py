"""Throughput of our forward pass against Hugging Face transformers' GPT2Model and LlamaModel on PyTorch: same weights,
same batch.

    python -m benchmarks.speed [--runs 3] [--threads 1] [--program sherman_morrison …] [--target gpt2 llama]

Weights are exported and loaded as a user would; both sides go from the tasks' fields to the output, in float32, on
all cores, or with so many threads on so many of them. They take turns, so that other load meets both alike, and the
medians are compared. Not counted: loading, compiling, the run whose outputs are compared, and the next. Where other
processes take the cores, PyTorch's threads wait for each other at every operation; compare with `--threads 1`, where
there are none to wait for. Where JAX's device is a GPU both run on it, with products in float32, not TF32.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from innerloop.artifact.words import TargetName
from innerloop.compiler import Weights, compile_program
from innerloop.programs import load
from innerloop.runtime import Transformer
from innerloop.runtime.exports.export import export
from transformers import GPT2Model, LlamaModel

from tests.support.random_weights import Random, config, without_biases
from tests.support.stock_models import features

from .support.devices import beside, named, shared, torch_named
from .support.tables import show

D, EXAMPLES = 8, 40
STOCK = {"gpt2": GPT2Model, "llama": LlamaModel}


def sized_as_gpt2(target: TargetName) -> Weights:
    """12 layers of width 256, dense random weights."""
    size = replace(config(12, 256, heads=4, d_mlp=1024), n_positions=128)
    if target == "llama":
        size = replace(size, target="llama", activation="silu", norm="rmsnorm", positions="rotary")
    draw = Random(0, size, density=1.0)
    weights = draw.weights(tuple(item for _ in range(12) for item in (draw.attention(), draw.mlp())), d=D)
    # Of the program only the tokens matter, and they are those of gradient_descent.
    signature = replace(weights.signature, text=load("gradient_descent"), parameters={"d": D})
    weights = replace(weights, signature=signature)
    return without_biases(weights) if target == "llama" else weights


def shipped(name: str, **parameters: Any) -> Callable[[TargetName], Weights]:
    return lambda target: compile_program(load(name), target=target, d=D, **parameters)


CASES: dict[str, tuple[Callable[[TargetName], Weights], int, float]] = {
    "random": (sized_as_gpt2, 16, 1.5),
    "sherman_morrison": (shipped("sherman_morrison"), 8, 3.0),
    "stochastic_gradient_descent": (shipped("stochastic_gradient_descent"), 8, 3.0),
    "gradient_descent": (shipped("gradient_descent", steps=40, rate=0.01), 8, 3.0),
}
"""Weights for a target, tasks in the batch, and the ratio of throughputs to reach."""


def tasks(count: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((count, EXAMPLES + 1, D))
    return {"x": x, "y": (x[:, :-1] @ rng.standard_normal((count, D, 1)))[..., 0]}


def seconds(sides: list[Callable[[], np.ndarray]], runs: int) -> list[float]:
    """The median of each side's times; the sides take turns."""
    times: list[list[float]] = [[] for _ in sides]
    for run in range(runs + 1):
        for side, found in zip(sides, times, strict=True):
            started = time.perf_counter()
            side()
            if run >= 1:
                found.append(time.perf_counter() - started)
    return [statistics.median(found) for found in times]


def measure(name: str, target: TargetName, runs: int) -> list[str]:
    """One row of the table."""
    make, count, goal = CASES[name]
    weights, fields, device = make(target), tasks(count), beside()
    with tempfile.TemporaryDirectory() as folder:
        export(weights, Path(folder) / "out")
        stock = STOCK[target].from_pretrained(Path(folder) / "out").eval().to(device)
    ours = Transformer(weights, guard="off")
    embedding = torch.tensor(weights.embedding.csr.toarray(), dtype=torch.float32, device=device)
    readout = torch.tensor(weights.readout.csr.toarray(), dtype=torch.float32, device=device)
    bias = torch.tensor(weights.readout_bias, dtype=torch.float32, device=device)

    def theirs() -> np.ndarray:
        given, rows = features(weights, **fields)
        with torch.inference_mode():
            stream = stock(inputs_embeds=given.to(device) @ embedding).last_hidden_state[:, rows]
            return np.asarray((stream @ readout + bias).cpu())[..., 0]

    difference = float(np.abs(theirs() - ours(**fields)).max())
    mine, others = seconds([lambda: ours(**fields), theirs], runs)
    of = weights.config
    return [
        name,
        target,
        f"{of.n_layer} × {of.d_model}, {of.d_mlp} neurons",
        f"{count} × {2 * EXAMPLES + 2}",
        f"{1e3 * mine:,.0f}",
        f"{1e3 * others:,.0f}",
        f"{others / mine:.1f}",
        f"≥ {goal:g}{'' if others / mine >= goal else '  MISSED'}",
        f"{difference:.1e}",
    ]


HEADS = ("weights", "target", "layers × width", "tasks × tokens", "ours ms", "theirs ms", "ratio", "goal", "difference")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--program", nargs="+", default=list(CASES), choices=list(CASES))
    parser.add_argument("--target", nargs="+", default=list(STOCK), choices=list(STOCK))
    parser.add_argument("--threads", type=int, help="of each side (default: as many as there are cores)")
    options = parser.parse_args()
    shared()
    if options.threads is not None:  # XLA starts as many threads as it has cores, when it is first used
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.threads])
        torch.set_num_threads(options.threads)
    before = os.getloadavg()[0]
    rows = [measure(name, target, options.runs) for name in options.program for target in options.target]
    show(
        f"{named()}; {torch_named()}; load of the machine {before:.1f} before, {os.getloadavg()[0]:.1f} after",
        HEADS,
        ("weights", "target", "layers × width", "goal"),
        rows,
    )


if __name__ == "__main__":
    main()
