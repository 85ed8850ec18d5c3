"""What is kept on disk for the next process: executables where the user asks for it, the parser's tables unasked."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import jax
import pytest
from innerloop.artifact.folders.kept import VARIABLE, cache_folder
from innerloop.compiler.syntax import grammar
from innerloop.runtime.executables import kept_in
from lark import Lark

from tests.reference import source

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


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The grammars that tables are made of, from here on."""
    found: list[str] = []
    make = grammar._made

    def counted(text: str) -> Lark:
        found.append(text)
        return make(text)

    monkeypatch.setattr(grammar, "_made", counted)
    grammar.lark.cache_clear()
    yield found
    grammar.lark.cache_clear()


def test_tables_of_the_parser_are_made_once(made: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "new"))
    trees, words = [], []
    for _ in range(2):
        grammar.lark.cache_clear()
        trees.append(grammar.lark().parse(source("sherman_morrison"), "start"))
        words.append(grammar.keywords())
    assert trees[0] == trees[1]
    assert words[0] == words[1]
    assert len(made) == 1
    (kept,) = (tmp_path / "new").iterdir()
    whole = kept.read_bytes()
    for damaged in (b"", whole[:-1], whole[:9000] + b"?" + whole[9001:]):
        kept.write_bytes(damaged)
        grammar.lark.cache_clear()
        assert grammar.lark().parse(source("sherman_morrison"), "start") == trees[0]
    assert len(made) == 4


@pytest.mark.parametrize("given", ["0", "/dev/null/no folder"])
def test_no_tables_are_kept_where_that_is_impossible_or_forbidden(
    given: str, made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, given)
    for _ in range(2):
        grammar.lark.cache_clear()
        assert grammar.keywords()
    assert len(made) == 2


def test_a_user_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    assert cache_folder(unasked=True) is None
