"""Tables as they come: which columns are what, which rows which task, and back to the target's units."""

from __future__ import annotations

import gzip
import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from innerloop.artifact.errors import DataError
from innerloop.artifact.signature import Pattern
from innerloop.runtime.data.columns import Columns
from innerloop.runtime.data.pairing import TokenLine
from innerloop.runtime.data.table_tasks import TableTasks, tasks_of

QUERIED = TokenLine(Pattern((), ("x", "y"), ("x",)), {"x": ("x",), "y": ("y",)}, {"x": None, "y": None})
"""`tokens (x y)* x`."""
UNLABELLED = TokenLine(Pattern((), ("s",), ()), {"s": ("s",)}, {"s": None})
TEXT = """\
name,sex,age,group,bp
Ann,f,59,a,101
Bob,m,48,c,87
Cy,m,72,b,93
Di,f,24,a,84
"""
FRAME = pd.read_csv(io.StringIO(TEXT))


def table(source: object = FRAME, tokens: TokenLine = QUERIED, ends: Any = None, **said: Any) -> TableTasks:
    return tasks_of(source, tokens, {} if ends is None else {"y": ends}, Columns(**said))


def test_all_other_columns_are_inputs_and_words_are_coded() -> None:
    found = table(y="bp", intercept=True)
    np.testing.assert_array_equal(
        found.fields["x"][0],
        [[-1, 59, 1, 0, 0, 1], [1, 48, 0, 0, 1, 1], [1, 72, 0, 1, 0, 1], [-1, 24, 1, 0, 0, 1]],
    )
    np.testing.assert_array_equal(found.fields["y"], [[101, 87, 93]])
    assert found.said == (
        "table: x = sex (f −1, m 1), age, group (one of 3 words, each 0 or 1), 1; y = bp; "
        "name left out (another in every row); 4 rows: 1 task of 3 examples and a query"
    )


def written(kind: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """TEXT in a file of this kind."""
    path = folder / f"patients{kind if kind.startswith('.') else ''}"
    match kind:
        case ".tsv":
            path.write_text(TEXT.replace(",", "\t"), encoding="utf-16")
        case ".txt":
            path.write_text(TEXT.replace(",", "  "))
        case ".csv":
            path.write_text(TEXT.replace(",", ";"), encoding="utf-8-sig")
        case ".csv.gz":
            path.write_bytes(gzip.compress(TEXT.encode()))
        case ".parquet":
            FRAME.to_parquet(path)
        case _:
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(TEXT.encode())))
            return Path("-")
    return path


@pytest.mark.parametrize("kind", [".tsv", ".txt", ".csv", ".csv.gz", ".parquet", "-"])
def test_one_table_in_every_kind_of_file(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found, wanted = table(written(kind, tmp_path, monkeypatch), y="bp"), table(y="bp")
    np.testing.assert_array_equal(found.fields["x"], wanted.fields["x"])
    np.testing.assert_array_equal(found.lines, wanted.lines + (0 if kind == ".parquet" else 1))


@pytest.mark.parametrize("dtype", [np.float64, np.float32, "Float64", "object"])
def test_a_frames_numbers_are_the_same_to_the_last_bit(dtype: Any) -> None:
    values = np.random.default_rng(0).standard_normal((5, 2))
    frame = pd.DataFrame(values, columns=["a", "b"]).astype(dtype)
    np.testing.assert_array_equal(table(frame, y="b").fields["x"][0, :, 0], frame["a"].to_numpy(np.float64))


def test_rows_without_a_target_at_the_end_are_each_a_query() -> None:
    found = table(FRAME.assign(bp=[101, 87, None, None]), x="age", y="bp")
    np.testing.assert_array_equal(found.lines, [[1, 2, 3], [1, 2, 4]])
    np.testing.assert_array_equal(found.fields["x"][..., 0], [[59, 48, 72], [59, 48, 24]])
    assert np.isnan(found.target[:, -1]).all() if found.target is not None else False


@pytest.mark.parametrize("said", [{"leave_one_out": True}, {"splits": 2, "examples": 1}])
def test_rows_without_a_target_that_are_in_no_task_are_named(said: Any) -> None:
    found = table(FRAME.assign(bp=[101, 87, None, None]), x="age", y="bp", **said)
    assert found.lines.max() == 2
    assert "; 2 rows without a target left out (rows 3, 4);" in found.said


@pytest.mark.parametrize(
    ("said", "count", "examples"),
    [
        ({"leave_one_out": True}, 4, 3),
        ({"splits": 5, "examples": 2}, 5, 2),
        ({"splits": 2}, 2, 3),
        ({"task": "sex"}, 2, 1),
        ({"task": "sex", "splits": 3, "examples": 1}, 6, 1),
    ],
)
def test_every_value_of_a_task_is_of_the_line_that_is_named(said: Any, count: int, examples: int) -> None:
    found = table(x=["age"], y="bp", standardise=True, **said)
    assert found.lines.shape == (count, examples + 1)
    ages, pressures = (FRAME[name].to_numpy(float)[found.lines - 1] for name in ("age", "bp"))
    assert all(len(set(lines)) == examples + 1 for lines in found.lines.tolist())
    np.testing.assert_array_equal(found.target, pressures)
    known = ages[:, :-1]
    scale = np.where(np.ptp(known, 1) > 0, known.std(1), 1)
    np.testing.assert_allclose(found.fields["x"][..., 0], (ages - known.mean(1)[:, None]) / scale[:, None])
    np.testing.assert_allclose(found.back(found.fields["y"]), pressures[:, :-1])


def test_splits_are_the_same_for_one_seed_and_others_for_another() -> None:
    one, same, other = (table(x="age", y="bp", splits=9, examples=2, seed=seed).lines for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


def test_a_target_of_two_values_takes_the_programs_numbers() -> None:
    for said, ends, wanted in (
        ({"y": "sex"}, (-1.0, 1.0), [-1, 1, 1]),
        ({"y": "sex", "classes": (0, 1)}, None, [0, 1, 1]),
        ({"y": "group=a"}, (0.0, 1.0), [1, 0, 0]),
        ({"y": "bp = 87", "classes": (-1, 1)}, None, [-1, 1, -1]),
    ):
        np.testing.assert_array_equal(table(x="age", ends=ends, **said).fields["y"], [wanted])
    ones = FRAME.assign(bp=[0, 1, 1, 0])
    np.testing.assert_array_equal(table(ones, x="age", y="bp", ends=(-1, 1)).fields["y"], [[-1, 1, 1]])
    np.testing.assert_array_equal(table(ones, x="age", y="bp").fields["y"], [[0, 1, 1]])


def test_a_target_of_two_numbers_is_not_standardised() -> None:
    found = table(FRAME.assign(bp=["0", "1", "1.0", "0.0"]), x="age", y="bp", standardise=True)
    np.testing.assert_array_equal(found.fields["y"], [[0, 1, 1]])
    np.testing.assert_array_equal(found.back(found.fields["y"]), found.fields["y"])
    assert "y = bp (of two values, not standardised);" in found.said


def test_an_output_of_several_numbers_is_not_brought_back() -> None:
    vectors = np.ones((1, 1, 2))
    with pytest.raises(DataError, match="the output holds 2 numbers, which have no units of the target's"):
        table(x="age", y="bp", standardise=True).back(vectors)
    np.testing.assert_array_equal(table(x="age", y="bp").back(vectors), vectors)


def test_names_that_are_numbers_are_one_by_their_value() -> None:
    frame = pd.DataFrame({"g": ["1", "1.0", "2", "3"], "c": ["1", "0", "1.0", "2"], "task": ["7", "7.0", "8", "8"]})
    found = table(frame, x="g", category="g", y="c=1.0", classes=(0, 1))
    np.testing.assert_array_equal(found.fields["x"], [[[1, 0, 0]] * 2, [[0, 1, 0], [0, 0, 1]]])
    np.testing.assert_array_equal(found.target, [[1, 0], [1, 0]])


def test_programs_without_a_label_take_inputs_alone() -> None:
    found = table(tokens=UNLABELLED, x="bp,age", standardise=True)
    np.testing.assert_allclose(found.fields["s"].mean(1), 0, atol=1e-15)
    np.testing.assert_allclose(found.fields["s"].std(1), 1)
    assert (found.target, found.lines.tolist()) == (None, [[1, 2, 3, 4]])


def test_columns_named_as_components_stand_in_their_order() -> None:
    frame = pd.DataFrame({"x_1": [2.0, 4.0], "y": [5.0, 6.0], "x_0": [1.0, 3.0]})
    np.testing.assert_array_equal(
        table(frame, standardise=False, intercept=True).fields["x"][0, :, :2], [[1, 2], [3, 4]]
    )


@pytest.mark.parametrize(
    ("change", "said", "message"),
    [
        ({}, {}, "which column is the target.* there are `name`, `sex`, `age`"),
        ({}, {"y": "pressure"}, "there is no column `pressure`; there are `name`"),
        ({}, {"y": "bp", "x": "age,bp"}, "column `bp` is an input and something else"),
        ({"age": [59, None, 72, 24]}, {"y": "bp"}, "table:2: column `age`: is empty: take the row out, or leave"),
        ({"age": ["59", "48", "old", "24"]}, {"y": "bp"}, "table:3: column `age`: `old` is not a number"),
        ({"sex": ["f", "m", "?", "f"]}, {"y": "bp"}, r"table:3: column `sex`: holds no value \(`\?`\)"),
        ({"bp": [1, None, 2, 3]}, {"y": "bp", "x": "age"}, "table:2: column `bp`: is empty, and only rows at the end"),
        ({"bp": [None] * 4}, {"y": "bp", "x": "age"}, "table: column `bp` is empty"),
        ({}, {"y": "bp", "x": "name", "category": ["nme"]}, "there is no column `nme`"),
        ({}, {"y": "sex", "x": "age"}, "holds two classes, .* say `--classes=-1,1` or `--classes 0,1`"),
        ({}, {"y": "group", "x": "age"}, "holds 3 sorts of words: `--y 'group=a'` asks"),
        ({}, {"y": "group=d", "x": "age"}, "column `group` never holds `d`; it holds `a`, `b`, `c`"),
        ({}, {"y": "bp", "x": "age", "classes": (0, 1)}, "holds 4 values, and --classes is for two"),
        ({}, {"y": "sex", "x": "age", "classes": (1, 1)}, "^--classes 1,1: wanted two different finite numbers"),
        ({}, {"y": "sex=f", "x": "age", "classes": (0, np.inf)}, "^--classes 0,inf: wanted two different finite"),
        ({}, {"y": "sex", "x": "age", "classes": (np.nan, 1)}, "^--classes nan,1: wanted two different finite"),
        ({}, {"y": "bp", "x": "age,age"}, "column `age` stands twice in --x"),
        ({}, {"y": "bp", "task": "group"}, "task a has 2 rows, task c has 1 row; tasks are of one length"),
        ({}, {"y": "bp", "splits": 1, "examples": 4}, "has 3 rows for examples, and 4 are asked for"),
        ({"age": [1, 1, None, 1]}, {"y": "bp", "task": "age"}, "table:3: column `age`: is empty; every row says its"),
        ({"sex": ["f"] * 4}, {"y": "bp", "x": "sex"}, "column `sex` holds nothing but `f`: leave it out"),
        ({}, {"y": "bp", "leave_one_out": True, "splits": 2}, "--leave-one-out takes all rows"),
    ],
)
def test_what_does_not_fit_is_one_error_with_its_place(change: Any, said: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        table(FRAME.assign(**change), **said)


def test_programs_of_more_fields_want_columns_by_name() -> None:
    tokens = TokenLine(Pattern((), ("x",), ()), dict.fromkeys("xyz", ("x",)), dict.fromkeys("xyz"))
    with pytest.raises(DataError, match="has the fields `x`, `y`, `z`: name the columns as the fields"):
        table(tokens=tokens, y="bp")
