"""A table of reproduced figures, from their folders: what held, what did not, and how long each took.

    python -m scripts.figures FOLDER …

FOLDER is what `innerloop reproduce NAME -o FOLDER` wrote. Markdown, a row each, in the order given: how many checks
hold, every check that does not with what was measured and asked, and minutes by the clock. Exit status 1 where a folder
has no figure; a figure that does not hold is no error here.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def row(folder: Path) -> str:
    """Raises ValueError, KeyError or OSError where there is no figure."""
    found = _read(folder / "figures.json")
    seconds = _read(folder / "clock.json")["seconds"]
    checks = found["checks"]
    failed = [
        f"{check['name']}: {check['measured']:.4g} (asked {check['asked']})" for check in checks if not check["holds"]
    ]
    took = "–" if seconds is None else f"{seconds / 60:.1f}"
    held = f"{len(checks) - len(failed)} of {len(checks)}"
    cells = f"`{found['figure']}`", held, "; ".join(failed) or "–", took, f"`{found['compared']['command']}`"
    return f"| {' | '.join(cell.replace('|', '∣') for cell in cells)} |"


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def main(folders: Sequence[str]) -> int:
    if not folders:
        print("name the folders that `innerloop reproduce` wrote", file=sys.stderr)
        return 2
    print("| figure | checks held | what did not hold | minutes by the clock | command |\n|---|---|---|---|---|")
    bad = 0
    for folder in folders:
        try:
            print(row(Path(folder)))
        except (OSError, ValueError, KeyError, TypeError) as error:
            print(f"{folder}: no reproduced figure is there ({type(error).__name__}: {error})", file=sys.stderr)
            bad = 1
    return bad


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
