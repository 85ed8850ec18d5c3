"""Interruption that ends nothing in the middle: Ctrl-C, and the signal by which systems ask a process to end.

before   KeyboardInterrupt at whatever instruction runs: in a callback that JAX makes while memory is collected,
         where it is swallowed, or between two of XLA's own, which has ended in a segmentation fault
after    it is raised where no JAX is on the stack and nothing is being put in its place; until there it waits

stoppable()   a long computation called from Python: interrupted between its steps, where it asks `check` or `asked`
command(…)    a whole command: interrupted anywhere else too; a second Ctrl-C ends the process, wherever it is
held()        a block that is run to its end
expendable(…) a block that takes long in XLA, where nothing can be raised, and of which nothing is lost: a command's
              process ends in it at the first request
unfinished(…) a file or folder that is gone when its block ends, or the process does
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

AGAIN, INSIST = 0.05, 2.0
"""Seconds until the next look whether an interruption may be raised, and until one that was raised and swallowed is
raised again: what it unwinds is given that long."""
PATIENCE = 0.7
"""Seconds until a command of which nothing would be lost ends at once: it may be in an import, or in XLA, where nothing
is raised before they return."""
TWICE = 0.3
"""Seconds between two signals that are two requests: some programs send each twice."""
WHOLE = {"jax", "jaxlib", "importlib", "_frozen_importlib", "contextlib", "weakref", "_weakrefset"}

_asked = 0  # the signal, while it waits or unwinds
_raised = False
"""Whether it unwinds."""
_holds = 0
_steps = 0
"""How many blocks are open in which nothing is raised, and in which only `check` raises."""
_expendable: str | None = None
"""In a block of which nothing is lost, the words for its end."""
_body: CodeType | None = None
"""What a command runs: whatever is raised in it is caught."""


class Interrupted(KeyboardInterrupt):
    """An interruption that knows what was reached, and how to go on."""


def asked() -> bool:
    """Whether an interruption waits."""
    return _asked != 0


def ended_by() -> int:
    """The signal that interrupted the command."""
    return _asked or signal.SIGINT


def check() -> None:
    """Raises KeyboardInterrupt if one waits."""
    if _asked and not _holds:
        _unwinds()
        raise KeyboardInterrupt


def _unwinds() -> None:
    """An interruption is raised, or is about to be: it has until `INSIST` before it is raised again."""
    global _raised
    _raised = True
    if _body is not None:
        signal.setitimer(signal.ITIMER_REAL, INSIST)


@contextmanager
def held() -> Iterator[None]:
    """A block in which no interruption is raised; one that came meanwhile is raised at its end, but where one unwinds
    already, whose words are kept."""
    global _holds
    _holds += 1
    try:
        yield
    finally:
        _holds -= 1
    if not _steps and not isinstance(sys.exc_info()[1], KeyboardInterrupt):
        check()


@contextmanager
def expendable(said: str) -> Iterator[None]:
    """A block that compiles, say: a command that is asked to end in it does so at once, and says this. Raises
    KeyboardInterrupt, with these words, if that was asked before."""
    global _expendable
    if _asked and not _holds:
        _unwinds()
        raise Interrupted(said)
    _expendable = said
    try:
        yield
    finally:
        _expendable = None


_unfinished: set[Path] = set()


@contextmanager
def unfinished(path: Path) -> Iterator[Path]:
    """A file or folder to be filled and moved to its place: what is still here when the block ends is removed."""
    _unfinished.add(path)
    try:
        yield path
    finally:
        with held():
            _remove(path)
            _unfinished.discard(path)


def remove_unfinished() -> None:
    """What a process that ends at once would leave."""
    for path in tuple(_unfinished):
        _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


@contextmanager
def stoppable() -> Iterator[None]:
    """A computation in JAX: an interruption waits until it asks for it, or ends. A second one does not wait.
    Where somebody else handles the signal, or outside the main thread, nothing changes."""
    global _asked, _steps
    ours = _ours()
    counts = ours or (_body is not None and _main())

    def ask(signum: int, frame: FrameType | None) -> None:
        global _asked
        _asked = signum
        signal.signal(signal.SIGINT, signal.default_int_handler)

    if ours:
        signal.signal(signal.SIGINT, ask)
    _steps += counts
    try:
        yield
        if ours:
            check()
    except KeyboardInterrupt:  # with words of its own: nothing is to come between it and who tells them
        if _asked and counts:
            _unwinds()
        raise
    finally:
        _steps -= counts
        if ours:
            _asked = 0
            signal.signal(signal.SIGINT, signal.default_int_handler)


def _ours() -> bool:
    return _main() and signal.getsignal(signal.SIGINT) is signal.default_int_handler


def _main() -> bool:
    return threading.current_thread() is threading.main_thread()


def command(body: Callable[[], int], told: Callable[[BaseException], int], at_once: Callable[[str], object]) -> int:
    """Runs a whole command and returns its status, which `told` gives for what it raised.
    `at_once` is called, in another thread, with words for it, before a request ends the process there."""
    free = (signal.default_int_handler, signal.SIG_DFL, signal.SIG_IGN)
    if not _main() or signal.getsignal(signal.SIGINT) not in free or not hasattr(signal, "setitimer"):
        return _status(body, told)
    global _asked, _body
    _body = body.__code__
    signals = [s for s in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(s) is not signal.SIG_IGN]
    kept: dict[int, Any] = {s: signal.signal(s, _raise) for s in signals}
    kept[signal.SIGALRM] = signal.signal(signal.SIGALRM, _retry)
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    previous = signal.set_wakeup_fd(ours.fileno(), warn_on_full_buffer=False)
    unraisable, sys.unraisablehook = sys.unraisablehook, _unraisable
    threading.Thread(target=_watch, args=(theirs, signals, at_once), daemon=True).start()
    try:
        return _status(body, told)
    finally:
        _asked = 0  # what is on its way asks no more, and sets no alarm that nobody would be there to hear
        for number in signals:
            signal.signal(number, kept[number])
        _asked, _body = 0, None
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, kept[signal.SIGALRM])
        signal.set_wakeup_fd(previous)
        sys.unraisablehook = unraisable
        ours.close()  # which ends the thread


def _status(body: Callable[[], int], told: Callable[[BaseException], int]) -> int:
    try:
        return body()
    except SystemExit:
        raise
    except BaseException as error:
        return told(error)


def _unraisable(found: Any) -> None:
    """An interruption that came in a destructor or a callback, where Python drops what is raised, is raised again."""
    if _asked and issubclass(found.exc_type, KeyboardInterrupt):
        signal.setitimer(signal.ITIMER_REAL, AGAIN)
    else:
        sys.__unraisablehook__(found)


def _raise(signum: int, frame: FrameType | None) -> None:
    global _asked, _raised
    _asked, _raised = signum, False
    _retry(signum, frame)


def _retry(_: int, frame: FrameType | None) -> None:
    if not _asked:
        return
    if _holds or _steps or not _outside(frame):
        signal.setitimer(signal.ITIMER_REAL, AGAIN)
    else:
        _unwinds()
        raise KeyboardInterrupt


def _outside(frame: FrameType | None) -> bool:
    """Whether nothing between here and the command's body is to be left whole: JAX, an import, or what begins and ends
    a context, this module's own too."""
    while frame is not None and frame.f_code is not _body:
        name = str(frame.f_globals.get("__name__", ""))
        if name == __name__ or name.partition(".")[0] in WHOLE:
            return False
        frame = frame.f_back
    return frame is not None


def _watch(requests: socket.socket, signals: list[signal.Signals], at_once: Callable[[str], object]) -> None:
    """Reads what arrives, even while the main thread is inside XLA; a second request ends the process, and the first
    where nothing is lost, or where nothing that could be kept goes on and `PATIENCE` is over."""
    first: float | None = None
    number = signal.SIGINT

    def end(said: str) -> None:
        remove_unfinished()
        at_once(said)
        os._exit(128 + number)

    with requests:
        while True:
            try:
                if not (got := requests.recv(64)):
                    return
            except TimeoutError:
                got = b""
            found = [one for one in got if one in signals]
            now = time.monotonic()
            said = None if _holds else _expendable
            if found:
                number = signal.Signals(found[0])
            if found and (said is not None or (first is not None and now - first > TWICE)):
                end(said or "interrupted")
            elif found and first is None:
                first = now
                requests.settimeout(PATIENCE)
            elif first is not None and now - first >= PATIENCE and not (_raised or _holds or _steps):
                end("interrupted")
