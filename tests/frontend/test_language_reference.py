"""docs/language.md is true: its programs run, its errors are what is printed, its values what the interpreter gives;
and it is complete: every reserved word, statement, operator, function and limit is in it."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import numpy as np
import pytest
from innerloop.artifact import limits
from innerloop.artifact.errors import CompileError, format_diagnostic
from innerloop.compiler.architectures.targets import TARGETS
from innerloop.compiler.compile import compile_program
from innerloop.compiler.frontend.check import check
from innerloop.compiler.frontend.check_structure import RESERVED_ARGUMENTS
from innerloop.compiler.frontend.library import definitions, libraries
from innerloop.compiler.interpreter.default_tasks import draw
from innerloop.compiler.interpreter.interpret import interpret
from innerloop.compiler.ir.build import graph_of
from innerloop.compiler.lengths import TOKENS
from innerloop.compiler.syntax import parse
from innerloop.compiler.syntax.builtins import FUNCTIONS, OPERATIONS, READS

TEXT = (Path(__file__).parents[2] / "docs" / "language.md").read_text(encoding="utf-8")
GRAMMAR = Path(parse.__file__).with_name("grammar.lark").read_text(encoding="utf-8")
BLOCKS: list[tuple[str, str]] = re.findall(r"^```([\w-]*)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
TABLES = [
    [[cell.replace(r"\|", "|").strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in table.splitlines()]
    for table in re.findall(r"(?:^\|.*\n)+", TEXT, re.MULTILINE)
]
PROGRAMS = [text for fence, text in BLOCKS if fence == "icl"]
ERRORS = [(*BLOCKS[k - 1], text) for k, (fence, text) in enumerate(BLOCKS) if fence == "error"]
"""The fence and the program before each error, and the error."""
GROUPS, TASKS = 4, 3


def rows(*header: str) -> list[list[str]]:
    """The rows of the table with this header."""
    (found,) = (table[2:] for table in TABLES if table[0] == list(header))
    return found


def name_of(text: str) -> str:
    found = re.search(r"^program (\w+)", text, re.MULTILINE)
    assert found is not None, text
    return found[1]


def given(text: str) -> dict[str, object]:
    """What a program's first line, `# -p d=3 …`, gives its parameters."""
    head = text.splitlines()[0] if text.startswith("#") else ""
    return {name: float(value) for name, value in re.findall(r"-p (\w+)=(\S+)", head)}


def said(text: str, source: str) -> str:
    """All that is reported about a program."""
    try:
        return "".join(f"{format_diagnostic(d, text, source)}\n" for d in check(parse.parse(text, source)))
    except CompileError as error:
        return f"{error}\n"


@pytest.mark.parametrize("text", PROGRAMS, ids=name_of)
def test_program_runs(text: str) -> None:
    assert said(text, name_of(text)) == ""
    parameters = given(text)
    signature = graph_of(text, parameters).signature
    given_back = interpret(text, **draw(signature, GROUPS, TASKS, seed=0), **parameters)  # type: ignore[arg-type]
    for output in given_back.values() if isinstance(given_back, dict) else [given_back]:
        assert output.shape[0] == TASKS
        assert output.size
        assert np.isfinite(output).all()


@pytest.mark.parametrize(("fence", "text", "error"), ERRORS, ids=[name_of(text) for _, text, _ in ERRORS])
def test_error_is_what_is_printed(fence: str, text: str, error: str) -> None:
    source = f"{name_of(text)}.icl"
    if fence == "icl-faulty":
        assert said(text, source) == error
        return
    assert fence == "icl-refused"
    assert said(text, source) == ""
    target = re.search(r"--target (\w+)", text)
    assert target is not None
    with pytest.raises(CompileError) as refused:
        compile_program(text, target=target[1], source=source, **given(text))  # type: ignore[arg-type]
    assert f"{refused.value}\n" == error


def test_every_fence_is_tested_or_a_fragment() -> None:
    assert {fence for fence, _ in BLOCKS} == {"", "icl", "icl-faulty", "icl-refused", "error", "python"}
    assert sum(fence in ("icl-faulty", "icl-refused") for fence, _ in BLOCKS) == len(ERRORS)
    assert TEXT.count("```") == 2 * len(BLOCKS)


def test_session_in_python() -> None:
    (session,) = (text for fence, text in BLOCKS if fence == "python")
    examples = doctest.DocTestParser().get_doctest(session, {"text": PROGRAMS[0]}, "language.md", None, 0)
    assert examples.examples
    assert doctest.DocTestRunner().run(examples).failed == 0


EDGES = """program edges()

tokens (s)* q
    zero : scalar on s, q
    one : scalar on s, q

at s
    output """


@pytest.mark.parametrize("row", rows("expression", "gives", ""), ids=lambda row: row[0])
def test_edge(row: list[str]) -> None:
    expression, value = row[0].strip("`"), row[1]
    output = interpret(f"{EDGES}{expression}\n", zero=[0.0, 0.0], one=[1.0, 1.0])
    wanted = np.array([float(part) for part in value.strip("[]").split(", ")])
    np.testing.assert_array_equal(output.ravel(), wanted)


def reserved() -> set[str]:
    """The words of the grammar."""
    quoted = re.findall(r'"([a-z]+)"', GRAMMAR)
    patterns = re.findall(r"^(?:OPERATION|READ)\S* /\(([a-z|]+)\)", GRAMMAR, re.MULTILINE)
    return {*quoted, *"|".join(patterns).split("|")}


def test_reserved_words_are_listed_and_said() -> None:
    before, _, after = TEXT.partition("Reserved words")
    listed = re.search(r"^```\n(.*?)^```$", after, re.MULTILINE | re.DOTALL)
    assert listed is not None
    assert set(listed[1].split()) == reserved()
    elsewhere = before + after[listed.end() :]
    code = " ".join(re.findall(r"```.*?```|`[^`\n]+`", elsewhere, re.DOTALL))
    assert [word for word in sorted(reserved()) if not re.search(rf"\b{word}\b", code)] == []


RULES = "expr|conjunction|negation|sum|product|unary|power"
"""Of operators."""


def test_operators_are_listed() -> None:
    symbols = {
        symbol
        for rule in re.findall(rf"^\?(?:{RULES}): .*?(?=^\S)", GRAMMAR, re.MULTILINE | re.DOTALL)
        for symbol in re.findall(r'"(\S+)"', rule)
    }
    (compare,) = re.findall(r"^COMPARE: (.*)$", GRAMMAR, re.MULTILINE)
    symbols |= set(re.findall(r'"(\S+?)"', compare))
    assert len(symbols) == 14  # + - * / @ ^, five comparisons, and or not
    listed = {symbol for row in rows("binds", "operators", "") for symbol in re.findall(r"`(\S+)`", row[1])}
    assert listed == symbols


def arities(table: list[list[str]]) -> dict[str, int]:
    """What stands in the first column, and with how many arguments."""
    calls = [re.fullmatch(r"`(\w+)(?:\[j in K\])?\(([^()]*)\)`", row[0]) for row in table]
    return {call[1]: call[2].count(",") + 1 for call in calls if call is not None}


def test_functions_have_rows() -> None:
    functions = rows("function", "shape", "value and domain", "derivative")
    assert arities(functions) == {name: function.arity for name, function in FUNCTIONS.items()}
    assert arities(rows("operation", "is", "promise, which is checked")) == OPERATIONS
    assert arities(rows("", "gives", "where there is no such token")) == READS


@pytest.mark.parametrize("library", libraries())
def test_libraries_are_listed(library: str) -> None:
    listed = [re.match(r"`(\w+)\(([^)]*)\)`", row[0]) for row in rows(f"of `{library}`", "is")]
    wanted = {d.name: ", ".join(d.parameters) for d in definitions(library)}
    assert {row[1]: row[2] for row in listed if row is not None} == wanted


def test_statements_have_rows() -> None:
    rules = re.search(r"^_top: (.*)\n(?:.*\n)*?_statement: (.*)$", GRAMMAR, re.MULTILINE)
    assert rules is not None
    wanted = {*rules[1].split(" | "), *rules[2].split(" | ")} - {"_statement"}
    words = {"define": "def", "assign": "name"}
    listed = {row[0].strip("`").split()[0] for row in rows("statement", "stands", "")}
    assert listed == {words.get(rule, rule) for rule in wanted}


def test_numbers_and_names_are_those_of_the_code() -> None:
    limit = {row[0]: row[1] for row in rows("", "at most")}
    assert limit["a size"] == f"{limits.LARGEST_SIZE:,}"
    assert limit["`scan K up to n`"] == f"{limits.LONGEST_SCAN:,}"
    assert f"{limits.MOST_PASSES:,}" in limit["passes of one `repeat`"]
    assert f"{limits.MOST_LAYERS:,}" in limit["passes of one `repeat`"]
    assert (
        limit["tokens of the data, compiled, without a `scan`"]
        == f"{TOKENS:,}; more, up to {limits.MOST_TOKENS:,}, by `tokens=`"
    )
    assert [name for name in (*TARGETS, *sorted(RESERVED_ARGUMENTS)) if f"`{name}`" not in TEXT] == []
