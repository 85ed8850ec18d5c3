"""What a comparison is asked, and how the JSON of its page says it. Imports nothing heavy: what cannot be asked is
refused at once.

report.json   →   Asked(compiled, trained, task, tasks, seed …)
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from innerloop.artifact.errors import DataError

if TYPE_CHECKING:
    from .training.record import Record

FORMAT = "innerloop comparison, 1"


@dataclass(frozen=True)
class Asked:
    """What a comparison is made of: folders, task {name, parameters …} and settings; `records` of the trained folders,
    by the name of the model, where they have any; `command`: as it was written."""

    compiled: Path
    trained: tuple[Path, ...]
    task: Mapping[str, Any]
    tasks: int = 1000
    seed: int = 0
    mlp: bool = False
    probe: tuple[str, ...] = ()
    command: str = ""
    records: Mapping[str, Record] = field(default_factory=dict)


def read(path: Path) -> Asked:
    """What the JSON of a page was asked, its folders found from where it lies. Raises DataError, with the place, for a
    file that is none."""
    try:
        found = json.loads(path.read_bytes())
        given = found["asked"]
        if found["format"] != FORMAT:
            raise ValueError(f"its format is {found['format']!r}, not {FORMAT!r}")
        folders = [path.parent / folder for folder in (given["compiled"], *given["trained"])]
        return Asked(
            folders[0], tuple(folders[1:]), dict(given["task"]), int(given["tasks"]), int(given["seed"]),
            bool(given["mlp"]), tuple(given["probe"]),
        )  # fmt: skip
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is no JSON that `innerloop compare -o` wrote: {error}") from None
