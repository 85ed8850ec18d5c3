"""Which code a figure is of."""

from __future__ import annotations

import subprocess
from pathlib import Path


def revision() -> str:
    """The commit that is checked out, short; nothing outside a repository."""
    told = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return told.stdout.strip()


def kept_lines(name: str) -> Path:
    """Where what was measured at this revision is kept: what another measured is no figure of this one."""
    return Path(f"out/{name}-{revision() or 'unknown'}.jsonl")
