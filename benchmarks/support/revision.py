"""Which code a figure is of, and what an earlier run of a benchmark kept."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


def revision() -> str:
    """The commit that is checked out, short; nothing outside a repository."""
    told = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return told.stdout.strip()


def kept_lines(name: str) -> Path:
    """Where what was measured at this revision is kept: what another measured is no figure of this one."""
    return Path(f"out/{name}-{revision() or 'unknown'}.jsonl")


def kept_in(file: Path, line: Callable[..., T]) -> list[T]:
    """What stands in the file, a line each, if there is one; its folder is made."""
    file.parent.mkdir(parents=True, exist_ok=True)
    texts = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return [line(**json.loads(text)) for text in texts]
