"""Ten puzzles: each has an answer, and what is wrong is found and told."""

from __future__ import annotations

from pathlib import Path

import pytest
from innerloop.compiler import CompileError, compile_program
from innerloop.compiler.syntax.format import formatted
from innerloop.puzzles import PUZZLES, judge

from tests.support.commands import Command

ANSWERS = Path(__file__).parents[1] / "cases" / "puzzles"
numbers = pytest.mark.parametrize("number", sorted(PUZZLES))


def answer(number: int) -> str:
    return (ANSWERS / f"{number}.icl").read_text(encoding="utf-8")


def test_there_are_ten() -> None:
    assert list(PUZZLES) == list(range(1, 11))
    assert all(p.title and p.task and p.hints for p in PUZZLES.values())


@numbers
@pytest.mark.parametrize("seed", [0, 1, 2026])
def test_the_answer_is_right(number: int, seed: int) -> None:
    verdict = judge(PUZZLES[number], answer(number), seed)
    assert not verdict.wrong
    assert verdict.tasks >= 20


@numbers
def test_what_one_begins_from_is_sound_and_wrong(number: int) -> None:
    puzzle = PUZZLES[number]
    assert formatted(puzzle.text, "puzzle.icl") == puzzle.text
    assert judge(puzzle, puzzle.text).wrong


@numbers
def test_the_answer_to_another_puzzle_is_wrong(number: int) -> None:
    for other in PUZZLES:
        if other == number:
            continue
        try:
            wrong = judge(PUZZLES[number], answer(other)).wrong
        except CompileError:
            continue
        assert wrong, other


NEARLY = [
    (1, "mean[j in example](y[j])", "sum[j in example](y[j])"),
    (2, "y[j] > level", "y[j] > 0.5"),
    (2, "y[j] > level", "y[j] < level"),
    (3, "dot(x, x[j])", "dot(x, x)"),
    (4, "move x from previous", "move x from first x"),
    (5, "argmax[j in example](-dot", "argmax[j in example](dot"),
    (6, "(2 * h ^ 2)", "(2 * h)"),
    (7, "rate / t", "rate"),
    (7, "repeat steps as t", "repeat 3 as t"),
    (8, "y[j] - sigmoid", "y[j] - 0.5 * sigmoid"),
    (9, "y - dot(w, x)", "y - 2 * dot(w, x)"),
    (10, "rate * penalty", "penalty"),
    (10, "relu(v - t) - relu(-v - t)", "v - t"),
]


@pytest.mark.parametrize(("number", "right", "wrong"), NEARLY)
def test_what_is_nearly_right_is_wrong(number: int, right: str, wrong: str) -> None:
    text = answer(number)
    assert right in text
    verdict = judge(PUZZLES[number], text.replace(right, wrong))
    assert "wanted" in verdict.wrong
    assert "got" in verdict.wrong


def test_what_is_wrong_is_told_with_its_task() -> None:
    wrong = judge(PUZZLES[1], answer(1).replace("mean", "sum")).wrong
    assert wrong.startswith("task ")
    assert "the query\nwanted " in wrong


@pytest.mark.parametrize(
    ("number", "text", "told"),
    [
        (10, answer(9).replace("puzzle_9", "puzzle_10"), "asks for a `def`"),
        (1, answer(1).replace("output mean", "output a = mean") + "    output b = 1\n", "several outputs"),
        (1, answer(1).replace("at query\n    output", "output"), "one at each output token"),
        (1, answer(1).replace("output mean[j in example](y[j])", "output x"), "outputs of shape"),
        (1, answer(1).replace("(d)", "(d, extra)"), "extra"),
        (1, answer(1).replace("x : vector[d] on example, query", "z : vector[d] on example, query"), "takes no `x`"),
        (2, answer(2).replace("level = 0.5", "h = 0.5").replace("> level", "> h"), "takes no `level`"),
    ],
)
def test_what_does_not_fit_is_told(number: int, text: str, told: str) -> None:
    try:
        wrong = judge(PUZZLES[number], text).wrong
    except CompileError as error:
        wrong = str(error)
    assert told in wrong


def test_an_answer_compiles() -> None:
    assert compile_program(answer(3), d=2, certify=8).config.n_layer > 0


def test_the_command(innerloop: Command, tmp_path: Path) -> None:
    listed = innerloop("puzzle")
    assert [line.split()[0] for line in listed.out.splitlines()] == [str(n) for n in PUZZLES]
    mine = tmp_path / "mine.icl"
    mine.write_text(innerloop("puzzle", "1").out, encoding="utf-8")
    wrong = innerloop("puzzle", "1", mine)
    assert wrong.status == 1
    assert "not yet" in wrong.err
    mine.write_text(answer(1), encoding="utf-8")
    right = innerloop("puzzle", "1", mine)
    assert (right.status, "next: innerloop puzzle 2" in right.out) == (0, True)
    assert innerloop("puzzle", "1", "--hint", "2").out.strip() == PUZZLES[1].hints[1]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("11",), "there is no puzzle 11"),
        (("1", "--hint", "9"), "has no hint 9"),
        (("1", "nowhere.icl"), "No such file"),
        (("0",), "whole number of at least 1"),
    ],
)
def test_what_is_not_there(innerloop: Command, arguments: tuple[str, ...], told: str) -> None:
    outcome = innerloop("puzzle", *arguments)
    assert outcome.status in (1, 2)
    assert told in outcome.err


def test_a_program_that_is_not_sound_is_told_with_its_place(innerloop: Command, tmp_path: Path) -> None:
    mine = tmp_path / "mine.icl"
    mine.write_text(answer(1).replace("y[j]", "z[j]"), encoding="utf-8")
    outcome = innerloop("puzzle", "1", mine)
    assert outcome.status == 1
    assert "mine.icl:8:" in outcome.err
