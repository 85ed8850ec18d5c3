"""What a newcomer does first: a shipped program, with nothing given but the parameters that have no default.

Ranges come from the tasks that default_tasks.py draws. The error is what 15 in 16 fresh tasks of its core keep within,
over the output's root mean square: in the others what decides may be a tie, or a matrix all but singular, and the
largest of them is luck. What it is on tasks correlated by 0.999, say, is the certificate's to tell.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from innerloop.artifact.words import TargetName
from innerloop.compiler import interpret
from innerloop.compiler.interpreter.default_tasks import describe, draw, repetitions, samples
from innerloop.compiler.ir.build import graph_of
from innerloop.compiler.syntax.parse import parse
from innerloop.programs import load, names
from innerloop.runtime import Transformer

from tests.reference import D, packed
from tests.reference.measured import numpy_run
from tests.reference.other import AUTOMATON
from tests.reference.series import MARKOV
from tests.support.shared import compiled_once

TARGETS: tuple[TargetName, ...] = ("gpt2", "llama")
LARGEST = 1e-3
LOOSE = {"conjugate_gradient": 1e-2, "ridge": 3e-3}
"""Once all is solved the one's next direction is rounding; and the other's sums of 40 squares, ill-conditioned."""
TASKS, SHARE = 128, 15 / 16
QUICK = ("fast_weights", "gradient_descent", "nesterov", "perceptron")
"""Of the others, those that came to need a thought for their defaults, and compile in seconds."""
_RNG = np.random.default_rng(7)
SMALL: dict[str, Any] = {"d": D, "m": 4, "k": 2, "hidden": 4, "ramps": 2, "vocabulary": 4}
SMALL |= {"classes": 3, "arms": 3, "actions": 2}
SMALL |= {"A": _RNG.standard_normal((4, D)), "c": _RNG.standard_normal(4), "known": _RNG.standard_normal((4, D))}
SMALL |= {"F": 0.8 * np.eye(D) + 0.1 * np.diag([1.0, -1.0], 1), "h": np.ones(D)}
SMALL |= {name: MARKOV[name] for name in ("T", "E")} | AUTOMATON
OF_OTHERS: dict[str, dict[str, Any]] = {"retargetable_gradient_descent": {"d": 4}, "retargetable_loss_table": {"d": 4}}
"""On gpt2, as test_retargetable.py has them: hundreds of steps are compiled once."""


def required(name: str) -> dict[str, Any]:
    """The program's parameters without a default, at small sizes."""
    sizes = SMALL | OF_OTHERS.get(name, {})
    return {p.name: sizes[p.name] for p in parse(load(name), name).parameters if p.default is None}


def _params() -> list[object]:
    """The quick ones on both targets, each of the others on one: test_library.py has every program on both."""
    quick = [pytest.param(name, target) for name in QUICK for target in TARGETS]
    others = [(name, TARGETS[k % 2]) for k, name in enumerate(name for name in names() if name not in QUICK)]
    slow = [(name, "gpt2" if name in OF_OTHERS else target) for name, target in others]
    return [*quick, *(pytest.param(name, target, marks=pytest.mark.slow) for name, target in slow)]


@pytest.mark.parametrize(("name", "target"), _params())
def test_a_program_compiles_with_its_defaults(name: str, target: TargetName) -> None:
    weights = compiled_once(load(name), target=target, **required(name))
    fields = draw(weights.signature, repetitions(graph_of(load(name), required(name))), TASKS, seed=5)
    truth = packed(interpret(load(name), **fields, **required(name)))
    errors = np.abs(numpy_run(weights, fields) - truth).reshape(TASKS, -1).max(1)
    assert np.quantile(errors, SHARE) <= LOOSE.get(name, LARGEST) * float(np.sqrt(np.mean(truth**2)))


def test_labels_are_signs_of_a_linear_function_in_whole_tasks_and_uniform_in_short_ones() -> None:
    graph = graph_of(load("perceptron"), {"d": D})
    short = draw(graph.signature, 2, 5000, 1, labels=False)
    assert abs(float(np.mean(np.abs(short["y"]))) - 0.5) < 0.02
    assert "y = 1 or -1 by the sign of w · x" in describe(graph.signature, 40)
    drawn = draw(graph.signature, 20, 50, 0)
    assert set(np.unique(drawn["y"])) == {-1.0, 1.0}
    for x, y in zip(drawn["x"], drawn["y"], strict=True):  # separable: Rosenblatt's rule comes to an end
        w = np.zeros(D)
        for _ in range(10_000):
            wrong = y * (x[:20] @ w) <= 0
            if not wrong.any():
                break
            w = w + (y[:, None] * x[:20])[wrong][0]
        assert not wrong.any()


def test_of_a_visible_context_there_are_tasks_of_one_example_and_of_lengths_between() -> None:
    """No token sees a part of it, as each does of `(x y)* x`; and a kernel's mean over one example, its own, is 1."""
    text = load("maximum_mean_discrepancy")
    weights = compiled_once(text, target="llama", d=D)
    for groups in ((1, 1), (1, 9), (9, 1)):
        fields = draw(weights.signature, groups, TASKS, 1)
        for bound in Transformer(weights).certify(**fields).bound.values():
            assert np.isfinite(bound).all()
    *_, others = samples(graph_of(text, {"d": D}))
    assert {some.sequence.repetitions for some in others.data} == {(9, 9), (1, 1)}
