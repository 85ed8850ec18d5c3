"""Training steps a second against PyTorch: `transformers`' GPT2Model as Garg et al. 2022 train it, same sizes,
same batch.

    python -m benchmarks.training [--size tiny garg …] [--batch 16] [--pairs 4] [--threads 1] [--gelu stock|fused]
                                  [--products float32 bfloat16]

One step of either side is a fresh batch of linear tasks, the forward pass, the mean squared error of the predictions at
every x token, the backward pass, the gradient clipped to norm 1, and Adam, in float32 and without dropout. Ours is what
`train` runs: a jitted call of some steps. Theirs is Garg et al.'s read-in, GPT2Model as `transformers` has it (sdpa
attention, `gelu_new`; with `--gelu fused` PyTorch's GELU in one kernel, the same function), their readout, and
torch.optim.Adam as it comes, in eager mode as their code runs.

The two take turns, a few steps each, so that other load meets both alike; compiling and a first turn are not counted.
Steps a second are of the median of each side's turns by the clock, with the lowest ratio of a pair of turns; CPU
seconds are user and system time of all threads, which say who computes less where other processes take the cores.
PyTorch's threads then wait for each other at every operation, and the clock tells nothing: compare with `--threads 1`,
where there are none to wait for. Where JAX's device is a GPU both run on it, PyTorch as it comes: eagerly, and with
products in float32, not TF32; with `--products bfloat16` ours are `train`'s of that name, and theirs under autocast.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import get_args

import numpy as np
import torch
from innerloop.artifact.words import Products
from innerloop.compiler import compile_program
from innerloop.laboratory.training.model import Model
from innerloop.laboratory.training.steps import Rule, Run, Stepper
from innerloop.laboratory.training.tasks import task
from innerloop.programs import load
from transformers import GPT2Config, GPT2Model

from .support.devices import beside, both_named, on_threads, shared
from .support.tables import early, show

RATE = 1e-4


@dataclass(frozen=True)
class Size:
    layers: int
    width: int
    heads: int
    d: int
    points: int
    batch: int
    steps: int
    """In a turn."""
    goal: float
    """Times PyTorch's steps a second, in float32."""


SIZES = {
    "tiny": Size(3, 64, 2, 5, 11, 64, 20, 1.7),
    "small": Size(6, 128, 4, 20, 41, 64, 4, 1.4),
    "garg": Size(12, 256, 8, 20, 41, 64, 3, 1.25),
}
"""Garg et al.'s three models (their `tiny`, `small` and `standard`); 41 points are 82 tokens."""


GELU = {"stock": "gelu_new", "fused": "gelu_pytorch_tanh"}


def ours(size: Size, products: Products) -> Callable[[], None]:
    weights = compile_program(load("gradient_descent"), target="gpt2", d=size.d)
    model = Model.fresh(
        weights, 0, n_layer=size.layers, d_model=size.width, n_head=size.heads, n_positions=2 * size.points
    )
    stream = task("linear", d=size.d, n=size.points - 1)
    stepper = Stepper(model, stream, size.batch, frozenset(), Rule(None, RATE, 0, 1.0, products=products))
    run = Run(stepper, seed=0)

    def turn() -> None:
        end = run.step + size.steps
        while run.step < end:
            if not np.isfinite(run.advance(min(end, run.step + stepper.together), None, size.d)).all():
                raise SystemExit("the loss is not finite")

    return turn


class Garg(torch.nn.Module):  # type: ignore[misc]
    """`TransformerModel` of Garg et al.'s code: labels are vectors whose first component is the label."""

    def __init__(self, size: Size, gelu: str) -> None:
        super().__init__()
        self.size = size
        self.read_in = torch.nn.Linear(size.d, size.width)
        self.backbone = GPT2Model(
            GPT2Config(
                n_positions=2 * size.points, n_embd=size.width, n_layer=size.layers, n_head=size.heads, resid_pdrop=0.0,
                embd_pdrop=0.0, attn_pdrop=0.0, use_cache=False, activation_function=GELU[gelu],
                attn_implementation="sdpa",
            )
        )  # fmt: skip
        self.read_out = torch.nn.Linear(size.width, 1)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        batch, points, d = x.shape
        labels = torch.cat([y[..., None], torch.zeros(batch, points, d - 1, device=y.device)], -1)
        tokens = torch.stack([x, labels], 2).reshape(batch, 2 * points, d)
        stream = self.backbone(inputs_embeds=self.read_in(tokens)).last_hidden_state
        found: torch.Tensor = self.read_out(stream)[:, ::2, 0]
        return found


def theirs(size: Size, gelu: str, products: Products) -> Callable[[], None]:
    device = beside()
    model = Garg(size, gelu).to(device)
    optimiser = torch.optim.Adam(model.parameters(), lr=RATE)

    def turn() -> None:
        for _ in range(size.steps):
            x = torch.randn(size.batch, size.points, size.d, device=device)
            y = (x @ torch.randn(size.batch, size.d, 1, device=device))[..., 0]
            optimiser.zero_grad()
            with torch.autocast(device.type, torch.bfloat16, enabled=products == "bfloat16"):
                loss = (model(x, y) - y).square().mean()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            loss.item()

    return turn


def seconds(turn: Callable[[], None]) -> tuple[float, float]:
    """Wall time, and the process's CPU time."""
    wall, cpu = time.perf_counter(), time.process_time()
    turn()
    return time.perf_counter() - wall, time.process_time() - cpu


def measure(name: str, size: Size, pairs: int, gelu: str, products: Products) -> list[str]:
    """One row of the table."""
    sides = ours(size, products), theirs(size, gelu, products)
    for side in sides:
        side()
    times = np.array([[seconds(side) for side in sides] for _ in range(pairs)]) / size.steps  # [pairs, sides, clocks]
    (mine, my_cpu), (others, other_cpu) = np.median(times, 0)
    ratio = others / mine
    return [
        name,
        products,
        f"{size.layers} × {size.width}",
        f"{size.batch} × {2 * size.points}",
        f"{1 / mine:.2f}",
        f"{1 / others:.2f}",
        f"{ratio:.2f} ({(times[:, 1, 0] / times[:, 0, 0]).min():.2f})",
        f"{my_cpu:.3f}",
        f"{other_cpu:.3f}",
        f"{other_cpu / my_cpu:.2f}",
        f"≥ {size.goal:g}{'' if ratio >= size.goal else '  MISSED'}",
    ]


HEADS = (
    "size",
    "products",
    "layers × width",
    "tasks × tokens",
    "ours steps/s",
    "theirs steps/s",
    "ratio (least)",
    "ours CPU s/step",
    "theirs CPU s/step",
    "ratio of CPU",
    "goal",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", nargs="+", default=list(SIZES), choices=list(SIZES))
    parser.add_argument("--batch", type=int, help="tasks in the batch (default: 64)")
    parser.add_argument("--pairs", type=int, default=4)
    parser.add_argument("--threads", type=int, help="of each side (default: as many as there are cores)")
    parser.add_argument("--gelu", choices=list(GELU), default="stock", help="of PyTorch's side")
    parser.add_argument("--products", nargs="+", choices=get_args(Products), default=["float32"], help="not on a CPU")
    options = parser.parse_args()
    shared()
    on_threads(options.threads)
    before = os.getloadavg()[0]
    rows = []
    for name in options.size:
        size = replace(SIZES[name], batch=options.batch or SIZES[name].batch)
        rows += [early(measure(name, size, options.pairs, options.gelu, each)) for each in options.products]
    show(
        both_named(before),
        HEADS,
        ("size", "products", "layers × width", "goal"),
        rows,
    )


if __name__ == "__main__":
    main()
