"""What `--json` prints: one JSON value on stdout, instead of tables. What is no finite number is null."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any


def print_json(value: object) -> None:
    print(json.dumps(_plain(value), ensure_ascii=False, indent=1))


def records(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> list[dict[str, object]]:
    """A table's rows, each by the names of its columns."""
    return [dict(zip(columns, row, strict=True)) for row in rows]


def _plain(value: Any) -> object:
    match value:
        case Mapping():
            return {str(name): _plain(each) for name, each in value.items()}
        case _ if hasattr(value, "tolist"):  # an array, or a number of NumPy's, which may be a float, too
            return _plain(value.tolist())
        case list() | tuple():
            return [_plain(each) for each in value]
        case float():
            return value if isfinite(value) else None
        case bool() | int() | str() | None:
            return value
    return str(value)
