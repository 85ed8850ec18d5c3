"""Two programs in one text, and how much of the answer is the first one's.

    program A … output a     program B … output b   →   program mixture … output weight * a_1 + (1 - weight) * a_2

Fields, kinds and what both are given alike keep their names; whatever else a program names gets its number.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
from innerloop.compiler.syntax.grammar import words
from innerloop.compiler.syntax.nodes import Assign, At, Define, Output, Program, Repeat
from innerloop.compiler.syntax.parse import parse
from innerloop.compiler.syntax.traversal import statements
from innerloop.compiler.syntax.unparse import unparse_parameter

from .edits import begin, head
from .families import Family, Range

WEIGHT = Range("share", (0.5,))
Counts = Mapping[str, int]


def mixed(first: Family, second: Family, counts: tuple[Counts, Counts]) -> Family:
    """The mixture, its counts as they are given; both have the same tokens and fields."""
    both = first.given.keys() & second.given.keys()
    differ = {n for n in both if not np.array_equal(np.asarray(first.given[n]), np.asarray(second.given[n]))}
    parts = [_numbered(family, number, differ) for number, family in enumerate((first, second), 1)]
    trees = [parse(family.text) for family in parts]
    given = {**parts[0].given, **parts[1].given}
    own = {parameter.name: unparse_parameter(parameter) for tree in trees for parameter in tree.parameters}
    tree = trees[0]
    fields = tree.text[head(tree.text)[2] + 1 : begin(tree)].rstrip()
    whole = {f"{name}_{number}": (count,) for number, of in enumerate(counts, 1) for name, count in of.items()}
    lines = [
        f"# {first.name} and {second.name}, mixed.",
        f"program mixture({', '.join([*own.values(), 'weight = 0.5'])}){fields}",
        "",
        *(_body(tree, number) for number, tree in enumerate(trees, 1)),
        f"at {_answering(tree)}\n    output weight * answer_1 + (1 - weight) * answer_2",
        "",
    ]
    reals = {**parts[0].reals, **parts[1].reals, "weight": WEIGHT}
    note = f"{first.name} by `weight`, {second.name} by the rest"
    return Family(f"{first.name}_and_{second.name}", "\n".join(lines), reals, whole, given, note)


def _numbered(family: Family, number: int, differ: Collection[str]) -> Family:
    """The same program under other names; of what is given those of `differ` alone."""
    tree = parse(family.text)
    named = {parameter.name for parameter in tree.parameters}
    for statement in statements(tree.body):
        match statement:
            case Assign(name=name):
                named.add(name)
            case Define(name=name, parameters=parameters):
                named |= {name, *parameters}
            case Repeat(index=index) if index is not None:
                named.add(index.name)
    kept = {field.name for field in tree.fields} | set(tree.tokens.pattern.kinds) | (family.given.keys() - set(differ))
    taken = named - kept
    text, done = "", 0
    for word in words(family.text):
        if str(word) in taken and word.start_pos is not None and word.end_pos is not None:
            text += f"{family.text[done : word.start_pos]}{word}_{number}"
            done = word.end_pos
    reals = {f"{name}_{number}": of for name, of in family.reals.items()}
    given = {f"{name}_{number}" if name in differ else name: value for name, value in family.given.items()}
    return Family(family.name, text + family.text[done:], reals, {}, given)


def _body(tree: Program, number: int) -> str:
    """What it does, its answer under a name."""
    output = next(s for s in statements(tree.body) if isinstance(s, Output))
    start, end = output.span.start, output.value.span.start
    before = tree.text[begin(tree) : start]
    return f"{before}answer_{number} = {tree.text[end:].rstrip()}\n"


def _answering(tree: Program) -> str:
    """The kind of token that answers."""
    for statement in tree.body:
        if isinstance(statement, At) and any(isinstance(s, Output) for s in statement.body):
            return statement.kind
    return (tree.tokens.pattern.suffix or tree.tokens.pattern.group)[-1]
