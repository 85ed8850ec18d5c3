"""Damage of every kind to saved folders and data files: 1,000 tries, each a clear error, and none read as if it were
whole. The tries come from one seed; a failing one is printed with its number."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from innerloop.artifact.errors import InnerloopError
from innerloop.artifact.folders import storage
from innerloop.artifact.folders.storage import load, save
from innerloop.artifact.tokens import read_data
from innerloop.runtime.data.datasets import read
from innerloop.runtime.data.pairing import TokenLine
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from tests.support.commands import Command, npz, tasks
from tests.support.random_weights import tree

FOLDERS, TENSORS, CSV, NPZ, SHAPES = 350, 150, 200, 200, 100
"""Of the fields of `tree`'s program."""

Rng = np.random.Generator


def damaged(content: bytes, rng: Rng, near: int) -> bytes:
    """Truncated, a bit flipped, noise in it, noise instead, a stretch twice; half of them in the first `near` bytes."""
    where = int(rng.integers(min(len(content), near) if rng.random() < 0.5 else len(content)))
    match rng.integers(5):
        case 0:
            return content[:where]
        case 1:
            return content[:where] + bytes([content[where] ^ (1 << int(rng.integers(8)))]) + content[where + 1 :]
        case 2:
            return content[:where] + rng.bytes(20) + content[where + 20 :]
        case 3:
            return rng.bytes(int(rng.integers(1, 2000)))
        case _:
            return content[:where] + content[max(0, where - 30) :]


def told(action: Callable[[], object], trial: str) -> str | None:
    """The message, one line of words, or None if nothing was wrong. Anything but our own error fails the test."""
    try:
        action()
    except InnerloopError as error:
        message = str(error)
        assert message.strip(), trial
        assert "Traceback" not in message, trial
        assert len(message) < 1000, trial
        return message
    except Exception as error:  # what the command line would show as a traceback
        pytest.fail(f"{trial}: {type(error).__name__}: {error}")
    return None


def same(path: Path, other: Path) -> bool:
    one, two = load(path), load(other)
    again = storage.entries_of(one) == storage.entries_of(two)
    tensors = storage.tensors_of(one), storage.tensors_of(two)
    return again and all(np.array_equal(tensors[0][n], tensors[1][n]) for n in tensors[1])


def test_bytes_of_a_saved_folder(tmp_path: Path) -> None:
    """Each file damaged; of config.json only blanks of the layout may change without harm."""
    whole = tmp_path / "whole"
    save(tree(4), whole)
    rng = np.random.default_rng(1)
    contents = {path.name: path.read_bytes() for path in whole.iterdir()}
    for trial in range(FOLDERS):
        name = sorted(contents)[trial % 3]
        content = damaged(contents[name], rng, 400)
        if content == contents[name]:
            continue
        folder = tmp_path / "damaged"
        shutil.copytree(whole, folder)
        (folder / name).write_bytes(content)
        message = told(lambda folder=folder: load(folder), f"try {trial}, {name}")  # type: ignore[misc]
        if message is None:
            assert name == storage.CONFIG, trial
            assert json.loads(content) == json.loads(contents[name]), trial
            assert same(folder, whole), trial
        else:
            assert name in message, (trial, message)
        shutil.rmtree(folder)


def test_tensors_of_other_shapes_types_and_values(tmp_path: Path) -> None:
    """With the checksums put right: the shape, the type or the number itself has to be found."""
    whole = tmp_path / "whole"
    save(tree(4), whole)
    rng = np.random.default_rng(2)
    tensors = {name: tensor for name, tensor in load_file(whole / storage.TENSORS).items() if tensor.size}
    for trial in range(TENSORS):
        changed = load_file(whole / storage.TENSORS)
        name = sorted(tensors)[int(rng.integers(len(tensors)))]
        changed[name] = _other(tensors[name], rng)
        folder = tmp_path / "changed"
        shutil.copytree(whole, folder)
        save_file(changed, folder / storage.TENSORS)
        entries = json.loads((folder / storage.CONFIG).read_text())
        entries["checksums"][storage.TENSORS] = storage._digest((folder / storage.TENSORS).read_bytes())
        entries["checksums"][storage.CONFIG] = storage._digest(entries)
        (folder / storage.CONFIG).write_text(json.dumps(entries))
        message = told(lambda folder=folder: load(folder), f"try {trial}, {name}")  # type: ignore[misc]
        assert message is not None, (trial, name, changed[name].shape, changed[name].dtype)
        assert name in message, (trial, message)
        shutil.rmtree(folder)


def _other(tensor: NDArray[Any], rng: Rng) -> NDArray[Any]:
    match rng.integers(5):
        case 0:
            return np.concatenate([tensor, tensor[:1]])
        case 1:
            return tensor[None].copy()
        case 2:
            return tensor.astype(np.float64)
        case 3:
            return np.asarray(tensor.reshape(-1)[: max(1, tensor.size - 1)].copy().reshape(-1, 1, 1))
        case _:
            found = np.array(tensor)
            found.reshape(-1)[int(rng.integers(found.size))] = np.nan if found.dtype.kind == "f" else 0
            return found


def csv_of(data: dict[str, NDArray[Any]]) -> bytes:
    """Three tasks; rows of x and y, the last without y."""
    lines = ["task,x_0,x_1,x_2,y"]
    for task, (xs, ys) in enumerate(zip(data["x"], data["y"], strict=True)):
        for row, x in enumerate(xs):
            y = f"{ys[row]:.6f}" if row < len(ys) else ""
            lines.append(",".join([str(task), *(f"{v:.6f}" for v in x), y]))
    return ("\n".join(lines) + "\n").encode()


def whole_data() -> dict[str, NDArray[Any]]:
    rng = np.random.default_rng(3)
    return {"x": rng.standard_normal((3, 5, 3)), "y": rng.standard_normal((3, 4))}


def _read(path: Path) -> Any:
    return read_data(tree(4).signature, read(path, TokenLine.of(tree(4).signature)))


def test_bytes_of_csv_files(tmp_path: Path) -> None:
    """A digit that became another is data; what is read must be what another reader of CSV finds in the file."""
    rng = np.random.default_rng(4)
    content = csv_of(whole_data())
    path = tmp_path / "data.csv"
    found = 0
    for trial in range(CSV):
        text = damaged(content, rng, 60)
        path.write_bytes(text)
        if told(lambda: _read(path), f"try {trial}") is not None:
            found += 1
            continue
        numbers = _cells(text)
        data = read(path, TokenLine.of(tree(4).signature))
        np.testing.assert_array_equal(np.sort(np.concatenate([data[n].ravel() for n in data])), np.sort(numbers))
    assert found > CSV // 2


def _cells(text: bytes) -> NDArray[np.float64]:
    """All numbers of a CSV file but those of the header and of `task`."""
    header, *lines = text.decode("utf-8-sig").splitlines()
    place = [cell.strip() for cell in header.split(",")].index("task")
    cells = [cell for line in lines for k, cell in enumerate(line.split(",")) if k != place and cell.strip()]
    return np.array([float(cell) for cell in cells])


def test_bytes_of_npz_files(tmp_path: Path) -> None:
    """The archive has checksums of its own: what is read is what was written, or nothing is."""
    rng = np.random.default_rng(5)
    stream = io.BytesIO()
    data = whole_data()
    np.savez(stream, **data)  # type: ignore[arg-type]
    content = stream.getvalue()
    path = tmp_path / "data.npz"
    for trial in range(NPZ):
        path.write_bytes(damaged(content, rng, 300))
        if told(lambda: _read(path), f"try {trial}") is None:
            found = read(path, TokenLine.of(tree(4).signature))
            assert all(np.array_equal(found[name], data[name]) for name in data), trial


def test_arrays_of_other_shapes(tmp_path: Path) -> None:
    """Every shape but the right ones is refused, and the field is named."""
    rng = np.random.default_rng(6)
    path = tmp_path / "data.npz"
    for trial in range(SHAPES):
        data = whole_data()
        name = ("x", "y")[trial % 2]
        shape = tuple(int(n) for n in rng.integers(0, 6, int(rng.integers(0, 5))))
        if (name == "x" and shape in {(3, 5, 3), (3, 4, 3)}) or (name == "y" and shape in {(3, 4), (3, 5)}):
            continue
        np.savez(path, **(data | {name: np.zeros(shape)}))  # type: ignore[arg-type]
        message = told(lambda: _read(path), f"try {trial}: {name} {shape}")
        assert message is not None, (trial, name, shape)
        assert "`x`" in message or "`y`" in message, (trial, message)


def test_the_command_line_tells_it_in_one_message(innerloop: Command, compiled: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    given = npz(tmp_path / "good.npz", **tasks()).read_bytes()
    path = tmp_path / "bad.npz"
    for _ in range(5):
        path.write_bytes(given[: int(rng.integers(len(given)))])
        outcome = innerloop("run", compiled, "--data", path)
        assert outcome.status == 1
        assert "Traceback" not in outcome.err
        assert outcome.err.count("error: ") == 1
