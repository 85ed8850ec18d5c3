"""What becomes of tasks, counted: a cell for each program, target and family, and the tables that are printed."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from innerloop.artifact.words import TargetName

from ..support.families import FAMILIES
from ..support.tables import show

CALIBRATION = "calibration"
"""The family of the tasks that the ranges were taken from."""
CHOICES = (CALIBRATION, *FAMILIES)
RESULTS = ("right", "warned", "refused", "silent")


@dataclass
class Cell:
    """Counts of tasks, and the worst that was silent: its error over the certificate's, and its number."""

    program: str
    target: TargetName
    family: str
    certificate: float | None = None
    right: int = 0
    warned: int = 0
    refused: int = 0
    silent: int = 0
    false_alarms: int = 0
    vague: int = 0
    certified: int = 0
    unsound: int = 0
    worst: float = 0.0
    worst_task: int | None = None
    said: str | None = None
    """The first refusal, or else the first false alarm, or else the first warning."""

    @property
    def tasks(self) -> int:
        return self.right + self.warned + self.refused + self.silent


def kept(file: Path | None, jobs: list[tuple[str, TargetName]], families: list[str]) -> list[Cell]:
    """What a run that was stopped had found of these programs and families."""
    if file is None or not file.is_file():
        return []
    cells = [Cell(**cell) for cell in json.loads(file.read_text(encoding="utf-8"))]
    return [c for c in cells if (c.program, c.target) in jobs and c.family in families]


def totals(cells: Iterable[Cell]) -> tuple[int, ...]:
    counts = [(c.tasks, c.right, c.warned, c.refused, c.silent, c.false_alarms, c.vague, c.unsound) for c in cells]
    return tuple(map(sum, zip(*counts, strict=True))) if counts else (0,) * 8


def report(cells: list[Cell]) -> None:
    """The tables, and the totals in words."""
    heads = ("tasks", *RESULTS, "false alarms", "vague", "unsound")
    by_family = {family: [c for c in cells if c.family == family] for family in CHOICES}
    rows = [[family, *map(str, totals(some))] for family, some in by_family.items() if some]
    show("Families: all programs and targets", ("family", *heads), ("family",), rows)
    rows = []
    for program, target in dict.fromkeys((c.program, c.target) for c in cells):
        some = [c for c in cells if (c.program, c.target) == (program, target)]
        wrong = sorted((c for c in some if c.silent), key=lambda c: -c.worst)
        worst = ", ".join(f"{c.family} {c.silent} (× {c.worst:.2g})" for c in wrong)
        certificate = "–" if some[0].certificate is None else f"{some[0].certificate:.1e}"
        rows.append([program, target, certificate, *map(str, totals(some)), worst])
    show(
        "Programs: silent tasks by family, with the worst error over the certificate's",
        ("program", "target", "certificate", *heads, "silently above the certificate"),
        ("program", "target", "silently above the certificate"),
        rows,
        width=200,
    )  # fmt: skip
    tasks, *counts = totals(cells)
    *counts, alarms, vague, unsound = counts
    print(f"{tasks:,} tasks: " + ", ".join(f"{n:,} {what}" for what, n in zip(RESULTS, counts, strict=True)))
    print(f"{alarms:,} false alarms; {vague:,} right, but vague")
    if certified := sum(c.certified for c in cells):
        print(f"{certified:,} tasks certified, {unsound:,} of them with an error above its bound")
    for family in (CALIBRATION, "default"):
        if some := [c for c in by_family[family] if c.certificate is not None]:
            number, _, warned, *_, false, _, _ = totals(some)
            print(f"on the {family} family: {warned} warned in {number:,} tasks, {false} of them false alarms")
    refused = {(c.program, c.target): c.said for c in cells if c.refused}
    for (program, target), said in refused.items():
        print(f"refused: {program} on {target}: {said}")


def wrong(cells: Iterable[Cell]) -> bool:
    return any(c.silent or c.unsound or (c.family == CALIBRATION and c.warned) for c in cells)
