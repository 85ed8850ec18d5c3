"""Runs of pytest by processes that begin with what takes longest already imported: pytest itself, its plugins and JAX.

    python -m tests.support.fork_server       for each line of input, {"arguments", "environment", "path", "output"}
                                              as JSON, a fork runs pytest; its exit status is a line of output

Nothing of innerloop is imported before the fork, so that each run may have an `innerloop` of its own.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

AHEAD = ("hypothesis", "jax.numpy", "lark", "matplotlib", "networkx", "optax", "rich.console", "safetensors.numpy",
         "scipy.optimize", "scipy.sparse", "scipy.special")  # fmt: skip
ROOT = Path(__file__).resolve().parents[2]


@cache
def _server() -> subprocess.Popen[str]:
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.support.fork_server"],
        cwd=ROOT, env={**os.environ, "OPENBLAS_NUM_THREADS": "1"}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    atexit.register(server.communicate)
    return server


def run_pytest(arguments: Sequence[str], environment: Mapping[str, str], path: Path, output: Path) -> int:
    """The exit status of pytest with these variables besides the usual ones and `path` in front of what is imported;
    what it prints is written to `output`."""
    server = _server()
    assert server.stdin is not None
    assert server.stdout is not None
    job = {"arguments": arguments, "environment": environment, "path": str(path), "output": str(output)}
    server.stdin.write(json.dumps(job) + "\n")
    server.stdin.flush()
    return int(server.stdout.readline())


def _run(job: dict[str, str], arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """In the fork."""
    import pytest

    written = os.open(job["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        os.dup2(written, stream.fileno())
    os.environ.update(environment)
    sys.path.insert(0, job["path"])
    status = int(pytest.main(list(arguments)))
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    return status


def _serve() -> None:
    import warnings
    from importlib import import_module

    import pytest  # noqa: F401

    warnings.filterwarnings("ignore", "os.fork", RuntimeWarning)  # no backend of JAX has been started
    for name in AHEAD:
        import_module(name)
    for line in sys.stdin:
        job = json.loads(line)
        child = os.fork()
        if child == 0:
            status = 70  # of what no run of pytest ends with
            try:
                status = _run(job, job["arguments"], job["environment"])
            finally:
                os._exit(status)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    _serve()
