"""Exported folders of target llama: unmodified transformers loads them as LlamaModel, and computes what we compute."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from innerloop.artifact.errors import InnerloopError
from innerloop.compiler import Weights, interpret
from innerloop.programs import load
from innerloop.runtime import Transformer
from innerloop.runtime.exports.export import export, size
from transformers import LlamaModel

from tests.support import random_weights
from tests.support.commands import Command
from tests.support.linear_tasks import linear_tasks
from tests.support.shared import compiled_once
from tests.support.stock_models import outputs, readme_difference

D, EXAMPLES = 4, 40


def compiled(name: str, **parameters: Any) -> Weights:
    return compiled_once(load(name), target="llama", d=D, **parameters)


@pytest.mark.parametrize("name", ["gd_plus", "gradient_descent", "sherman_morrison"])
def test_a_llama_computes_the_shipped_programs(name: str, tmp_path: Path) -> None:
    """In float32, with attention one way and both, as the program has it; test_stock_library.py has the library."""
    weights, data = compiled(name), linear_tasks(100, EXAMPLES, D, seed=11)
    export(weights, tmp_path / "out")
    found = outputs(LlamaModel, tmp_path / "out", weights, **data)
    ours = np.asarray(Transformer(weights, guard="off")(**data), np.float64)
    truth = interpret(load(name), d=D, **data)
    assert np.abs(found - ours).max() <= 1e-4 * np.abs(ours).max()
    assert np.abs(found - truth).max() <= weights.report.predicted_error


def test_the_readmes_example_runs(tmp_path: Path) -> None:
    weights = compiled("gd_plus")
    export(weights, tmp_path / "out")
    assert 0 < readme_difference(tmp_path / "out") < weights.report.predicted_error


def test_a_token_id_is_a_feature(tmp_path: Path) -> None:
    weights = compiled("gradient_descent")
    export(weights, tmp_path / "out")
    model = LlamaModel.from_pretrained(tmp_path / "out").eval()
    ids = torch.arange(weights.embedding.shape[0])[None]
    embedded = torch.tensor(weights.embedding.csr.toarray(), dtype=torch.float32)[None]
    with torch.no_grad():
        by_id, by_row = model(ids).last_hidden_state, model(inputs_embeds=embedded).last_hidden_state
    assert torch.equal(by_id, by_row)


def test_the_configuration_is_the_compiled_one(tmp_path: Path) -> None:
    weights = compiled("gd_plus")
    export(weights, tmp_path / "out")
    of, told = weights.config, json.loads((tmp_path / "out/config.json").read_text())
    model = LlamaModel.from_pretrained(tmp_path / "out")
    assert told["is_causal"] is False
    assert told["hidden_act"] == of.activation  # products are right with any: x is act(x) − act(−x) of all of them
    assert model.config.rope_parameters["rope_theta"] == of.rope_theta
    assert (model.config.head_dim, model.config.rms_norm_eps) == (of.d_head, of.norm_epsilon)
    assert size(weights, "huggingface").parameters == sum(p.numel() for p in model.parameters())


def test_what_no_stock_llama_holds_is_refused(tmp_path: Path) -> None:
    llama = {"target": "llama", "activation": "silu", "norm": "rmsnorm", "positions": "rotary"}
    drawn = random_weights.llama_tree(0, **llama)  # type: ignore[arg-type]
    with pytest.raises(InnerloopError, match="random has biases, which a stock Llama has no place for"):
        export(drawn, tmp_path / "out")
    weights = compiled("gradient_descent")
    with pytest.raises(InnerloopError, match="has a table of positions"):
        export(replace(weights, positions=weights.positions + 1.0), tmp_path / "out")
    with pytest.raises(InnerloopError, match=r"takes norms and softmax in float32 .* compile it with dtype float32"):
        export(compiled("gradient_descent", dtype="float64"), tmp_path / "out")
    with pytest.raises(InnerloopError, match=r"`llama`, which transformerlens does not hold: .* target gpt2"):
        export(weights, tmp_path / "out", "transformerlens")
    assert not list(tmp_path.iterdir())


def test_the_command_exports_a_llama(innerloop: Command, tmp_path: Path) -> None:
    compiled("gradient_descent").save(tmp_path / "weights")
    outcome = innerloop("export", tmp_path / "weights", "--to", "huggingface", "-o", "out")
    assert outcome.status == 0, outcome.err
    assert json.loads(Path("out/config.json").read_text())["architectures"] == ["LlamaModel"]
