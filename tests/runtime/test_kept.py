"""Executables kept on disk: only where the user asks for it, and then for the next process too."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest
from innerloop.runtime.executables import VARIABLE, kept_in

CODE = """
import jax, jax.numpy as jnp
from innerloop.runtime.executables import compiled
events = []
jax.monitoring.register_event_listener(lambda event, **_: events.append(event))
print(compiled(lambda x: jnp.sin(x) @ x)(jnp.ones((9, 9)))[0, 0], "/jax/compilation_cache/cache_hits" in events)
"""


def test_nothing_is_kept_unasked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert kept_in() is None
    monkeypatch.setenv(VARIABLE, "0")
    assert kept_in() is None
    monkeypatch.setenv(VARIABLE, "1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    found = kept_in()
    assert found is not None
    assert found.parent == tmp_path / "innerloop"
    before = jax.config.values["jax_compilation_cache_dir"]
    try:
        jax.config.update("jax_compilation_cache_dir", str(tmp_path / "theirs"))  # type: ignore[no-untyped-call]
        assert kept_in() is None
    finally:
        jax.config.update("jax_compilation_cache_dir", before)  # type: ignore[no-untyped-call]


def test_another_process_finds_what_one_compiled(tmp_path: Path) -> None:
    runs = [
        subprocess.run(
            [sys.executable, "-c", CODE],
            env={**os.environ, VARIABLE: str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for _ in range(2)
    ]
    (first, missed), (again, found) = (run.split() for run in runs)
    assert (missed, found) == ("False", "True")
    assert first == again
