"""Which fits are rivals, and which are named together."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from innerloop.explain.choice import Choice, by_answers, choose, named_by
from innerloop.explain.edits import edited, edits
from innerloop.explain.families import Family, regression
from innerloop.explain.fit import Fitted, central, typical, unexplained
from innerloop.explain.verdict import verdict

DESCENT = next(f for f in regression(2, 5) if f.name == "gradient_descent")
FIRST, SECOND = (edited(DESCENT, [(edit, edit.neutral)]) for edit in edits(DESCENT)[:2])
MODEL = np.random.default_rng(0).standard_normal((400, 3))
BASE = np.zeros_like(MODEL)


def fitted(family: Family, off: Any, count: int = 2, reals: int = 1) -> Fitted:
    """One whose answers are `off` by so much."""
    candidate: Any = SimpleNamespace(
        family=family, name=family.name, reals=reals, values=lambda theta: dict.fromkeys(family.reals, theta[0])
    )
    answers = MODEL + off
    left, common = unexplained(MODEL, answers, BASE), typical(MODEL, answers, BASE)
    return Fitted(candidate, {"steps": count}, np.zeros(1), answers, left, common, np.zeros((1, 1)))


def noise(size: float, seed: int) -> Any:
    return size * np.random.default_rng(seed).standard_normal(MODEL.shape)


def test_edits_of_one_text_are_rivals() -> None:
    """Two that leave as much, and are not alike; both have the same name, as all edits of a text have."""
    one, other, plain = fitted(FIRST, noise(0.1, 1)), fitted(SECOND, noise(0.11, 2)), fitted(DESCENT, noise(1.0, 3))
    assert one.candidate.name == other.candidate.name
    choice = choose([one, other, plain], MODEL, BASE)
    assert (choice.best, choice.rival, choice.alike) == (one, other, ())
    assert choice.margin < 1.5


def test_an_edit_that_holds_the_best_says_nothing_of_others() -> None:
    one, holding, other = fitted(DESCENT, noise(0.1, 1)), fitted(FIRST, noise(0.11, 2)), fitted(SECOND, noise(0.5, 3))
    choice = choose([one, holding, other], MODEL, BASE, [holding])
    assert (choice.best, choice.rival, choice.alike) == (one, other, (holding,))
    more = [fitted(FIRST, noise(0.16, seed), seed) for seed in (4, 5)]  # the same edit at other counts
    choice = choose([one, holding, other, *more], MODEL, BASE, [holding])
    assert (choice.rival, choice.alike) == (other, (holding,))


def test_of_two_that_leave_as_much_the_one_with_fewer_reals_is_the_best() -> None:
    more, fewer = (fitted(DESCENT, noise(0.1, 1), reals=reals) for reals in (2, 1))
    assert choose([more, fewer], MODEL, BASE).best is fewer


FAR = np.where(np.arange(len(MODEL)) % 40 == 0, 5.0, 0.0)[:, None]
"""Added to answers that are typically right."""


def test_what_is_far_off_on_some_tasks_is_told_from_what_explains_all() -> None:
    """It leaves two thirds, and typically no more than the best: neither alike nor, of another family, near. The family
    that holds the best is still no rival."""
    one, near = fitted(DESCENT, noise(0.1, 1)), fitted(DESCENT, noise(0.1, 1) + FAR, 3)
    other = fitted(FIRST, noise(0.1, 1) + FAR)
    assert near.left > 0.5
    assert near.typical < 1.1 * one.typical
    choice = choose([one, near, other], MODEL, BASE)
    assert (choice.best, choice.rival, choice.alike) == (one, other, ())
    assert choice.margin > 50
    assert choose([one, near, other], MODEL, BASE, [other]).rival is None


def test_what_is_named_for_most_tasks_or_not_at_all_is_alike_by_the_same() -> None:
    for more in (FAR, noise(0.3, 9)):
        fits = [fitted(DESCENT, noise(0.1, 1) + more, 2), fitted(DESCENT, noise(0.101, 1) + more * 1.01, 3)]
        assert choose(fits, MODEL, BASE).alike == (fits[1],)


def test_a_count_at_the_edge_of_what_was_tried_is_a_lower_bound() -> None:
    """The longest of the grid, and near: no program is said to run with so many steps, nor a rate with an interval."""
    last = fitted(DESCENT, noise(1e-4, 1), 20)
    for one, kind in ((last, "behaves"), (replace(last, exceeded=True), "runs")):
        found: Any = SimpleNamespace(
            choice=choose([one, fitted(DESCENT, noise(1.0, 2), 12)], MODEL, BASE),
            interval=(1e-9, 1e-8), core=(1e-9, (1e-9, 1e-8)),
            central=(1e-9, (1e-9, 1e-8)), telling=(), inside=None, chance=0.0,
        )  # fmt: skip
        said = verdict(found)
        assert said.kind == kind
        assert ("with steps at least 20 (at 20: rate = 0)" in said.sentence) == (kind == "behaves")
        assert ("[" in said.sentence) == (kind == "runs")


@pytest.mark.parametrize(("margin", "kind"), [(3.9, "undecided"), (4.1, "runs")])
def test_a_rival_decides_below_a_margin_of_4(margin: float, kind: str) -> None:
    one, other = fitted(DESCENT, noise(0.01, 1)), fitted(FIRST, noise(0.02, 2))
    choice = Choice((one, other), (), other, margin)
    found: Any = SimpleNamespace(
        choice=choice,
        interval=(1e-5, 1e-4),
        core=(1e-5, (1e-5, 1e-4)),
        central=(1e-5, (1e-5, 1e-4)),
        telling=(),
        inside=None,
        chance=0.0,
    )
    assert verdict(found).kind == kind


def test_what_explains_19_tasks_of_20_is_not_said_to_run() -> None:
    one = fitted(DESCENT, noise(1e-4, 1) + 0.1 * FAR)
    found: Any = SimpleNamespace(
        choice=Choice((one,), (), None, np.inf),
        interval=(0.02, 0.05),
        core=(1e-6, (1e-6, 1e-5)),
        central=(1e-6, (1e-6, 1e-5)),
        telling=(),
        inside=None,
        chance=0.0,
    )
    said = verdict(found)
    assert said.kind == "behaves"
    assert "on 19 tasks of 20" in said.sentence


def test_what_answers_otherwise_when_asked_again_is_said_to() -> None:
    one = fitted(DESCENT, noise(0.1, 1))
    for chance, more in ((0.0, ""), (0.0002, "0.02 %"), (0.021, "2.1 %"), (1.3, "100 %")):
        found: Any = SimpleNamespace(
            choice=Choice((one,), (), None, np.inf), interval=(0.01, 0.02), core=(0.01, (0.01, 0.02)),
            central=(0.01, (0.01, 0.02)), telling=(),
            inside=None, chance=chance,
        )  # fmt: skip
        said = verdict(found).sentence
        assert ("asked again" in said) == bool(more)
        assert not more or f"asked again it answers otherwise: {more} of" in said


def test_of_many_that_are_not_told_apart_the_first_are_named() -> None:
    """Counts in ranges, and what a fit ran away to as 0."""
    one = fitted(DESCENT, noise(0.01, 1))
    same = [fitted(DESCENT, noise(0.01, 1), count) for count in (3, 4, 5, 8)]
    others = [fitted(replace(DESCENT, name=f"other_{k}"), noise(0.01, 1)) for k in range(8)]
    others[0] = replace(others[0], theta=np.array([5e-131]))
    found: Any = SimpleNamespace(
        choice=Choice((one, *same, *others), (*same, *others), None, np.inf),
        interval=(1e-5, 1e-4), core=(1e-5, (1e-5, 1e-4)),
        central=(1e-5, (1e-5, 1e-4)), telling=(), inside=None, chance=0.0,
    )  # fmt: skip
    said = verdict(found)
    assert "from `gradient_descent` with steps 3–5, 8, `other_0` with steps 2 (rate 0), `other_1`" in said.sentence
    assert said.sentence.endswith("`other_4` with steps 2 (rate 0) and 3 more")
    assert len(said.named) == 13


def test_where_none_explains_the_model_the_best_is_of_all_fits() -> None:
    """The shortest description is the nearest on most tasks, and another program explains more of all."""
    one, other = fitted(DESCENT, noise(0.2, 1) + 10 * FAR), fitted(FIRST, noise(0.4, 2))
    for core, start in ((0.05, "the nearest is `gradient_descent`"), (0.2, "the best, `gradient_descent_edited")):
        found: Any = SimpleNamespace(
            choice=Choice((one, other), (), other, 3.0), spread=1.0, size=1.0,
            interval=(1.0, 90.0), core=(core, (core, 1.1 * core)),
            central=(core, (core, 1.1 * core)), telling=(), inside=None, chance=0.0,
        )  # fmt: skip
        said = verdict(found)
        assert said.status == 3
        assert said.sentence.startswith(f"no known program: {start}")
        assert f"explains {100 * (1 - other.left):.1f} %" in said.sentence


def test_what_a_program_nearly_explains_does_not_ignore_its_context() -> None:
    """Though its answers are small: of one small step on labels that are large."""
    one = fitted(DESCENT, noise(0.2, 1))
    for left, start in ((0.06, "no known program: the nearest is"), (0.5, "ignores its context")):
        found: Any = SimpleNamespace(
            choice=Choice((one,), (), None, np.inf), spread=0.01, size=1.0, interval=(left, left),
            core=(left, (left, left)),
            central=(left, (left, left)), telling=(), inside=None, chance=0.0,
        )  # fmt: skip
        assert verdict(found).sentence.startswith(start)


def test_a_longer_rival_is_further_off() -> None:
    """As the choice counts it: 16 bits are as much as to leave twice as much."""
    one, other = fitted(FIRST, noise(0.1, 1)), fitted(SECOND, noise(0.11, 2))
    rare = fitted(replace(SECOND, prior=16.0), noise(0.11, 2))
    margins = [choose([one, rival], MODEL, BASE).margin for rival in (other, rare)]
    assert margins[1] == pytest.approx(2 * margins[0])


def test_what_is_far_off_in_one_answer_of_a_task_is_named_by_19_answers_of_20() -> None:
    """Three tasks in 25 are, each after another number of examples: 4 % of the answers, and more than 5 % of the
    tasks."""
    wild = np.zeros_like(MODEL)
    for column in range(3):
        wild[column::25, column] = 10.0
    near, far = fitted(DESCENT, noise(0.05, 1) + wild), fitted(DESCENT, noise(0.5, 1))
    assert named_by(MODEL, near.answers, BASE) is by_answers
    assert named_by(MODEL, far.answers, BASE) is None
    share, (low, high) = central(MODEL, near.answers, BASE)
    assert low <= share <= high < 0.03
    found: Any = SimpleNamespace(
        choice=Choice((near,), (), None, np.inf), interval=(1.5, 9.0), core=(0.05, (0.04, 0.06)),
        central=(0.01, (0.01, 0.02)), telling=(), inside=None, chance=0.0,
    )  # fmt: skip
    said = verdict(found)
    assert said.kind == "behaves"
    assert "99.0 % explained [98.0 %, 99.0 %] on 19 answers of 20, " in said.sentence
