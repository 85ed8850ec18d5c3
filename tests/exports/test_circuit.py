"""Circuits: the edges of circuit.json, patched one by one in TransformerLens, carry what the file says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from innerloop.artifact.errors import InnerloopError
from innerloop.programs import load
from innerloop.runtime.exports.circuits.patching import count
from innerloop.runtime.exports.export import export, prepared
from safetensors.torch import load_file

from tests.support.patched_lens import PatchedLens
from tests.support.shared import compiled_once


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("gradient_descent", {"d": 2, "steps": 2}), ("nearest_neighbour", {"d": 2}), ("averaging", {"d": 2})],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_patching_in_transformer_lens_contradicts_no_label(
    name: str, parameters: dict[str, Any], tmp_path: Path
) -> None:
    torch.set_num_threads(1)
    weights = compiled_once(load(name), dtype="float64", **parameters)
    export(weights, tmp_path / "circuit", "circuit")
    export(weights, tmp_path / "lens", "transformerlens")
    told = json.loads((tmp_path / "circuit/circuit.json").read_text())
    lens = PatchedLens(tmp_path / "lens", load_file(tmp_path / "circuit/prompts.safetensors"))
    found = lens.edges(told["edges"])
    assert len(found) == len(told["edges"]) == count(weights)
    assert sum(edge["in_graph"] for edge in told["edges"].values()) >= 5
    for edge, effect in found.items():
        label = told["edges"][edge]
        assert abs(effect - label["score"]) <= 1e-5 * max(1e-2, label["score"]), edge
        if edge not in told["undecided"]:
            assert effect > 1e-3 if label["in_graph"] else effect < 1e-6, edge
    within = 0
    for mlp, labels in told["neurons"].items():
        for number in range(0, len(labels["scores"]), 1 + len(labels["scores"]) // 20):
            score, effect = labels["scores"][number], lens.neuron(mlp, number)
            assert abs(effect - score) <= 1e-5 * max(1e-2, score), (mlp, number)
            assert labels["in_graph"][number] == (score > 1e-3)
            within += labels["in_graph"][number]
    assert within


def test_an_induction_heads_circuit_is_the_papers(tmp_path: Path) -> None:
    """Olsson et al. 2022: a head that looks at the previous token, whose output is the other's key; of the token model,
    in whose last MLP the logarithm is."""
    weights = compiled_once(load("induction_head"), vocabulary=4)
    export(weights, tmp_path / "out", "circuit")
    told = json.loads((tmp_path / "out/circuit.json").read_text())
    within = {name for name, edge in told["edges"].items() if edge["in_graph"]}
    assert {
        "input->a0.h0<v>",
        "a0.h0->a1.h0<k>",
        "input->a1.h0<q>",
        "input->a1.h0<v>",
        "a1.h0->m1",
        "m1->logits",
    } <= within
    assert not {"a0.h0->a1.h0<q>", "a0.h0->a1.h0<v>", "input->a0.h0<q>", "input->a0.h0<k>"} & within
    assert told["cfg"] == {"n_layers": 2, "n_heads": 2, "parallel_attn_mlp": False, "d_model": weights.config.d_model}
    assert set(told["nodes"]) == {"input", "a0.h0", "a0.h1", "m0", "a1.h0", "a1.h1", "m1", "logits"}
    lines = (tmp_path / "out/prompts.csv").read_text().splitlines()
    assert lines[0] == "clean,corrupted"
    assert all(re.fullmatch(r"[0-3]( [0-3])*,[0-3]( [0-3])*", line) for line in lines[1:])


def test_the_readmes_example_lists_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a llama, where a norm divides."""
    export(compiled_once(load("sherman_morrison"), target="llama", d=2, examples=2), tmp_path / "out", "circuit")
    text = (tmp_path / "out/README.md").read_text()
    (example,) = re.findall("```python\n(.*?)```", text, re.DOTALL)
    monkeypatch.chdir(tmp_path / "out")
    exec(example, {})
    lines = capsys.readouterr().out.splitlines()
    assert f"above 0.001 | {len(lines)} |" in text
    assert not re.search("of those in the circuit 0 are not", text)
    assert all(float(line.split()[1]) > 1e-3 for line in lines)


def test_too_many_edges_are_refused(tmp_path: Path) -> None:
    weights = compiled_once(load("sherman_morrison"), target="llama", d=2)
    with pytest.raises(InnerloopError, match=r"has [\d,]+ edges in 81 layers of \d+ heads; .* compile it for fewer"):
        export(prepared(weights, "circuit"), tmp_path / "out", "circuit")
    assert not (tmp_path / "out").exists()
