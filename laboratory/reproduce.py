"""A published figure from nothing to the picture.

    before   a Figure, and a folder that does not exist: DIR
    during   DIR.unfinished: reproduce.json (which figure), checkpoints
    after    DIR: figures.json (checks and numbers), a PNG for each picture, a folder for each of the weights

The folder is named DIR when everything is written. A run that was killed leaves DIR.unfinished, from whose checkpoints
the next run of the same figure goes on.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from innerloop.artifact.errors import InnerloopError
from innerloop.runtime.whole import replace

from .figures import Figure, Result, Setting
from .training.lock import locked

MARKER, CHECKPOINTS, NUMBERS = "reproduce.json", "checkpoints", "figures.json"


def unfinished(folder: Path) -> Path:
    """Where a run for `folder` works."""
    return folder.with_name(f"{folder.name}.unfinished")


def reproduce(
    figure: Figure,
    folder: Path,
    *,
    long: bool = False,
    share: float = 1.0,
    elsewhere: bool = False,
    told: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> Result:
    """Runs `figure`, or goes on with a run of it that was killed, and writes `folder`.

    Raises InnerloopError if `folder` exists, if another run works there or left its work, or if something else computed
    it, which `elsewhere` accepts."""
    if folder.exists() or folder.is_symlink():
        raise InnerloopError(f"{folder}: exists already; name a new folder, or remove it first")
    work, began = unfinished(folder), time.monotonic()
    with locked(work):
        _claim(work, {"figure": figure.name, "long": long, "share": share})
        result = figure.run(Setting(work / CHECKPOINTS, told, long, share, elsewhere))
        told("writing", 0, 0)
        _write(work, figure, result, time.monotonic() - began)
        shutil.rmtree(work / CHECKPOINTS, ignore_errors=True)
        os.rename(work, folder)
    return result


def _claim(work: Path, run: dict[str, Any]) -> None:
    """Makes the folder of a new run, or takes the one that the same run left."""
    marker = work / MARKER
    if work.exists():
        try:
            found = json.loads(marker.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise InnerloopError(f"{work}: exists, and no run of `reproduce` left it; remove it first") from None
        if found != run:
            left = f"{found.get('figure')}{' --long' if found.get('long') else ''}" if isinstance(found, dict) else "?"
            raise InnerloopError(f"{work}: left by a run of {left}; finish that one, or remove the folder")
    else:
        work.mkdir(parents=True)
        replace(marker, lambda stream: stream.write(json.dumps(run).encode()))
    (work / CHECKPOINTS).mkdir(exist_ok=True)


def _write(work: Path, figure: Figure, result: Result, seconds: float) -> None:
    for name, picture in result.pictures.items():
        replace(work / f"{name}.png", partial(picture.savefig, format="png", facecolor="white"))
    for name, weights in result.weights.items():
        shutil.rmtree(work / name, ignore_errors=True)  # of a run that was killed while it wrote
        weights.save(work / name)
    found = {
        "figure": figure.name,
        "purpose": figure.purpose,
        "source": figure.source,
        "holds": result.holds,
        "seconds_of_last_run": round(seconds, 1),
        "checks": [{"name": c.name, "measured": c.measured, "asked": c.asked, "holds": c.holds} for c in result.checks],
        "numbers": result.numbers,
    }
    text = json.dumps(found, indent=2, ensure_ascii=False, default=_plain)
    replace(work / NUMBERS, lambda stream: stream.write(f"{text}\n".encode()))


def _plain(value: Any) -> Any:
    """Arrays and NumPy's numbers as JSON has them."""
    return np.asarray(value).tolist()
