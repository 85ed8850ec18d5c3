"""How another project's transformer takes x and y, and where its answer is read: a small file beside its weights.

    adapter.toml or adapter.json, in the model's folder or given   →   Adapter

    tokens = "(x y)* x"             # or "(example)* query": an example holds x and y, the query x
    prefix = "_backbone."           # of the model's own tensors, if they have one
    begin = "start"                 # a tensor [width]: a token before those of the data, if there is one

    [x]                             # every token that holds an x adds weight @ x + bias
    weight = "_read_in.weight"      # a tensor [width, inputs], as torch.nn.Linear has it, or [inputs, width]
    columns = [0, 1, 2, 3, 4]       # of its inputs those that x goes to, in order (default: all)
    bias = "_read_in.bias"          # a tensor [width] (default: none)

    [y]                             # the same of a y, which is one number
    weight = "_read_in.weight"
    columns = [0]
    bias = "_read_in.bias"

    [answer]                        # the final norm's output, at an x or at the query
    weight = "_read_out.weight"     # a tensor [outputs, width], or [width, outputs]
    row = 0                         # of its outputs (default: 0)
    bias = "_read_out.bias"         # a tensor [outputs] (default: none)

The tensors stand in any .safetensors file of the folder. The table above is that of the models of Garg et al. 2022.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from innerloop.artifact.errors import InnerloopError, near

NAMES = "adapter.toml", "adapter.json"
PATTERNS = "(x y)* x", "(example)* query"


@dataclass(frozen=True)
class Read:
    """`weight @ field[columns] + bias`, by the tensors' names; `columns` None: all of them."""

    weight: str
    columns: tuple[int, ...] | None
    bias: str | None


@dataclass(frozen=True)
class Answer:
    """Output `row` of the tensor `weight`, and of `bias`."""

    weight: str
    row: int
    bias: str | None


@dataclass(frozen=True)
class Adapter:
    """`source`: the file, for what is said of it."""

    source: Path
    tokens: str
    prefix: str | None
    begin: str | None
    x: Read
    y: Read
    answer: Answer


def read(path: Path) -> Adapter:
    """Raises InnerloopError, with the entry and its mend, for a file that is none."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InnerloopError(f"{path}: cannot be read: {error}") from None
    try:
        found: Any = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except (json.JSONDecodeError, tomllib.TOMLDecodeError) as error:
        raise InnerloopError(f"{path}: is no {path.suffix[1:].upper() or 'TOML'}: {error}") from None
    table = _Table(path, "", found)
    table.only("tokens", "prefix", "begin", "x", "y", "answer")
    tokens = table.text("tokens")
    if tokens not in PATTERNS:
        raise InnerloopError(f'{path}: tokens is "{tokens}"; explain knows {" and ".join(map(repr, PATTERNS))}')
    answer = table.inside("answer")
    answer.only("weight", "row", "bias")
    row = answer.whole(answer.get("row", 0), "row")
    reads = []
    for name in ("x", "y"):
        part = table.inside(name)
        part.only("weight", "columns", "bias")
        reads.append(Read(part.text("weight"), part.columns(), part.optional("bias")))
    x, y = reads
    assert tokens is not None
    return Adapter(
        source=path,
        tokens=tokens,
        prefix=table.optional("prefix"),
        begin=table.optional("begin"),
        x=x,
        y=y,
        answer=Answer(answer.text("weight"), row, answer.optional("bias")),
    )


@dataclass(frozen=True)
class _Table:
    """A table of the file; `name` is what stands before its entries' names."""

    path: Path
    name: str
    entries: Any

    def __post_init__(self) -> None:
        if not isinstance(self.entries, Mapping):
            raise InnerloopError(f"{self.path}: {self.name.rstrip('.') or 'the file'} is {self._shown(self.entries)}, "
                                 "and not a table of entries")  # fmt: skip

    @staticmethod
    def _shown(value: Any) -> str:
        shown = json.dumps(value, default=str, ensure_ascii=False)
        return shown if len(shown) <= 60 else f"{shown[:57]}…"

    def only(self, *known: str) -> None:
        for entry in self.entries:
            if entry not in known:
                hint = near(entry, known) or f"there are {', '.join(known)}"
                raise InnerloopError(f"{self.path}: has an entry `{self.name}{entry}`, which no adapter has; {hint}")

    def get(self, entry: str, default: Any) -> Any:
        return self.entries.get(entry, default)

    def optional(self, entry: str) -> str | None:
        value = self.entries.get(entry)
        if value is not None and not isinstance(value, str):
            raise InnerloopError(f"{self.path}: `{self.name}{entry}` is {self._shown(value)}; wanted a text, in quotes")
        return value

    def text(self, entry: str) -> str:
        value = self.optional(entry)
        if value is None:
            raise InnerloopError(f'{self.path}: has no `{self.name}{entry}`; write {entry} = "…"')
        return value

    def inside(self, entry: str) -> _Table:
        if entry not in self.entries:
            raise InnerloopError(f"{self.path}: has no [{entry}]; an adapter says what x, y and answer are")
        return _Table(self.path, f"{entry}.", self.entries[entry])

    def whole(self, value: Any, entry: str) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise InnerloopError(f"{self.path}: `{self.name}{entry}` is {self._shown(value)}; wanted whole numbers "
                                 "from 0 on")  # fmt: skip
        return value

    def columns(self) -> tuple[int, ...] | None:
        value = self.entries.get("columns")
        if value is None:
            return None
        if not isinstance(value, list) or not value:
            raise InnerloopError(f"{self.path}: `{self.name}columns` is {self._shown(value)}; wanted a list, [0, 1, 2]")
        return tuple(self.whole(part, "columns") for part in value)
