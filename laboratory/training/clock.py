"""When something was made, and how long that took, apart from all that is the same whenever it is made.

clock.json   {"ended": "2026-11-27T17:40:12Z", "seconds": 81.2}

It is the one file of a trained folder, or of a reproduced figure's, that differs between two runs of a command. Where
SOURCE_DATE_EPOCH is set (reproducible-builds.org), it says that date and no seconds, and differs in nothing.
"""

from __future__ import annotations

import json
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from innerloop.artifact.errors import InnerloopError
from innerloop.runtime.whole import replace

CLOCK = "clock.json"
EPOCH = "SOURCE_DATE_EPOCH"


class Clock:
    """Counts on from what `source` had counted, if it was begun before."""

    def __init__(self, source: Path | None) -> None:
        self._began = time.monotonic()
        self._before = 0.0 if source is None else float(read(source).get("seconds") or 0.0)

    def write(self, folder: Path) -> None:
        """Raises InnerloopError for a SOURCE_DATE_EPOCH that is no date."""
        seconds = round(self._before + time.monotonic() - self._began, 1)
        found = {"ended": now(), "seconds": None if EPOCH in os.environ else seconds}
        text = json.dumps(found, indent=1) + "\n"
        replace(folder / CLOCK, lambda stream: stream.write(text.encode()))


def now() -> str:
    """The date and time in UTC, to the second; SOURCE_DATE_EPOCH's where it is set. Raises InnerloopError."""
    given = os.environ.get(EPOCH)
    try:
        moment = datetime.now(UTC) if given is None else datetime.fromtimestamp(int(given), UTC)
    except (ValueError, OverflowError, OSError):
        raise InnerloopError(f"{EPOCH}={given}: must be whole seconds since 1970") from None
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def read(folder: Path) -> dict[str, Any]:
    """What it says; nothing, where there is none."""
    try:
        found = json.loads((folder / CLOCK).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
