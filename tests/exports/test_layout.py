"""layout.json, as the README of the folder uses it: in stock libraries a variable that is changed is followed as the
float64 interpreter says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from innerloop.artifact.claims import Layout
from innerloop.artifact.tokens import TokenData
from innerloop.artifact.words import Library, TargetName
from innerloop.compiler import Weights
from innerloop.compiler.interpreter.counterfactual import Moment, changed
from innerloop.compiler.interpreter.oracle import evaluate
from innerloop.compiler.ir.build import graph_of
from innerloop.programs import load
from innerloop.runtime.exports.check import tasks as _tasks
from innerloop.runtime.exports.export import export
from innerloop.runtime.exports.stock.followed import errors
from innerloop.runtime.exports.stock.layout import layout

from tests.support.shared import compiled_once

PROGRAMS: dict[str, tuple[dict[str, Any], set[str]]] = {
    "gradient_descent": ({"d": 2, "steps": 3}, {"w"}),
    "gradient_descent, one step": ({"d": 2, "steps": 1}, {"w"}),
    "fista": ({"d": 2, "steps": 3}, {"w", "z"}),
    "adam": ({"d": 2, "steps": 2}, {"w"}),
    "sherman_morrison": ({"d": 2, "examples": 5}, {"w", "P"}),
    "ridge": ({"d": 2}, {"A", "b", "M"}),
    "k_means": ({"d": 2, "k": 2, "steps": 2}, {"C"}),
}
"""By name, and what tells two of one name apart: parameters, and variables that can be changed."""
SLOW = ("adam", "ridge")
CLOSE = 1e-4
DOCS = Path(__file__).parents[2] / "docs" / "exports.md"


def followed_readme(weights: Weights, folder: Path, to: Library, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the README's code leaves behind, run in the folder."""
    export(weights, folder, to)
    monkeypatch.chdir(folder)
    found: dict[str, Any] = {}
    torch.set_num_threads(1)
    for code in re.findall("```python\n(.*?)```", Path("README.md").read_text(), re.DOTALL):
        exec(code, found)
    return found


def held_against_the_interpreter(weights: Weights, data: TokenData, found: dict[str, Any]) -> set[str]:
    """Changes every variable that layout.json says how to change, to the values of other tasks, at a first and a last
    token and time. The variables."""
    graph, tried = graph_of(weights.signature.text, weights.signature.parameters), set[str]()
    roles = found["roles"].tolist()
    for variable in found["layout"]["variables"]:
        for place in variable["places"]:
            held = [h for h in place["held"] if h["write"] is not None]
            for write in place["write"]:
                tokens = [t for t, role in enumerate(roles) if role in write["roles"]]
                scan = held[-1]["turn"] is not None
                chosen = {tokens[write["from"]], tokens[-2]} if scan else {tokens[-1]}
                for token in chosen:
                    wanted: list[Any] = []

                    def another(value: Any, wanted: list[Any] = wanted) -> Any:
                        wanted.append(np.roll(value, 1, axis=0))
                        return wanted[-1]

                    later = 0 if scan else held[-1]["later"]
                    moment = Moment(variable["name"], place["when"], later, token - 1)
                    exact = changed(graph, data, moment, another)
                    assert exact is not None
                    value = torch.tensor(wanted[0], dtype=found["features"].dtype)
                    got = found["patched"](variable["name"], value, held[-1]["points"][0], token).numpy()
                    exact = exact.reshape(got.shape)
                    scale = max(1.0, np.sqrt(np.mean(exact**2)))
                    assert np.sqrt(np.mean((got - exact) ** 2)) <= CLOSE * scale, (variable["name"], place, token)
                    tried.add(variable["name"])
    return tried


@pytest.mark.parametrize(
    ("name", "target"),
    [
        pytest.param(name, target, marks=pytest.mark.slow if name in SLOW else ())
        for name in PROGRAMS
        for target in ("gpt2", "llama")
    ],
)
def test_the_readmes_patches_are_followed_as_the_interpreter_says(
    name: str, target: TargetName, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    parameters, variables = PROGRAMS[name]
    weights = compiled_once(load(name.split(",")[0]), target=target, **parameters)
    found = followed_readme(weights, tmp_path / "out", "huggingface", monkeypatch)
    moved = re.search(r"the output moves by (\S+) and, ablated, by (\S+)", capsys.readouterr().out)
    assert moved
    assert min(map(float, moved.groups())) > 0.01
    assert variables <= held_against_the_interpreter(weights, _tasks(weights)[0], found)


def test_a_change_that_is_bypassed_is_not_told() -> None:
    """s = 1 + u · q is computed of P and u, beside q: who changes q is not followed, though q is held."""
    weights = compiled_once(load("sherman_morrison"), target="llama", d=2, examples=4)
    told, _ = layout(weights, errors(weights, _tasks(weights)[0]), [])
    writes = {v["name"]: [place["write"] for place in v["places"]] for v in told["variables"]}
    assert not any(writes["q"])
    assert isinstance(weights.layout, Layout)
    assert all(write for place, write in zip(weights.layout["P"], writes["P"], strict=True) if place.turn >= 0)


@pytest.mark.parametrize("target", ["gpt2", "llama"])
def test_the_readmes_gradient_is_the_interpreters(
    target: TargetName, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against differences of the interpreter, of which half are of an x and half of the y beside it. Uncut it is not
    finite on llama."""
    weights = compiled_once(load("sherman_morrison"), target=target, d=2, examples=5)
    found = followed_readme(weights, tmp_path / "out", "huggingface", monkeypatch)
    data, step = _tasks(weights)[0], 1e-5
    graph = graph_of(weights.signature.text, weights.signature.parameters)
    for token, field, column in ((2, "x", len(weights.roles)), (3, "y", len(weights.roles) + 2)):
        ends = []
        for change in (step, -step):
            moved = {name: array.copy() for name, array in data.fields.items()}
            moved[field][:, token, 0] += change
            ends.append(evaluate(graph, TokenData(data.sequence, data.batch, moved, data.batched))[:, -1])
        wanted = (ends[0] - ends[1]) / (2 * step)
        close = {"gpt2": 1.5e-2, "llama": 1e-4}[target]  # slopes of GELUs cancel, and float32 rounds each
        np.testing.assert_allclose(found["gradient"][:, 1 + token, column], wanted, rtol=0, atol=close)
        assert np.abs(wanted).max() > 0.1
    assert found["off"] <= 10 * close  # of the slopes that go along, each over all 14 numbers of a task
    assert found["tasks"]["slope"].abs().max() > 0.1
    if target == "llama":
        given = found["features"].clone().requires_grad_()
        stream = found["model"](inputs_embeds=given @ found["interface"]["embedding"]).last_hidden_state
        (stream @ found["interface"]["readout"]).sum().backward()
        assert given.grad is not None
        assert not torch.isfinite(given.grad).all()


@pytest.mark.parametrize("target", ["gpt2", "llama"])
@pytest.mark.filterwarnings("ignore")
def test_the_bridge_of_transformerlens_is_patched_alike(
    target: TargetName, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the lines of docs/exports.md, after those of the README."""
    (lines,) = re.findall("```python\n(from tokenizers.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    weights = compiled_once(load("gradient_descent"), target=target, d=2, steps=2)
    found = followed_readme(weights, tmp_path / "out", "huggingface", monkeypatch)
    exec(lines, found)
    assert "Bridge" in type(found["model"]).__name__
    held_against_the_interpreter(weights, _tasks(weights)[0], found)


def test_a_hooked_transformer_is_patched_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = compiled_once(load("stochastic_gradient_descent"), d=2, examples=4)
    found = followed_readme(weights, tmp_path / "out", "transformerlens", monkeypatch)
    assert held_against_the_interpreter(weights, _tasks(weights)[0], found) >= {"w"}
