"""Both forward passes against stock GPTNeoXModel, GemmaModel and Qwen2Model of transformers, on random weights: what
each has that no other has, and not only what compiled weights use of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from innerloop.artifact.errors import InnerloopError
from innerloop.artifact.parts import Body, Idle, Mlp, Repeated, Sublayer
from innerloop.artifact.weights import Weights
from innerloop.runtime import Transformer
from transformers import GemmaModel, GPTNeoXModel, Qwen2Model

from tests.reference.measured import numpy_run
from tests.support.by_the_book import tasks
from tests.support.random_weights import Random, config, without_biases
from tests.support.stock_models import export_random, outputs

EVERY = ("query_bias", "key_bias", "value_bias", "output_bias", "up_bias", "down_bias")
PARTS: dict[str, dict[str, Any]] = {
    "neox": {"activation": "gelu_erf", "positions": "rotary", "rotary_fraction": 0.25, "block": "parallel"},
    "gemma": {"activation": "gelu_tanh", "positions": "rotary", "norm": "rmsnorm", "d_head": 32},
    "qwen2": {"activation": "silu", "positions": "rotary", "norm": "rmsnorm"},
}
BIASES = {"neox": EVERY, "gemma": (), "qwen2": EVERY[:3]}
STOCK: dict[str, type[Any]] = {"neox": GPTNeoXModel, "gemma": GemmaModel, "qwen2": Qwen2Model}


def gated(body: Body, draw: Random) -> Body:
    """Every MLP with a gate."""

    def one(item: Sublayer | Repeated) -> Sublayer | Repeated:
        if isinstance(item, Repeated):
            return replace(item, body=gated(item.body, draw))
        return replace(item, gate=draw.matrix(*item.up.shape, 1.5)) if isinstance(item, Mlp) else item

    return tuple(map(one, body))


def drawn(target: str, seed: int) -> Weights:
    """A loop, idle sublayers, MLPs of several widths."""
    draw = Random(seed, replace(config(6, 64, 4, 40), target=target, **PARTS[target]))  # type: ignore[arg-type]
    loop = Repeated(2, (draw.attention(), draw.mlp(7), draw.attention(), Idle("mlp")))
    body: Body = (draw.attention(), draw.mlp(), loop, Idle("attention"), draw.mlp(13))
    made = draw.weights(gated(body, draw) if target == "gemma" else body)
    return without_biases(made, BIASES[target])


@pytest.mark.parametrize("target", list(STOCK))
def test_random_weights_are_stock_models(target: str, tmp_path: Path) -> None:
    weights = drawn(target, 0)
    export_random(weights, tmp_path / "out")
    data = tasks(4, examples=25, seed=0)
    expected = outputs(STOCK[target], tmp_path / "out", weights, **data)
    largest = np.abs(expected).max()
    for found in (Transformer(weights, guard="off")(**data), numpy_run(weights, data)):
        assert np.abs(found - expected).max() < 1e-5 * largest


def test_an_mlp_beside_its_attention_does_not_read_what_that_writes(tmp_path: Path) -> None:
    """A random tree is another function where the block is serial, and a saved one is read back as it was."""
    weights, data = drawn("neox", 1), tasks(2, examples=5)
    serial = replace(weights, config=replace(weights.config, block="serial"))
    found, other = numpy_run(weights, data), numpy_run(serial, data)
    assert np.abs(found - other).max() > 1e-2 * np.abs(found).max()
    weights.save(tmp_path / "weights")
    assert Weights.load(tmp_path / "weights").config == weights.config


@pytest.mark.parametrize(
    ("target", "changes", "said"),
    [
        ("neox", {"n_kv_head": 2}, "has heads that share keys"),
        ("neox", {"dtype": "float64"}, "compile it with dtype float32"),
        ("neox", {"n_head": 2}, "has heads that are no part of the width"),
        ("gemma", {"dtype": "float64"}, "transformers' GemmaModel takes"),
        ("qwen2", {"dtype": "float64"}, "transformers' Qwen2Model takes"),
    ],
)
def test_what_no_stock_model_holds_is_refused(target: str, changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    weights = drawn(target, 0)
    with pytest.raises(InnerloopError, match=said):
        export_random(replace(weights, config=replace(weights.config, **changes)), tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_a_table_of_positions_and_gates_are_refused(tmp_path: Path) -> None:
    weights = drawn("neox", 0)
    with pytest.raises(InnerloopError, match="has a table of positions"):
        export_random(replace(weights, positions=weights.positions + 1.0), tmp_path / "out")
    gates = replace(weights, body=gated(weights.body, Random(0, weights.config)))
    with pytest.raises(InnerloopError, match="has neurons with gates, which a stock GPT-NeoX has no place for"):
        export_random(gates, tmp_path / "out")
