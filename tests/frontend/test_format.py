"""The formatter: what ships is in its spelling, formatted text stays as it is, and no text changes its meaning."""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass
from pathlib import Path
from random import Random

import pytest
from innerloop.artifact.errors import CompileError
from innerloop.artifact.span import Span
from innerloop.compiler.frontend.library import FOLDER
from innerloop.compiler.syntax.format import WIDTH, formatted
from innerloop.compiler.syntax.grammar import words
from innerloop.compiler.syntax.parse import parse

from benchmarks.random_programs.drawn import drawn
from tests.reference import PROGRAMS

PAGES = [Path(__file__).parents[2] / name for name in ("README.md", "docs/language.md")]
FENCED = re.compile(r"^```[\w-]*\n((?:# -p [^\n]*\n)?program \w+\(.*?\n)```$", re.MULTILINE | re.DOTALL)
EXAMPLES = [text for page in PAGES for text in FENCED.findall(page.read_text(encoding="utf-8")) if "\ntokens " in text]

UGLY = """\
#!made up
program  ugly( d,rate=0.1 in(0 , 1) ,   # how far
  # the last one
  low=-1)
use  statistics
#who is there
tokens start(x y) * x visible context


  x:vector [d]in[low,-low]  #inputs
  y :scalar on x,y,start     #   labels


def f ( a,b )=a [1 : 2]@- b ^2+mean [j in y] (-a[ j ])
w:vector[d]=0#a start
repeat 3   as t

      # a pass
      w=w - ( rate* grad [w] (f( w,w )))
      at y   # two

          v= ( 1<=2 )or not(w == - 1 )
          # the end of the inner block
      # the end of the outer one
# and of it all
output concat([0.001, 0.002, 0.003, 0.004, 0.005], [0.001, 0.002, 0.003, 0.004, 0.005]) + [1,2,3,4,5,6,7,8, 9,10]
# after it
"""

PRETTY = """\
#!made up
program ugly(d, rate = 0.1 in (0, 1),  # how far
             # the last one
             low = -1)

use statistics

# who is there
tokens start (x y)* x  visible context
    x : vector[d] in [low, -low]       # inputs
    y : scalar on x, y, start          #   labels

def f(a, b) = a[1:2] @ -b ^ 2 + mean[j in y](-a[j])
w : vector[d] = 0                      # a start
repeat 3 as t
    # a pass
    w = w - (rate * grad[w](f(w, w)))
    at y                               # two
        v = (1 <= 2) or not (w == -1)
        # the end of the inner block
    # the end of the outer one
# and of it all
output concat([0.001, 0.002, 0.003, 0.004, 0.005], [0.001, 0.002, 0.003, 0.004, 0.005]) + [1, 2, 3, 4, 5, 6, 7, 8, 9,
                                                                                           10]
# after it
"""


def test_the_spelling() -> None:
    assert formatted(UGLY) == PRETTY
    assert formatted(PRETTY) == PRETTY
    assert formatted(f"\ufeff{UGLY}".replace("\n", "\r\n")) == PRETTY


@pytest.mark.parametrize("path", [*PROGRAMS, *sorted(FOLDER.glob("*.icl"))], ids=lambda path: path.stem)
def test_what_ships_is_formatted(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert formatted(text) == text


def test_the_examples_of_the_pages_are_formatted() -> None:
    assert len(EXAMPLES) > 10
    for text in EXAMPLES:
        assert formatted(text) == text


def test_no_text_changes_its_meaning() -> None:
    """Random programs, spoilt: blanks, line breaks and comments wherever they may stand."""
    for seed in range(30):
        text = next(some.text for some in drawn(seed) if len(some.text) < 2_000)
        spoilt = spoil(text, Random(seed))
        result = formatted(spoilt)
        assert formatted(result) == result
        assert bare(parse(result)) == bare(parse(spoilt)) == bare(parse(text))
        assert re.findall("# c[0-9]+", result) == re.findall("# c[0-9]+", spoilt)
        long = [line.lstrip() for line in result.splitlines() if len(line) > WIDTH and "#" not in line]
        assert [line for line in long if len(line) > 40] == []  # what nesting has pushed there is short


def spoil(text: str, random: Random) -> str:
    """The same program, badly written."""
    made: list[str] = []
    depth = level = 0
    width = random.choice([1, 2, 3, 8])
    starts = True
    for number, word in enumerate(words(text)):
        comment = f"# c{number}" if random.random() < 0.1 else ""
        if word.type in ("_INDENT", "_DEDENT"):
            level += 1 if word.type == "_INDENT" else -1
        elif word.type == "_NL":
            made.append(
                random.choice([f"{comment}\n", f"{comment}\n\n\n", f"\n{' ' * random.randrange(9)}{comment}\n"])
            )
            starts = True
        else:
            depth += (word in ("(", "[")) - (word in (")", "]"))
            made += [" " * (width * level) if starts else random.choice([" ", "   "]), str(word)]
            if depth and random.random() < 0.2:
                made.append(f"  {comment}\n" + random.choice(["", "\n", f"  {comment}\n"]))
            starts = False
    return "".join(made)


def bare(node: object) -> object:
    """A tree without its places and its text."""
    if isinstance(node, Span):
        return None
    if is_dataclass(node):
        hidden = ("text", "source") if hasattr(node, "source") else ()
        return type(node).__name__, *(bare(getattr(node, f.name)) for f in fields(node) if f.name not in hidden)
    return tuple(map(bare, node)) if isinstance(node, tuple) else node


def test_faulty_text_is_refused() -> None:
    with pytest.raises(CompileError, match="`in` is a reserved word"):
        formatted(PRETTY.replace("rate = 0.1", "rate = "))
