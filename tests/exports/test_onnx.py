"""ONNX: what onnxruntime makes of model.onnx is what this package's forward pass makes of the weights."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from innerloop.artifact.errors import InnerloopError
from innerloop.artifact.weights import Weights
from innerloop.artifact.words import TargetName
from innerloop.programs import load
from innerloop.runtime.exports.engines.onnx_graph import FOUND, GIVEN, nodes_of
from innerloop.runtime.exports.engines.onnx_nodes import write_onnx
from innerloop.runtime.exports.export import export, size

from tests.reference.measured import numpy_run
from tests.support import random_weights
from tests.support.by_the_book import tasks
from tests.support.commands import Command, one_message
from tests.support.onnx_models import run
from tests.support.shared import compiled_once


def drawn(kind: str) -> Weights:
    llama: dict[str, Any] = {
        "target": "llama",
        "activation": "silu",
        "norm": "rmsnorm",
        "positions": "rotary",
        "n_kv_head": 2,
    }
    return {
        "loops and idle sublayers": lambda: random_weights.tree(1, width=40),
        "both directions": lambda: random_weights.tree(1, causal=False),
        "float64": lambda: random_weights.tree(2, dtype="float64"),
        "shared keys": lambda: random_weights.llama_tree(1, **llama),
        "norms here and there": lambda: random_weights.normless_tree(1, "dividing"),
        "linear": lambda: random_weights.linear_tree(1, unread=2),
        "linear, both directions": lambda: random_weights.linear_tree(1, causal=False, unread=1),
    }[kind]()


@pytest.mark.parametrize(
    "kind",
    ["loops and idle sublayers", "both directions", "float64", "shared keys", "norms here and there", "linear",
     "linear, both directions"],
)  # fmt: skip
def test_random_weights_are_the_graphs(kind: str, tmp_path: Path) -> None:
    """Whatever the batch and the tokens are, and with the numbers in the file or beside it."""
    weights = drawn(kind)
    for inside in (2**30, 0):
        path = tmp_path / str(inside) / "model.onnx"
        path.parent.mkdir()
        write_onnx(path, nodes_of(weights), (GIVEN, weights.embedding.shape[0]), (FOUND, 1), {}, inside)
        assert (path.with_name("model.onnx.data").exists()) == (inside == 0)
        for batch, examples in ((1, 2), (3, 7)):
            data: dict[str, Any] = tasks(batch, examples)
            expected = numpy_run(weights, data)
            found = run(path, weights, **data)[:, ::2, 0]
            near = 5e-6 if weights.config.dtype == "float32" else 1e-13
            assert np.abs(found - expected).max() < near * max(1.0, np.abs(expected).max())


@pytest.mark.parametrize(
    ("name", "target", "parameters"),
    [
        ("gradient_descent", "gpt2", {"d": 2, "steps": 5}),
        ("gradient_descent", "gelu", {"d": 2, "steps": 5}),
        ("gradient_descent_dual", "lsa", {"d": 2, "steps": 3}),
        ("sherman_morrison", "llama", {"d": 2}),
    ],
)
def test_the_readmes_example_runs(
    name: str,
    target: TargetName,
    parameters: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Without torch and JAX; 81 layers, too, in seconds."""
    weights = compiled_once(load(name), target=target, **parameters)
    start = time.process_time()
    export(weights, tmp_path / "out", "onnx")
    assert time.process_time() - start < 10
    (example,) = re.findall("```python\n(.*?)```", (tmp_path / "out/README.md").read_text(), re.DOTALL)
    monkeypatch.chdir(tmp_path / "out")
    monkeypatch.syspath_prepend(str(tmp_path / "out"))
    monkeypatch.delitem(sys.modules, "fields", raising=False)
    exec(example, {})
    said = re.fullmatch(r"largest difference from the oracle: (\S+)\n", capsys.readouterr().out)
    assert said
    assert 0 < float(said[1]) < weights.report.predicted_error


def test_the_file_is_standard_and_holds_a_loops_numbers_once(tmp_path: Path) -> None:
    few, many = (compiled_once(load("gradient_descent"), d=2, steps=steps) for steps in (3, 30))
    for weights, folder in ((few, "few"), (many, "many")):
        export(weights, tmp_path / folder, "onnx")
    model = onnx.load(tmp_path / "many/model.onnx")
    assert {(o.domain, o.version) for o in model.opset_import} == {("", 20)}
    assert {node.domain for node in model.graph.node} == {""}
    assert [d.dim_param for d in model.graph.input[0].type.tensor_type.shape.dim] == ["batch", "tokens", ""]
    assert {p.key: p.value for p in model.metadata_props}["program"] == many.signature.text
    assert size(many, "onnx").bytes < 1.5 * size(few, "onnx").bytes
    assert abs((tmp_path / "many/model.onnx").stat().st_size - size(many, "onnx").bytes) < 300_000


def test_the_command_writes_it_or_says_what_is_missing(
    innerloop: Command, compiled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert innerloop("export", compiled, "--to", "onnx", "-o", "out").status == 0
    assert {p.name for p in Path("out").iterdir()} == {
        "README.md", "fields.py", "model.onnx", "program.icl", "tasks.safetensors"
    }  # fmt: skip
    monkeypatch.setitem(sys.modules, "onnx", None)
    one_message(innerloop("export", compiled, "--to", "onnx", "-o", "other"), "takes the onnx package: pip install")
    assert not Path("other").exists()


def test_a_parallel_block_has_no_onnx(tmp_path: Path) -> None:
    with pytest.raises(InnerloopError, match="is compiled for target `neox`, which onnx does not hold"):
        export(compiled_once(load("averaging"), target="neox", d=1), tmp_path / "out", "onnx")
