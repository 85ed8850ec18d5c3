"""Several groups, each of a length of its own: data, files, streams, weights, JAX, exports, and what is refused."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from innerloop.artifact.errors import CompileError, DataError
from innerloop.artifact.repetitions import at_most
from innerloop.artifact.signature import Pattern, ScanLimit
from innerloop.artifact.words import Library, TargetName
from innerloop.commands.cli import main
from innerloop.compiler import Weights, compile_program, interpret
from innerloop.runtime import Transformer
from innerloop.runtime.data.datasets import read
from innerloop.runtime.data.pairing import TokenLine
from innerloop.runtime.differentiable.function import Differentiable
from innerloop.runtime.exports.export import export
from innerloop.runtime.exports.symbols.logits import sequences

from tests.reference.measured import numpy_run

TEXT = """program groups(d = 2)

tokens start (x y)* (z)* q
    c : scalar on start
    x : vector[d] on x, z, q
    y : scalar on y

at y
    u = move x from previous
w = mean[j in y](y[j] * u[j])
at z
    v = 2 * x
at q
    v = move v from last z
    output dot(w, x) + c_of_all * dot(v, mean[j in z](x[j]))
""".replace("c_of_all *", "sum[j in start](c[j]) *")
LENGTHS = ((4, 3), (0, 2), (5, 0), (0, 0), (1, 19))


@cache
def weights() -> Weights:
    return compile_program(TEXT, target="llama")


def fields(pairs: int, others: int, tasks: int = 3) -> dict[str, Any]:
    rng = np.random.default_rng((pairs, others))
    sizes = {"c": (tasks, 1), "x": (tasks, pairs + others + 1, 2), "y": (tasks, pairs)}
    return {name: rng.uniform(-1, 1, size) for name, size in sizes.items()}


def by_hand(c: Any, x: Any, y: Any) -> float:
    pairs, others, query = x[: len(y)], x[len(y) : -1], x[-1]
    w = y @ pairs / len(y) if len(y) else np.zeros(2)
    return float(w @ query + (c[0] * 2.0 * others[-1] @ others.mean(0) if len(others) else 0.0))


def test_interpreter_and_weights_say_what_numpy_says_at_all_lengths() -> None:
    for lengths in LENGTHS:
        given = fields(*lengths)
        wanted = [[by_hand(c, x, y)] for c, x, y in zip(given["c"], given["x"], given["y"], strict=True)]
        np.testing.assert_allclose(interpret(TEXT, **given), wanted, atol=1e-12)
        assert np.abs(numpy_run(weights(), given) - wanted).max() <= weights().report.predicted_error <= 1e-4


def test_jax_says_so_too() -> None:
    given = fields(*LENGTHS[0])
    np.testing.assert_allclose(Differentiable(TEXT, ())(**given), interpret(TEXT, **given), atol=1e-12)
    found = Transformer(weights(), guard="raise")(**given)
    assert np.abs(found - interpret(TEXT, **given)).max() <= weights().report.predicted_error


@pytest.mark.slow
def test_a_stream_takes_the_groups_in_turn() -> None:
    given, stream = fields(2, 3, 1), Transformer(weights()).stream()
    c, x, y = (given[name][0] for name in "cxy")
    stream.push(c=c[0])
    for pair in range(2):
        stream.push("x", x=x[pair])
        stream.push(y=y[pair])
    for other in x[2:5]:
        stream.push("z", x=other)
    with pytest.raises(DataError, match="is `z` with `x` or `q` with `x`"):
        stream.push(y=1.0)
    found = stream.push("q", x=x[5])
    np.testing.assert_allclose(found, by_hand(c, x, y), atol=1e-5)


def test_rows_that_fit_no_lengths_are_refused() -> None:
    given = fields(2, 3)
    with pytest.raises(DataError, match=r"`x` has 2 rows and `y` has 2 rows: no `start .x y.. .z.. q` has so many"):
        interpret(TEXT, **{**given, "x": given["x"][:, :2]})
    with pytest.raises(DataError, match=r"`c` has 2 rows; `start .x y.. .z.. q` holds it at 1"):
        interpret(TEXT, **{**given, "c": np.ones((3, 2))})


FILE = """task,c,x_0,x_1,y
a,0.5,,,
a,,1,2,3
a,,0,1,-1
a,,1,1,
a,,2,0,
"""


def test_what_a_row_of_a_file_fills_says_of_which_group_it_is(tmp_path: Path) -> None:
    path, tokens = tmp_path / "tasks.csv", TokenLine.of(weights().signature)
    path.write_text(FILE)
    found = read(path, tokens)
    assert {name: array.shape for name, array in found.items()} == {"c": (1, 1), "x": (1, 4, 2), "y": (1, 2)}
    weights().save(tmp_path / "groups")
    assert main(["run", str(tmp_path / "groups"), "--data", str(path), "-o", str(tmp_path / "out.csv")]) == 0
    said = float((tmp_path / "out.csv").read_text().split()[-1].split(",")[-1])
    assert said == pytest.approx(by_hand(found["c"][0], found["x"][0], found["y"][0]), abs=1e-5)
    path.write_text(FILE.replace("a,,1,2,3", "a,,1,2,"))
    with pytest.raises(DataError, match=r"tasks.csv:4: does not follow the rows before it"):
        read(path, tokens)


@pytest.mark.slow
def test_an_exported_folder_takes_arrays_of_both_lengths(tmp_path: Path) -> None:
    export(weights(), tmp_path / "out")
    spec = importlib.util.spec_from_file_location("fields_of_groups", tmp_path / "out/fields.py")
    assert spec
    assert spec.loader
    helper = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(helper)
    from transformers import LlamaModel

    given = fields(3, 2)
    hidden = LlamaModel.from_pretrained(tmp_path / "out")(inputs_embeds=helper.inputs_embeds(**given)).last_hidden_state
    found = helper.outputs(hidden, **given).detach().numpy()
    assert np.abs(found - interpret(TEXT, **given)).max() <= weights().report.predicted_error
    with pytest.raises(ValueError, match="of several groups the fields say which"):
        helper.outputs(hidden)
    with pytest.raises(ValueError, match="1 of c, 6 of x, 9 of y"):
        helper.inputs_embeds(**{**given, "y": np.ones((3, 9))})


SCAN = """program second(d = 2)

tokens (a)* (b)* q
    x : vector[d] on a, q
    z : vector[d] on b

w : vector[d] = 0
scan b up to 3
    w = 0.5 * w + z
at q
    output dot(mean[j in a](x[j]) + w, x)
"""


@cache
def scanning() -> Weights:
    return compile_program(SCAN, target="llama")


def test_a_scan_of_the_second_group() -> None:
    made, rng = scanning(), np.random.default_rng(1)
    given: dict[str, Any] = {"x": rng.uniform(-1, 1, (2, 31, 2)), "z": rng.uniform(-1, 1, (2, 3, 2))}
    error = np.abs(Transformer(made)(**given) - interpret(SCAN, **given)).max()
    assert error <= made.report.predicted_error <= 1e-4
    assert "tasks of 44 tokens" in str(made.report.certificate)  # 40 of the group that nothing is scanned of
    with pytest.raises(DataError, match="the data has 4 `b` tokens; the program scans `b` up to 3"):
        Transformer(made, guard="off")(x=given["x"], z=np.ones((2, 4, 2)))
    with pytest.raises(CompileError, match="finds no token by `before b` at b") as refused:
        compile_program(SCAN, target="gpt2")
    assert "let the group of what is found come first" in str(refused.value)
    assert "second.icl" not in str(refused.value)


@pytest.mark.parametrize("library", ["huggingface", "onnx", "circuit"])
def test_an_export_draws_no_more_of_a_group_than_is_scanned(library: Library, tmp_path: Path) -> None:
    export(scanning(), tmp_path / "out", library)
    assert (tmp_path / "out/README.md").exists()


def test_nor_do_the_sequences_that_tell_probabilities() -> None:
    drawn = sequences(scanning())
    assert {name: array.shape[1] for name, array in drawn.items()} == {"x": 64 + 1, "z": 3}


LEFT_OUT = """program left_out()

tokens (a)* (b)* q
    x : vector[2] on a, b, q in [-1, 1]
    y : scalar on a in [-1, 1]

w : vector[2] = 0
scan a up to 6
    w = w - 0.3 * (dot(w, x) - y) * x
at q
    output OUTPUT
"""


@pytest.mark.parametrize(
    ("target", "output"), [("deltanet", "dot(w, x)"), ("gpt2", "dot(mean[j in b](x[j]), x)")], ids=["layer", "unused"]
)
def test_a_scan_that_a_rewrite_leaves_out_bounds_its_group(target: TargetName, output: str) -> None:
    text, rng = LEFT_OUT.replace("OUTPUT", output), np.random.default_rng(2)
    made = compile_program(text, target=target)
    given: dict[str, Any] = {"x": rng.uniform(-1, 1, (2, 6 + 30 + 1, 2)), "y": rng.uniform(-1, 1, (2, 6))}
    error = np.abs(Transformer(made)(**given) - interpret(text, **given)).max()
    assert error <= made.report.predicted_error <= 1e-4
    with pytest.raises(DataError, match="the data has 7 `a` tokens; the program scans `a` up to 6"):
        Transformer(made)(x=given["x"], y=np.ones((2, 7)))


@pytest.mark.parametrize(
    ("scans", "tokens", "times"),
    [
        ((), None, (40, 40)),
        ((ScanLimit("z", 3),), None, (40, 3)),
        ((ScanLimit("z", 3), ScanLimit("z", 5), ScanLimit("y", 60)), None, (60, 3)),
        ((ScanLimit("z", 3),), 25, (10, 3)),  # 2 others, 20 of pairs
        ((ScanLimit("q", 1),), 32, (10, 10)),
        ((), 4, (0, 0)),
    ],
)
def test_how_often_groups_may_come(scans: tuple[ScanLimit, ...], tokens: int | None, times: tuple[int, int]) -> None:
    pattern = Pattern(("start",), ("x", "y", "z"), ("q",), cuts=(2,))
    assert at_most(pattern, scans, 40, tokens) == times


def test_own_data_without_one_of_the_groups() -> None:
    """The certificate's shorter tasks had one of a group of which the data has none."""
    made = compile_program(TEXT, target="llama", calibration=fields(12, 0, 64))
    assert made.report.predicted_error <= 1e-4


SCANNED = """program scanned()

tokens (a)* (b)* q
    x : vector[2] on a, b, q in [-1, 1]
    y : scalar on a in [-1, 1]

at b
    g = 0.5
repeat 2
    scan b up to 3
        g = g / 2 + softmax[j in a](g * x[j][1], y[j]) + x[1]
at q
    z = move g from last b
    output z
"""


def test_a_stream_takes_as_many_tokens_as_a_scan() -> None:
    """Beyond them it answered, wrongly and without a word."""
    stream = Transformer(compile_program(SCANNED, target="llama")).stream()
    x = np.random.default_rng(0).uniform(-1, 1, (6, 2))
    for k in range(2):
        stream.push("a", x=x[k], y=0.5)
    for k in range(3):
        stream.push("b", x=x[2 + k])
    with pytest.raises(DataError, match="the program scans `b` up to 3, and it has as many; compile for more"):
        stream.push("b", x=x[5])
    found = stream.push("q", x=x[5])
    np.testing.assert_allclose(
        found, interpret(SCANNED, x=x[None, [0, 1, 2, 3, 4, 5]], y=np.full((1, 2), 0.5))[0, 0], atol=1e-5
    )


@pytest.mark.parametrize("lengths", [(5, 0), (0, 5), (0, 0)])
def test_calibration_data_may_have_none_of_a_group(lengths: tuple[int, int]) -> None:
    text = """program counted()

tokens (a)* (b)* q
    x : vector[2] on a, b, q
    y : scalar on a

at q
    output mean[j in a](y[j]) + mean[j in b](x[j][1]) + x[1]
"""
    rng = np.random.default_rng(1)
    data = {"x": rng.normal(size=(8, sum(lengths) + 1, 2)), "y": rng.normal(size=(8, lengths[0]))}
    made = compile_program(text, target="llama", calibration=data)
    np.testing.assert_allclose(Transformer(made)(**data), interpret(text, **data), atol=made.report.predicted_error)
