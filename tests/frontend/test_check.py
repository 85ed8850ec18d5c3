"""Every rule of the language: a program that breaks it, and what is said about it; and programs that break none."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from innerloop.artifact.errors import CompileError, format_diagnostic
from innerloop.compiler.frontend.bind import bind
from innerloop.compiler.frontend.check import check
from innerloop.compiler.frontend.constants import evaluate
from innerloop.compiler.frontend.core import core
from innerloop.compiler.syntax.parse import parse

from tests.reference import PROGRAMS

CASES = Path(__file__).parents[1] / "cases"
FAULTY = sorted((CASES / "errors").glob("*.icl"))


def said(text: str, source: str) -> str:
    """All that is reported about a program."""
    try:
        program = parse(text, source)
    except CompileError as error:
        return f"{error}\n"
    return "".join(f"{format_diagnostic(d, text, source)}\n" for d in check(program))


@pytest.mark.parametrize("path", FAULTY, ids=lambda path: path.stem)
def test_faulty_program(path: Path, golden: Callable[[Path, str], None]) -> None:
    report = said(path.read_text(encoding="utf-8"), path.name)
    assert "error: " in report
    golden(path.with_suffix(".expected"), report)


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_sound_program(path: Path) -> None:
    assert said(path.read_text(encoding="utf-8"), path.name) == ""


SIZES = {"d": 3, "m": 5, "k": 2, "hidden": 4, "ramps": 3, "vocabulary": 6, "states": 2, "symbols": 3, "edges": 6}
SIZES |= {"actions": 2, "arms": 3, "classes": 3}


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_sound_program_with_numbers(path: Path) -> None:
    program = parse(path.read_text(encoding="utf-8"), path.name)
    given: dict[str, object] = {p.name: SIZES[p.name] for p in program.parameters if p.name in SIZES}
    for parameter in program.parameters:
        if parameter.type is not None and parameter.default is None:
            shape = [int(evaluate(dimension, given)) for dimension in parameter.type.dimensions]
            given[parameter.name] = np.full(shape, 0.5).tolist()
    assert check(program, bind(program, given)) == []


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(PROGRAMS), st.data())
def test_any_swapped_words_are_checked(path: Path, data: st.DataObject) -> None:
    """A program with words changed for others has faults or none; one with none has a core."""
    words = re.findall(r"\w+|\s+|.", path.read_text(encoding="utf-8"))
    alike = [k for k, word in enumerate(words) if word[0].isalnum()]
    for _ in range(data.draw(st.integers(1, 3))):
        one, other = (data.draw(st.sampled_from(alike)) for _ in range(2))
        words[one] = words[other]
    text = "".join(words)
    try:
        program = parse(text)
    except CompileError:
        return
    faults = check(program)
    for fault in faults:
        assert fault.span is not None
        assert format_diagnostic(fault, text, "program")
    if not faults:
        printed = core(program)
        assert core(parse(printed)) == printed


def test_sizes_as_numbers() -> None:
    text = (CASES / "errors" / "shape_symbols.icl").read_text(encoding="utf-8")
    program = parse(text)
    assert check(program)
    assert check(program, {"d": 3, "m": 3, "rate": 0.1}) == []
    assert "`+` of vector[3] and vector[4]" in check(program, {"d": 3, "m": 4, "rate": 0.1})[0].message


def test_deep_and_long_programs() -> None:
    head = "program p(d)\n\ntokens (x)*\n    x : vector[d]\n\n"
    assert "nested more than 100 deep" in said(head + "v = " + "-" * 20_000 + "x\noutput x\n", "p")
    long = " + ".join(["x"] * 5_000)
    assert "this chain has about 100 operators or more" in said(f"{head}v = {long}\noutput x\n", "p")
    assert said(head + "v = " + "(" * 20_000 + "x" + ")" * 20_000 + "\noutput x\n", "p") == ""
    assert "`(` is never closed" in said(head + "v = " + "(" * 500 + "x\noutput x\n", "p")
    blocks = "".join("    " * depth + "repeat 2\n" for depth in range(40))
    assert said(head + "w : vector[d] = 0\n" + blocks + "    " * 40 + "w = w + x\noutput w\n", "p") == ""
    lines = "".join(f"v{k} = 0.5 * {f'v{k - 1}' if k else 'x'}\n" for k in range(1_000))
    assert said(head + lines + "output v9\n", "p") == ""


VISIBLE = """program p(d, steps = 3)

tokens start (example)* query  visible context
    c : vector[d] on start
    x : vector[d] on example, query
    y : scalar on example

"""


@pytest.mark.parametrize(
    "body",
    [
        "w : vector[d] = 0\nrepeat steps\n    w = mean[j in example](sigmoid(dot(w, x[j])) * y[j] * x[j])\noutput w",
        "k = move c from first start\noutput mean[j in example](relu(x[j] - k))",
        "at query\n    output mean[j in example](tanh(dot(mean[i in example](x[i]), x[j])))",
        "m = mean[j in example](y[j])\noutput mean[j in example](x[j] / (1 + m ^ 2 + y[j] ^ 2))",
        "at query\n    z = tanh(x)\n    output mean[j in example](sigmoid(z) * tanh(x[j]) * (z < 0))",
        "at query\n    output mean[j in example](sum(x * x[j]) * x[j] / (1 + dot(x, x)))",
    ],
)
def test_one_side_or_shared(body: str) -> None:
    assert said(f"{VISIBLE}{body}\n", "p") == ""


@pytest.mark.parametrize(
    "body",
    [
        "r = sum[j in example](y[j])\nk = 2 * steps\nrepeat k\n    r = r + 1\noutput r",
        "i = [[0, 1], [-1, 0]]\ndef turn(v) = v @ i\nv : vector[2] = 1\noutput turn(turn(v))",
        "def fit(a, b) = mean[j in example](a[j] * b[j])\noutput fit(2 * x, y)",
        "def fit(a, b) = mean[j in example](a * b[j])\noutput mean[i in example](x[i]) * fit(steps, y)",
        "repeat 2\n    g = sum[j in example](y[j])\noutput g",
        "at example\n    r = y\nat query\n    r = 0\nrepeat steps\n    at query\n        r = r + 1\n"
        "at query\n    output r",
        "w : vector[d] = 0\nscan example up to 40\n    w = w + x\n    repeat 2\n        w = w / 2\noutput w",
    ],
)
def test_sound_statements(body: str) -> None:
    assert said(f"{VISIBLE}{body}\n", "p") == ""
