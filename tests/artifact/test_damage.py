"""Every damage to a folder is told, by name."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from innerloop.artifact.errors import DataError, InnerloopError
from innerloop.artifact.folders import storage
from innerloop.artifact.folders.storage import load, save
from innerloop.artifact.memory import MemoryLimitError
from safetensors.numpy import save_file

from tests.support.random_weights import linear_tree, llama_tree
from tests.support.saved import LLAMA, put, rewrite, vars_of, whole

HUGE = {"shape": [500_000_000, 16], "rows": [], "columns": [], "values": []}
FAULTS: list[tuple[str, Any]] = [
    ("format version 3", lambda e: e.update(version=3)),
    ("does not describe innerloop weights", lambda e: e.update(format="gpt2")),
    ("lacks report", lambda e: e.pop("report")),
    ("unknown entry 'extra'", lambda e: e.update(extra=1)),
    ("config.n_layer is '4', not a whole number", lambda e: e["config"].update(n_layer="4")),
    ("config.n_layer is True", lambda e: e["config"].update(n_layer=True)),
    ("config.n_layer is 99, two each", lambda e: e["config"].update(n_layer=99)),
    ("config.dtype is 'int8', not 'float32' or 'float64'", lambda e: e["config"].update(dtype="int8")),
    ("config.target is 'bert', not 'gpt2' or 'gelu' or", lambda e: e["config"].update(target="bert")),
    ("config.norm is \\['none'\\], not 'layernorm' or", lambda e: e["config"].update(norm=["none"])),
    ("config.d_model is 0", lambda e: e["config"].update(d_model=0)),
    ("config lacks d_head", lambda e: e["config"].pop("d_head")),
    ("config.unread is -1, less than 0", lambda e: e["config"].update(unread=-1)),
    ("config.causal is 1, neither", lambda e: e["config"].update(causal=1)),
    ("signature is 3, not an object", lambda e: e.update(signature=3)),
    ("signature.fields is None, not a list", lambda e: e["signature"].update(fields=None)),
    ("parameters.known is not an array", lambda e: e["parameters"].update(known=[[1.0], [1.0, 2.0]])),
    ("parameters.d is 1000", lambda e: e["parameters"].update(d=10**400)),
    ("parameters.d is {}, not a number", lambda e: e["parameters"].update(d={})),
    ("roles are rest; the pattern has", lambda e: e.update(roles=["rest"])),
    ("inputs\\[0\\].low is 'far', not a number", lambda e: e["inputs"][0].update(low="far")),
    ("layout\\[0\\].matrix has a row outside", lambda e: e["layout"][0]["matrix"].update(rows=[3, 16])),
    ("layout\\[0\\].matrix has shape", lambda e: e["layout"][0]["matrix"].update(shape=[17, 2])),
    ("writes\\[0\\].matrix has shape \\[500000000, 16\\]", lambda e: e["layout"][0].update(writes=[{"matrix": HUGE}])),
    ("layout\\[1\\] has 2 lows", lambda e: e["layout"][1].update(low=[0.0, 1.0])),
    ("layout\\[1\\] is held from sublayer 3 to 99", lambda e: e["layout"][1].update(last=99)),
    ("body is {}, not a list", lambda e: e.update(body={})),
    ("body\\[0\\] is mlp, where attention and mlp have to alternate", lambda e: e["body"].pop(0)),
    ("body\\[0\\] has 4 head dimensions, not 2 × 8", lambda e: e["body"][0].update(attention=4)),
    ("body\\[1\\] has 21 neurons; config.d_mlp is 20", lambda e: e["body"][1].update(mlp=21)),
    ("body\\[1\\] is mlp; config.activation is 'none'", lambda e: e["config"].update(activation="none")),
    ("body\\[1\\].norm is False; config.norm is 'layernorm'", lambda e: e["body"][1].update(norm=False)),
    ("body\\[1\\].norm is 0, neither", lambda e: e["body"][1].update(norm=0)),
    ("final_norm is True; config.norm is 'none'", lambda e: e["config"].update(norm="none")),
    (
        "body\\[0\\] is linear attention; config.attention is 'softmax'",
        lambda e: e["body"].__setitem__(0, {"linear_attention": 16}),
    ),
    ("body\\[2\\] repeats", lambda e: e["body"][2].update(repeat=-1)),
    ("two each", lambda e: e["body"][2].update(repeat=2**10)),
    ("repeats 4 sublayers 500000000 times, not a number of layers", lambda e: e["body"][2].update(repeat=500_000_000)),
    ("live is of 1 sublayers; the body has", lambda e: e.update(live=[["x"]])),
    ("live\\[0\\] has z, and no such kind", lambda e: e.update(live=[["z"]] * 12)),
    ("turn is 'z', and no kind of token", lambda e: e["body"][2].update(scan=True, turn="z")),
    ("turn is 'y'; only a causal scan that begins with attention", lambda e: e["body"][2].update(scan=False, turn="y")),
    ("turn is 3, not a text", lambda e: e["body"][2].update(scan=True, turn=3)),
    ("repeats 0 sublayers 5 times", lambda e: e["body"].insert(0, {"repeat": 5, "scan": False, "body": []})),
    ("config.n_layer is 2097152; it is at most", lambda e: e["config"].update(n_layer=2**21)),
    ("config.d_model is 2147483647; it is at most", lambda e: e["config"].update(d_model=2**31 - 1)),
    ("config.d_model is 16777216", lambda e: e["config"].update(d_model=2**24)),
    ("2147483647 × 8 head dimensions; they are at", lambda e: e["config"].update(n_head=2**31 - 1)),
    ("config.n_positions is 2147483648; it is", lambda e: e["config"].update(n_positions=2**31)),
    ("config.d_mlp is 2147483648; it is", lambda e: e["config"].update(d_mlp=2**31)),
    ("config.norm_epsilon is nan", lambda e: e["config"].update(norm_epsilon="nan")),
    ("config.norm_epsilon is -1.0", lambda e: e["config"].update(norm_epsilon=-1)),
    ("inputs\\[0\\] has the range from -4.0 to inf; its", lambda e: e["inputs"][0].update(high="inf")),
    ("inputs\\[0\\] has the range from 5.0 to 4.0; its", lambda e: e["inputs"][0].update(low=5.0)),
    ("inputs\\[0\\] is of 'z', which is no field", lambda e: e["inputs"][0].update(name="z")),
    ("layout\\[0\\] has the range from nan to 0.1", lambda e: e["layout"][0].update(low=["nan", 0.0])),
    ("layout\\[0\\].kinds are z; the pattern", lambda e: e["layout"][0].update(kinds=["z"])),
    ("layout\\[1\\].shape is \\[-1, -1\\]", lambda e: e["layout"][1].update(shape=[-1, -1])),
    ("output.kinds are none", lambda e: e["output"].update(kinds=[])),
    ("output.shape is \\[2000000000\\], not up to two", lambda e: e["output"].update(shape=[2_000_000_000])),
    ("signature.fields\\[0\\].shape is", lambda e: e["signature"]["fields"][0].update(shape=[0])),
    ("signature.fields\\[0\\].kinds are q", lambda e: e["signature"]["fields"][0].update(kinds=["q"])),
    ("signature.fields\\[0\\] has one end", lambda e: e["signature"]["fields"][0].update(low=1.0, high=None)),
    ("which no program can have", lambda e: e["signature"]["fields"][0].update(name="../x\x1b[31m")),
    ("signature.pattern.group is empty", lambda e: e["signature"]["pattern"].update(group=[])),
    ("signature.source is .*half a letter", lambda e: e["signature"].update(source="\ud800")),
    ("parameters.rate is not finite", lambda e: e["parameters"].update(rate="inf")),
    ("report.tasks is -1, less than 0", lambda e: e["report"].update(tasks=-1)),
    ("report.layers is 1.5", lambda e: e["report"].update(layers=1.5)),
    ("body.1.mlp.up.shape is \\[16, 20\\], not \\[16, 19\\]", lambda e: e["body"][1].update(mlp=19)),
    ("positions has shape", lambda e: e["config"].update(n_positions=65)),
]


@pytest.mark.parametrize(("message", "change"), FAULTS, ids=[message for message, _ in FAULTS])
def test_a_fault_in_the_config_is_named(saved: Path, message: str, change: Any) -> None:
    rewrite(saved, change)
    with pytest.raises(DataError, match=message) as caught:
        load(saved)
    assert "The folder is damaged" in str(caught.value)


def test_an_export_is_none_of_weights(saved: Path) -> None:
    (saved / "config.json").write_text('{"architectures": ["GPT2Model"]}')
    (saved / "tasks.safetensors").touch()
    with pytest.raises(DataError, match=r"does not describe innerloop weights\. The folder is an export: give that of"):
        load(saved)


@pytest.mark.parametrize(
    ("message", "change"),
    [
        ("body\\[2\\] has 4 head dimensions, not 2 × 8", lambda e: e["body"][2].update(linear_attention=4)),
        ("body\\[2\\] has an unknown entry 'norm'", lambda e: e["body"][2].update(norm=True)),
        ("body\\[3\\] is attention, where", lambda e: e["body"].__setitem__(3, {"linear_attention": 16})),
        ("the tensor body.2.attention.output is missing", lambda e: e["body"].__setitem__(2, {"attention": 16})),
        ("the tensor body.3.mlp.up is missing", lambda e: e["body"].__setitem__(3, {"mlp": 20})),
        ("config.norm is 'none'", lambda e: e["config"].update(norm="none")),
        ("final_norm.gain|final_norm.bias", lambda e: e.update(final_norm=not e["final_norm"])),
    ],
)
def test_a_fault_in_linear_attention_is_named(tmp_path: Path, message: str, change: Any) -> None:
    save(linear_tree(2, activation="gelu_tanh", norm="dividing"), tmp_path / "saved")
    rewrite(tmp_path / "saved", change)
    with pytest.raises(DataError, match=message):
        load(tmp_path / "saved")


@pytest.mark.parametrize(
    ("message", "change"),
    [
        ("config.n_kv_head is 3, of which 4 heads is no multiple", lambda e: e["config"].update(n_kv_head=3)),
        ("config.n_kv_head is 0, of which", lambda e: e["config"].update(n_kv_head=0)),
        ("config.d_head is 3; rotary positions need an even number", lambda e: e["config"].update(d_head=3)),
        ("config.rope_theta is 0.0, not a positive", lambda e: e["config"].update(rope_theta=0)),
        ("config.rope_theta is inf, not a positive", lambda e: e["config"].update(rope_theta="inf")),
        ("body.0.attention.key.shape is \\[16, 8\\], not \\[16, 16\\]", lambda e: e["config"].update(n_kv_head=None)),
        ("a tensor that belongs nowhere, body.1.mlp.gate", lambda e: e["body"][1].pop("gate")),
        ("body\\[1\\].gate is 1, neither true nor false", lambda e: e["body"][1].update(gate=1)),
        ("body\\[0\\] has an unknown entry 'gate'", lambda e: e["body"][0].update(gate=True)),
        ("body\\[0\\].norm is False; config.norm is 'rmsnorm'", lambda e: e["body"][0].update(norm=False)),
    ],
)
def test_a_fault_in_llamas_parts_is_named(tmp_path: Path, message: str, change: Any) -> None:
    save(llama_tree(2, **LLAMA), tmp_path / "saved")
    rewrite(tmp_path / "saved", change)
    with pytest.raises(DataError, match=message):
        load(tmp_path / "saved")


@pytest.mark.parametrize(
    ("message", "change"),
    [
        ("the tensor positions is missing", lambda t: t.pop("positions")),
        ("belongs nowhere, other", lambda t: t.update(other=np.zeros(2, np.float32))),
        ("readout has shape \\[1, 16\\]", lambda t: t.update(readout=t["readout"].T.copy())),
        ("readout is float64; the weights are float32", lambda t: t.update(readout=t["readout"].astype(np.float64))),
        ("embedding holds NaN", lambda t: t["embedding"].__setitem__((0, 0), np.nan)),
        ("checksum differs", lambda t: t["embedding"].__setitem__((0, 0), 7.0)),
    ],
)
def test_a_fault_in_the_tensors_is_named(saved: Path, message: str, change: Any) -> None:
    tensors = storage.tensors_of(whole())
    put(saved, tensors)
    change(tensors)
    save_file(tensors, saved / "model.safetensors")
    with pytest.raises(DataError, match=f"model.safetensors: .*{message}"):
        load(saved)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "program.icl"])
def test_a_missing_file_is_named(saved: Path, name: str) -> None:
    (saved / name).unlink()
    with pytest.raises(DataError, match=f"{name}: the file is missing"):
        load(saved)


def test_a_config_nested_without_end_is_refused(saved: Path) -> None:
    (saved / "config.json").write_text("[" * 100_000)
    with pytest.raises(DataError, match="it is not JSON"):
        load(saved)
    rewritten = '{"body": ' * 900 + "[]" + "}" * 900
    (saved / "config.json").write_text(rewritten)
    with pytest.raises(DataError):
        load(saved)


def test_loops_nested_without_end_are_refused(saved: Path) -> None:
    def change(entries: dict[str, Any]) -> None:
        for _ in range(150):
            entries["body"] = [{"repeat": 1, "scan": False, "body": entries["body"]}]

    rewrite(saved, change)
    with pytest.raises(DataError, match="body has loops nested more than 100 deep"):
        load(saved)


def test_parameters_nested_without_end_are_refused(saved: Path) -> None:
    text = (saved / "config.json").read_text()
    deep = f'"parameters": {{"a": {"[" * 900}1{"]" * 900}, '
    (saved / "config.json").write_text(text.replace('"parameters": {', deep, 1))
    with pytest.raises(DataError, match=r"nested without end|not JSON"):
        load(saved)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"n_layer":', '"n_layer": 1, "n_layer":', "the name 'n_layer' stands twice in an object"),
        ('"low": -4.0', '"low": NaN', "it holds NaN, which is no JSON"),
        ('"low": -4.0', '"low": -Infinity', "it holds -Infinity, which is no JSON"),
    ],
)
def test_what_json_readers_read_differently_is_refused(saved: Path, old: str, new: str, message: str) -> None:
    text = (saved / "config.json").read_text()
    assert old in text
    (saved / "config.json").write_text(text.replace(old, new, 1))
    with pytest.raises(DataError, match=message):
        load(saved)


def test_files_larger_than_they_can_be_are_not_read(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hole of a gigabyte after the tensors, and a program of as much: told by their sizes."""
    for name in ("model.safetensors", "program.icl"):
        content = (saved / name).read_bytes()
        with (saved / name).open("ab") as stream:
            stream.truncate(2**30)
        with pytest.raises(DataError, match=rf"{name}: it has 1,073,741,824 bytes, and at most [0-9,]+ are right"):
            load(saved)
        (saved / name).write_bytes(content)
    monkeypatch.setenv("INNERLOOP_MEMORY", "1kB")
    with pytest.raises(MemoryLimitError, match=r"config.json need about .* of memory, 0.0 MB are free"):
        load(saved)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
def test_a_pipe_is_no_file_to_wait_for(saved: Path) -> None:
    (saved / "model.safetensors").unlink()
    os.mkfifo(saved / "model.safetensors")
    with pytest.raises(DataError, match=r"model\.safetensors: it is no file"):
        load(saved)


def test_no_random_damage_goes_unnoticed(saved: Path, tmp_path: Path) -> None:
    """Truncations, flipped bytes (most in the headers), stretches of noise: never a traceback, never wrong weights."""
    rng = np.random.default_rng(0)
    names = (storage.CONFIG, storage.TENSORS, storage.PROGRAM)
    contents = {name: (saved / name).read_bytes() for name in names}
    for trial in range(300):
        name = names[trial % 3]
        content = bytearray(contents[name])
        where = int(rng.integers(min(len(content), 400 if trial % 2 else len(content))))
        match rng.integers(3):
            case 0:
                del content[where:]
            case 1:
                content[where] ^= 1 << int(rng.integers(8))
            case _:
                content[where : where + 20] = rng.bytes(20)
        folder = tmp_path / "damaged"
        shutil.copytree(saved, folder)
        (folder / name).write_bytes(bytes(content))
        told = fault(folder)
        if told is None:  # a blank of config.json's layout became another blank
            assert name == storage.CONFIG
            np.testing.assert_equal(vars_of(load(folder)), vars_of(whole()))
        else:
            assert name in told
        shutil.rmtree(folder)


def fault(folder: Path) -> str | None:
    try:
        load(folder)
    except InnerloopError as error:
        return str(error)
    return None
