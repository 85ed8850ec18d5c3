"""A comparison on disk: the page, and beside it its numbers and what it was asked.

    report.html    the page             report.csv    every measure, a line each
    report.json    every measure; what was compared: command, folders, models and their training, versions; and what was
                   asked, from which `innerloop compare --from report.json` makes all three again

Nothing here says when: the same command on the same folders writes the same bytes. When a model was trained its own
folder says (training/clock.json).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from math import isfinite
from pathlib import Path
from typing import Any

from innerloop.runtime.whole import replace, whole_folder

from . import charts, headlines
from .asked import FORMAT, Asked
from .compared import Comparison
from .described import described, versions
from .report import figures, page
from .table import csv, measures
from .training.record import Record
from .verdict import among_seeds, extremes, limit, verdict


def write(found: Comparison, asked: Asked, report: Path | None, pictures: Path | None) -> tuple[Path, ...]:
    """The page to `report`, its JSON and CSV beside it, and the figures as NAME.png in the new folder `pictures`: each
    whole or not at all; the paths. Raises OSError where a place cannot be written."""
    if report is None and pictures is None:
        return ()
    made = figures(found)
    files: dict[Path, bytes] = {}
    if report is not None:
        files[report] = page(found, made, _about(asked)).encode()
        files[report.with_suffix(".json")] = _json(found, asked, report.parent)
        files[report.with_suffix(".csv")] = csv(found).encode()
    if pictures is not None:
        with whole_folder(pictures) as folder:
            for name, (_, _, figure) in made.items():
                (folder / f"{name}.png").write_bytes(charts.png(figure, asked.command))
    for path, content in files.items():
        replace(path, lambda stream, content=content: stream.write(content))  # type: ignore[misc]
    return (*files, *([] if pictures is None else [pictures]))


def _about(asked: Asked) -> list[tuple[str, str]]:
    """Rows of the page's last table."""
    given = ", ".join(f"{name} = {value}" for name, value in asked.task.items() if name != "name")
    rows = [("task's parameters", given), ("folders", ", ".join(map(str, (asked.compiled, *asked.trained))))]
    rows += [(f"training of {name}", record.line) for name, record in asked.records.items()]
    rows += [(f"command of {name}", str(record.facts["command"])) for name, record in asked.records.items()]
    rows += [("command", asked.command)] * bool(asked.command)
    return [*rows, ("versions", ", ".join(f"{name} {number}" for name, number in versions().items()))]


def _json(found: Comparison, asked: Asked, folder: Path) -> bytes:
    near, why = limit(found)
    answer, seeds = verdict(found), among_seeds(found)
    names = zip(found.models, (asked.compiled, *asked.trained), strict=True)
    most = extremes(found)
    content = {
        "format": FORMAT,
        "command": asked.command,
        "versions": versions(),
        "asked": {
            "compiled": _from(asked.compiled, folder),
            "trained": [_from(each, folder) for each in asked.trained],
            "task": dict(asked.task),
            "tasks": asked.tasks,
            "seed": asked.seed,
            "mlp": asked.mlp,
            "probe": list(asked.probe),
        },
        "models": {
            name: {"folder": str(place), **described(found.models[name]), **_training(asked.records.get(name))}
            for name, place in names
        },
        "verdict": {"kind": answer.kind, "sentence": answer.sentence, "limit": near, "limit_is": why},
        "seeds": None if seeds is None else {"kind": seeds.kind, "sentence": seeds.sentence},
        "nearest": _nearest(found, near),
        "differ_most": {
            "tasks": most.tasks,
            "spd": most.spd.tolist(),
            "rank_correlation": {name: rank for name, (rank, _, _) in most.traits.items()},
        },
        "table": {"columns": headlines.columns(found), "rows": headlines.rows(found)},
        "measures": [asdict(each) for each in measures(found)],
        "left_out": found.left_out,
    }
    return (json.dumps(_finite(content), indent=1, ensure_ascii=False) + "\n").encode()


def _from(path: Path, folder: Path) -> str:
    """From the folder in which the JSON lies, so that both may move."""
    return os.path.relpath(path.absolute(), folder.absolute())


def _training(record: Record | None) -> dict[str, Any]:
    return {} if record is None else {"training": dict(record.facts), "clock": dict(record.clock)}


def _nearest(found: Comparison, near: float) -> dict[str, Any]:
    if found.algorithms is None:
        return {}
    judged = {name: found.algorithms.judged(name, near) for name in found.models}
    return {
        name: {
            "reference": each.name,
            "near": each.near,
            "ties": each.ties,
            "spd_per_d": [float(each.spd.value), *map(float, each.spd.interval)],
            "share_left": [float(each.left.value), *map(float, each.left.interval)],
        }
        for name, each in judged.items()
    }


def _finite(value: Any) -> Any:
    """JSON has no infinity: null stands for it."""
    if isinstance(value, Mapping):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not isfinite(value) else value
