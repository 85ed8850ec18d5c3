"""Saving and loading: exact, whole or not at all, and every damage is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from innerloop.artifact.arrays import Dtype
from innerloop.artifact.errors import DataError, InnerloopError
from innerloop.artifact.folders import storage
from innerloop.artifact.folders.storage import load, save
from innerloop.artifact.memory import MemoryLimitError
from innerloop.artifact.parts import Attention, Body, Idle, Mlp, Repeated
from innerloop.artifact.sparse import Matrix
from innerloop.artifact.weights import Weights
from innerloop.runtime import Transformer
from safetensors.numpy import load_file

from tests.support.random_weights import linear_tree, llama_tree, normless_tree
from tests.support.saved import LLAMA, put, rewrite, vars_of, whole


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_round_trip_is_exact(tmp_path: Path, dtype: Dtype) -> None:
    weights = whole(dtype)
    weights.save(tmp_path / "new" / "parents" / "saved")
    again = Weights.load(str(tmp_path / "new" / "parents" / "saved"))
    np.testing.assert_equal(vars_of(again), vars_of(weights))
    rng = np.random.default_rng(0)
    data = {"x": rng.standard_normal((3, 6, 3)), "y": rng.standard_normal((3, 5))}
    assert np.array_equal(Transformer(again, guard="off")(**data), Transformer(weights, guard="off")(**data))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "weights",
    [
        lambda dtype: linear_tree(2, causal=False, unread=1, dtype=dtype),
        lambda dtype: linear_tree(2, dtype=dtype, activation="gelu_tanh", norm="dividing"),
        lambda dtype: normless_tree(2, "dividing", dtype=dtype),
        lambda dtype: normless_tree(2, "none", dtype=dtype),
        lambda dtype: llama_tree(2, dtype, **LLAMA),
    ],
    ids=["linear", "linear and mlp", "some norms", "no norms", "llama"],
)
def test_round_trip_is_exact_for_other_architectures(tmp_path: Path, weights: Any, dtype: Dtype) -> None:
    before = weights(dtype)
    save(before, tmp_path / "saved")
    again = load(tmp_path / "saved")
    assert [type(item) for item in again.sublayers()] == [type(item) for item in before.sublayers()]
    np.testing.assert_equal(vars_of(again), vars_of(before))


def test_a_folder_from_before_linear_attention_is_read_as_it_was(saved: Path) -> None:
    def older(nodes: list[Any]) -> None:
        for node in nodes:
            node.pop("norm", None)
            older(node.get("body", []))

    def change(entries: dict[str, Any]) -> None:
        for name in ("attention", "unread", "n_kv_head", "rope_theta"):
            del entries["config"][name]
        del entries["final_norm"]
        older(entries["body"])

    rewrite(saved, change)
    np.testing.assert_equal(vars_of(load(saved)), vars_of(whole()))


def test_names_and_shapes_are_for_everyone_to_read(saved: Path) -> None:
    tensors = load_file(saved / "model.safetensors")
    weights = whole()
    assert tensors["positions"].shape == weights.positions.shape
    assert tensors["body.2.body.1.mlp.up_bias"].shape == (7,)
    found = np.zeros(16 * 16, np.float32)
    found[np.cumsum(tensors["body.0.attention.query.gaps"]) - 1] = tensors["body.0.attention.query.values"]
    first = next(weights.sublayers())
    assert np.array_equal(found.reshape(16, 16), first.query.csr.toarray())  # type: ignore[union-attr]
    assert all(tensor.dtype == np.float32 for name, tensor in tensors.items() if not name.endswith((".gaps", ".shape")))
    assert (saved / "program.icl").read_bytes().decode() == weights.signature.text
    assert sorted(path.name for path in saved.parent.iterdir()) == ["saved"]


@pytest.mark.parametrize("dtype", get_args(Dtype))
def test_few_numbers_take_few_bytes_and_come_back_bit_for_bit(tmp_path: Path, dtype: Dtype) -> None:
    weights = thin(dtype)
    save(weights, tmp_path / "saved")
    numbers = sum(np.count_nonzero(tensor) for tensor in storage.tensors_of(weights).values())
    tensors = load_file(tmp_path / "saved" / "model.safetensors")
    assert sum(t.nbytes for t in tensors.values()) <= 2 * numbers * np.dtype(dtype).itemsize
    found = load(tmp_path / "saved")
    np.testing.assert_equal(vars_of(found), vars_of(weights))
    assert found.positions.tobytes() == weights.positions.tobytes()  # −0 too


def thin(dtype: Dtype = "float32") -> Weights:
    """Matrices and positions that are next to empty, as compiled ones are."""
    weights = whole(dtype)
    few = Matrix.of([0, 3, 3, 15], [5, 0, 15, 15], [1.0, -0.5, 2.0, 0.25], (16, 16))
    empty = np.zeros(16)
    attention = Attention(weights.final_norm, few, empty, few, empty, few, empty, few, empty)
    body = (attention, Idle("mlp"))
    positions = np.zeros_like(weights.positions)
    positions[1, 2], positions[-1, -1] = -0.0, 7.0
    config = replace(weights.config, n_layer=1)
    return replace(weights, config=config, body=body, positions=positions, layout=())


def test_a_folder_of_version_1_loads(saved: Path) -> None:
    put(saved, storage.tensors_of(whole()))
    rewrite(saved, lambda entries: entries.update(version=1))
    np.testing.assert_equal(vars_of(load(saved)), vars_of(whole()))


QUERY = "body.0.attention.query"


@pytest.mark.parametrize(
    ("message", "change"),
    [
        (f"{QUERY}.gaps leads out of the shape \\[16, 16\\]", lambda t: t[f"{QUERY}.gaps"].__setitem__(0, 200)),
        (f"{QUERY}.gaps leads out", lambda t: t.update({f"{QUERY}.gaps": np.full(4, 2**64 - 1, np.uint64)})),
        (f"{QUERY}.gaps holds 0: two numbers in one place", lambda t: t[f"{QUERY}.gaps"].__setitem__(2, 0)),
        (f"{QUERY}.gaps has shape \\[3\\]", lambda t: t.update({f"{QUERY}.gaps": t[f"{QUERY}.gaps"][:3].copy()})),
        (f"{QUERY}.gaps is int8; shapes are", lambda t: t.update({f"{QUERY}.gaps": np.ones(4, np.int8)})),
        (f"{QUERY}.values holds NaN", lambda t: t[f"{QUERY}.values"].__setitem__(0, np.inf)),
        (f"{QUERY}.shape is \\[8, 32\\], not", lambda t: t.update({f"{QUERY}.shape": np.array([8, 32])})),
        (f"{QUERY}.values is missing", lambda t: t.pop(f"{QUERY}.values")),
        (f"belongs nowhere, {QUERY}.gaps", lambda t: t.update({QUERY: np.zeros((16, 16), np.float32)})),
    ],
)
def test_a_fault_in_compact_tensors_is_named(tmp_path: Path, message: str, change: Any) -> None:
    save(thin(), tmp_path / "saved")
    tensors = load_file(tmp_path / "saved" / storage.TENSORS)
    change(tensors)
    put(tmp_path / "saved", tensors)
    with pytest.raises(DataError, match=f"model.safetensors: .*{message}"):
        load(tmp_path / "saved")


def test_a_shape_that_no_memory_holds_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few bytes may say so now; the table of positions would be one array."""
    save(thin(), tmp_path / "saved")
    rewrite(tmp_path / "saved", lambda entries: entries["config"].update(n_positions=2**24))
    monkeypatch.setenv("INNERLOOP_MEMORY", "1GB")
    with pytest.raises(MemoryLimitError, match=r"the arrays of .* need about 2\.1 GB of memory, 1\.0 GB are free"):
        load(tmp_path / "saved")


def test_an_existing_folder_is_refused_and_left_alone(saved: Path) -> None:
    before = {path.name: path.read_bytes() for path in saved.iterdir()}
    with pytest.raises(InnerloopError, match="exists already"):
        save(whole(), saved)
    assert {path.name: path.read_bytes() for path in saved.iterdir()} == before


def test_nothing_is_left_of_a_save_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, content: bytes) -> int:
        if path.name == storage.TENSORS:
            raise OSError(28, "No space left on device")
        return original(path, content)

    original = Path.write_bytes
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(DataError, match=r"cannot write .*: No space left on device"):
        save(whole(), tmp_path / "saved")
    assert list(tmp_path.iterdir()) == []


def test_a_parent_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot write"):
        save(whole(), tmp_path / "file" / "saved")


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        load(tmp_path / "none")
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="is not a folder"):
        load(tmp_path / "file")


def test_deep_loops_come_back(tmp_path: Path) -> None:
    weights = whole()
    body: Body = (Repeated(1, weights.body[:2], scan=True, turn="y"),)
    for _ in range(4):
        body = (Repeated(1, body, scan=True),)
    deep = replace(weights, body=body, layout=(), config=replace(weights.config, n_layer=1))
    save(deep, tmp_path / "saved")
    again = load(tmp_path / "saved")
    assert isinstance(again.body[0], Repeated)
    assert again.body[0].scan
    inner = again.body[0]
    while isinstance(inner.body[0], Repeated):
        inner = inner.body[0]
    assert inner.turn == "y"
    last = list(again.sublayers())[1]
    assert isinstance(last, Mlp)
    assert last.up == weights.body[1].up  # type: ignore[union-attr]
