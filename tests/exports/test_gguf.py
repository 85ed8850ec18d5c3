"""GGUF: the file, read back, computes what the program says: in transformers, and in NumPy as llama.cpp reads it."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from innerloop.artifact.arrays import Floats
from innerloop.artifact.errors import InnerloopError
from innerloop.programs import load
from innerloop.runtime.exports.export import export

from tests.support.shared import compiled_once


def values(path: Path) -> tuple[dict[str, Any], dict[str, Floats]]:
    """The file's settings and tensors [rows, columns]."""
    reader = gguf.GGUFReader(path)
    settings = {name: field.contents() for name, field in reader.fields.items()}
    assert {tensor.tensor_type for tensor in reader.tensors} == {gguf.GGMLQuantizationType.F32}
    return settings, {t.name.removesuffix(".weight"): np.array(t.data, np.float64) for t in reader.tensors}


def logits(settings: dict[str, Any], held: dict[str, Floats], ids: list[int]) -> Floats:
    """llama.cpp's forward pass in NumPy [tokens, ids]: dimensions 2i, 2i + 1 of a head are a pair."""
    heads, size = settings["llama.attention.head_count"], settings["llama.attention.key_length"]
    shared = heads // settings["llama.attention.head_count_kv"]
    epsilon, tokens = settings["llama.attention.layer_norm_rms_epsilon"], len(ids)
    angles = np.arange(tokens)[:, None] * settings["llama.rope.freq_base"] ** (-np.arange(0, size, 2) / size)
    turn = np.exp(1j * angles)

    def norm(x: Floats, name: str) -> Floats:
        return np.asarray(x / np.sqrt((x**2).mean(-1, keepdims=True) + epsilon) * held[name])

    def turned(rows: Floats) -> Floats:
        pairs = (rows[..., 0::2] + 1j * rows[..., 1::2]) * turn[:, None]
        return np.stack([pairs.real, pairs.imag], -1).reshape(rows.shape)

    x = held["token_embd"][ids]
    for layer in range(settings["llama.block_count"]):
        of = {name: held[f"blk.{layer}.{name}"] for name in ("attn_q", "attn_k", "attn_v", "attn_output")}
        h = norm(x, f"blk.{layer}.attn_norm")
        q, k, v = ((h @ of[f"attn_{side}"].T).reshape(tokens, -1, size) for side in "qkv")
        k, v = (side.repeat(shared, axis=1) for side in (turned(k), v))
        scores = np.einsum("ihd,jhd->hij", turned(q), k) / np.sqrt(size)
        scores = np.where(np.tri(tokens, dtype=bool), scores, -np.inf)
        shares = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = np.einsum("hij,jhd->ihd", shares / shares.sum(-1, keepdims=True), v)
        x = x + mixed.reshape(tokens, -1) @ of["attn_output"].T
        h = norm(x, f"blk.{layer}.ffn_norm")
        gate, up, down = (held[f"blk.{layer}.ffn_{name}"] for name in ("gate", "up", "down"))
        with np.errstate(over="ignore"):
            x = x + (h @ gate.T / (1 + np.exp(-h @ gate.T)) * (h @ up.T)) @ down.T
    return np.asarray(norm(x, "output_norm") @ held["output"].T)


def pieces(text: str, known: list[str]) -> list[int]:
    """llama.cpp's tokenizer of model "llama": characters, of which neighbours that are a piece together are joined, the
    first of the best scored first (they are all scored alike)."""
    parts = list(" " + text) if text else []
    parts = ["▁" if part == " " else part for part in parts]
    while fits := [i for i in range(len(parts) - 1) if parts[i] + parts[i + 1] in known]:
        parts[fits[0] : fits[0] + 2] = [parts[fits[0]] + parts[fits[0] + 1]]
    return [0, *map(known.index, parts)]


def test_a_token_model_continues_as_llama_cpp_reads_it(tmp_path: Path) -> None:
    weights = compiled_once(load("induction_head"), target="llama", vocabulary=12)
    export(weights, tmp_path / "out", "gguf")
    settings, held = values(tmp_path / "out/model.gguf")
    known = settings["tokenizer.ggml.tokens"]
    assert [settings[f"tokenizer.ggml.{name}_token_id"] for name in ("bos", "eos")] == [0, 0]
    period = [3, 11, 1, 10, 0, 7]
    ids = pieces(" ".join(map(str, [*period, *period[:2]])), known)
    assert ids == [0, *(1 + s for s in [*period, *period[:2]])]
    for _ in range(2 * len(period)):
        found = logits(settings, held, ids)[-1]
        assert found[0] < found[1:].min() - 50
        ids.append(int(found.argmax()))
    assert [known[i] for i in ids[1:]] == [f"▁{s}" for s in np.resize(period, len(ids) - 1)]


@pytest.mark.parametrize("name", ["bigram", "gradient_descent", "gd_plus"])
def test_the_readmes_example_runs(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """transformers' own reader of the file: symbols, numbers, and attention in both directions."""
    torch.set_num_threads(1)
    parameters: dict[str, Any] = {"vocabulary": 4} if name == "bigram" else {"d": 2}
    weights = compiled_once(load(name), target="llama", **parameters)
    export(weights, tmp_path / "out", "gguf")
    text = (tmp_path / "out/README.md").read_text()
    assert "--cache-type-k f32" in text
    (example,) = re.findall("```python\n(.*?)```", text, re.DOTALL)
    monkeypatch.chdir(tmp_path / "out")
    monkeypatch.syspath_prepend(str(tmp_path / "out"))
    monkeypatch.delitem(sys.modules, "fields", raising=False)
    exec(example, {})
    said = re.search(r"largest difference from the oracle: (\S+)\n", capsys.readouterr().out)
    assert said
    assert 0 < float(said[1]) < 1e-5


def test_what_no_gguf_holds_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = compiled_once(load("gradient_descent"), target="llama", d=2)
    with pytest.raises(InnerloopError, match=r"target `gpt2`, which gguf does not hold: .* target llama"):
        export(compiled_once(load("gradient_descent"), d=2), tmp_path / "out", "gguf")
    with pytest.raises(InnerloopError, match=r"in float64, and model.gguf is written in float32.* compile it"):
        export(compiled_once(load("averaging"), target="llama", dtype="float64", d=2), tmp_path / "out", "gguf")
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(InnerloopError, match="takes the gguf package: pip install"):
        export(weights, tmp_path / "out", "gguf")
    assert not (tmp_path / "out").exists()
