"""Edited and mixed texts, also of programs that are written otherwise than the library's."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
from innerloop.compiler import interpret
from innerloop.compiler.syntax.parse import parse
from innerloop.explain.edits import edited, edits, head
from innerloop.explain.families import Family, of_program, regression
from innerloop.explain.mixtures import mixed
from innerloop.programs import load
from innerloop.runtime.differentiable.opened import opened

D, N = 2, 5
EVERY = {f.name: f for f in regression(D, N)}


def prompt() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {"x": rng.standard_normal((4, N + 1, D)), "y": rng.standard_normal((4, N))}


PLAIN = "program gradient_descent(d, steps = 1, rate = 0.1)"
OTHER = """# at y
program gradient_descent (d, steps = 1,
    rate = 0.1  # (a step
)"""


def test_a_text_may_be_written_otherwise() -> None:
    """A space after the name, a bracket in a comment, and the first statement's line in one: as many edits."""
    text = load("gradient_descent").replace(PLAIN, OTHER)
    mine, usual = (of_program(t, "p", {"d": D}) for t in (text, load("gradient_descent")))
    found = edits(mine)
    assert [(e.kind, e.term, e.said) for e in found] == [(e.kind, e.term, e.said) for e in edits(usual)]
    chosen = [next(e for e in found if e.term == "place[j]"), next(e for e in found if e.kind == "scaled")]
    text = edited(mine, [(e, e.neutral) for e in chosen]).text
    assert (
        "# at y\nprogram gradient_descent_edited (d, steps = 1,\n    rate = 0.1  # (a step\n, edit_1 = 0, edit_2 = 1)"
    ) in text
    values: Any = {"d": D, "steps": 2}
    assert np.allclose(interpret(text, **prompt(), **values), interpret(mine.text, **prompt(), **values))


def test_a_program_without_parameters_takes_those_of_edits() -> None:
    text = "program none()\ntokens (x y)* x\n    x : scalar\n    y : scalar\nat x\n    output x * mean[j in y](y[j])\n"
    named, start, end = head(text)
    assert (text[:named], text[start:end]) == ("program none", "")
    assert edits(Family("none", text, {}))


def like() -> list[tuple[str, str]]:
    """Pairs of families of the same tokens and fields."""
    declared = {}
    for name, family in EVERY.items():
        tree = parse(family.text)
        declared[name] = str(tree.tokens.pattern), str([(f.name, f.kinds) for f in tree.fields])
    return [(a, b) for a, b in combinations(EVERY, 2) if declared[a] == declared[b]]


def test_all_that_have_like_tokens_can_be_mixed() -> None:
    pairs = like()
    assert ("gradient_descent", "preconditioned_gradient_descent") in pairs
    for a, b in pairs:
        first, second = EVERY[a], EVERY[b]
        of = mixed(first, second, tuple({n: v[0] for n, v in f.whole.items()} for f in (first, second)))  # type: ignore[arg-type]
        assert opened(of.text, tuple(of.reals), tuple(of.whole), of.given).graph.output.shape == ()


def test_what_two_are_given_otherwise_stays_apart() -> None:
    text, sizes = load("k_nearest_neighbours"), {"d": D, "examples": N}
    three, five = (Family(f"neighbours_{k}", text, {}, {}, sizes | {"k": k}) for k in (3, 5))
    of = mixed(three, five, ({}, {}))
    assert (of.given["k_1"], of.given["k_2"]) == (3, 5)
    given: Any = dict(of.given)
    answers = [interpret(load("k_nearest_neighbours"), **prompt(), d=D, examples=N, k=k)[:, -1] for k in (3, 5)]
    assert np.allclose(interpret(of.text, **prompt(), **given, weight=0.3)[:, -1], 0.3 * answers[0] + 0.7 * answers[1])
