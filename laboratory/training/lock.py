"""One process at a time in a folder.

    before   two runs that remove each other's checkpoints
    after    FOLDER.lock beside the folder, held by the system for as long as the first run lives; the second is told
             which process has it

The system drops the lock of a process that was killed: a file that is left without one means nothing. Where a file
system has no locks, the file itself is the lock, and one left by a process of this machine that is gone is taken over.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from innerloop.artifact.errors import DataError
from innerloop.artifact.interrupts import unfinished

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_held: dict[Path, int] = {}
"""The folders that this process has, and for which thread."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Has `folder` for the block, and in the same thread for those in it. Raises DataError if another run has it."""
    place, thread = folder.absolute(), threading.get_ident()
    if _held.get(place) == thread:
        yield
        return
    lock = place.with_name(f"{place.name}.lock")
    if place in _held:
        raise DataError(f"{folder}: another thread of this process works there; take another folder")
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        handle = _taken(lock)
    except (OSError, ValueError) as error:  # ValueError: no path at all
        raise DataError(f"cannot write {lock}: {getattr(error, 'strerror', None) or error}") from None
    if handle is None:
        raise DataError(
            f"{folder}: another run works there ({_owner(lock)}): wait for it, end it, or take another folder; if "
            f"there is none, remove {lock}"
        )
    _held[place] = thread
    try:
        with unfinished(lock):  # removed while it is locked: who opens it before finds that it is gone
            yield
    finally:
        del _held[place]
        os.close(handle)


def _taken(lock: Path) -> int | None:
    """The open file of a lock that is now ours; None if somebody has it."""
    while True:
        try:
            handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
        except FileNotFoundError:  # the folder above went away
            lock.parent.mkdir(parents=True, exist_ok=True)
            continue
        if not _locks(handle):
            os.close(handle)
            return _created(lock)
        if _try(handle):
            with suppress(FileNotFoundError):
                if os.stat(lock).st_ino == os.fstat(handle).st_ino:
                    os.ftruncate(handle, 0)
                    os.write(handle, _card())
                    return handle
            os.close(handle)  # removed by the run before, between our opening and our locking it
            continue
        os.close(handle)
        return None


def _locks(handle: int) -> bool:
    """Whether the file system has locks."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        fcntl.flock(handle, fcntl.LOCK_UN)
    except OSError as error:
        return error.errno in (errno.EWOULDBLOCK, errno.EACCES)
    return True


def _try(handle: int) -> bool:
    assert fcntl is not None  # `_locks` has said so
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _created(lock: Path) -> int | None:
    """Without locks: the file of a process that is gone, or empty, is removed, and a new one made."""
    owner = _card_of(lock)
    if owner.get("host") == socket.gethostname() and not _alive(owner.get("process")):
        owner = {}
    if not owner:
        lock.unlink(missing_ok=True)
    try:
        handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
    except FileExistsError:
        return None
    os.write(handle, _card())
    return handle


def _card() -> bytes:
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    return json.dumps({"process": os.getpid(), "host": socket.gethostname(), "since": since}).encode()


def _card_of(lock: Path) -> dict[str, Any]:
    try:
        found = json.loads(lock.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _owner(lock: Path) -> str:
    card = _card_of(lock)
    return f"process {card.get('process', '?')} on {card.get('host', '?')}, since {card.get('since', '?')}"


def _alive(process: object) -> bool:
    if type(process) is not int or os.name != "posix":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
