"""Checkpoints: a folder each, written whole or not at all, of which the last two are kept.

FOLDER/step-00000500/state.safetensors    parameters, the optimiser's state, the losses so far
                     state.json           the step, what is trained and how, and a checksum of the other file
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from innerloop.compiler.errors import DataError
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
    """The state after so many steps; `settings` as JSON has them."""

    step: int
    arrays: Arrays
    settings: dict[str, Any]


def write(folder: Path, checkpoint: Checkpoint) -> Path:
    """Writes a checkpoint beside those there are, removes all but the last KEPT, and returns its folder.
    Raises DataError if it cannot be written."""
    content = save_tensors({name: np.array(array, order="C") for name, array in checkpoint.arrays.items()})
    facts = {"step": checkpoint.step, "settings": checkpoint.settings, "checksum": hashlib.sha256(content).hexdigest()}
    target = folder / f"step-{checkpoint.step:08}"
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
        if facts["checksum"] != hashlib.sha256(content).hexdigest():
            raise ValueError(f"{STATE} is not what was saved (its checksum differs)")
        return Checkpoint(facts["step"], load_tensors(content), facts["settings"])
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise DataError(f"the checkpoint {last} is damaged ({error}): remove it to go on from the one before") from None


def verify(settings: Mapping[str, Any], checkpoint: Checkpoint, folder: Path) -> None:
    """Raises DataError if the checkpoint is of another run."""
    now = json.loads(json.dumps(settings))
    for name in sorted({*now, *checkpoint.settings}):
        if now.get(name) != checkpoint.settings.get(name):
            raise DataError(
                f"{folder} holds a run with {name}={checkpoint.settings.get(name)!r}, not {now.get(name)!r}: resume it "
                f"with the settings that it was begun with, or take another folder"
            )
