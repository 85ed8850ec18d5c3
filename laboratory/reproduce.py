"""A published figure from nothing to the picture.

    before   a Figure, and a folder that does not exist: DIR
    during   DIR.unfinished: reproduce.json (which figure), checkpoints
    after    DIR: figures.json (checks, numbers, and what was compared), a PNG for each picture, which says so too, a
             folder for each of the weights, and clock.json: when that was, and how long it took

The folder is named DIR when everything is written. A run that was killed leaves DIR.unfinished, from whose checkpoints
the next run of the same figure goes on.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from re import sub
from textwrap import wrap
from typing import Any

import numpy as np
from innerloop.artifact.errors import InnerloopError
from innerloop.runtime.whole import replace
from matplotlib.figure import Figure as Picture

from .described import described, versions
from .figures import Figure, Result, Setting
from .training.clock import Clock
from .training.lock import locked

MARKER, CHECKPOINTS, NUMBERS = "reproduce.json", "checkpoints", "figures.json"
CHARACTERS = 23
"""Of the small print under a picture, in an inch."""


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
    shared: Path | None = None,
    told: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> Result:
    """Runs `figure`, or goes on with a run of it that was killed, and writes `folder`.

    Raises InnerloopError if `folder` exists, if `shared` is a file or lies in `folder`, if another run works there or
    left its work, or if something else computed it, which `elsewhere` accepts. Checkpoints of training go below
    `shared`, if it is given, and stay there."""
    if folder.exists() or folder.is_symlink():
        raise InnerloopError(f"{folder}: exists already; name a new folder, or remove it first")
    work = unfinished(folder)
    if shared is not None:
        _apart(shared, folder, work)
    with locked(work):
        run = {"figure": figure.name, "long": long, "share": share}
        _claim(work, run)
        counted = Clock(work)

        def noted(what: str, done: int, total: int) -> None:
            counted.write(work)  # before a training that is ended while it compiles
            told(what, done, total)

        setting = Setting(work / CHECKPOINTS, noted, long, share, elsewhere, shared)
        try:
            result = figure.run(setting)
        finally:
            counted.write(work)  # of a run that is broken off, too
        told("writing", 0, 0)
        _write(work, figure, result, run, setting.runs)
        counted.write(work)
        shutil.rmtree(work / CHECKPOINTS, ignore_errors=True)
        os.rename(work, folder)
    return result


def _apart(shared: Path, folder: Path, work: Path) -> None:
    """That trainings can be kept in `shared`, and stay there when the work is done."""
    there = shared.resolve()
    kept = next(path for path in (there, *there.parents) if path.exists())
    if not kept.is_dir():
        what = "a file" if kept == there else f"{kept} is a file"
        raise InnerloopError(f"{shared}: {what}, and trainings are kept in a folder; name another")
    for own in (folder, work):
        if own.resolve() in (there, *there.parents):
            raise InnerloopError(f"{shared}: lies in {own}, which this run makes anew; name a folder outside it")


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


def _write(work: Path, figure: Figure, result: Result, run: dict[str, Any], runs: dict[str, str]) -> None:
    compared = {
        "command": command(run),
        **versions(),
        "trained": runs,
        "weights": {name: described(weights) for name, weights in result.weights.items()},
    }
    said = signed(compared)
    for name, picture in result.pictures.items():
        sign(picture, said)
        about = {"Title": f"{figure.name}: {figure.purpose}", "Source": figure.source, "Description": said}
        replace(work / f"{name}.png", partial(picture.savefig, format="png", facecolor="white", metadata=about))
    for name, weights in result.weights.items():
        shutil.rmtree(work / name, ignore_errors=True)  # of a run that was killed while it wrote
        weights.save(work / name)
    found = {
        "figure": figure.name,
        "purpose": figure.purpose,
        "source": figure.source,
        "compared": compared,
        "holds": result.holds,
        "checks": [{"name": c.name, "measured": c.measured, "asked": c.asked, "holds": c.holds} for c in result.checks],
        "numbers": result.numbers,
    }
    text = json.dumps(found, indent=2, ensure_ascii=False, default=_plain)
    replace(work / NUMBERS, lambda stream: stream.write(f"{text}\n".encode()))


def command(run: dict[str, Any]) -> str:
    """What does it again."""
    return f"innerloop reproduce {run['figure']}{' --long' if run['long'] else ''}"


def signed(compared: dict[str, Any]) -> str:
    """What stands under each picture: the programs with their parameters, what was trained, and by which version. Runs
    that differ in their seed alone, by which they are named, are said together."""
    programs = dict.fromkeys(each["in_words"] for each in compared["weights"].values())
    alike: dict[str, list[str]] = {}
    for name, how in compared["trained"].items():
        alike.setdefault(sub(r", seed \d+", "", how), []).append(name)
    trained = [f"{', '.join(names)}: {how if len(names) > 1 else compared['trained'][names[0]]}"
               for how, names in alike.items()]  # fmt: skip
    return "; ".join([str(compared["command"]), f"innerloop {compared['innerloop']}", *programs, *trained])


def sign(picture: Picture, said: str) -> None:
    """Writes it under the picture, in lines of its width."""
    across = int(picture.get_size_inches()[0] * CHARACTERS)
    picture.supxlabel("\n".join(wrap(said, across)), x=0.01, ha="left", fontsize=5.5, color="#606060")


def _plain(value: Any) -> Any:
    """Arrays and NumPy's numbers as JSON has them."""
    return np.asarray(value).tolist()
