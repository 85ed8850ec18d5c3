"""Throughput of our forward pass against Hugging Face transformers' GPT2Model and LlamaModel on PyTorch: same weights,
same batch.

    python -m benchmarks.speed [--runs 3] [--threads 1] [--program sherman_morrison …] [--target gpt2 llama]
                               [--beside sdpa eager compiled onnxruntime]

Beside ours: transformers with PyTorch's fused attention (`sdpa`), with none (`eager`), the first under torch.compile
(`compiled`), or our ONNX export in onnxruntime on the CPU. Weights are exported and loaded as a user would; all go from
the tasks' fields to the output, in float32, on all cores, or with so many threads on so many of them. They take turns,
so that other load meets all alike, and the medians are compared, by the clock and in CPU seconds of all threads. Not
counted: loading, compiling, the run whose outputs are compared, and the next. Where other processes take the cores,
PyTorch's threads wait for each other at every operation; compare with `--threads 1`, where there are none to wait for.
Where JAX's device is a GPU, PyTorch runs on it too, with products in float32, not TF32.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from innerloop.artifact.words import TargetName
from innerloop.compiler import Weights, compile_program
from innerloop.programs import load
from innerloop.runtime import Transformer
from innerloop.runtime.exports.export import export
from transformers import GPT2Model, LlamaModel

from tests.support.random_weights import Random, config, without_biases
from tests.support.stock_models import features

from .support.devices import beside, both_named, on_threads, shared
from .support.tables import early, show

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


def seconds(sides: Sequence[Callable[[], Any]], runs: int) -> list[tuple[float, float]]:
    """The median of each side's times by the clock, and of its CPU seconds; the sides take turns."""
    times: list[list[tuple[float, float]]] = [[] for _ in sides]
    for run in range(runs + 1):
        for side, found in zip(sides, times, strict=True):
            started, spent = time.perf_counter(), time.process_time()
            side()
            if run >= 1:
                found.append((time.perf_counter() - started, time.process_time() - spent))
    return [(statistics.median(w for w, _ in found), statistics.median(c for _, c in found)) for found in times]


def in_torch(weights: Weights, fields: dict[str, np.ndarray], folder: Path, other: str) -> Callable[[], np.ndarray]:
    """transformers' model with one of its attentions, or that of `sdpa` under torch.compile."""
    device, attention = beside(), "eager" if other == "eager" else "sdpa"
    kind = STOCK[weights.config.target]
    stock = kind.from_pretrained(folder, attn_implementation=attention).eval().to(device)
    model = torch.compile(stock) if other == "compiled" else stock
    ends = [np.asarray(m.csr.toarray(), np.float32) for m in (weights.embedding, weights.readout)]
    embedding, readout = (torch.tensor(end, device=device) for end in ends)
    bias = torch.tensor(weights.readout_bias, dtype=torch.float32, device=device)

    def call() -> np.ndarray:
        given, rows = features(weights, **fields)
        with torch.inference_mode():
            stream = model(inputs_embeds=given.to(device) @ embedding).last_hidden_state[:, rows]
            return np.asarray((stream @ readout + bias).cpu())[..., 0]

    return call


def in_onnxruntime(weights: Weights, fields: dict[str, np.ndarray], folder: Path) -> Callable[[], np.ndarray]:
    """`export --to onnx`, on the CPU with as many threads as PyTorch has."""
    export(weights, folder, "onnx")
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(folder / "model.onnx", settings, providers=["CPUExecutionProvider"])

    def call() -> np.ndarray:
        given, rows = features(weights, **fields)
        (output,) = session.run(["output"], {"features": given.numpy()})
        return np.asarray(output)[:, rows, 0]

    return call


def measure(name: str, target: TargetName, others: Sequence[str], runs: int) -> list[list[str]]:
    """The rows of one program on one target."""
    make, count, goal = CASES[name]
    weights, fields = make(target), tasks(count)
    ours = Transformer(weights, guard="off")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "out"
        export(weights, folder)
        sides = [
            in_onnxruntime(weights, fields, Path(scratch) / "onnx")
            if other == "onnxruntime"
            else in_torch(weights, fields, folder, other)
            for other in others
        ]
        expected = ours(**fields)
        apart = [float(np.abs(side() - expected).max()) for side in sides]
        (mine, my_cpu), *found = seconds([lambda: ours(**fields), *sides], runs)
    of = weights.config
    return [
        early(
            [
                name,
                target,
                f"{of.n_layer} × {of.d_model}, {of.d_mlp} neurons",
                f"{count} × {2 * EXAMPLES + 2}",
                other,
                f"{1e3 * mine:,.0f}",
                f"{1e3 * theirs:,.0f}",
                f"{theirs / mine:.1f}",
                f"≥ {goal:g}{'' if theirs / mine >= goal else '  MISSED'}",
                f"{1e3 * my_cpu:,.0f}",
                f"{1e3 * their_cpu:,.0f}",
                f"{their_cpu / my_cpu:.1f}",
                f"{difference:.1e}",
            ]
        )
        for other, (theirs, their_cpu), difference in zip(others, found, apart, strict=True)
    ]


OTHERS = ("sdpa", "eager", "compiled", "onnxruntime")
HEADS = (
    "weights", "target", "layers × width", "tasks × tokens", "beside", "ours ms", "theirs ms", "ratio", "goal",
    "ours CPU ms", "theirs CPU ms", "ratio of CPU", "difference",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--program", nargs="+", default=list(CASES), choices=list(CASES))
    parser.add_argument("--target", nargs="+", default=list(STOCK), choices=list(STOCK))
    parser.add_argument("--threads", type=int, help="of each side (default: as many as there are cores)")
    parser.add_argument("--beside", nargs="+", default=["sdpa"], choices=OTHERS, help="(default: %(default)s)")
    options = parser.parse_args()
    shared()
    on_threads(options.threads)
    before = os.getloadavg()[0]
    wanted = [(name, target) for name in options.program for target in options.target]
    rows = [row for name, target in wanted for row in measure(name, target, options.beside, options.runs)]
    show(
        both_named(before),
        HEADS,
        ("weights", "target", "layers × width", "beside", "goal"),
        rows,
        190,
    )


if __name__ == "__main__":
    main()
