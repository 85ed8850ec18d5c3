"""Compiled weights in 16 bits, under a rotation of the stream, and with slots of like sizes, in unmodified
transformers: SPD/d.

    python -m benchmarks.exports.sixteen_bits [--tasks 200] [--dtype bfloat16 float16] [--program gradient_descent …]

before   tasks of linear regression, d = 8, x and w from N(0, I), 40 examples
after    a table: SPD/d and the largest error of `GPT2Model` and `LlamaModel`, loaded in that precision, against the
         float64 oracle; what was predicted; layers, width and the largest slot over the median one

`rotated`: every norm's gain goes into the matrices that read it, and the stream is turned by a random orthogonal matrix
(in float64, rounded to float32 then), which changes nothing in exact arithmetic. `spread`: the largest slot over the
median one that was asked for; `largest slot` is what it is.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from innerloop.artifact.arrays import Dtype, Floats
from innerloop.artifact.errors import CompileError
from innerloop.artifact.features import FeatureLayout
from innerloop.artifact.precisions import carrier
from innerloop.artifact.tokens import output_rows, read_data
from innerloop.artifact.words import TargetName
from innerloop.compiler import Weights, compile_program, interpret
from innerloop.programs import load
from innerloop.runtime.exports.export import export
from safetensors.torch import load_file
from transformers import GPT2Model, LlamaModel

D, EXAMPLES, SEED = 8, 40, 2026
PROGRAMS: dict[str, dict[str, Any]] = {
    "gradient_descent": {"steps": 10, "rate": 0.05},
    "sherman_morrison": {"ridge": 1.0},
}
MODELS: dict[str, Any] = {"gpt2": GPT2Model, "llama": LlamaModel}


def tasks(count: int, seed: int = SEED) -> dict[str, Floats]:
    rng = np.random.default_rng(seed)
    x, w = rng.standard_normal((count, EXAMPLES + 1, D)), rng.standard_normal((count, D, 1))
    return {"x": x, "y": (x[:, :-1] @ w)[..., 0]}


def rotated(model: Any, seed: int = 0) -> torch.Tensor:
    """Turns the stream of a LlamaModel of float32, in place: the matrix [width, width] that what goes in is multiplied
    by; what comes out is multiplied by its transpose."""
    width = model.config.hidden_size
    turn, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((width, width)))

    def reads(part: Any, gain: Floats) -> None:
        part.weight.copy_(torch.tensor(part.weight.double().numpy() * gain @ turn))

    def writes(part: Any) -> None:
        part.weight.copy_(torch.tensor(turn.T @ part.weight.double().numpy()))

    with torch.no_grad():
        for layer in model.layers:
            for norm, readers, writer in (
                (layer.input_layernorm, (layer.self_attn.q_proj, layer.self_attn.k_proj, layer.self_attn.v_proj),
                 layer.self_attn.o_proj),
                (layer.post_attention_layernorm, (layer.mlp.gate_proj, layer.mlp.up_proj), layer.mlp.down_proj),
            ):  # fmt: skip
                for part in readers:
                    reads(part, norm.weight.double().numpy())
                writes(writer)
                norm.weight.fill_(1.0)
        # the last norm's gain is a number, the same for all slots
    return torch.tensor(turn)


def outputs(weights: Weights, data: dict[str, Floats], turned: bool = False) -> Floats:
    """Of the stock model [tasks, rows]."""
    read = read_data(weights.signature, data)
    rows = output_rows(read.sequence, weights.output.kinds) + 1
    features = FeatureLayout.of(weights.signature).tokens(read, slice(None), carrier(weights.config.dtype))
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        export(weights, Path(folder) / "out", accept_error=True)
        model = MODELS[weights.config.target].from_pretrained(Path(folder) / "out", attn_implementation="eager").eval()
        interface = {
            name: part.double() for name, part in load_file(Path(folder) / "out/interface.safetensors").items()
        }
        given, back = torch.tensor(features).double() @ interface["embedding"], interface["readout"]
        if turned:
            turn = rotated(model)
            given, back = given @ turn, turn.T @ back
        stream = torch.cat([model(inputs_embeds=some.to(model.dtype)).last_hidden_state for some in given.split(20)])
    found = stream.double() @ back + interface["readout_bias"]
    return np.asarray(found[:, rows, 0])


@dataclass(frozen=True)
class Line:
    """A row of the table."""

    program: str
    target: TargetName
    dtype: Dtype
    rotation: bool = False
    turned: bool = False
    spread: float | None = None
    tolerance: float | None = None

    @property
    def name(self) -> str:
        numbers = (("spread", self.spread), ("tolerance", self.tolerance))
        parts = ["for a rotation"] * self.rotation + ["rotated"] * self.turned
        return ", ".join([self.dtype, *parts, *(f"{what} {value:g}" for what, value in numbers if value)])

    def cells(self, count: int) -> list[str]:
        name, parameters = self.name, PROGRAMS[self.program]
        options: dict[str, Any] = {
            "rotation": self.rotation,
            "spread": self.spread,
            "tolerance": self.tolerance,
            "accept_error": True,
        }
        try:
            weights = compile_program(
                load(self.program), target=self.target, dtype=self.dtype, d=D, **options, **parameters
            )
        except CompileError as refused:
            return [self.program, self.target, name, "refused", str(refused).split("error: ")[1].split("\n")[0]]
        data = tasks(count)
        error = outputs(weights, data, self.turned) - interpret(load(self.program), d=D, **parameters, **data)
        report = weights.report
        return [
            self.program, self.target, name, f"{np.mean(error[:, 1:] ** 2) / D:.1e}", f"{np.abs(error).max():.1e}",
            f"{report.predicted_error:.1e}", str(report.layers), str(report.width), f"{report.spread:.1e}",
        ]  # fmt: skip


def lines(programs: list[str], dtypes: list[Dtype]) -> list[Line]:
    found = [Line(p, target, dtype) for p in programs for dtype in dtypes for target in ("llama", "gpt2")]
    turned = [(rotation, turned) for rotation in (False, True) for turned in (False, True)]
    found += [Line(p, "llama", "float32", *each) for p in programs for each in turned]
    spreads: list[tuple[TargetName, float, float | None]] = [
        (target, *each) for target in ("llama", "gpt2") for each in ((1e4, None), (1e3, 1e-2))
    ]
    found += [Line(p, "gpt2", "float32") for p in programs]
    return [*found, *(Line(p, t, "float32", spread=s, tolerance=e) for p in programs for t, s, e in spreads)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=200)
    parser.add_argument("--program", nargs="+", default=list(PROGRAMS), choices=list(PROGRAMS))
    parser.add_argument("--dtype", nargs="*", default=["bfloat16", "float16"], choices=["bfloat16", "float16"])
    options = parser.parse_args()
    heads = ["program", "target", "precision", "SPD/d", "largest error", "predicted", "layers", "width", "largest slot"]
    widths = (16, 6, 35, 7, 13, 9, 6, 5, 0)
    rows = (line.cells(options.tasks) for line in lines(options.program, options.dtype))
    for cells in chain([heads], rows):  # each as soon as it is known
        print("  ".join(f"{cell:{w}}" for cell, w in zip(cells, widths, strict=False)).rstrip(), flush=True)


if __name__ == "__main__":
    main()
