"""Text to syntax trees and back; and that no text does anything but parse or be refused in words."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from innerloop.artifact.errors import CompileError
from innerloop.compiler.syntax import nodes as syntax
from innerloop.compiler.syntax.parse import parse
from innerloop.compiler.syntax.traversal import statements, walk
from innerloop.compiler.syntax.unparse import unparse, unparse_field, unparse_parameter, unparse_tokens

from tests.reference import PROGRAMS

HEAD = "program p(d, rate = 0.1)\n\ntokens (x y)* x\n    x : vector[d]\n    y : scalar\n\n"


def expression(text: str) -> syntax.Expr:
    statement = parse(f"{HEAD}v = {text}\n").body[0]
    assert isinstance(statement, syntax.Assign)
    return statement.value


def test_whole_program() -> None:
    program = parse(
        "# a comment\nprogram p(d, m = 2 * d, A : matrix[m, d])\n"
        "tokens start (x y)* x  visible context\n\n    x : vector[d] in [-4, 4]\n    s : onehot[m] on start, y # here\n"
        "at y\n    u = move x from previous\nscan y up to 40\n    w = u\n"
        "repeat m\n    repeat 2\n        w = w\noutput w",
        "file.icl",
    )
    assert (program.name, program.source) == ("p", "file.icl")
    assert [unparse_parameter(p) for p in program.parameters] == ["d", "m = 2 * d", "A : matrix[m, d]"]
    assert unparse_tokens(program.tokens) == "tokens start (x y)* x  visible context"
    assert [unparse_field(f) for f in program.fields] == ["x : vector[d] in [-4, 4]", "s : onehot[m] on start, y"]
    assert program.fields[0].kinds == ("x",)
    assert [type(s).__name__ for s in program.body] == ["At", "Scan", "Repeat", "Output"]


@pytest.mark.parametrize(
    "text",
    [
        "a - (b - c)",
        "a - b - c",
        "(a + b) * c ^ 2 / d",
        "-a ^ 2",
        "(-a) ^ 2",
        "-(a + b)",
        "--a",
        "a @ (b * c)",
        "(a < b) * c",
        "a + b <= -c",
        "mean[j in y]((dot(w, u[j]) - y[j]) * u[j])",
        "softmax[j in y](a[j], b[j]) + softmax(sum(a) * b)",
        "move x from previous + move x from first y",
        "grad[w](affine(1 + a) / rtw(2))",
        "[[0, 1], [-1, 0.5e-3]]",
        "relu(a, outer(b, c))",
    ],
)
def test_unparse_gives_the_text(text: str) -> None:
    assert unparse(expression(text)) == text


def test_names_may_begin_with_reserved_words() -> None:
    names = "fromx + firstx + summer + dotted + at_1"
    assert unparse(expression(names)) == names
    with pytest.raises(CompileError, match="expected `first`, `last` or `previous`, found `firstx`"):
        expression("move x from firstx")


def test_brackets_may_span_lines() -> None:
    assert unparse(expression("dot(a,   # mine\n  b\n)")) == "dot(a, b)"


def test_a_head_may_span_lines_that_are_indented_deeper_than_its_block() -> None:
    program = parse(f"{HEAD}repeat max(2,\n           3)\n  v = 1\noutput v\n")
    assert [type(s).__name__ for s in program.body] == ["Repeat", "Output"]


def test_windows_line_ends() -> None:
    text = PROGRAMS[0].read_text(encoding="utf-8")
    assert len(parse(text.replace("\n", "\r\n")).body) == len(parse(text).body)


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_spans_are_the_words(path: Path) -> None:
    """A node's span holds its text: parsing that text gives the same node."""
    text = path.read_text(encoding="utf-8")
    lines = text.split("\n")
    for statement in statements(parse(text).body):
        if not isinstance(statement, syntax.Assign | syntax.Output):
            continue
        for node in walk(statement.value):
            span = node.span
            assert lines[span.line - 1][span.column - 1 :].startswith(text[span.start : span.end].split("\n")[0])
            assert unparse(expression(text[span.start : span.end])) == unparse(node)


VOCABULARY = """
program tokens visible context on in scalar vector matrix onehot def at repeat scan up to output grad move from previous
first affine dot mul rtw mean sum softmax x y w d 1 0.5 ( ) [ ] , : = + - * / @ ^ <
"""
WORDS = [*VOCABULARY.split(), "\n", "\n    ", "\n        ", "# c", HEAD, "\t", "é", ".", "at y\n    u = 1\n"]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=30), st.booleans())
def test_any_words_parse_or_are_refused(words: list[str], head: bool) -> None:
    _parses_or_refuses((HEAD if head else "") + " ".join(words))


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=60), st.booleans())
def test_any_text_parses_or_is_refused(text: str, head: bool) -> None:
    _parses_or_refuses((HEAD if head else "") + text)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(PROGRAMS), st.data())
def test_any_damage_parses_or_is_refused(path: Path, data: st.DataObject) -> None:
    text = path.read_text(encoding="utf-8")
    place = data.draw(st.integers(0, len(text)))
    cut = data.draw(st.integers(0, 12))
    _parses_or_refuses(text[:place] + data.draw(st.text(max_size=4)) + text[place + cut :])


def _parses_or_refuses(text: str) -> None:
    refused = None
    try:
        parse(text)
    except CompileError as error:
        refused = error
    assert refused is None or (refused.diagnostics and "error: " in str(refused))
