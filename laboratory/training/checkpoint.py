"""Checkpoints: a folder each, written whole or not at all, of which the last two are kept.

FOLDER/step-00000500/state.safetensors    parameters, the optimiser's state, the losses so far
                     state.json           the step, what is trained and how, by what (provenance.py), and a checksum
                                          of the other file
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from innerloop.artifact.errors import DataError
from innerloop.runtime.whole import whole_folder
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

KEPT = 2
STATE, FACTS = "state.safetensors", "state.json"

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Checkpoint:
    """The state after so many steps; `settings` and the `provenance` as JSON has them."""

    step: int
    arrays: Arrays
    settings: dict[str, Any]
    provenance: dict[str, Any] = field(default_factory=dict)


def write(folder: Path, checkpoint: Checkpoint) -> Path:
    """Writes a checkpoint beside those there are, removes all but the last KEPT, and returns its folder.
    Raises DataError if it cannot be written."""
    content = save_tensors({name: np.array(array, order="C") for name, array in checkpoint.arrays.items()})
    facts = {
        "step": checkpoint.step,
        "settings": checkpoint.settings,
        "provenance": checkpoint.provenance,
        "checksum": checksum(content),
    }
    target = place(folder, checkpoint.step)
    try:
        with whole_folder(target) as scratch:
            _written(scratch / STATE, content)
            _written(scratch / FACTS, json.dumps(facts, indent=1).encode())
            shutil.rmtree(target, ignore_errors=True)  # of a run that was begun anew
    except OSError as error:
        raise DataError(f"cannot write the checkpoint {target}: {error.strerror or error}") from None
    for old in found(folder)[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    return target


def checksum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def tensors(content: bytes, expected: str, name: str) -> dict[str, Any]:
    """Those of a file of that name and content. Raises ValueError unless it has the checksum that is expected, and
    SafetensorError where it is no such file."""
    if checksum(content) != expected:
        raise ValueError(f"{name} is not what was saved (its checksum differs)")
    return load_tensors(content)


def place(folder: Path, step: int) -> Path:
    return folder / f"step-{step:08}"


def _written(path: Path, content: bytes) -> None:
    """On the disk, and not only handed to the system, before the folder gets its name."""
    with path.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def found(folder: Path) -> list[Path]:
    """The checkpoints' folders, the oldest first."""
    return sorted(path for path in folder.glob("step-*") if path.is_dir())


def read(folder: Path) -> Checkpoint | None:
    """The last checkpoint, if there is one. Raises DataError if it is damaged."""
    if not (there := found(folder)):
        return None
    last = there[-1]
    try:
        content = (last / STATE).read_bytes()
        facts = json.loads((last / FACTS).read_bytes())
        return Checkpoint(
            facts["step"], tensors(content, facts["checksum"], STATE), facts["settings"], facts.get("provenance", {})
        )
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise DataError(f"the checkpoint {last} is damaged ({error}): remove it to go on from the one before") from None


def verify(kept: Checkpoint, settings: Mapping[str, Any], here: Mapping[str, Any] | None, folder: Path) -> None:
    """Raises DataError if the checkpoint is of another run, or, unless `here` is None, was made by something else."""
    older = {"decay": 0.0, "patience": None, "optimiser": "adam", "products": "float32"}  # which all older runs had
    now, then = json.loads(json.dumps(settings)), {**older, **kept.settings}
    if then["patience"] is None:
        then.pop("interval", None)  # which older runs recorded
    then.setdefault("model", now["model"])  # which older runs did not record; `start` tells it too
    more = now["steps"] - then.get("steps", 0)
    if more and now == {**then, "steps": now["steps"]}:
        if now["schedule"] != "constant":
            raise DataError(
                f"{folder} holds a run of {then['steps']} steps, in which the rate falls to 0 along a cosine: "
                f"{now['steps']} steps have another rate from the first on. Only schedule=constant can be lengthened"
            )
        if now["steps"] < kept.step:
            raise DataError(f"{folder} holds a run after {kept.step} steps: steps={now['steps']} would be fewer")
        then["steps"] = now["steps"]
    for name in sorted({*now, *then}):
        if now.get(name) != then.get(name):
            raise DataError(
                f"{folder} holds a run with {name}={then.get(name)!r}, not {now.get(name)!r}: resume it "
                f"with the settings that it was begun with, or take another folder"
            )
    other = [] if here is None else [name for name in here if here[name] != kept.provenance.get(name)]
    if here is not None and other:
        changes = ", ".join(f"{name} {kept.provenance.get(name)!r}, here {here[name]!r}" for name in other)
        raise DataError(
            f"{folder} holds a run that something else computed ({changes}): it would end with other weights. Resume "
            f"it there, begin anew in another folder, or accept the difference (`elsewhere`, in a command --elsewhere)"
        )
