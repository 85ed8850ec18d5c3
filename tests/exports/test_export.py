"""Exported folders: stock libraries load them, and compute what we compute."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from innerloop.artifact.arrays import Dtype, Floats
from innerloop.artifact.errors import InnerloopError
from innerloop.artifact.reference.arithmetic import OWN, STOCK, Arithmetic
from innerloop.artifact.reference.stock_norm import moments
from innerloop.artifact.words import Library
from innerloop.compiler import Weights, interpret
from innerloop.programs import load
from innerloop.runtime import Transformer
from innerloop.runtime.exports.check import errors as _errors
from innerloop.runtime.exports.check import tasks as _tasks
from innerloop.runtime.exports.export import export, size
from safetensors.torch import load_file
from transformers import GPT2Model

from tests.reference import REGRESSIONS
from tests.support import random_weights
from tests.support.by_the_book import by_the_book
from tests.support.by_the_book import tasks as random_tasks
from tests.support.commands import Command, one_message
from tests.support.linear_tasks import linear_tasks
from tests.support.shared import compiled_once
from tests.support.stock_models import export_random, features, outputs, readme_difference

PROGRAMS: dict[str, dict[str, Any]] = {
    name: {"d": 3, **({"examples": 6} if "examples =" in load(name) else {"steps": 3})} for name in REGRESSIONS
}
_FOUR_LANES = pytest.mark.xfail(
    reason="PyTorch's float64 LayerNorm sums in four lanes, where +C meets other slots before −C: a division by "
    "numbers of so wide a range loses digits"
)
BELOW = ("gradient_descent", "iterative_newton")  # in float32 with parameters of their own
EXACT = [pytest.param(n, marks=_FOUR_LANES) if n == "iterative_newton" else n for n in REGRESSIONS]


def gpt2(folder: Path, weights: Weights, **fields: Any) -> Floats:
    return outputs(GPT2Model, folder, weights, **fields)


@pytest.mark.parametrize("name", EXACT)
def test_gpt2_computes_the_shipped_programs(name: str, tmp_path: Path) -> None:
    weights = compiled_once(load(name), dtype="float64", **PROGRAMS[name])
    export(weights, tmp_path / "out")
    data = linear_tasks(100, 6, 3, seed=11)
    found = gpt2(tmp_path / "out", weights, **data)
    ours = np.asarray(Transformer(weights, guard="off")(**data))
    truth = interpret(load(name), **data, **PROGRAMS[name])
    assert np.abs(found - ours).max() < 1e-7 * np.abs(truth).max()
    assert np.abs(found - truth).max() < 1e-7 * np.abs(truth).max()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "parameters", "relative"),
    [
        *((name, {"d": 4}, 1e-4) for name in REGRESSIONS if "examples =" not in load(name) and name not in BELOW),
        ("sherman_morrison", {"d": 4, "examples": 20}, 1e-4),
        ("gradient_descent", {"d": 8, "steps": 10, "rate": 0.1}, 1e-4),  # some short prefixes diverge
        ("iterative_newton", {"d": 4}, 2e-4),  # each step up to doubles the rounding in M; 7e-5 was measured
    ],
)
def test_gpt2_holds_the_precision_in_float32(
    name: str, parameters: dict[str, Any], relative: float, tmp_path: Path
) -> None:
    """Otherwise at the defaults, one scan half as long: our predictions, and both within the certificate."""
    weights = compiled_once(load(name), **parameters)
    export(weights, tmp_path / "out")
    data = linear_tasks(100, parameters.get("examples", 40), parameters["d"], seed=11)  # as many as the calibration has
    found = gpt2(tmp_path / "out", weights, **data)
    ours = np.asarray(Transformer(weights, guard="off")(**data), np.float64)
    truth = interpret(load(name), **data, **parameters)
    assert np.abs(found - ours).max() <= relative * np.abs(truth).max()
    assert np.abs(found - truth).max() <= weights.report.predicted_error
    assert np.abs(ours - truth).max() <= weights.report.predicted_error


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("seed", range(2))
def test_gpt2_computes_random_trees(seed: int, causal: bool, tmp_path: Path) -> None:
    """Loops, idle sublayers, MLPs of several widths; attention in both directions."""
    weights = random_weights.tree(seed, causal=causal)
    export_random(weights, tmp_path / "out")
    data = random_tasks(4)
    expected, _ = by_the_book(weights, **data)
    assert np.abs(gpt2(tmp_path / "out", weights, **data) - expected).max() < 5e-6 * max(1.0, np.abs(expected).max())


@pytest.mark.parametrize(("to", "dtype"), [("huggingface", "float64"), ("transformerlens", "float32")])
def test_the_readmes_example_runs(to: Library, dtype: Dtype, tmp_path: Path) -> None:
    weights = compiled_once(load("stochastic_gradient_descent"), d=2, examples=4, dtype=dtype)
    export(weights, tmp_path / "out", to)
    assert 0 < readme_difference(tmp_path / "out") < weights.report.predicted_error


@pytest.mark.slow
@pytest.mark.parametrize("name", EXACT)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_hooked_transformer_holds_every_named_value(name: str, tmp_path: Path) -> None:
    from transformer_lens import HookedTransformer, HookedTransformerConfig

    weights = compiled_once(load(name), dtype="float64", **PROGRAMS[name])
    folder = tmp_path / "out"
    export(weights, folder, "transformerlens")
    entries = json.loads((folder / "config.json").read_text()) | {"dtype": torch.float64}
    model = HookedTransformer(HookedTransformerConfig.from_dict(entries))
    missing, unexpected = model.load_state_dict(load_file(folder / "model.safetensors"), strict=False)
    assert not unexpected
    assert all(name.endswith((".mask", ".IGNORE")) for name in missing)

    data = linear_tasks(5, 6, 3, seed=11)
    interface = load_file(folder / "interface.safetensors")
    given, rows = features(weights, **data)
    with torch.no_grad():
        output, cache = model.run_with_cache(
            given @ interface["embedding"] + model.W_pos[: given.shape[1]], start_at_layer=0
        )
    ours, trace = Transformer(weights, guard="off"), Transformer(weights, guard="off").trace(**data)
    assert np.abs(np.asarray(output[:, rows, 0]) - ours(**data)).max() < 1e-7

    matrices = load_file(folder / "layout.safetensors")
    roles = given[0, 1:, : len(weights.roles)].argmax(-1)
    read = {key: np.full_like(value, np.nan) for key, value in trace.items()}
    for variable in json.loads((folder / "layout.json").read_text())["variables"]:
        for place in variable["places"]:
            at = np.flatnonzero(np.isin(roles, place["roles"]))
            for point in {p for held in place["held"] for p in held["points"] if p.startswith("mlp.")}:
                layer = int(point.removeprefix("mlp."))
                stream = cache[f"blocks.{layer}.hook_resid_post"][:, 1:][:, at]
                value = np.asarray(stream @ matrices[place["read"]])
                read[variable["name"]][layer][:, at] = value.reshape(*value.shape[:2], *variable["shape"])
    assert {"w", "u", "r"} & set(read)
    for key, value in trace.items():
        assert np.array_equal(np.isnan(read[key]), np.isnan(value)), key
        scale = np.nanmax(np.abs(value)) if np.isfinite(value).any() else 1.0
        np.testing.assert_allclose(read[key], value, rtol=0, atol=1e-7 * max(1.0, scale), err_msg=key)


def test_the_size_is_that_of_the_file(tmp_path: Path) -> None:
    weights = compiled_once(load("gradient_descent"), **PROGRAMS["gradient_descent"])
    export(weights, tmp_path / "out")
    tensors = load_file(tmp_path / "out/model.safetensors")
    assert size(weights, "huggingface").parameters == sum(t.numel() for t in tensors.values())
    header = (tmp_path / "out/model.safetensors").stat().st_size - size(weights, "huggingface").bytes
    assert 0 < header < 100 * 200


@pytest.mark.parametrize("what", ["disk", "memory"])
def test_what_does_not_fit_is_refused_and_nothing_is_written(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = compiled_once(load("gradient_descent"), **PROGRAMS["gradient_descent"])
    if what == "disk":
        few = shutil.disk_usage(tmp_path)._replace(free=2**20 // 4)
        monkeypatch.setattr("shutil.disk_usage", lambda _: few)
    else:
        monkeypatch.setenv("INNERLOOP_MEMORY", "250kB")
    message = {
        "disk": r"unrolled, the weights are [\d,]+ parameters, .* 0\.2 MiB of disk are free",
        "memory": r"the numbers of wpe\.weight, as they are written, need about .* memory",
    }
    with pytest.raises(InnerloopError, match=message[what]):
        export(weights, tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_shards_are_those_of_transformers(tmp_path: Path) -> None:
    weights = random_weights.tree(1)
    export_random(weights, tmp_path / "whole")
    export_random(weights, tmp_path / "out", max_shard_size="4kB")
    index = json.loads((tmp_path / "out/model.safetensors.index.json").read_text())
    shards = {path.name: load_file(path) for path in (tmp_path / "out").glob("model-*.safetensors")}
    assert len(shards) > 2
    assert sorted(shards)[0] == f"model-00001-of-{len(shards):05d}.safetensors"
    assert index["weight_map"] == {name: shard for shard, held in shards.items() for name in held}
    assert index["metadata"]["total_size"] == size(weights, "huggingface").bytes
    assert all(sum(t.nbytes for t in held.values()) <= 4000 or len(held) == 1 for held in shards.values())
    one, other = (GPT2Model.from_pretrained(tmp_path / name).state_dict() for name in ("whole", "out"))
    assert all(torch.equal(one[name], other[name]) for name in one)
    refused: list[tuple[str, Library]] = [("much", "huggingface"), ("0", "huggingface"), ("4kB", "transformerlens")]
    for given, to in refused:
        with pytest.raises(InnerloopError, match=f"max_shard_size is '{given}'"):
            export(weights, tmp_path / "other", to, max_shard_size=given)


def test_a_write_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("innerloop.runtime.exports.export.write_tensors", full)
    with pytest.raises(InnerloopError, match=r"cannot write .*: No space left on device"):
        export(compiled_once(load("gradient_descent"), **PROGRAMS["gradient_descent"]), tmp_path / "deep/out")
    assert not list(tmp_path.rglob("*.*"))


def test_other_architectures_and_libraries_are_refused(tmp_path: Path) -> None:
    weights = random_weights.tree(1)
    with pytest.raises(
        InnerloopError, match="target `lsa`, which huggingface does not hold: compile it with target gpt2 or llama"
    ):
        export(replace(weights, config=replace(weights.config, target="lsa")), tmp_path / "out")
    with pytest.raises(
        InnerloopError, match="no export to 'word2vec'; exports: huggingface, transformerlens, tokens, onnx"
    ):
        export(weights, tmp_path / "out", "word2vec")  # type: ignore[arg-type]


@pytest.mark.parametrize("to", ["huggingface", "transformerlens"])
def test_the_command_says_the_size_and_writes_the_folder(to: str, innerloop: Command, compiled: Path) -> None:
    outcome = innerloop("export", compiled, "--to", to, "-o", "out")
    assert outcome.status == 0, outcome.err
    assert re.match(
        r"stochastic_gradient_descent, unrolled: \d+ layers of width \d+, MLPs of \d+; [\d,]+ ", outcome.out
    )
    assert {"README.md", "config.json", "model.safetensors", "program.icl"} <= {p.name for p in Path("out").iterdir()}
    one_message(innerloop("export", compiled, "--to", to, "-o", "out"), "out", "exists already")


def test_the_command_refuses_what_is_no_folder_of_weights(innerloop: Command, tmp_path: Path) -> None:
    one_message(innerloop("export", tmp_path / "none", "--to", "huggingface", "-o", "out"), "none does not exist")
    assert innerloop("export", tmp_path, "--to", "word2vec", "-o", "out").status == 2


def beyond() -> Weights:
    """Weights that keep a certificate here which a stock model's rounding does not."""
    weights = compiled_once(load("sherman_morrison"), d=2, examples=6)
    own, stock = errors(weights, OWN), errors(weights, STOCK)
    task = int((stock / own).argmax())
    between = float(np.sqrt(own[task] * stock[task]))
    return replace(weights, report=replace(weights.report, predicted_error=between))


def errors(weights: Weights, arithmetic: Arithmetic) -> Floats:
    data, truth = _tasks(weights)
    return _errors(weights, data, truth, arithmetic)[:, 0]


def test_what_a_stock_model_rounds_beyond_the_certificate_is_refused(tmp_path: Path) -> None:
    weights = beyond()
    with pytest.raises(InnerloopError, match="as a stock model rounds it is off by"):
        export(weights, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    export(weights, tmp_path / "out", accept_error=True)
    said = " ".join((tmp_path / "out" / "README.md").read_text().split())
    assert f"they are {errors(weights, STOCK).max():.1e} off at most" in said


def test_a_fault_that_a_stock_mean_makes_is_refused(tmp_path: Path) -> None:
    """What the rest token holds is 0 but for what PyTorch leaves of a mean, and each step of these comparisons doubles
    it: right here to 2e-5, off by more than 0.1 in stock GPT-2, and by as much as the check says beforehand."""
    text = load("lasso").replace("relu(v - t) - relu(-v - t)", "(v - t) * (v > t) - (-v - t) * (-v > t)")
    weights = compiled_once(text, d=1, steps=50, rate=0.1)
    with pytest.raises(InnerloopError, match="as a stock model rounds it is off by"):
        export(weights, tmp_path / "out")
    export(weights, tmp_path / "out", accept_error=True)
    data, truth = _tasks(weights)
    found = gpt2(tmp_path / "out", weights, x=data.fields["x"][:, ::2], y=data.fields["y"][:, 1::2, 0])
    expected = errors(weights, STOCK)
    assert expected.max() > 0.1
    np.testing.assert_allclose(np.abs(found - truth).max(1), expected, rtol=0.2)


@pytest.mark.parametrize("width", [32, 48, 112, 816])
def test_the_mean_is_pytorchs(width: int) -> None:
    """Of streams with a norm's constants; 0 exactly where PyTorch's is, and nowhere else."""
    x = np.random.default_rng(width).standard_normal((width, 64)).astype(np.float32)
    x[16:, :32] = 0.0
    x[17, :32], x[23, :32] = 4.0, -4.0
    x[:4], x[8:12], x[4:8], x[12:16] = 3e5, -3e5, 0.0, 0.0
    mean, _ = moments(x)
    _, theirs, _ = torch.native_layer_norm(torch.tensor(x.T.copy()), [width], None, None, 1e-5)
    np.testing.assert_allclose(mean, theirs.numpy()[:, 0], rtol=0, atol=2e-8)
    assert (theirs != 0).any()
    assert np.array_equal(mean != 0, theirs.numpy()[:, 0] != 0)


def test_the_command_accepts_it(innerloop: Command, tmp_path: Path) -> None:
    beyond().save(tmp_path / "weights")
    refused = innerloop("export", "weights", "--to", "huggingface", "-o", "out")
    assert refused.status == 1
    assert "--accept-error" in refused.err
    assert innerloop("export", "weights", "--to", "huggingface", "--accept-error", "-o", "out").status == 0


def test_weights_that_are_wrong_everywhere_say_how_far(tmp_path: Path) -> None:
    weights = compiled_once(load("gradient_descent"), d=2)
    export(replace(weights, readout_bias=weights.readout_bias + 1.0), tmp_path / "out")
    assert "they are 1.0e+00 off at most" in " ".join((tmp_path / "out" / "README.md").read_text().split())
