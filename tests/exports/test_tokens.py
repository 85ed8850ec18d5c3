"""Token models: unmodified transformers loads them by their folder alone, and continues, predicts and classifies as the
programs say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from innerloop.artifact.errors import InnerloopError
from innerloop.artifact.words import TargetName
from innerloop.compiler import Weights
from innerloop.programs import load
from innerloop.runtime.exports.export import export
from numpy.typing import NDArray
from transformers import (
    AutoModelForCausalLM,
    AutoModelForTokenClassification,
    AutoTokenizer,
    GPT2LMHeadModel,
    LlamaForCausalLM,
)

from tests.support.commands import Command, one_message
from tests.support.shared import compiled_once

SYMBOLS, MORE = 8, 24
TARGETS: list[TargetName] = ["gpt2", "llama"]
LAST_SEEN = """program last_seen(n, k)

tokens (a b)* a
    a : onehot[n]
    b : onehot[k]

at b
    u = move a from previous

at a
    output softmax[j in b](50 * dot(u[j], a), b[j])
"""


def exported(weights: Weights, folder: Path) -> tuple[Any, Any]:
    export(weights, folder, "tokens")
    torch.set_num_threads(1)
    kind = AutoModelForTokenClassification if "TokenClass" in (folder / "config.json").read_text() else None
    model, told = (kind or AutoModelForCausalLM).from_pretrained(folder, output_loading_info=True)
    assert not any(told.values()), told
    return model.eval(), AutoTokenizer.from_pretrained(folder)


def written(symbols: NDArray[Any]) -> str:
    return " ".join(map(str, symbols))


@pytest.mark.parametrize("target", TARGETS)
def test_an_induction_head_continues_what_repeats(target: TargetName, tmp_path: Path) -> None:
    """50 sequences of 2 to 8 symbols that came once and a little, in one batch, padded on the left."""
    model, tokenizer = exported(
        compiled_once(load("induction_head"), target=target, vocabulary=SYMBOLS), tmp_path / "o"
    )
    assert type(model) is {"gpt2": GPT2LMHeadModel, "llama": LlamaForCausalLM}[target]
    rng = np.random.default_rng(5)
    whole = []
    for _ in range(50):
        period = rng.permutation(SYMBOLS)[: rng.integers(2, SYMBOLS + 1)]
        begun = len(period) + rng.integers(1, len(period) + 1)
        whole.append((np.resize(period, begun + MORE), begun))
    prompts = tokenizer([written(text[:begun]) for text, begun in whole], padding=True, return_tensors="pt")
    assert not prompts["attention_mask"].all()
    for cached in (True, False):
        found = model.generate(**prompts, max_new_tokens=MORE, use_cache=cached)
        said = [text.split() for text in tokenizer.batch_decode(found, skip_special_tokens=True)]
        assert said == [written(text).split() for text, _ in whole]


@pytest.mark.parametrize("target", TARGETS)
def test_the_next_symbols_distribution_is_that_of_the_counts(target: TargetName, tmp_path: Path) -> None:
    model, tokenizer = exported(compiled_once(load("bigram"), target=target, vocabulary=SYMBOLS), tmp_path / "o")
    rng = np.random.default_rng(6)
    texts = [*rng.integers(SYMBOLS, size=(20, 128)), np.resize([3, 1, 4], 128), np.full(128, 2)]
    with torch.no_grad():
        logits = model(**tokenizer([written(text) for text in texts], return_tensors="pt")).logits
    found = torch.softmax(logits.double(), -1).numpy()[:, 1:]
    assert found[..., 0].max() < 1e-30  # <s>
    counts = np.ones((len(texts), SYMBOLS, SYMBOLS))
    for place in range(128):
        for number, text in enumerate(texts):
            if place:
                counts[number, text[place - 1], text[place]] += 1
            wanted = counts[number, text[place]] / counts[number, text[place]].sum()
            assert np.abs(found[number, place, 1:] - wanted).max() < 1e-5
    with torch.no_grad():
        short = model.to(torch.bfloat16)(**tokenizer([written(text) for text in texts], return_tensors="pt")).logits
    assert np.abs(torch.softmax(short.double(), -1).numpy()[:, 1:] - found).max() > 1e-3
    assert "of fewer bits they are another model" in " ".join((tmp_path / "o/README.md").read_text().split())


def automaton(target: TargetName) -> Weights:
    """Of the words in 0, 1, 2 with an odd number of 1s: a 2 begins again."""
    edges = [(0, 0, 0), (0, 1, 1), (0, 2, 0), (1, 0, 1), (1, 1, 0), (1, 2, 0)]
    tail, label, head = (np.eye(n)[[edge[i] for edge in edges]] for i, n in enumerate((2, 3, 2)))
    given: dict[str, Any] = {"start": [1.0, 0.0], "tail": tail, "label": label, "head": head, "length": 20}
    return compiled_once(load("finite_automaton"), target=target, states=2, symbols=3, edges=6, **given)


@pytest.mark.parametrize("target", TARGETS)
def test_states_are_classes_of_their_tokens(target: TargetName, tmp_path: Path) -> None:
    model, tokenizer = exported(automaton(target), tmp_path / "o")
    texts = np.random.default_rng(7).integers(3, size=(20, 20))
    with torch.no_grad():
        sure, found = torch.softmax(model(**tokenizer([*map(written, texts)], return_tensors="pt")).logits, -1).max(-1)
    state = np.zeros(len(texts), int)
    for place, symbols in enumerate(texts.T):
        state = np.where(symbols == 2, 0, state ^ symbols)
        assert np.array_equal(found[:, 1 + place], state)
    assert sure[:, 1:].min() > 0.999
    assert model.config.id2label == {0: "0", 1: "1"}


@pytest.mark.parametrize("which", ["induction_head", "bigram", "last_seen"])
def test_the_readmes_examples_run(
    which: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Several kinds of token, too: each role has symbols of its own."""
    sizes: dict[str, Any]
    text, sizes = (LAST_SEEN, {"n": 3, "k": 4}) if which == "last_seen" else (load(which), {"vocabulary": 5})
    export(compiled_once(text, **sizes), tmp_path / "o", "tokens")
    blocks = re.findall("```python\n(.*?)```", (tmp_path / "o/README.md").read_text(), re.DOTALL)
    monkeypatch.chdir(tmp_path / "o")
    exec("".join(blocks), {})
    out = capsys.readouterr().out
    said = re.match(r"largest difference from the oracle: (\S+)\n", out)
    assert said
    assert float(said[1]) < 2e-5
    assert (len(blocks) == 2) == ("0 1 2 0 1 2 0 1 2" in out) == (which != "last_seen")


def test_numbers_are_no_symbols(innerloop: Command, tmp_path: Path) -> None:
    compiled_once(load("gradient_descent"), d=2).save(tmp_path / "weights")
    outcome = innerloop("export", tmp_path / "weights", "--to", "tokens", "-o", "out")
    one_message(outcome, "gradient_descent reads numbers (`x`, `y`)", "onehot", "fields.py")
    assert not Path("out").exists()


def test_a_word_that_is_no_symbol_is_an_error(tmp_path: Path) -> None:
    export(compiled_once(load("bigram"), vocabulary=3), tmp_path / "o", "tokens")
    with pytest.raises(Exception, match="Missing"):
        AutoTokenizer.from_pretrained(tmp_path / "o")("0 3")


def test_logits_that_are_scores_stay(tmp_path: Path) -> None:
    """Counts are no probabilities: the head gives them as they are."""
    text = "program counts(n)\n\ntokens (s)*\n    s : onehot[n]\n\noutput sum[j in s](s[j])\n"
    model, tokenizer = exported(compiled_once(text, n=3), tmp_path / "o")
    with torch.no_grad():
        logits = model(**tokenizer("2 1 2", return_tensors="pt")).logits[0, -1]
    assert torch.allclose(logits[1:], torch.tensor([0.0, 1.0, 2.0]), atol=1e-4)
    assert logits[0] < -50


def test_the_errors_say_the_library(tmp_path: Path) -> None:
    weights = compiled_once(load("bigram"), vocabulary=3, target="gelu")
    with pytest.raises(InnerloopError, match=r"target `gelu`, which tokens does not hold: .* gpt2 or llama"):
        export(weights, tmp_path / "o", "tokens")
