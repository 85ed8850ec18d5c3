"""Small changes of a program's text, each by one real number at which it changes nothing.

    w = w - rate * mean[j in y](…)   →   w = (edit * w) - rate * mean[j in y](…)                 scaled, from 1
                                         w = (w - rate * mean[j in y](…)) + edit * w             added, from 0
                                         w = w - rate * softmax[j in y](edit * place[j], …)      weighed, from 0

All of them at once, each with a number of its own, are one program that does what the first does; its slopes in those
numbers say which of them would explain what is left (search.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from innerloop.artifact.errors import CompileError
from innerloop.artifact.span import Span
from innerloop.compiler.syntax.grammar import words
from innerloop.compiler.syntax.nodes import (
    Assign,
    Binary,
    Expr,
    Output,
    Program,
    ReadExpression,
    Scan,
    TheirsExpression,
)
from innerloop.compiler.syntax.parse import parse
from innerloop.compiler.syntax.traversal import expressions, statements, walk
from innerloop.runtime.differentiable.opened import opened

from .families import Family, Range

Kind = Literal["scaled", "added", "weighed", "dropped"]
PLACE = "place"
"""What counts the examples so far, where a score takes the place of an example; it is added to the text."""


@dataclass(frozen=True)
class Edit:
    """`span` of an expression; `term`: what is added, or the score by which a mean is weighed; `said`: of what."""

    kind: Kind
    span: Span
    term: str
    said: str

    @property
    def neutral(self) -> float:
        """The number at which nothing is changed."""
        return float(self.kind == "scaled")

    def told(self, name: str) -> str:
        """In words; `name` is that of its number."""
        match self.kind:
            case "scaled":
                return f"{self.said} scaled by {name}"
            case "added":
                return f"{name} · {self.term} added to {self.said}"
            case "weighed":
                return f"{self.said} weighed by exp({name} · {self.term})"
        return f"without {self.said}"


def edits(family: Family) -> list[Edit]:
    """Those after which the text is still a program. What does not fit its shapes is none."""
    tree, shape = parse(family.text), _output(family)
    found = dict.fromkeys(_proposed(tree))
    return [edit for edit in found if _output(edited(family, [(edit, edit.neutral)])) == shape]


def edited(family: Family, chosen: Sequence[tuple[Edit, float]]) -> Family:
    """The family with these changes, whose fits begin at the numbers given; what is dropped has none."""
    names = [f"edit_{number}" for number in range(1, 1 + len(chosen))]
    free = [(name, edit, start) for name, (edit, start) in zip(names, chosen, strict=True) if edit.kind != "dropped"]
    text = _text(parse(family.text), [(edit, name) for name, (edit, _) in zip(names, chosen, strict=True)])
    reals = {**family.reals, **{name: Range("linear", (start,)) for name, _, start in free}}
    note = ", ".join(edit.told(name) for name, (edit, _) in zip(names, chosen, strict=True))
    return replace(family, name=f"{family.name}_edited", text=text, reals=reals, note=note)


def _output(family: Family) -> tuple[int, ...] | None:
    """The shape of the output; None of what is no program."""
    try:
        return opened(family.text, tuple(family.reals), tuple(family.whole), family.given).graph.output.shape
    except CompileError:
        return None


def _proposed(tree: Program) -> Iterator[Edit]:
    sized = {p.name for p in tree.parameters}
    named = [s.name for s in statements(tree.body) if isinstance(s, Assign)] + [field.name for field in tree.fields]
    mine = list(dict.fromkeys(name for name in named if name not in sized))
    reads = [node for s in _changing(tree) for node in walk(s.value) if isinstance(node, ReadExpression)]
    for statement in _changing(tree):
        said = f"`{statement.name}`" if isinstance(statement, Assign) else "the output"
        whole = statement.value
        for part in _terms(whole):
            yield Edit("scaled", part.span, "", f"`{_of(tree, part)}`")
        for term in [*mine, *dict.fromkeys(term for read in reads for term in _gathered(tree, read))]:
            if not (isinstance(statement, Assign) and term == statement.name):  # it is a term already, and scaled
                yield Edit("added", whole.span, term, said)
    for read in reads:
        for score in _scores(tree, read, mine) if read.how in ("mean", "softmax") else ():
            if read.how == "mean":
                yield Edit("weighed", read.span, score, f"`{_of(tree, read)}`")
            else:
                yield Edit("added", read.arguments[0].span, score, f"the score of `{_of(tree, read)}`")


def _changing(tree: Program) -> list[Assign | Output]:
    """The statements that compute: those that only take data apart are left as they are."""
    return [s for s in statements(tree.body) if isinstance(s, Assign | Output) and any(_computes(s))]


def _computes(statement: Assign | Output) -> Iterator[bool]:
    yield isinstance(statement, Output)
    for node in walk(statement.value):
        yield isinstance(node, ReadExpression | Binary)


def _terms(whole: Expr) -> Iterator[Expr]:
    """The terms of every sum in an expression."""
    for node in walk(whole):
        if isinstance(node, Binary) and node.operator in "+-":
            yield from (part for part in (node.left, node.right) if not _sum(part))
    if not _sum(whole):
        yield whole


def _sum(expr: Expr) -> bool:
    return isinstance(expr, Binary) and expr.operator in "+-"


def _held(tree: Program, over: str) -> list[str]:
    """What is read at tokens of a kind, anywhere in the program."""
    found = []
    for read in (node for node in _every(tree) if isinstance(node, ReadExpression) and node.over == over):
        inside = [n for part in read.arguments for n in walk(part)]
        found += [n.name for n in inside if isinstance(n, TheirsExpression) and n.index == read.index]
    return list(dict.fromkeys(found))


def _gathered(tree: Program, read: ReadExpression) -> Iterator[str]:
    """Means of what is read, and of its products."""
    held, j = _held(tree, read.over), read.index
    for number, a in enumerate(held):
        yield f"mean[{j} in {read.over}]({a}[{j}])"
        for b in held[number + 1 :]:
            yield f"mean[{j} in {read.over}]({a}[{j}] * {b}[{j}])"


def _scores(tree: Program, read: ReadExpression, mine: Sequence[str]) -> Iterator[str]:
    held, j = _held(tree, read.over), read.index
    for a in held:
        yield f"{a}[{j}]"
        yield f"{a}[{j}] ^ 2"
        yield f"dot({a}[{j}], {a}[{j}])"
        for b in (b for b in mine if b != a):
            yield f"dot({b}, {a}[{j}])"
            yield f"dot({b} - {a}[{j}], {b} - {a}[{j}])"
    if not any(isinstance(s, Scan) for s in tree.body):
        yield f"{PLACE}[{j}]"


def begin(tree: Program) -> int:
    """Where the line of the first statement begins."""
    return tree.text.rfind("\n", 0, tree.body[0].span.start) + 1


def head(text: str) -> tuple[int, int, int]:
    """Where the name in `program NAME(…)` ends, and where its parameters begin and end."""
    named = start = depth = 0
    for word in words(text):
        assert word.start_pos is not None
        assert word.end_pos is not None
        named = named or word.end_pos * (word.type == "NAME")
        start = start or word.end_pos * (word == "(")
        depth += (word == "(") - (word == ")")
        if word == ")" and not depth:
            return named, start, word.start_pos
    raise AssertionError(text)


def _of(tree: Program, expr: Expr) -> str:
    text = " ".join(tree.text[expr.span.start : expr.span.end].split())
    return text if len(text) <= 60 else f"{text[:57]} …"


def _text(tree: Program, chosen: Sequence[tuple[Edit, str]]) -> str:
    """The text with these changes; its numbers are new parameters, and stand at what changes nothing."""
    wraps: list[tuple[int, int, str, str]] = []
    scores: dict[tuple[int, int], list[str]] = {}
    for edit, name in chosen:
        start, end = edit.span.start, edit.span.end
        match edit.kind:
            case "scaled":
                wraps.append((start, end, f"{name} * (", ")"))
            case "dropped":
                wraps.append((start, end, "0 * (", ")"))
            case "added":
                wraps.append((start, end, "(", f") + {name} * {edit.term}"))
            case "weighed":
                scores.setdefault((start, end), []).append(f"{name} * {edit.term}")
    reads = {(n.span.start, n.span.end): n for n in _every(tree) if isinstance(n, ReadExpression)}
    replaced = {place: ("softmax", len("mean")) for place, _ in scores}
    inserted = {reads[place].arguments[0].span.start: " + ".join(of) + ", " for place, of in scores.items()}
    inserted |= _declared(tree, chosen)
    text, done = "", 0
    for place in sorted({0, len(tree.text), *replaced, *inserted, *(p for wrap in wraps for p in wrap[:2])}):
        text += tree.text[done:place]
        done = place
        text += "".join(w[3] for w in sorted(wraps, key=lambda w: -w[0]) if w[1] == place)
        text += inserted.get(place, "")
        text += "".join(w[2] for w in sorted(wraps, key=lambda w: -w[1]) if w[0] == place)
        if place in replaced:
            word, skipped = replaced[place]
            text, done = text + word, place + skipped
    return text


def _every(tree: Program) -> Iterator[Expr]:
    for statement in statements(tree.body):
        for expr in expressions(statement):
            yield from walk(expr)


def _declared(tree: Program, chosen: Sequence[tuple[Edit, str]]) -> dict[int, str]:
    """What stands where: the new name, the new parameters, and the count of examples where a score takes it."""
    named, _, end = head(tree.text)
    numbers = [f"{name} = {edit.neutral:g}" for edit, name in chosen if edit.kind != "dropped"]
    found = {named: "_edited", end: ", ".join([""] * bool(tree.parameters and numbers) + numbers)}
    if any(edit.term.startswith(f"{PLACE}[") for edit, _ in chosen):
        kind = next(n.over for n in _every(tree) if isinstance(n, ReadExpression))
        found[begin(tree)] = f"at {kind}\n    {PLACE} = sum[k in {kind}](1)\n"
    return found
