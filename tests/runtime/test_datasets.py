"""Data files: what their columns mean, and what a bad one is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from innerloop.artifact.errors import DataError, DataWarning
from innerloop.artifact.memory import MemoryLimitError
from innerloop.artifact.signature import Pattern
from innerloop.runtime.data.datasets import read, write
from innerloop.runtime.data.pairing import TokenLine

FIELDS = TokenLine(Pattern((), ("x", "y"), ("x",)), {"x": ("x",), "y": ("y",)}, {"x": (2,), "y": ()})
"""`tokens (x y)* x`."""
GOOD = "task,x_0,x_1,y\na,0.5,1,2\na,1.5,0.2,\nb,0.1,0.4,1\nb,0.3,0.3,\n"


def rows(**shapes: tuple[int, ...] | None) -> TokenLine:
    """Tokens that hold all of these fields."""
    return TokenLine(Pattern((), ("row",), ()), dict.fromkeys(shapes, ("row",)), shapes)


def csv(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "data.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_rows_become_tasks_and_empty_cells_are_skipped(tmp_path: Path) -> None:
    data = read(csv(tmp_path, GOOD), FIELDS)
    np.testing.assert_array_equal(data["x"], [[[0.5, 1], [1.5, 0.2]], [[0.1, 0.4], [0.3, 0.3]]])
    np.testing.assert_array_equal(data["y"], [[2], [1]])


def test_shapes_can_come_from_the_columns(tmp_path: Path) -> None:
    data = read(csv(tmp_path, GOOD), replace(FIELDS, shapes={"x": None, "y": None}))
    assert {name: array.shape for name, array in data.items()} == {"x": (2, 2, 2), "y": (2, 1)}


@pytest.mark.parametrize("header", ["x_0,x_1,y", "x0,x1,y", "y,x_1,x_0", " x_0 , x_1 , y "])
def test_spellings_and_order_of_columns(tmp_path: Path, header: str) -> None:
    data = read(csv(tmp_path, f"{header}\n1,2,3\n"), FIELDS)
    assert (data["x"].shape, data["y"].shape) == ((1, 1, 2), (1, 1))


def test_one_decimal_comma_says_what_three_digits_behind_another_are(tmp_path: Path) -> None:
    data = read(csv(tmp_path, "x_0;x_1;y\n1,234;2,5;5\n"), FIELDS)
    assert [*data["x"].ravel(), data["y"].item()] == [1.234, 2.5, 5.0]


def test_a_matrix_has_a_column_for_each_component(tmp_path: Path) -> None:
    data = read(csv(tmp_path, "W_0_0,W_0_1,W_1_0,W_1_1\n1,2,3,4\n"), rows(W=(2, 2)))
    np.testing.assert_array_equal(data["W"], [[[[1, 2], [3, 4]]]])


def test_a_column_named_as_a_field_is_that_field(tmp_path: Path) -> None:
    data = read(csv(tmp_path, "x,x1\n1,2\n"), rows(x=(), x1=()))
    assert (data["x"].item(), data["x1"].item()) == (1, 2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "needs a header and at least one row"),
        ("x_0,x_1,y\n", "needs a header and at least one row"),
        ("x_0,x_1\n1,2\n", ":1: no column for the field `y`"),
        ("x_0,y\n1,2\n", r":1: no column `x_1`; `x` has shape \(2,\)"),
        ("x_0,x_1,x_2,y\n1,2,3,4\n", ":1: column `x_2` is too much"),
        ("x_0,x_1,y,z\n1,2,3,4\n", ":1: column `z` is no field of the program; its fields are `x`, `y`"),
        ("x_0,x_1,y,y\n1,2,3,4\n", ":1: column `y` stands twice"),
        ("x_0,x_1,x0,y\n1,2,3,4\n", ":1: column `x0` stands twice, as `x_0` too"),
        ("x_0,x_1,y\n1,2\n", ":2: has 2 cells; the header has 3"),
        ("x_0,x_1,y\n1,2,3\n1,two,3\n", ":3: column `x_1`: `two` is not a number"),
        ("x_0,x_1,y\n1,,3\n", ":2: column `x_1`: is empty"),
        ("x_0,x_1,y\n1,nan,2\n", ":2: column `x_1`: holds no number \\(`nan`\\), and other components"),
        ("x_0,x_1,y\n1,2,3\n1,2,3,\n", ":3: has 4 cells; the header has 3"),
        ("0.5,1,2\n1,2,3\n", ":1: column `0.5` is no field.*the first line is a header"),
        ("x_1,x_2,y\n1,2,3\n", ":1: no column `x_0`; .*components count from 0"),
        ("x_0|x_1|y\n1|2|3\n", r":1: column `x_0\|x_1\|y` is no field.*separated by `,`, `;`, a tab or blanks"),
        ("a;b;c\n1;2;3\n", ":1: column `a` is no field.*`--ignore a` leaves it out"),
        ("x_0,x_1,y,a b\n1,2,3,4\n", "`--ignore 'a b'` leaves it out"),
        ("x_0,x_1,y,\n1,2,3,4\n", ":1: column 4 has no name, and holds `4`"),
        ('x_0,x_1,y\n1,2,"1,234"\n', ":2: column `y`: `1,234` is not a number: write it without separators of thou"),
        ('x_0,x_1,y\n1,2,"0,5"\n', ":2: column `y`: `0,5` is not a number: a decimal comma is read where `;`"),
        ("x_0;x_1;y\n0,5;2;0.5\n", ":2: column `y`: `0.5`, and `0,5` before it"),
        ("x_0;x_1;y\n1,234;2;5\n", ":2: column `x_0`: `1,234` may be 1.234 or 1234"),
        ("x_0;x_1;y\n1.234,5;2;5\n", ":2: column `x_0`: `1.234,5` is not a number: .*thousands"),
        ("x_0,x_1,y\n1_000,2,3\n", ":2: column `x_0`: `1_000` is not a number"),
        ("x_0,x_1,y\n1,1e999,3\n", ":2: column `x_1`: `1e999` is not a finite number"),
        ('x_0,x_1,y\n1,2,"3\n', ":2: not a CSV file"),
        ("task,x_0,x_1,y\na,1,2,3\nb,1,2,3\na,1,2,3\n", ":4: task a goes on after task b: .*sort the file"),
        ("task,x_0,x_1,y\na,1,2,3\n,1,2,3\n", ":3: column `task`: is empty"),
        ("x_0,x_1,y\n1,inf,3\n", ":2: column `x_1`: `inf` is not a finite number"),
        ("task,x_0,x_1,y\na,1,2,3\nb,1,2,3\nb,1,2,3\n", "task b has 2 values of `x`, task a has 1"),
    ],
)
def test_a_bad_csv_file_is_refused_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(csv(tmp_path, text), FIELDS)


def test_a_binary_file_is_no_csv(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes(b"\xff\xd8\x00\x01")
    with pytest.raises(DataError, match=r"not a text file \(byte 0 is not UTF-8\)"):
        read(path, FIELDS)
    path.write_bytes(GOOD.encode("utf-16-le"))
    with pytest.raises(DataError, match="it holds zero bytes: save it as UTF-8"):
        read(path, FIELDS)


@pytest.mark.parametrize(
    "text",
    [
        "x0;x1;y\n0.5;1;2\n1.5;0.2;\n",
        "x0;x1;y\n0,5;1;2\n1,5;,2;NA\n",
        "x0\tx1\ty\n0,5\t1\t2\n1,5\t0,2\t\n",
        "  x0 x1   y\n  0.5 1   2\n  1.5 .2 NA\n",
        "x0,x1,y,\r\n0.5,1,2,\r\n1.5,0.2,,\r\n",
        'x0,"x1","y"\n"0.5","1","2"\n"1.5","0.2",""\n\n\n',
        "\n x0 , x1 , y \n 0.5 , +1 , 2. \n\n 1.5 , 2e-1 , - \n",
        "x0,x1,y\r0.5,1,2\r1.5,0.2,NaN\r",
        "x0,x1,y\n0.5,1,2\n1.5,0.2,null\n,,\n ,NA,\n",
        "y,x1,x0\n,1,0.5\n2,,\n,0.2,1.5\n",
    ],
    ids=[
        "semicolons",
        "decimal commas",
        "tabs",
        "spaces",
        "trailing",
        "quoted",
        "blanks",
        "Mac",
        "empty end",
        "a token a row",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_one_table_however_it_is_written(tmp_path: Path, text: str, encoding: str) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes(text.encode(encoding))
    data = read(path, FIELDS)
    np.testing.assert_array_equal(data["x"], [[[0.5, 1], [1.5, 0.2]]])
    np.testing.assert_array_equal(data["y"], [[2]])


def test_a_first_column_without_a_name_is_left_out_aloud(tmp_path: Path) -> None:
    with pytest.warns(DataWarning, match=r"data.csv:1: the first column has no name and is left out \(0, 1\)"):
        data = read(csv(tmp_path, ",x0,x1,y\n0,0.5,1,2\n1,1.5,0.2,\n"), FIELDS)
    np.testing.assert_array_equal(data["x"], [[[0.5, 1], [1.5, 0.2]]])


def test_columns_that_are_to_be_ignored(tmp_path: Path) -> None:
    text = "when,x0,x1,y,note\n2020-01-01,0.5,1,2,one\n2020-01-02,1.5,0.2,,two\n"
    data = read(csv(tmp_path, text), FIELDS, ignore=["note", "when"])
    np.testing.assert_array_equal(data["x"], [[[0.5, 1], [1.5, 0.2]]])
    np.savez(tmp_path / "data.npz", x=np.ones((1, 2, 2)), y=np.ones((1, 1)), note=np.array(["a"]))
    assert sorted(read(tmp_path / "data.npz", FIELDS, ignore=["note"])) == ["x", "y"]


def test_many_columns_take_no_more_than_their_share(tmp_path: Path) -> None:
    """20,000 columns in one pass over them; and an index far out is refused, not counted up to."""
    many = ",".join(f"x{k}" for k in reversed(range(20_000)))
    data = read(csv(tmp_path, f"{many}\n{','.join(['1'] * 20_000)}\n"), rows(x=None))
    assert data["x"].shape == (1, 1, 20_000)
    with pytest.raises(DataError, match="no column `x_0_1`"):
        read(csv(tmp_path, "x_0_0,x_99999999_99999999\n1,2\n"), rows(x=None))


def test_an_npz_file_is_read_as_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    np.savez(path, x=np.ones((3, 4, 2)), y=np.zeros((3, 3)))
    assert read(path, FIELDS)["x"].shape == (3, 4, 2)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.ones((1, 2, 2))}, "no array `y`; the file holds `x`"),
        ({"x": np.ones((1, 2, 2)), "y": np.ones((1, 1)), "z": np.ones(1)}, "`z` is no field of the program"),
        ({"x": np.array(["a"]), "y": np.ones((1, 1))}, "`x` holds no numbers"),
        ({"x": np.array([None], dtype=object), "y": np.ones((1, 1))}, "cannot be read as arrays of numbers"),
    ],
)
def test_a_bad_npz_file_is_refused(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    path = tmp_path / "data.npz"
    np.savez(path, allow_pickle=True, **arrays)
    with pytest.raises(DataError, match=message):
        read(path, FIELDS)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut short", b"no archive at all"])
def test_a_corrupt_npz_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "data.npz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"not an \.npz file"):
        read(path, FIELDS)


def test_another_suffix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data is read from \.csv, \.tsv, .* and \.npz files"):
        read(tmp_path / "data.json", FIELDS)


@pytest.mark.parametrize("suffix", [".csv", ".npz"])
def test_outputs_are_written_whole(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    output = np.array([[0.1, 2.0, -3.5]], dtype=np.float32)
    write(path, {"output": output})
    if suffix == ".npz":
        np.testing.assert_array_equal(np.load(path)["output"], output)
    else:
        assert path.read_text() == "task,row,output\n0,0,0.1\n0,1,2.0\n0,2,-3.5\n"
    assert list(tmp_path.iterdir()) == [path]


def test_a_vector_output_has_a_column_for_each_component(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    write(path, {"w": np.arange(4.0).reshape(1, 2, 2)})
    assert path.read_text() == "task,row,w_0,w_1\n0,0,0.0,1.0\n0,1,2.0,3.0\n"


def test_nothing_is_left_of_a_failed_write(tmp_path: Path) -> None:
    path = tmp_path / "folder.csv"
    path.mkdir()
    with pytest.raises(OSError):  # noqa: PT011 - which one differs between systems
        write(path, {"output": np.ones((1, 1))})
    assert list(tmp_path.iterdir()) == [path]


def test_files_are_not_read_that_do_not_fit_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A megabyte of zeros is a kilobyte of archive."""
    path = tmp_path / "data.npz"
    np.savez_compressed(path, x=np.zeros((1, 50_000, 2)), y=np.zeros((1, 50_000)))
    monkeypatch.setenv("INNERLOOP_MEMORY", "1MB")
    with pytest.raises(MemoryLimitError, match=r"the arrays of .*data.npz need about 2.4 MB of memory, 1.0 MB are"):
        read(path, FIELDS)
    text = csv(tmp_path, "x_0,x_1,y\n" + "1,2,3\n" * 10_000)
    with pytest.raises(MemoryLimitError, match=r"the cells of .*data.csv need about 1.2 MB of memory"):
        read(text, FIELDS)
