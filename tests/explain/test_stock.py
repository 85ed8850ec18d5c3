"""Folders of Hugging Face's GPT-2 and Llama answer as transformers itself does, and what is no such folder is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from innerloop.artifact.errors import InnerloopError
from innerloop.explain import adapter as adapters
from innerloop.explain.behaviour import load, of_weights
from innerloop.runtime.exports.export import export
from safetensors.torch import save_file

from tests.support.models import compiled, tasks

D, N, WIDTH = 3, 6, 16
GARG = """\
tokens = "(x y)* x"
prefix = "_backbone."

[x]
weight = "_read_in.weight"
bias = "_read_in.bias"

[y]
weight = "_read_in.weight"
columns = [0]
bias = "_read_in.bias"

[answer]
weight = "_read_out.weight"
bias = "_read_out.bias"
"""
"""As in docs/explain.md, of models of the code of Garg et al. 2022."""


def stock(kind: str) -> tuple[Any, Any]:
    """Small enough, and away from what it is initialised with."""
    from transformers import GPT2Config, GPT2Model, LlamaConfig, LlamaModel

    torch.manual_seed(0)
    ends = {"bos_token_id": None, "eos_token_id": None}
    config: Any
    if kind == "gpt2":
        config = GPT2Config(n_embd=WIDTH, n_layer=2, n_head=2, n_positions=2 * N + 1, vocab_size=1, **ends)
    else:
        config = LlamaConfig(
            hidden_size=WIDTH, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, intermediate_size=24,
            vocab_size=1, max_position_embeddings=64, rope_theta=500.0, **ends,
        )  # fmt: skip
    model: Any = (GPT2Model if kind == "gpt2" else LlamaModel)(config)
    for parameter in model.parameters():
        parameter.data = 0.3 * torch.randn_like(parameter)
    return config, model.eval()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_a_folder_answers_as_transformers_does(kind: str, tmp_path: Path) -> None:
    config, model = stock(kind)
    into, out = torch.nn.Linear(D, WIDTH), torch.nn.Linear(WIDTH, 1)
    config.save_pretrained(tmp_path)
    tensors = {f"_backbone.{name}": value for name, value in model.state_dict().items()}
    tensors |= {f"_read_in.{n}": v for n, v in into.state_dict().items()}
    tensors |= {f"_read_out.{n}": v for n, v in out.state_dict().items()}
    save_file({name: value.detach().clone() for name, value in tensors.items()}, tmp_path / "model.safetensors")
    (tmp_path / "adapter.toml").write_text(GARG)
    x, y = np.random.default_rng(0).standard_normal((5, N + 1, D)), np.random.default_rng(1).standard_normal((5, N))
    behaviour = load(str(tmp_path))
    with torch.no_grad():
        labels = torch.zeros(5, N + 1, D)
        labels[:, :N, 0] = torch.tensor(y)
        line = torch.stack([torch.tensor(x, dtype=torch.float32), labels], 2).reshape(5, 2 * (N + 1), D)[:, :-1]
        inside = model(inputs_embeds=into(line), output_hidden_states=True)
        wanted = out(inside.last_hidden_state)[:, ::2, 0].numpy()
    assert np.abs(behaviour.ask(x, y, (1, N)) - wanted[:, [1, N]]).max() < 1e-6
    assert behaviour.inside is not None
    stream = behaviour.inside.stream({"x": x, "y": y}, None)
    held = [states.numpy() for states in inside.hidden_states[:2]]  # the last of them is normed
    assert np.abs(stream[:2] - np.stack(held)).max() < 1e-5
    change = np.tile(np.arange(WIDTH) - 3.0, (5, 1))
    moved = behaviour.inside.patched({"x": x, "y": y}, 1, 2, change)
    assert np.allclose(moved[:, 0], wanted[:, 0], atol=1e-6)  # x before the token that is changed
    assert np.abs(moved[:, 1] - wanted[:, 1]).max() > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("target", ["gpt2", "llama"])
def test_an_exported_folder_answers_as_its_weights(target: Any, tmp_path: Path) -> None:
    weights = compiled("gradient_descent", target, steps=1)
    export(weights, tmp_path / "stock", "huggingface")
    fields, _ = tasks(4)
    found, wanted = load(str(tmp_path / "stock")), of_weights(weights, "own")
    assert np.allclose(
        found.ask(fields["x"], fields["y"], (2, 6)), wanted.ask(fields["x"], fields["y"], (2, 6)), atol=1e-5
    )


def broken(text: str, change: tuple[str, str]) -> str:
    assert change[0] in text
    return text.replace(*change)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (('"(x y)* x"', '"x y"'), "tokens is \"x y\"; explain knows '(x y)* x' and"),
        (("columns = [0]", "columns = 0"), "`y.columns` is 0; wanted a list"),
        (("columns = [0]", "columns = [-1]"), "`y.columns` is -1; wanted whole numbers from 0 on"),
        (("[answer]", "[answers]"), "an entry `answers`, which no adapter has; did you mean"),
        (('weight = "_read_out.weight"\n', ""), "has no `answer.weight`; write weight ="),
        (('tokens = "(x y)* x"\n', "tokens\n"), "is no TOML"),
        (('"_read_out.bias"', "3"), "`answer.bias` is 3; wanted a text"),
    ],
)
def test_faults_of_an_adapter_are_said(change: tuple[str, str], said: str, tmp_path: Path) -> None:
    path = tmp_path / "adapter.toml"
    path.write_text(broken(GARG, change))
    with pytest.raises(InnerloopError, match=r"adapter\.toml") as error:
        adapters.read(path)
    assert said in str(error.value)


def test_faults_of_a_folder_are_said(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(InnerloopError, match='model_type "bert"; explain runs gpt2'):
        load(str(tmp_path))
    entries = {"model_type": "gpt2", "n_embd": 4, "n_layer": 1, "n_head": 1}
    (tmp_path / "config.json").write_text(json.dumps({**entries, "activation_function": "relu"}))
    with pytest.raises(InnerloopError, match="the activation relu"):
        load(str(tmp_path))
    (tmp_path / "config.json").write_text(json.dumps(entries))
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(InnerloopError, match=r"pytorch_model\.bin is a pickle"):
        load(str(tmp_path))
    save_file({"h.0.ln_1.weight": torch.ones(4)}, tmp_path / "model.safetensors")
    with pytest.raises(InnerloopError, match=r"write adapter\.toml beside"):
        load(str(tmp_path))
    (tmp_path / "adapter.toml").write_text(GARG)
    with pytest.raises(InnerloopError, match=r"has no tensor `_read_in\.weight`; there are h"):
        load(str(tmp_path))
    (tmp_path / "model.safetensors").write_bytes(b"no tensors")
    with pytest.raises(InnerloopError, match=r"is no whole \.safetensors file"):
        load(str(tmp_path))
