"""Commands in processes of their own: what surrounds them, and what interrupts them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

MAIN = "import sys; from innerloop.commands import main; sys.exit(main())"


def python(code: str, *arguments: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """A process with these variables besides the usual ones, an empty one being removed."""
    variables = {**os.environ, **environment}
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=cwd, env={k: v for k, v in variables.items() if v}, capture_output=True, text=True, timeout=600,
    )  # fmt: skip


def command(*arguments: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return python(MAIN, *arguments, cwd=cwd, **environment)


def _begun(*arguments: str | Path, cwd: Path) -> subprocess.Popen[str]:
    """A command whose imports are over."""
    started = MAIN.replace("sys.exit", "print('begun', flush=True); sys.exit")
    process = subprocess.Popen(
        [sys.executable, "-c", started, *map(str, arguments)],
        cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    process.stdout.readline()
    return process


def duration(*arguments: str | Path, cwd: Path) -> float:
    """How many seconds a command takes, imports aside, which succeeds."""
    process = _begun(*arguments, cwd=cwd)
    began = time.monotonic()
    _, err = process.communicate(timeout=600)
    assert process.returncode == 0, err
    return time.monotonic() - began


def interrupted(
    *arguments: str | Path,
    cwd: Path,
    after: float = 0,
    once: str | None = None,
    times: int = 1,
    number: int = signal.SIGINT,
) -> tuple[int, str]:
    """The status and stderr of a command that is sent a signal, `times` times, half a second apart: so many seconds
    after it began, and not before there is what the pattern `once` names."""
    process = _begun(*arguments, cwd=cwd)
    while once is not None and not any(cwd.glob(once)) and process.poll() is None:
        time.sleep(0.05)
    time.sleep(after)
    for k in range(times):
        time.sleep(0.5 if k else 0)
        process.send_signal(number)
    _, err = process.communicate(timeout=600)
    return process.returncode, err
