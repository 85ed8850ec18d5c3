"""Long programs and long lines: time and memory in proportion, errors that can be read."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest
from innerloop.artifact.errors import CompileError, format_diagnostic
from innerloop.compiler import compile_program
from innerloop.compiler.frontend.check import check, examine
from innerloop.compiler.syntax.parse import parse

from tests.support.commands import Command

HEAD = "program p()\n\ntokens (s)*\n    s : scalar in [-1, 1]\n\n"


def long(statements: int) -> str:
    """Each line from the one before it, and a constant beside it."""
    lines = (f"c{k} = {k}\na{k + 1} = c{k} * a{k} + s\n" for k in range(statements))
    return f"{HEAD}a0 = s\n{''.join(lines)}output a{statements}\n"


def test_what_is_known_of_a_long_program_takes_memory_in_proportion() -> None:
    used = []
    for statements in (300, 1200):
        program = parse(long(statements))
        tracemalloc.start()
        facts = examine(program)
        used.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert not facts.diagnostics
    assert used[1] < 6 * used[0]


def test_constants_are_known_where_they_are_constants() -> None:
    body = "a = 2\nb = a + s\nrepeat 2\n    a = a + 1\nc = 3\na = b\nrepeat 0\n    c = s\nd = c\noutput a\n"
    facts = examine(parse(HEAD + body))
    first, b, loop, c, a, none, d, output = (facts.constants[id(s)] for s in facts.program.body)
    inner = facts.constants[id(facts.program.body[2].body[0])]  # type: ignore[union-attr]
    assert not facts.diagnostics
    assert [name in first for name in "abc"] == [False, False, False]
    assert ["a" in at for at in (b, loop, inner, c, a, output)] == [True, True, False, False, False, False]
    assert ["b" in at for at in (b, loop, output)] == [False, False, False]
    assert ["c" in at for at in (c, a, none, d)] == [False, True, True, True]


def test_thousands_of_errors_are_all_told() -> None:
    text = HEAD + "".join(f"b{k} = unknown{k}\n" for k in range(1500)) + "output s\n"
    found = check(parse(text))
    assert len(found) == 1500
    told = [format_diagnostic(d, text, "p.icl") for d in found]
    assert told[-1].startswith("p.icl:1505:9: error: `unknown1499` is not known\n 1505 | b1499 = unknown1499\n")


@pytest.mark.parametrize("sign", ["+", "-", "*", "/"])
def test_a_long_chain_is_one_clear_error(sign: str) -> None:
    chain = f" {sign} ".join(["s"] * 2000)
    with pytest.raises(CompileError, match="6:8: error: this chain has about 100 operators or more") as refused:
        parse(f"{HEAD}output {chain}\n")
    assert "give parts of it names of their own" in str(refused.value)
    parse(f"{HEAD}output {f' {sign} '.join(['s'] * 90)}\n")


@pytest.mark.parametrize(
    ("line", "column"),
    [
        ("output s + " + "x" * 10**6, 12),
        ("output s + $" + " " * 10**6 + "x", 12),
        ("output s" + " " * 10**6 + "$", 10**6 + 9),
    ],
)
def test_a_long_line_is_not_echoed_whole(innerloop: Command, line: str, column: int) -> None:
    Path("long.icl").write_text(f"{HEAD}{line}\n")
    outcome = innerloop("check", "long.icl")
    assert outcome.status == 1
    assert outcome.err.startswith(f"long.icl:6:{column}: error: ")
    assert len(outcome.err) < 2000
    _, shown, caret, *_ = outcome.err.splitlines()
    assert "…" in shown
    assert shown[caret.index("^")] in "x$"


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_a_byte_order_mark_and_line_endings(innerloop: Command, ending: str) -> None:
    text = f"{HEAD}output zz\n".replace("\n", ending)
    Path("marked.icl").write_bytes(b"\xef\xbb\xbf" + text.replace("zz", "s").encode())
    assert innerloop("check", "marked.icl").out == "marked.icl: no errors\n"
    Path("wrong.icl").write_bytes(b"\xef\xbb\xbf" + text.encode())
    err = innerloop("check", "wrong.icl").err
    assert err == "wrong.icl:6:8: error: `zz` is not known\n    6 | output zz\n      |        ^^\n"
    assert not check(parse(f"\ufeff{HEAD}output s\n"))


def test_utf_16_is_read_by_its_mark_and_told_without(innerloop: Command) -> None:
    Path("wide.icl").write_bytes(f"{HEAD}output s\n".encode("utf-16"))
    assert innerloop("check", "wide.icl").out == "wide.icl: no errors\n"
    Path("plain.icl").write_bytes(f"{HEAD}output é\n".encode("utf-16-le"))
    assert innerloop("check", "plain.icl").status == 1


def test_megabytes_of_text_are_no_program() -> None:
    """Refused by its length: five million tokens took minutes and gigabytes."""
    text = f"{HEAD}output s{' + 1' * 2_500_000}\n"
    with pytest.raises(CompileError, match=r"a program of 10,000,0\d\d characters; at most 1,048,576") as refused:
        parse(text)
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize("size", [8, 1024])
def test_a_read_of_large_vectors_is_refused_for_what_it_is(size: int) -> None:
    """It is a polynomial, as every attention head is, and one of a million terms."""
    text = f"program p()\n\ntokens (s)*\n    s : vector[{size}]\n\noutput mean[j in s](s[j] * dot(s[j], s))\n"
    if size == 8:
        assert compile_program(text).report.layers == 1
        return
    message = "6:8: error: this read has 1,048,576 products of numbers, mine and theirs; 200,000 at most are compiled"
    with pytest.raises(CompileError, match=message) as refused:
        compile_program(text)
    assert "give its vectors and matrices smaller sizes" in str(refused.value)
