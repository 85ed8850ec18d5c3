"""The parts of the search, on programs that are a few columns of numbers each: nothing is compiled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from innerloop.artifact.errors import CompileError
from innerloop.explain import search
from innerloop.explain.counts import fit_from
from innerloop.explain.edits import Edit, edits
from innerloop.explain.families import Family, regression
from innerloop.explain.fit import Fitted, Tasks, trivial

D, N, COUNT = 2, 5, 200
RNG = np.random.default_rng(0)
EVERY = {f.name: f for f in regression(D, N)}
DESCENT = EVERY["gradient_descent"]
X, Y = RNG.standard_normal((COUNT, N + 1, D)), RNG.standard_normal((COUNT, N + 1))
A, B = X[:, -1:, 0] * Y[:, :1], X[:, -1:, 1] * Y[:, 1:2]
"""What two programs answer, [tasks, 1]."""
Run = Callable[[Any, Any], tuple[Any, Any]]


@dataclass
class Stand:
    """A candidate whose answers and slopes `of` gives, of θ and the counts."""

    family: Any
    of: Run
    reals: int = 1
    tokens: str = "(x y)* x"

    @property
    def name(self) -> str:
        return str(self.family.name)

    def run(self, theta: Any, counts: Any, *_: Any) -> tuple[Any, Any]:
        return self.of(theta, counts)

    def answers(self, theta: Any, counts: Any, *_: Any) -> Any:
        return self.of(theta, counts)[0]


def tasks(model: Any) -> tuple[Tasks, Any]:
    found = Tasks(X, Y, np.asarray(model), (N,))
    return found, trivial(found)


def scaled(column: Any) -> Run:
    return lambda theta, _: (theta[0] * column, column[..., None])


def fitted(candidate: Any, counts: dict[str, int], seen: Tasks, start: Sequence[float] = (1.0,)) -> Fitted:
    return fit_from(candidate, counts, [np.array(start)], seen, seen, trivial(seen))


def test_two_are_mixed_where_that_leaves_less() -> None:
    """Of three like and one of other tokens the one pair that explains more; a text that is no program is passed by."""
    seen, base = tasks(0.3 * A + 0.7 * B)
    names = ("gradient_descent", "kernel_regression", "preconditioned_gradient_descent", "gd_plus")
    columns = (A, B, A, 2 * B - A)
    every = [Stand(EVERY[n], scaled(c), tokens="other" if n == "gd_plus" else "x") for n, c in zip(names, columns)]  # noqa: B905
    fits = [Fitted(s, {"steps": 1}, np.ones(1), s.answers([1.0], {}), 1.0, 1.0, np.zeros((1, 1))) for s in every]  # type: ignore[arg-type]

    def both(theta: Any, _: Any) -> tuple[Any, Any]:
        share = 1 / (1 + np.exp(-theta[2]))
        slopes = share * A * theta[0], (1 - share) * B, share * (1 - share) * (theta[0] * A - theta[1] * B)
        return share * theta[0] * A + (1 - share) * theta[1] * B, np.stack([slopes[0] / theta[0], *slopes[1:]], -1)

    made: list[str] = []

    def make(family: Family) -> Any:
        made.append(family.name)
        if len(made) > 1:
            raise CompileError([], "", "")
        return Stand(family, both, 3)

    (found,) = search._mixed(fits, seen, seen, base, make)
    assert made == ["gradient_descent_and_kernel_regression", "kernel_regression_and_preconditioned_gradient_descent"]
    assert found.counts == {"steps_1": 1, "steps_2": 1}
    assert found.left < 1e-9


def test_a_term_that_is_scaled_to_nothing_is_dropped() -> None:
    seen, base = tasks(A)
    term = next(e for e in edits(DESCENT) if e.kind == "scaled")
    dropped = Edit("dropped", term.span, "", term.said)
    made: list[Family] = []

    def make(family: Family) -> Any:
        made.append(family)
        return Stand(family, scaled(A))

    fit = fitted(Stand(DESCENT, lambda t, _: (t[0] * A + t[1] * B, np.stack([A, B], -1)), 2), {}, seen, (0.5, 0.5))
    assert abs(fit.theta[1]) < search.NOTHING
    ((found, chosen),) = search._dropped(fit, DESCENT, ((term, 1.0),), seen, seen, base, make)
    assert chosen == ((dropped, 0.0),)
    assert (len(found.theta), made[0].note, "0 * (w)" in made[0].text) == (1, f"without {term.said}", True)
    assert not search._dropped(fit, DESCENT, ((Edit("added", term.span, "w", "w"), 0.0),), seen, seen, base, make)
    kept = fitted(Stand(DESCENT, lambda t, _: (t[0] * B + t[1] * A, np.stack([B, A], -1)), 2), {}, seen, (0.5, 0.5))
    assert not search._dropped(kept, DESCENT, ((term, 1.0),), seen, seen, base, make)


def test_the_same_text_is_fitted_at_every_other_count() -> None:
    seen, base = tasks(A)
    stand = Stand(DESCENT, lambda theta, c: (theta[0] * c["steps"] * A, c["steps"] * A[..., None]))
    first = fitted(stand, {"steps": 2}, seen)
    found = search._counted(first, DESCENT, seen, seen, base)
    others = [steps for steps in DESCENT.whole["steps"] if steps != 2]
    assert [f.counts["steps"] for f in found] == others
    assert [float(f.theta[0] * f.counts["steps"]) for f in found] == pytest.approx([1.0] * len(others))


def test_edits_that_are_no_program_together_are_asked_by_halves(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same gains as all at once, the most telling first; what is none by itself is left out."""
    seen, _ = tasks(A + 0.5 * B + 0.1 * Y[:, 2:3])
    known = edits(DESCENT)[:5]
    column = dict(zip(known, [Y[:, 3:4], B, Y[:, 2:3], B + Y[:, 2:3], Y[:, 4:5]], strict=True))
    monkeypatch.setattr(search, "edited", lambda _, chosen: [edit for edit, _ in chosen])

    def make(most: int, never: Sequence[Edit] = ()) -> Any:
        def candidate(chosen: list[Edit]) -> Any:
            if len(chosen) > most or set(chosen) & set(never):
                raise CompileError([], "", "")
            slopes = np.stack([A, *(column[edit] for edit in chosen)], -1)
            return Stand(DESCENT, lambda theta, _: (theta[0] * A, slopes))

        return candidate

    best = fitted(Stand(DESCENT, scaled(A)), {"steps": 1}, seen)
    whole = search.gains(best, DESCENT, (), known, seen, make(5))
    assert [edit for edit, _ in whole][:2] == [known[1], known[3]]
    halves = search.gains(best, DESCENT, (), known, seen, make(1))
    assert [edit for edit, _ in halves] == [edit for edit, _ in whole]
    assert [gain for _, gain in halves] == pytest.approx([gain for _, gain in whole])
    some = search.gains(best, DESCENT, (), known, seen, make(5, known[:1]))
    assert {edit for edit, _ in some} == set(known[1:])
