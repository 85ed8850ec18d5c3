"""Files and folders that are there whole or not at all: each is filled beside its place, and then moved there."""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from innerloop.artifact.interrupts import unfinished


def replace(path: Path, fill: Callable[[IO[bytes]], object]) -> None:
    """Writes a file beside `path` and moves it there when it is whole."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with unfinished(Path(name)):
        with os.fdopen(handle, "wb") as stream:
            fill(stream)
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(name, 0o666 & ~umask)  # mkstemp makes files that only the owner can read
        os.replace(name, path)


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """A folder beside `folder` to fill, which is moved there when the block ends, and removed when it fails."""
    with unfinished(folder.parent / f".innerloop-{uuid.uuid4().hex}") as scratch:
        scratch.mkdir(parents=True)
        yield scratch
        os.rename(scratch, folder)
