"""What the README of an exported folder says is safe, and is not, in stock transformers."""

from __future__ import annotations

import re
from pathlib import Path
from shutil import which
from typing import Any

import numpy as np
import pytest
import torch
from innerloop.artifact.words import TargetName
from innerloop.compiler import Weights, compile_program
from innerloop.compiler.interpreter.default_tasks import draw
from innerloop.programs import load
from innerloop.runtime.exports.export import export
from safetensors.torch import load_file
from transformers import GPT2Model, LlamaModel

from tests.support.stock_models import features

STOCK = {"gpt2": GPT2Model, "llama": LlamaModel}
PAD = 3


class Folder:
    """An exported folder, its model, and embedded tasks [tasks, tokens, width] with their rest token."""

    def __init__(self, weights: Weights, folder: Path) -> None:
        torch.set_num_threads(1)
        export(weights, folder)
        self.text = " ".join((folder / "README.md").read_text().split())
        self.folder, self.kind, self.weights = folder, STOCK[weights.config.target], weights
        self.interface = load_file(folder / "interface.safetensors")
        given, self.rows = features(weights, **draw(weights.signature, 4, 3, 5))
        self.embedded = given @ self.interface["embedding"]
        rest = torch.zeros(len(given), PAD, given.shape[2])
        rest[:, :, 0] = 1.0
        self.rest = rest @ self.interface["embedding"]
        self.model = self.kind.from_pretrained(folder).eval()
        self.plain = self.run(self.embedded)

    def run(self, embedded: torch.Tensor, model: Any = None, **given: Any) -> torch.Tensor:
        """The output at every token."""
        model = self.model if model is None else model
        with torch.no_grad():
            stream = model(inputs_embeds=embedded.to(model.dtype), **given).last_hidden_state
            return stream @ self.interface["readout"].to(model.dtype)

    def off(self, found: torch.Tensor) -> float:
        """How far outputs are from those without what was done."""
        return float((found - self.plain)[:, self.rows].abs().nan_to_num(torch.inf).max())

    @property
    def mask(self) -> torch.Tensor:
        return torch.ones(self.embedded.shape[:2], dtype=torch.long)


def padding() -> torch.Tensor:
    return torch.zeros(3, PAD, dtype=torch.long)


@pytest.fixture(scope="module", params=["gpt2", "llama"])
def causal(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Folder:
    weights = compile_program(load("stochastic_gradient_descent"), target=request.param, d=2, examples=6)
    return Folder(weights, tmp_path_factory.mktemp("causal") / "out")


def close(folder: Folder) -> float:
    return 2 * folder.weights.report.predicted_error


def cached(folder: Folder) -> torch.Tensor:
    """The output at every token, of those after the fifth with a cache."""
    with torch.no_grad():
        first = folder.model(inputs_embeds=folder.embedded[:, :5], use_cache=True)
        rest = folder.model(inputs_embeds=folder.embedded[:, 5:], past_key_values=first.past_key_values, use_cache=True)
        return torch.cat([first.last_hidden_state, rest.last_hidden_state], 1) @ folder.interface["readout"]


def test_left_padding(causal: Folder) -> None:
    padded, mask = torch.cat([causal.rest, causal.embedded], 1), torch.cat([padding(), causal.mask], 1)
    by_hand = {"position_ids": (mask.cumsum(-1) - 1).clamp(min=0)} if causal.kind is GPT2Model else {}
    assert ("position_ids=(mask.cumsum(-1) - 1).clamp(min=0)" in causal.text) == bool(by_hand)
    found = causal.run(padded, attention_mask=mask, **by_hand)[:, PAD:]
    assert causal.off(found) <= close(causal)


def test_right_padding(causal: Folder) -> None:
    padded, mask = torch.cat([causal.embedded, causal.rest], 1), torch.cat([causal.mask, padding()], 1)
    for given in ({}, {"attention_mask": mask}):
        assert causal.off(causal.run(padded, **given)[:, :-PAD]) <= close(causal)


def test_a_cache(causal: Folder) -> None:
    assert "A cache (`use_cache=True`) is right" in causal.text
    assert causal.off(cached(causal)) <= close(causal)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_sixteen_bits_are_refused_in_words_since_they_are_wrong(causal: Folder, dtype: torch.dtype) -> None:
    assert "bfloat16 and float16 have too few" in " ".join(causal.text.split())
    model = causal.kind.from_pretrained(causal.folder, dtype=dtype).eval()
    assert causal.off(causal.run(causal.embedded, model).float()) > 100 * close(causal)


def test_neither_autocast_nor_eight_bits_compute_it(causal: Folder) -> None:
    """A model of weights that a causal LM makes of the folder has a head that nobody made."""
    assert "Under `torch.autocast`, and with weights of 8 bits" in causal.text
    assert "`input_ids`, an `AutoTokenizer` and an `AutoModelForCausalLM` of this folder load, and mean" in causal.text
    with torch.autocast("cpu", torch.bfloat16):
        assert causal.off(causal.run(causal.embedded).float()) > 100 * close(causal)
    rounded = causal.kind.from_pretrained(causal.folder).eval()
    with torch.no_grad():
        for part in rounded.parameters():
            if part.ndim == 2 and part.abs().max() > 0.0:
                step = part.abs().max() / 127
                part.copy_((part / step).round() * step)
    assert causal.off(causal.run(causal.embedded, rounded)) > 100 * close(causal)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backend", "most"),
    [
        ("eager", 0.0),
        ("aot_eager", 0.0),
        pytest.param("inductor", 1.0, marks=pytest.mark.skipif(which("g++") is None, reason="needs a C++ compiler")),
    ],
)
def test_a_compiled_model(backend: str, most: float, tmp_path: Path) -> None:
    """`most`: how far from the model that is not compiled, in certificates."""
    weights = compile_program(load("gradient_descent"), d=2, steps=3)
    folder = Folder(weights, tmp_path / "out")
    assert "`eager` and `aot_eager` computes the same numbers" in folder.text
    torch._dynamo.reset()
    found = folder.run(folder.embedded, torch.compile(folder.model, backend=backend))
    assert folder.off(found) <= most * weights.report.predicted_error


@pytest.mark.parametrize("target", ["gpt2", "llama"])
def test_tokens_that_see_later_ones(target: TargetName, tmp_path: Path) -> None:
    text = load("gradient_descent").replace("tokens (x y)* x", "tokens (x y)* x  visible context")
    weights = compile_program(text, target=target, d=2, steps=2)
    assert not weights.config.causal
    folder = Folder(weights, tmp_path / "out")
    assert "There is no cache" in folder.text
    assert "`config.json` turns it off" in folder.text
    with torch.no_grad():
        assert folder.model(inputs_embeds=folder.embedded).past_key_values is None
    assert folder.off(cached(folder)) > 100 * close(folder)
    assert "those of the rest token (role 0), not zeros" in folder.text
    mask = torch.cat([folder.mask, padding()], 1)
    found = folder.run(torch.cat([folder.embedded, folder.rest], 1), attention_mask=mask)[:, :-PAD]
    assert folder.off(found) <= close(folder)


@pytest.mark.filterwarnings("ignore")
def test_weights_are_not_to_be_folded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each by itself makes outputs wrong: of a program that divides, with one output."""
    weights = compile_program(load("sherman_morrison"), d=2, examples=4)
    export(weights, tmp_path / "out", "transformerlens")
    monkeypatch.chdir(tmp_path / "out")
    text = Path("README.md").read_text()
    code = re.findall("```python\n(.*?)```", text, re.DOTALL)[0]
    options = ("fold_ln", "center_unembed", "refactor_factored_attn_matrices")
    for chosen in options:
        assert f"`{chosen}`" in text
        found: dict[str, Any] = {}
        exec(code, found)
        found["model"].process_weights_(**{option: option == chosen for option in (*options, "center_writing_weights")})
        output, _ = found["model"].run_with_cache(found["stream"], start_at_layer=0)
        off = (output[:, found["rows"]] - found["tasks"]["output"]).abs().nan_to_num(torch.inf).max()
        assert off > 100 * weights.report.predicted_error


def test_trained_weights_say_what_they_were_trained_on(tmp_path: Path) -> None:
    from innerloop.laboratory.training.model import Model
    from innerloop.laboratory.training.tasks import fitted
    from innerloop.laboratory.training.train import train

    weights = compile_program(load("gradient_descent"), d=2, steps=1)
    trained = train(Model.fresh(weights, 0), fitted("linear", 2, {}, "all"), steps=3, batch=4).weights
    trained.save(tmp_path / "trained")
    export(Weights.load(tmp_path / "trained"), tmp_path / "out")
    said = " ".join((tmp_path / "out" / "README.md").read_text().split())
    assert "that it did not compile. They were trained: 3 steps of 4 tasks each of linear" in said
    assert "loss " in said
    assert "nan" not in said
    assert not np.isfinite(trained.report.predicted_error)
