"""Where what took long to make is kept for other processes: in the user's cache folder.

INNERLOOP_CACHE    a folder: there; 1: everything, in the user's; 0: nothing; unset: what is small and safe unasked
"""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "INNERLOOP_CACHE"


def cache_folder(unasked: bool) -> Path | None:
    """The folder, which need not be there; None: nowhere. `unasked`: whether it is kept where the user says nothing."""
    given = os.environ.get(VARIABLE, "").strip()
    if given == "0" or not (given or unasked):
        return None
    if given not in ("", "1"):
        return Path(given).expanduser().absolute()
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "innerloop"
    except RuntimeError:  # a user without a home
        return None
