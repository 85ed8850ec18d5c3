"""Throughput of our forward pass against Hugging Face transformers' GPT2Model on PyTorch: same weights, same batch.

    python benchmarks/speed.py [--runs 7] [--program sherman_morrison …]

Weights are exported and loaded as a user would; both sides go from the tokens' features to the output, in float32, on
all cores. They take turns, and the medians are compared. Not counted: loading, compiling, and the first two runs.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import torch
from innerloop.compiler import Weights, compile_program
from innerloop.programs import load
from innerloop.runtime import Transformer
from innerloop.runtime.export import export
from rich.console import Console
from rich.table import Table
from transformers import GPT2Model

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from tests.random_weights import Random, config
from tests.stock_models import features

D = 8


def gpt2_sized() -> Weights:
    """12 layers of width 256, dense random weights."""
    size = replace(config(12, 256, heads=4, d_mlp=1024), n_positions=128)
    draw = Random(0, size, density=1.0)
    weights = draw.weights(tuple(item for _ in range(12) for item in (draw.attention(), draw.mlp())), d=D)
    # Of the program only the tokens matter, and they are those of gradient_descent.
    signature = replace(weights.signature, text=load("gradient_descent"), parameters={"d": D})
    return replace(weights, signature=signature)


CASES: dict[str, tuple[Callable[[], Weights], int, float]] = {
    "random": (gpt2_sized, 16, 1.5),
    "sherman_morrison": (lambda: compile_program(load("sherman_morrison"), d=D), 32, 3.0),
    "stochastic_gradient_descent": (lambda: compile_program(load("stochastic_gradient_descent"), d=D), 32, 3.0),
    "gradient_descent": (lambda: compile_program(load("gradient_descent"), d=D, steps=40, rate=0.01), 32, 3.0),
}
"""Weights, tasks in the batch, and the ratio of throughputs to reach."""


def tasks(count: int, examples: int = 40) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((count, examples + 1, D))
    return {"x": x, "y": (x[:, :-1] @ rng.standard_normal((count, D, 1)))[..., 0]}


def seconds(sides: list[Callable[[], np.ndarray]], runs: int) -> list[float]:
    """The median of each side's times; the sides take turns."""
    times: list[list[float]] = [[] for _ in sides]
    for run in range(runs + 2):
        for side, found in zip(sides, times, strict=True):
            started = time.perf_counter()
            side()
            if run >= 2:
                found.append(time.perf_counter() - started)
    return [statistics.median(found) for found in times]


def measure(name: str, runs: int) -> list[str]:
    """One row of the table."""
    make, count, goal = CASES[name]
    weights, fields = make(), tasks(count)
    with tempfile.TemporaryDirectory() as folder:
        export(weights, Path(folder) / "out")
        stock = GPT2Model.from_pretrained(Path(folder) / "out").eval()
    ours = Transformer(weights, guard="off")
    embedding = torch.tensor(weights.embedding.csr.toarray(), dtype=torch.float32)
    readout = torch.tensor(weights.readout.csr.toarray(), dtype=torch.float32)
    bias = torch.tensor(weights.readout_bias, dtype=torch.float32)

    def theirs() -> np.ndarray:
        given, rows = features(weights, **fields)
        with torch.inference_mode():
            stream = stock(inputs_embeds=given @ embedding).last_hidden_state[:, rows]
            return np.asarray(stream @ readout + bias)[..., 0]

    difference = float(np.abs(theirs() - ours(**fields)).max())
    mine, others = seconds([lambda: ours(**fields), theirs], runs)
    of = weights.config
    return [
        name,
        f"{of.n_layer} × {of.d_model}, {of.d_mlp} neurons",
        f"{count} × {2 * 40 + 2}",
        f"{1e3 * mine:,.0f}",
        f"{1e3 * others:,.0f}",
        f"{others / mine:.1f}",
        f"≥ {goal:g}{'' if others / mine >= goal else '  MISSED'}",
        f"{difference:.1e}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--program", nargs="+", default=list(CASES), choices=list(CASES))
    options = parser.parse_args()
    device = jax.devices()[0].platform
    table = Table(
        title=f"JAX {jax.__version__} on {device}, PyTorch {torch.__version__}, {torch.get_num_threads()} threads"
    )
    for head in ("weights", "layers × width", "tasks × tokens", "ours ms", "theirs ms", "ratio", "goal", "difference"):
        table.add_column(head, justify="left" if head in ("weights", "layers × width", "goal") else "right")
    for name in options.program:
        table.add_row(*measure(name, options.runs))
    Console(width=150).print(table)


if __name__ == "__main__":
    main()
