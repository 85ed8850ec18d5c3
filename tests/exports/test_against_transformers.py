"""Both forward passes against the stock LlamaModel of Hugging Face's transformers, on random weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from innerloop.artifact.parts import Idle, Repeated
from innerloop.artifact.weights import Weights
from innerloop.runtime import Transformer
from transformers import LlamaModel

from tests.reference.measured import numpy_run
from tests.support.by_the_book import tasks
from tests.support.random_weights import Random, config, without_biases
from tests.support.stock_models import export_random, outputs


def drawn(seed: int, **parts: Any) -> Weights:
    """A random Llama: a loop, idle sublayers, MLPs of several widths."""
    llama = replace(config(9, 32, 4, 40), target="llama", activation="silu", norm="rmsnorm", positions="rotary")
    draw = Random(seed, replace(llama, **parts))
    loop = Repeated(2, (draw.attention(), draw.mlp(7), draw.attention(), Idle("mlp")))
    last = [part() for _ in range(3) for part in (draw.attention, draw.mlp)]
    return without_biases(draw.weights((draw.attention(), draw.mlp(), loop, Idle("attention"), draw.mlp(13), *last)))


@pytest.mark.parametrize(
    "parts",
    [{}, {"n_kv_head": 2}, {"n_kv_head": 1, "rope_theta": 1e15}, {"n_head": 2, "d_head": 32, "rope_theta": 100.0}],
    ids=["all heads their own", "grouped", "one for all, slow phases", "heads wider than the stream"],
)
@pytest.mark.parametrize("seed", range(2))
def test_random_weights_are_llamas(seed: int, parts: dict[str, Any], tmp_path: Path) -> None:
    weights = drawn(seed, **parts)
    export_random(weights, tmp_path / "out")
    data = tasks(4, examples=25, seed=seed)
    expected = outputs(LlamaModel, tmp_path / "out", weights, **data)
    largest = np.abs(expected).max()
    for found in (Transformer(weights, guard="off")(**data), numpy_run(weights, data)):
        assert np.abs(found - expected).max() < 5e-6 * largest
