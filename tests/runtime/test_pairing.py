"""No value is ever read as another token's because one is missing, however a file or an array says so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from innerloop.artifact.errors import DataError
from innerloop.artifact.signature import FieldSpec, Pattern, Signature
from innerloop.artifact.tokens import read_data, sequence
from innerloop.runtime.data.datasets import read
from innerloop.runtime.data.pairing import TokenLine, gap

MISSING = ["", " ", "NA", "NaN", "nan", "null", "None", "-", "?", "N/A", "<NA>"]


def signature(pattern: Pattern, onehot: tuple[str, ...] = (), **kinds: tuple[str, ...]) -> Signature:
    fields = tuple(
        FieldSpec(name, (3,) if name in onehot else (), held, onehot=name in onehot) for name, held in kinds.items()
    )
    return Signature("p", pattern, fields, {}, "program p()\n", "p.icl")


SUPERVISED = signature(Pattern((), ("x", "y"), ("x",)), x=("x",), y=("y",))
PATTERNS = {
    "(x y)* x": SUPERVISED,
    "(x y)*": signature(Pattern((), ("x", "y"), ()), x=("x",), y=("y",)),
    "(e)* q": signature(Pattern((), ("e",), ("q",)), x=("e", "q"), y=("e",)),
    "t (e)* q": signature(Pattern(("t",), ("e",), ("q",)), c=("t",), x=("e", "q"), y=("e",)),
    "(fit judge)* q": signature(
        Pattern((), ("fit", "judge"), ("q",)), x=("fit", "judge", "q"), y=("fit", "judge")
    ),
    "start (s)*": signature(Pattern(("start",), ("s",), ()), x=("start", "s")),
    "x (y x)*": signature(Pattern(("x",), ("y", "x"), ()), x=("x",), y=("y",)),
    "(a b c)*": signature(Pattern((), ("a", "b", "c"), ()), a=("a",), b=("b",), c=("c",)),
    "(a b)* with s on both": signature(Pattern((), ("a", "b"), ()), s=("a", "b"), t=("b",)),
}  # fmt: skip


def written(signature: Signature, repetitions: int) -> list[dict[str, float]]:
    """A row for each token, with a number of its own for every value."""
    line, number = sequence(signature.pattern, repetitions), iter(np.arange(1.0, 1000.0))
    return [{f.name: float(next(number)) for f in signature.fields if kind in f.kinds} for kind in line.kinds]


def merged(signature: Signature, rows: list[dict[str, float]]) -> list[dict[str, float]]:
    """A row for each repetition of the group."""
    before, size = len(signature.pattern.prefix), len(signature.pattern.group)
    end = len(rows) - len(signature.pattern.suffix)
    groups = [rows[k : k + size] for k in range(before, end, size)]
    return [*rows[:before], *({n: v for row in group for n, v in row.items()} for group in groups), *rows[end:]]


def file(path: Path, signature: Signature, rows: list[dict[str, float]], missing: str) -> Path:
    names = [field.name for field in signature.fields]
    lines = [",".join(names), *(",".join(str(row.get(name, missing)) for name in names) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def tokens_of(path: Path, signature: Signature) -> list[dict[str, float]]:
    data = read_data(signature, read(path, TokenLine.of(signature)))
    kinds = data.sequence.kinds
    return [
        {f.name: float(data.fields[f.name][0, k, 0]) for f in signature.fields if kind in f.kinds}
        for k, kind in enumerate(kinds)
    ]


@pytest.mark.parametrize("missing", ["", "NA"])
@pytest.mark.parametrize("name", PATTERNS)
def test_any_one_value_that_is_taken_away(tmp_path: Path, name: str, missing: str) -> None:
    """In each layout of a file, for every value: an error, or all tokens that are left hold what they held."""
    signature = PATTERNS[name]
    path = tmp_path / "data.csv"
    whole = written(signature, 3)
    layouts: list[Callable[[list[dict[str, float]]], list[dict[str, float]]]] = [lambda rows: rows]
    group = [n for kind in signature.pattern.group for f in signature.fields if kind in f.kinds for n in [f.name]]
    if len(set(group)) == len(group):
        layouts.append(lambda rows: merged(signature, rows))
    for layout in layouts:
        rows = layout(whole)
        assert tokens_of(file(path, signature, rows, missing), signature) == whole
        for k, row in enumerate(rows):
            for field in row:
                holed = [{n: v for n, v in r.items() if (j, n) != (k, field)} for j, r in enumerate(rows)]
                try:
                    found = tokens_of(file(path, signature, holed, missing), signature)
                except DataError:
                    continue
                assert all(f.items() <= w.items() for f, w in zip(found, whole, strict=False)), (k, field)


@pytest.mark.parametrize("missing", MISSING)
def test_a_missing_label_is_named_however_it_is_written(tmp_path: Path, missing: str) -> None:
    path = tmp_path / "data.csv"
    path.write_text(f"x,y\n0.5,{missing}\n1.5,1\n0.1,3\n")
    with pytest.raises(DataError, match=r"data.csv:2: column `y`: holds no value: `\(x y\)\* x` has one in every"):
        read(path, TokenLine.of(SUPERVISED))
    path.write_text(f"x,y\n0.5,1\n1.5,1\n0.1,{missing}\n")
    assert tokens_of(path, SUPERVISED) == [{"x": 0.5}, {"y": 1}, {"x": 1.5}, {"y": 1}, {"x": 0.1}]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("x,y\n1,2\n,4\n5,6\n7,\n", ":3: column `x`"),
        ("x,y\n1,2\n3,\n5,\n7,8\n", ":3: column `y`"),
        ("x,y\n1,2\n,\n5,6\n7,\n", ":3: holds no value, and later rows"),
        ("x,y\n1,2\n,4\n,6\n7,\n", ":3: column `x`"),
        ("x,y\n1,\n2,\n,3\n4,\n", ":3: does not follow"),
        ("x,y\n1,\n,2\n3,4\n", ":"),
    ],
)
def test_other_holes(tmp_path: Path, text: str, place: str) -> None:
    path = tmp_path / "data.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=f"data.csv{place}"):
        read(path, TokenLine.of(SUPERVISED))


def test_a_state_that_is_missing_is_no_step(tmp_path: Path) -> None:
    """A blank line in a file of one column is a value that is missing."""
    states = signature(Pattern((), ("s",), ()), s=("s",))
    path = tmp_path / "data.csv"
    path.write_text("s\n1\n\n3\n")
    with pytest.raises(DataError, match=r"data\.csv:3: holds no value, and later rows of its task do"):
        read(path, TokenLine.of(states))
    path.write_text("s\n1\n2\n\n\n")
    assert tokens_of(path, states) == [{"s": 1}, {"s": 2}]


# In Python ---------------------------------------------------------------------------------------


class NAType:
    """pandas.NA, by its name."""


class Labelled:
    """A column of a table, as pandas has it."""

    def __init__(self, values: Any, index: list[Any]) -> None:
        self.values, self.index, self.iloc = np.asarray(values, float), index, None

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return self.values


X = np.array([1.0, 2.0, 3.0])


@pytest.mark.parametrize(
    "labels",
    [
        [np.nan, 1.0],
        [None, 1.0],
        np.ma.array([5.0, 1.0], mask=[True, False]),
        np.ma.array([5, 1], mask=[True, False]),
        np.array([NAType(), 1.0], dtype=object),
        [-np.inf, 1.0],
    ],
    ids=["NaN", "None", "masked", "masked integers", "NA", "infinite"],
)
def test_what_is_missing_in_an_array_has_its_place(labels: Any) -> None:
    with pytest.raises(DataError, match=r"`y` holds (nan|-inf) at row 0: all numbers must be finite"):
        read_data(SUPERVISED, {"x": X, "y": labels})


@pytest.mark.parametrize("unknown", [np.nan, None, np.ma.masked])
def test_the_label_of_the_query_may_be_missing(unknown: Any) -> None:
    labels: Any = (
        np.ma.array([4.0, 5.0, 6.0], mask=[False, False, True]) if unknown is np.ma.masked else [4.0, 5.0, unknown]
    )
    data = read_data(SUPERVISED, {"x": X, "y": labels})
    np.testing.assert_array_equal(data.fields["y"][0, :, 0], [0, 4, 0, 5, 0])


def test_the_symbol_of_the_query_may_be_missing() -> None:
    symbols = signature(Pattern((), ("x", "y"), ("x",)), onehot=("y",), x=("x",), y=("y",))
    known: Any = [2, 0, None]
    data = read_data(symbols, {"x": X, "y": known})
    np.testing.assert_array_equal(data.fields["y"][0, 1::2], [[0, 0, 1], [1, 0, 0]])
    with pytest.raises(DataError, match="`y` holds nan at row 0"):
        read_data(symbols, {"x": X, "y": known[::-1]})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"y": ["1", "2"]}, r"`y` holds '1' at \[0\]; wanted numbers"),
        ({"y": [0.5, ""]}, r"`y` holds '' at \[1\]; wanted numbers"),
        ({"y": [1 + 2j, 2]}, "`y` holds complex128 values"),
        ({"y": np.array([1 + 2j, 2], object)}, r"`y` holds \(1\+2j\) at \[0\]; wanted numbers"),
        ({"y": np.array([1, "two"], object)}, r"`y` holds 'two' at \[1\]; wanted numbers"),
        ({"y": np.array(["2020-01-01", "2020-01-02"], "datetime64[D]")}, "`y` holds datetime64"),
        ({"y": [[1.0], [2.0, 3.0]]}, "`y` is no array: its rows differ in length"),
        ({"y": [1.0, 2.0, 3.0, 4.0]}, "`y` has 4 rows, and `x` has 3"),
        ({"y": [1.0]}, "`y` has 1 row, and `x` has 3"),
        ({"y": [[1.0], [2.0]]}, "`x` has no batch dimension, and `y` has one"),
        ({"x": np.ones((4, 3)), "y": np.ones((2, 4))}, "a batch of 2.*one of 4$"),
        ({"x": np.ones((4, 3)), "y": np.ones((3, 4))}, "are the axes of one swapped"),
        ({"y": np.ones((2, 2, 1))}, r"`y` has shape \(2, 2, 1\)"),
    ],
)
def test_arrays_that_do_not_pair(given: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_data(SUPERVISED, {"x": X, "y": np.array([4.0, 5.0]), **given})


def test_tables_whose_rows_have_labels_in_another_order() -> None:
    x: Any = Labelled(X, [5, 7, 8])
    one: Any = Labelled([1, 2], [7, 5])
    other: Any = Labelled([1, 2], [5, 7])
    with pytest.raises(DataError, match=r"row 0 of `y` is labelled 7, and that of `x` 5"):
        read_data(SUPERVISED, {"x": x, "y": one})
    assert read_data(SUPERVISED, {"x": x, "y": other}).batch == 1


def test_a_whole_token_that_is_part_of_another_lacks_nothing() -> None:
    """Of `(a b)*` a row of s alone is an a, though b holds s, too: the row that lacks a value is the later one."""
    tokens = TokenLine.of(PATTERNS["(a b)* with s on both"])
    rows = [frozenset(row) for row in (("s",), ("s", "t"), ("s",), ("t",), ("s",), ("s", "t"))]
    found = gap(tokens, rows)
    assert found is not None
    assert (found.row, found.field) == (3, "s")
