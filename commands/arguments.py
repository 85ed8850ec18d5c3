"""From what stands on the command line to what the compiler takes.

"d=8"  "lambdas=[0.1, 1]"  "known=tasks.npy"   →   {"d": 8, "lambdas": [0.1, 1], "known": array}
"sherman_morrison" or "my/program.icl"         →   Source(name, text)
"""

from __future__ import annotations

import ast
import codecs
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from innerloop.artifact.errors import InnerloopError, near
from innerloop.compiler.frontend.check_structure import RESERVED_ARGUMENTS
from innerloop.programs import load, names


@dataclass(frozen=True)
class Source:
    """A program's text, and the file name that errors print."""

    name: str
    text: str


def program(given: str) -> Source:
    """A shipped program by its name, or any other by its path.

    Raises InnerloopError if it is neither, and OSError for a file that cannot be read.
    """
    if given in names():
        return Source(f"{given}.icl", load(given))
    path = Path(given)
    if not path.exists():
        hint = near(path.stem, names()) or f"shipped are {', '.join(names())}"
        raise InnerloopError(f"{given}: no such file, and no shipped program of this name; {hint}")
    return Source(given, read_text(path))


def read_text(path: Path) -> str:
    """UTF-8, or UTF-16 with a byte-order mark. Raises InnerloopError if the file is no such text, and OSError if it
    cannot be read."""
    return decoded(path.read_bytes(), str(path))


def decoded(content: bytes, name: str) -> str:
    """The text of a file or of stdin, its lines ending in line feeds. Raises InnerloopError if it is no such text."""
    encoding = "utf-16" if content[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"
    try:
        return content.decode(encoding).replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        what = encoding.upper().removesuffix("-SIG")
        raise InnerloopError(f"{name}: not a text file (byte {error.start} is not {what})") from None


def parameters(assignments: list[tuple[str, str]]) -> dict[str, object]:
    """The values of `-p name=value …`: whole and real numbers, lists of them, and arrays from .npy files.

    Raises InnerloopError for a name given twice and for a value that is none of these.
    """
    values: dict[str, object] = {}
    for name, text in _once("-p", assignments):
        if name in RESERVED_ARGUMENTS:
            raise InnerloopError(f"-p {name}: no program has a parameter of this name")
        values[name] = _array(name, Path(text)) if text.endswith(".npy") else _number(name, text)
    return values


def settings(assignments: list[tuple[str, str]]) -> dict[str, Any]:
    """The values of `-t name=value …`: whole and real numbers, lists of them, words, and lists of words.

    Raises InnerloopError for a name given twice."""
    return {name: _setting(name, text) for name, text in _once("-t", assignments)}


def _setting(name: str, text: str) -> object:
    if text.isidentifier():
        return text
    words = [word.strip() for word in text.removeprefix("[").removesuffix("]").split(",")]
    listed = text.startswith("[") and text.endswith("]") and all(map(str.isidentifier, words))
    return words if listed else _number(name, text, "-t", "a word")


def _once(option: str, assignments: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """The assignments, one after the other. Raises InnerloopError for a name given twice."""
    known: set[str] = set()
    for name, text in assignments:
        if name in known:
            raise InnerloopError(f"{option} {name}: given twice")
        known.add(name)
        yield name, text


def _number(name: str, text: str, option: str = "-p", other: str = "a .npy file") -> object:
    try:
        value: object = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        value = None
    if not _numeric(value):
        raise InnerloopError(f"{option} {name}={text}: not a finite number, a list of numbers in […] or {other}")
    return value


def _numeric(value: object) -> bool:
    if isinstance(value, list):
        return bool(value) and all(_numeric(item) for item in value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return -sys.float_info.max <= value <= sys.float_info.max


def _array(name: str, path: Path) -> object:
    import numpy as np

    try:
        array = np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise InnerloopError(f"-p {name}={path}: not a .npy file of numbers ({error})") from None
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "iufb" or not np.isfinite(array).all():
        raise InnerloopError(f"-p {name}={path}: not an array of finite numbers")
    return array.astype(np.float64)


def new_folder(path: Path) -> None:
    """Refuses a folder that exists, before the long work that would fill it. Raises InnerloopError."""
    if path.exists() or path.is_symlink():
        raise InnerloopError(f"{path}: exists already; name a new folder, or remove it first")
    _writable(path, next(above for above in path.absolute().parents if above.exists()))


def new_file(path: Path) -> None:
    """Refuses a file that exists, and one in no folder, before the long work that would fill it. Raises
    InnerloopError."""
    output_file(path)
    if path.exists() or path.is_symlink():
        raise InnerloopError(f"{path}: exists already; name a new file, or remove it first")


def output_file(path: Path, *inputs: Path | None) -> None:
    """Of a file that is written over: refuses one in no folder, and one of those that are read, however they are named.
    Raises InnerloopError."""
    for read in filter(None, inputs):
        if path.exists() and _same(path, read):
            what = "standard input" if read == Path("-") else read
            raise InnerloopError(f"{path}: is {what}, which this command reads; name another file")
    if not path.parent.exists():
        raise InnerloopError(f"{path}: there is no folder {path.parent}")
    if path.is_dir():
        raise InnerloopError(f"{path}: is a folder, not a file")
    _writable(path, path.parent)


def _same(path: Path, read: Path) -> bool:
    """Whether both are one file, standard input (`-`) among those that are read."""
    if read != Path("-"):
        return read.exists() and path.samefile(read)
    try:
        return os.path.samestat(path.stat(), os.fstat(sys.stdin.fileno()))
    except (OSError, ValueError):  # no file is behind it
        return False


def _writable(path: Path, folder: Path) -> None:
    if not folder.is_dir():
        raise InnerloopError(f"{path}: {folder} is a file, not a folder")
    try:  # root may write by its permissions where no file can be made
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InnerloopError(f"{path}: nothing can be written in {folder}: {error.strerror}") from error
