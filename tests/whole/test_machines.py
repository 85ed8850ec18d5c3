"""Machines: targets that are made of others' parts, each on a handful of programs, from the text to the stock library.

What they share with the targets that they are made of is tested there; all of the library on them is
`make benchmark-machines`.
"""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import torch
from innerloop.artifact.words import TargetName
from innerloop.compiler import Weights, compile_program, interpret
from innerloop.compiler.architectures.rotary_frequencies import ROTARY_GAP, phases
from innerloop.compiler.architectures.targets import TARGETS, Rotary
from innerloop.compiler.emit.norms import divides_exactly
from innerloop.programs import load
from innerloop.runtime import Transformer
from innerloop.runtime.exports.export import export
from transformers import GemmaModel, GPTNeoXModel, Qwen2Model

from benchmarks.random_programs.drawn import FAULTS
from benchmarks.random_programs.verdicts import judge
from tests.reference import MACHINES, case_of
from tests.reference.measured import compiled, numpy_run
from tests.reference.programs import random_program
from tests.support.linear_tasks import linear_tasks
from tests.support.stock_models import outputs

STOCK: dict[str, type[Any]] = {"gemma": GemmaModel, "neox": GPTNeoXModel, "qwen2": Qwen2Model}
PROGRAMS = ("kernel_regression", "sherman_morrison", "k_means")
"""Each on all machines but one, by turns; what compiles in a moment is on all."""
TASKS = 4


@pytest.mark.parametrize(
    ("name", "target"),
    [
        *(("gradient_descent", target) for target in MACHINES),
        *(
            pytest.param(name, target, marks=pytest.mark.slow)
            for k, name in enumerate(PROGRAMS)
            for j, target in enumerate(MACHINES)
            if k != j
        ),
    ],
)
def test_a_machine_computes_a_program(name: str, target: TargetName, tmp_path: Path) -> None:
    """Saved and loaded, by both passes and in the stock model: within the certificate, with nothing that the guard has
    to say."""
    case = case_of(name)
    compiled(case, target).save(tmp_path / "weights")
    weights = Weights.load(tmp_path / "weights")
    fields = case.data(seed=0, tasks=TASKS)
    parameters: dict[str, Any] = dict(weights.signature.parameters)
    truth = interpret(weights.signature.text, **fields, **parameters)
    model = Transformer(weights, guard="raise")
    export(weights, tmp_path / "out")
    found = (numpy_run(weights, fields), np.asarray(model(**fields)),
             outputs(STOCK[target], tmp_path / "out", weights, **fields))  # fmt: skip
    for output in found:
        assert output.shape == truth.shape
        assert np.abs(output - truth).max() <= weights.report.predicted_error
    assert weights.report.measured_error <= weights.report.predicted_error


@pytest.mark.slow
def test_small_quotients_stand_where_nothing_large_stood(tmp_path: Path) -> None:
    """A step length of 1e-6 of its range, in a slot that held 4: PyTorch's LayerNorm leaves 5e-7 there, as its mean is
    rounding, and conjugate gradients were off by 40 (SPD/d 1.4). Then by a rest token whose mean was rounding, too,
    which divisions made a divisor of 1e18, and other tokens read it as themselves (1e-4 on 64 tasks; 3e-6 now)."""
    case = case_of("conjugate_gradient")
    weights, fields = compiled(case, "neox"), case.data(seed=0, tasks=16)
    export(weights, tmp_path / "out", accept_error=True)
    apart = outputs(GPTNeoXModel, tmp_path / "out", weights, **fields) - case.answers(fields)
    assert np.mean(apart**2) / 3 < 4e-5


@pytest.mark.slow
def test_no_stream_is_so_wide_that_its_reciprocal_is_inexact() -> None:
    """49 would do here, and 49 · (1/49) is not 1 in float64: what multiplies by 1/width in a norm, as XLA does, left
    2¹⁵ of a constant that was to be cleared, and every answer was wrong."""
    assert not divides_exactly(49, "float64")
    assert divides_exactly(49, "float32")
    assert not divides_exactly(41, "bfloat16")
    case = case_of("recursive_least_squares")
    weights = compile_program(load(case.program), target="gemma", dtype="float64", **case.parameters)
    assert divides_exactly(weights.config.d_model, "float64")
    data = case.data(3, 8)
    found = Transformer(weights)(**data)
    wanted = interpret(load(case.program), **data, **case.parameters)
    assert np.abs(found - wanted).max() <= weights.report.predicted_error


@pytest.mark.slow
def test_a_parallel_block_token_by_token() -> None:
    """With a scan, whose passes run each at its own token."""
    weights = compile_program(load("stochastic_gradient_descent"), target="neox", d=2, examples=4)
    data = linear_tasks(3, 4, 2, seed=1)
    model = Transformer(weights, guard="off")
    whole, stream = np.asarray(model(**data)), model.stream(3)
    for k in range(5):
        found = stream.push(x=data["x"][:, k])
        assert found is not None
        assert np.abs(found - whole[:, k]).max() <= weights.report.predicted_error
        if k < 4:
            stream.push(y=data["y"][:, k])


@pytest.mark.parametrize("positions", [3, 84, 1025, 8192])
def test_the_pairs_of_a_quarter_of_a_head_tell_every_distance_apart(positions: int) -> None:
    rotary = TARGETS["neox"].positions
    assert isinstance(rotary, Rotary)
    found = phases(64, positions, rotary)
    turning = found.frequency[: found.weights.size]
    logits = np.cos(np.arange(1, positions)[:, None] * turning) @ found.weights - found.total
    assert logits.max() <= -ROTARY_GAP * (1.0 - 1e-6)
    steps = np.diff(found.amplitude * np.sin(np.arange(positions) * found.frequency[found.slow]))
    assert steps.min() >= ROTARY_GAP * (1.0 - 1e-6)
    assert np.sum(found.frequency[found.still % 32] == 0.0) == 48
    assert positions != 1025 or round(found.total) == 1804


def test_a_gemma_scales_token_ids_and_has_heads_of_their_own_size(tmp_path: Path) -> None:
    """A token id is a feature that is 1, as in other exports, though Gemma multiplies what it looks up by √width."""
    weights = compiled(case_of("averaging"), "gemma")
    export(weights, tmp_path / "out")
    model = GemmaModel.from_pretrained(tmp_path / "out").eval()
    assert model.config.head_dim == weights.config.d_head == 256
    assert model.embed_tokens.embed_scale.item() ** 2 == weights.config.d_model
    row = torch.tensor(weights.embedding.csr.toarray(), dtype=torch.float32)
    with torch.no_grad():
        looked_up = model.embed_tokens(torch.arange(len(row)))
    assert (looked_up - row).abs().max() <= 2.0**-23 * row.abs().max()
    assert torch.equal(looked_up[:, 0], row[:, 0])  # the norm's constant, and with it the norm, is exact


@pytest.mark.parametrize("target", MACHINES)
@pytest.mark.parametrize(
    "seeds", [range(1), pytest.param(range(1, 13), marks=pytest.mark.slow)], ids=["one", "a dozen"]
)
def test_random_programs(target: TargetName, seeds: range) -> None:
    for seed in seeds:
        verdict = judge(random_program(Random(seed)), target, "float32", seed)
        assert verdict is None or verdict.result not in FAULTS, f"seed {seed}: {verdict}"
