"""What editors are told, without an editor: names, what they are, places, other names, and coloured words."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest
from innerloop.artifact.errors import InnerloopError
from innerloop.compiler.frontend.check import check
from innerloop.compiler.frontend.library import FOLDER
from innerloop.compiler.syntax import nodes as syntax
from innerloop.compiler.syntax.builtins import FUNCTIONS
from innerloop.compiler.syntax.grammar import keywords
from innerloop.compiler.syntax.parse import parse
from innerloop.compiler.syntax.traversal import expressions, statements, walk
from innerloop.editors import vocabulary
from innerloop.editors.analysis import Analysis, analyse
from innerloop.editors.colours import coloured
from innerloop.editors.completion import suggestions
from innerloop.editors.highlighting import ProgramLexer
from innerloop.editors.hover import hover
from innerloop.editors.occurrences import VALUES, Occurrence, occurrences
from innerloop.editors.places import Places
from innerloop.editors.renaming import renamed
from lsprotocol.types import Position, PositionEncodingKind
from pygments.lexers import get_lexer_by_name
from pygments.token import Error, Keyword, Name

from tests.reference import PROGRAMS

ROOT = Path(__file__).parents[2]
TEXT = """\
program lesson(d, rate = 0.1)

use statistics

tokens (x y)* x
    x : vector[d]
    y : scalar in [-1, 1]

def loss(w, x, y) = mean[j in y](ratio(dot(w, x[j]) - y[j], 2))
def half(v)
    m = v / 2
    output m

k = 2 * d
at y
    u = move x from previous
w : vector[d] = 0
repeat 3 as t
    w = w - rate / t * mean[j in y]((dot(w, u[j]) - y[j]) * u[j])
at x
    output half(dot(w, x))
"""


def lesson() -> Analysis:
    return analyse(TEXT, "lesson.icl")


def at(mark: str, text: str = TEXT) -> int:
    """The offset of `|` in a passage of the text."""
    before, _, after = mark.partition("|")
    assert text.count(before + after) == 1, mark
    return text.index(before + after) + len(before)


def named(analysis: Analysis, mark: str) -> Occurrence:
    found = analysis.at(at(mark, analysis.text))
    assert found is not None
    return found


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_names_are_those_of_the_tree(path: Path) -> None:
    """Mine, theirs and indices of every expression, found from the words alone, are those that parsing finds."""
    text = path.read_text(encoding="utf-8")
    program = parse(text)
    found = occurrences(text)
    values = {o.start: o for o in found if o.sort in VALUES}
    functions = {o.start: o.name for o in found if o.sort == "function"}
    lines = [e for s in statements(program.body) for e in expressions(s)]
    bodies = [e for s in program.body if isinstance(s, syntax.Define) for e in (s.value, *_inside(s))]
    for node in (node for line in [*lines, *bodies] for node in walk(line)):
        match node:
            case syntax.Name(name=name, span=span):
                assert (values[span.start].name, values[span.start].index) == (name, "")
            case syntax.TheirsExpression(name=name, index=index, span=span):
                assert (values[span.start].name, values[span.start].index) == (name, index)
            case syntax.Call(function=name, span=span) if span.start in functions:
                assert functions[span.start] == name
    kinds = Counter(o.name for o in found if o.sort == "kind")
    assert set(kinds) == set(program.tokens.pattern.kinds)
    assert all(
        any(o.defines for o in found if o.symbol == p.symbol) for p in found if p.sort not in ("function", "library")
    )


def _inside(definition: syntax.Define) -> list[syntax.Expr]:
    return [e for s in statements(definition.body) for e in expressions(s)]


@pytest.mark.parametrize("path", PROGRAMS[::6], ids=lambda path: path.stem)
def test_every_name_can_be_another(path: Path) -> None:
    """The program stays sound, and the name back again gives the text, but for what a field now says of its kind."""
    text = path.read_text(encoding="utf-8")
    analysis = analyse(text, path.name)
    for symbol in {o.symbol for o in analysis.occurrences}:
        origin = next((o for o in analysis.occurrences if o.symbol == symbol and o.defines), None)
        if origin is None:
            continue
        other = changed(text, renamed(analysis, origin, "other_name"))
        assert check(parse(other)) == []
        again = analyse(other, path.name)
        there = next(o for o in again.occurrences if o.name == "other_name" and o.defines)
        back = changed(other, renamed(again, there, symbol.name))
        assert re.sub(rf" on {symbol.name}$", "", back, flags=re.MULTILINE).replace(f" on {symbol.name} in", " in") == (
            re.sub(rf" on {symbol.name}$", "", text, flags=re.MULTILINE).replace(f" on {symbol.name} in", " in")
        )


def changed(text: str, edits: list[tuple[int, int, str]]) -> str:
    for start, end, new in reversed(edits):
        text = text[:start] + new + text[end:]
    return text


def test_a_name_that_cannot_be() -> None:
    analysis = lesson()
    for name, said in (("w", "has a meaning"), ("2x", "is no name"), ("dot", "is a word"), ("j", "has a meaning")):
        with pytest.raises(InnerloopError, match=said):
            renamed(analysis, named(analysis, "|u = move"), name)
    with pytest.raises(InnerloopError, match="not this program's own"):
        renamed(analysis, named(analysis, "|ratio("), "share")
    field = changed(TEXT, renamed(analysis, named(analysis, "    |y : scalar"), "label"))
    assert "    label : scalar on y in [-1, 1]" in field
    assert "def loss(w, x, y) = mean[j in y](ratio(dot(w, x[j]) - y[j], 2))" in field
    assert "(dot(w, u[j]) - label[j])" in field
    kind = changed(TEXT, renamed(analysis, named(analysis, "at |y"), "label"))
    assert "(x label)* x" in kind
    assert "    y : scalar on label in [-1, 1]" in kind


@pytest.mark.parametrize(
    ("mark", "said"),
    [
        ("|w : vector[d] = 0", "w : vector[d] | Mine: each token has its own. Lives at all tokens."),
        ("|u = move", "u : vector[d] | Mine: each token has its own. Lives at `y` tokens."),
        ("(dot(w, |u[j])", "u : vector[d] | Theirs: that of the `y` token `j`. Lives at `y` tokens."),
        ("- |y[j]) * u", "y : scalar in [-1, 1] | A field. Theirs: that of the `y` token `j`. Lives at `y` tokens."),
        ("* |u[j])\nat x", "u : vector[d] | Theirs: that of the `y` token `j`. Lives at `y` tokens."),
        ("w - |rate", "rate = 0.1 | A parameter: the same at every token."),
        ("|k = 2", "k : scalar | A constant, known when compiling."),
        ("rate / |t", "t : scalar | The number of the pass, 1, 2, …: a constant in each."),
        ("u[|j]) - y[j])", "j | The token that `mean[j in y]` ranges over."),
        ("at |y", "tokens (x y)* x\n    y : scalar in [-1, 1] | `y`: a kind of token."),
        ("|half(dot", "def half(v)\n    m = v / 2\n    output m | A function of this program."),
        ("|ratio(", "def ratio(a, n) = a / max(n, 1) | Of `statistics`."),
        ("|m = v", "m | A value of this `def`: each call has its own."),
        ("dot(w, |x[j]) - y[j], 2", "x | A parameter of this `def`."),
    ],
)
def test_what_is_said_of_a_name(mark: str, said: str) -> None:
    analysis = lesson()
    assert analysis.diagnostics == ()
    code, sentence = said.split(" | ")
    assert hover(analysis, named(analysis, mark)) == f"```innerloop\n{code}\n```\n{sentence}"


def test_a_text_that_does_not_parse_keeps_what_was_known() -> None:
    faulty = analyse(TEXT.replace("k = 2 * d", "k = 2 * ?"), "lesson.icl", lesson())
    assert [d.message for d in faulty.diagnostics] == ["unexpected character `?`"]
    assert "u : vector[d]" in (hover(faulty, named(faulty, "|u = move")) or "")
    assert analyse("", "empty.icl").occurrences == ()
    library = (FOLDER / "statistics.icl").read_text(encoding="utf-8")
    assert analyse(library, "statistics.icl").diagnostics == ()


def test_any_text_is_answered() -> None:
    """While a text is typed, nothing fails, and no word is coloured twice."""
    random = Random(7)
    texts = [path.read_text(encoding="utf-8") for path in PROGRAMS]
    for _ in range(25):
        text = random.choice(texts)
        for _ in range(3):
            place = random.randrange(len(text))
            word = random.choice(
                ["(", ")", "]", "[j in ", "\n", "\n  ", " = ", "def f(", "é", "move x from ", "# ", "\t"]
            )
            text = text[:place] + word + text[place + random.randrange(12) :]
        analysis = analyse(text, "typed.icl", lesson())
        words = coloured(analysis)
        assert all(one.end <= other.start for one, other in pairwise(words))
        for occurrence in analysis.occurrences:
            assert text[occurrence.start : occurrence.end] == occurrence.name
            hover(analysis, occurrence)
        for offset in range(0, len(text), 40):
            suggestions(analysis, offset)


@pytest.mark.parametrize(
    ("typed", "offered", "not_offered"),
    [
        ("at ", "x y", "w relu"),
        ("w = w + ", "w u x k d rate relu half loss norm mean grad", "m v t j query at"),
        ("w = mean[j in ", "x y", "w"),
        ("w = mean[j in y](", "j w u", "t"),
        ("w = move ", "w u x", "mean"),
        ("w = move x from ", "previous first last", "w"),
        ("w = move x from last ", "x y", "w"),
        ("v : ", "scalar vector matrix", "w"),
        ("scan y ", "up to", "w"),
        ("repeat 3 ", "as", "w"),
        ("repeat 3 as t\n    w = w + ", "t w", "m"),
        ("", "at repeat scan output def w", "program"),
        ("# at ", "", "x w"),
    ],
)
def test_what_may_be_typed(typed: str, offered: str, not_offered: str) -> None:
    text = TEXT + typed
    found = {s.text for s in suggestions(analyse(text, "lesson.icl", lesson()), len(text))}
    assert set(offered.split()) - {word for each in found for word in each.split()} == set()
    assert set(not_offered.split()) & found == set()
    if not offered:
        assert found == set()


@pytest.mark.parametrize("encoding", PositionEncodingKind)
def test_places_go_there_and_back(encoding: PositionEncodingKind) -> None:
    text = "é𝛼 = w\r\n\u2028\x0cb\n\n# 🎓\rz"
    places = Places(text, encoding)
    for offset in range(len(text) + 1):
        if text[offset - 1 : offset + 1] != "\r\n":
            assert places.offset(places.position(offset)) == offset
    units = {"utf-8": 6, "utf-16": 3, "utf-32": 2}[encoding.value]
    assert places.position(2) == Position(0, units)
    assert places.position(text.index("b")).line == 1
    assert places.position(len(text)) == Position(4, 1)
    assert places.offset(Position(1, 99)) == text.index("\n\n")
    assert places.offset(Position(99, 0)) == len(text)
    assert places.range(0, text.index("\n") + 1).end.line == 0


def test_the_vocabulary_is_that_of_the_grammar() -> None:
    listed = [word for group in vocabulary.GROUPS.values() for word in group]
    assert len(listed) == len(set(listed))
    assert set(listed) == keywords() | FUNCTIONS.keys()


def test_the_lexer_knows_every_word() -> None:
    lexer = get_lexer_by_name("innerloop") if _installed() else ProgramLexer()
    for path in [*PROGRAMS, *FOLDER.glob("*.icl"), *(ROOT / "tests/cases/errors").glob("shape_*.icl")]:
        text = path.read_text(encoding="utf-8")
        tokens = list(lexer.get_tokens(text))
        assert "".join(word for _, word in tokens) == text
        assert [word for kind, word in tokens if kind is Error] == []
        coloured = {word for kind, word in tokens if kind in Keyword or kind in Name.Builtin}
        assert coloured >= {"tokens", "output"} & set(re.findall(r"\w+", re.sub("#.*", "", text)))
        assert (ProgramLexer.analyse_text(text) > 0.5) == text.lstrip().startswith(("#", "program")) or "def" in text


def _installed() -> bool:
    from importlib.metadata import entry_points

    return any(point.name == "innerloop" for point in entry_points(group="pygments.lexers"))


def test_the_textmate_grammar_has_the_same_words(golden: Callable[[Path, str], None]) -> None:
    path = ROOT / "editors/vscode/syntaxes/innerloop.tmLanguage.json"
    grammar = json.loads(path.read_text(encoding="utf-8"))
    for group, words in vocabulary.GROUPS.items():
        entry = grammar["repository"][group]
        _, before, _, after = re.split(r"(\\b\()([a-z_|]+)", entry["match"])
        entry["match"] = f"{before}{'|'.join(words)}{after}"
    golden(path, json.dumps(grammar, indent=2) + "\n")
    for entry in grammar["repository"].values():
        for key in ("match", "begin", "end"):
            re.compile(entry.get(key, ""))
