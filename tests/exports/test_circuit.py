"""Circuits: the edges of circuit.json, patched one by one in TransformerLens, carry what the file says."""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from innerloop.artifact.errors import InnerloopError
from innerloop.compiler import compile_program
from innerloop.programs import load
from innerloop.runtime.exports.circuits.patching import count
from innerloop.runtime.exports.export import export, prepared
from safetensors.torch import load_file


def moved(folder: Path, lens: Path) -> dict[str, float]:
    """By edge, the largest change of an output over their root mean square, as EAP's hooks patch it."""
    from transformer_lens import HookedTransformer, HookedTransformerConfig

    settings = json.loads((lens / "config.json").read_text()) | {"dtype": torch.float64}
    settings |= {"use_attn_result": True, "use_split_qkv_input": True, "use_hook_mlp_in": True}
    model = HookedTransformer(HookedTransformerConfig.from_dict(settings))
    model.load_state_dict(load_file(lens / "model.safetensors"), strict=False)
    prompts, embedding = (
        load_file(folder / "prompts.safetensors"),
        load_file(lens / "interface.safetensors")["embedding"],
    )
    rows, tokens = prompts["rows"].long(), prompts["clean"].shape[1]

    def run(side: str, hooks: list[Any]) -> tuple[torch.Tensor, Any]:
        stream = prompts[side] @ embedding + model.W_pos[:tokens]
        with torch.no_grad(), model.hooks(hooks):
            output, cache = model.run_with_cache(stream, start_at_layer=0)
        return output[:, rows], cache

    clean, caches = {}, {}
    for side in ("clean", "corrupted"):
        clean[side], caches[side] = run(side, [])

    def apart(parent: str) -> torch.Tensor:
        if parent == "input":
            return (prompts["corrupted"] - prompts["clean"]) @ embedding
        layer = re.findall(r"\d+", parent)
        if parent.startswith("m"):
            hook = f"blocks.{layer[0]}.hook_mlp_out"
            return caches["corrupted"][hook] - caches["clean"][hook]
        hook = f"blocks.{layer[0]}.attn.hook_result"
        return (caches["corrupted"][hook] - caches["clean"][hook])[:, :, int(layer[1])]

    def add(value: torch.Tensor, hook: Any, change: torch.Tensor, head: int | None) -> torch.Tensor:
        value = value.clone()
        if head is None:
            return value + change
        value[:, :, head] += change
        return value

    found = {}
    for name in json.loads((folder / "circuit.json").read_text())["edges"]:
        parent, child = name.split("->")
        places = [int(n) for n in re.findall(r"\d+", child)]
        if child == "logits":
            hook, head = f"blocks.{model.cfg.n_layers - 1}.hook_resid_post", None
        elif child.startswith("m"):
            hook, head = f"blocks.{places[0]}.hook_mlp_in", None
        else:
            hook, head = f"blocks.{places[0]}.hook_{child[-2]}_input", places[1]
        output, _ = run("clean", [(hook, partial(add, change=apart(parent), head=head))])
        found[name] = ((output - clean["clean"]).abs().max() / clean["clean"].square().mean().sqrt()).item()
    return found


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("gradient_descent", {"d": 2, "steps": 2}), ("nearest_neighbour", {"d": 2}), ("averaging", {"d": 2})],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_patching_in_transformer_lens_contradicts_no_label(
    name: str, parameters: dict[str, Any], tmp_path: Path
) -> None:
    torch.set_num_threads(1)
    weights = compile_program(load(name), dtype="float64", **parameters)
    export(weights, tmp_path / "circuit", "circuit")
    export(weights, tmp_path / "lens", "transformerlens")
    told = json.loads((tmp_path / "circuit/circuit.json").read_text())
    found = moved(tmp_path / "circuit", tmp_path / "lens")
    assert len(found) == len(told["edges"]) == count(weights)
    assert sum(edge["in_graph"] for edge in told["edges"].values()) >= 5
    for edge, effect in found.items():
        label = told["edges"][edge]
        assert abs(effect - label["score"]) <= 1e-5 * max(1e-2, label["score"]), edge
        if edge not in told["undecided"]:
            assert effect > 1e-3 if label["in_graph"] else effect < 1e-6, edge


def test_an_induction_heads_circuit_is_the_papers(tmp_path: Path) -> None:
    """Olsson et al. 2022: a head that looks at the previous token, whose output is the other's key; of the token model,
    in whose last MLP the logarithm is."""
    weights = compile_program(load("induction_head"), vocabulary=4)
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
    export(compile_program(load("sherman_morrison"), target="llama", d=2, examples=2), tmp_path / "out", "circuit")
    text = (tmp_path / "out/README.md").read_text()
    (example,) = re.findall("```python\n(.*?)```", text, re.DOTALL)
    monkeypatch.chdir(tmp_path / "out")
    exec(example, {})
    lines = capsys.readouterr().out.splitlines()
    assert f"above 0.001 | {len(lines)} |" in text
    assert not re.search("of those in the circuit 0 are not", text)
    assert all(float(line.split()[1]) > 1e-3 for line in lines)


def test_too_many_edges_are_refused(tmp_path: Path) -> None:
    weights = compile_program(load("sherman_morrison"), target="llama", d=2)
    with pytest.raises(InnerloopError, match=r"has [\d,]+ edges in 81 layers of \d+ heads; .* compile it for fewer"):
        export(prepared(weights, "circuit"), tmp_path / "out", "circuit")
    assert not (tmp_path / "out").exists()
