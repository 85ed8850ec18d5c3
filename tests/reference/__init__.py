"""One table of programs: parameters, data, and the answer of an independent implementation.

Where there is one, the implementation takes another road than the program: closed forms, eigenvalues,
linear solvers, SciPy, scikit-learn, JAX.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from inspect import getdoc
from pathlib import Path
from typing import Any

import numpy as np
from innerloop.artifact.words import TargetName
from innerloop.compiler import interpret
from innerloop.compiler.architectures.targets import TARGETS
from numpy.typing import NDArray

from . import batch, classification, decisions, descent, online, other, probabilistic, series

_ROOT = Path(__file__).parents[2]
PROGRAMS = sorted([*(_ROOT / "programs").glob("*.icl"), *(_ROOT / "tests" / "cases" / "programs").glob("*.icl")],
                  key=lambda path: path.stem)  # fmt: skip
"""The programs that ship, and a few of the tests' own."""
REGRESSIONS = (
    "gd_plus",
    "gradient_descent",
    "gradient_descent_alternating",
    "gradient_descent_dual",
    "iterative_newton",
    "sherman_morrison",
    "stochastic_gradient_descent",
)
"""Shipped programs that compile in a moment, on the default tasks, with nothing given but d: for what all are to do."""

LINEAR = (
    "ar_mesa_optimizer",
    "averaging",
    "gd_plus",
    "gradient_descent_alternating",
    "gradient_descent_dual",
    "temporal_difference",
)
"""What linear attention holds; target lsa refuses every other program."""


DELTA = ("fast_weights", "normalized_least_mean_squares", "stochastic_gradient_descent")
"""What target deltanet holds, each in one layer."""


def source(name: str) -> str:
    """The text of a program of these."""
    return next(path for path in PROGRAMS if path.stem == name).read_text(encoding="utf-8")


MACHINES: tuple[TargetName, ...] = ("gemma", "neox", "qwen2")
"""Targets made of others' parts: tests/whole/test_machines.py holds a handful of programs on them, and `make
benchmark-machines` all; what walks over the whole library walks over the others, but for `deltanet`
(tests/whole/test_deltanet.py), which holds few."""
WALKED = tuple(target for target in TARGETS if target not in (*MACHINES, "deltanet"))


def targets(name: str, among: Iterable[TargetName] = WALKED) -> tuple[TargetName, ...]:
    """The targets that hold a program of these, of those that the library is walked over on."""
    return tuple(target for target in among if name in LINEAR or not TARGETS[target].linear)


Array = NDArray[np.float64]
Task = dict[str, Any]


def packed(answer: Any) -> Array:
    """What a call gives, several outputs side by side: [batch, rows, size]."""
    parts = answer.values() if isinstance(answer, dict) else None
    return answer if parts is None else np.concatenate([p.reshape(*p.shape[:2], -1) for p in parts], -1)


@dataclass(frozen=True, eq=False)
class Case:
    """`expected(task, parameters)` answers one task, fields without a batch dimension, with [rows, *shape]; of several
    outputs with the components of all, [rows, size]."""

    program: str
    parameters: dict[str, Any]
    draw: Callable[[np.random.Generator], Task]
    expected: Callable[[Task, Mapping[str, Any]], Any]
    tolerance: float = 1e-10

    @property
    def against(self) -> str:
        """What answers: the first paragraph of `expected`'s docstring."""
        return " ".join((getdoc(self.expected) or "").split("\n\n")[0].split())

    def data(self, seed: int, tasks: int) -> dict[str, NDArray[Any]]:
        """Fields [tasks, rows, *shape]."""
        drawn = [self.draw(np.random.default_rng((seed, task))) for task in range(tasks)]
        return {name: np.stack([task[name] for task in drawn]) for name in drawn[0]}

    def sample(self, tasks: int = 256) -> dict[str, NDArray[Any]]:
        """What ranges are taken from; what is compiled is held against other tasks."""
        return self.data(1, tasks)

    def truth(self, data: Mapping[str, NDArray[Any]]) -> Array:
        """The float64 oracle's word."""
        return packed(interpret(source(self.program), **data, **self.parameters))

    def answers(self, data: Mapping[str, NDArray[Any]]) -> Array:
        """The independent implementation's."""
        tasks = len(next(iter(data.values())))
        single = ({name: array[task] for name, array in data.items()} for task in range(tasks))
        return np.stack([np.asarray(self.expected(task, self.parameters), np.float64) for task in single])


D = 3
_rng = np.random.default_rng(7)
_FEATURES = {"d": D, "m": 4, "A": _rng.standard_normal((4, D)), "c": _rng.standard_normal(4)}
_KNOWN = {"d": D, "m": 5, "known": _rng.standard_normal((5, D))}
_PRECONDITIONER = 0.1 * (np.eye(D) + 0.2 * _rng.standard_normal((D, D)))

CASES = (
    Case("gradient_descent", {"d": D, "steps": 10, "rate": 0.1}, batch.draw, batch.gradient_descent),
    Case("gradient_descent_by_grad", {"d": D, "steps": 10, "rate": 0.1}, batch.draw, batch.gradient_descent),
    Case("gradient_descent_dual", {"d": D, "steps": 10, "rate": 0.1}, batch.draw_context, batch.gradient_descent_query),
    Case(
        "gradient_descent_alternating",
        {"d": D, "steps": 10, "rate": 0.1},
        batch.draw,
        batch.gradient_descent_in_context,
    ),
    Case("gd_plus", {"d": D, "steps": 4, "curvature": 0.01}, batch.draw_context, batch.gd_plus),
    Case(
        "preconditioned_gradient_descent", {"d": D, "steps": 5, "A": _PRECONDITIONER}, batch.draw, batch.preconditioned
    ),
    Case("deep_features", _FEATURES | {"steps": 6}, batch.draw, batch.deep_features),
    Case("heavy_ball", {"d": D, "steps": 12}, batch.draw, descent.heavy_ball),
    Case("nesterov", {"d": D, "steps": 12, "rate": 0.1}, batch.draw, descent.nesterov),
    Case("adam", {"d": D, "steps": 12, "epsilon": 1e-3}, batch.draw, descent.adam),
    Case(
        "kernel_ridge",
        {"d": D, "examples": 6, "steps": 24},
        batch.draw_context,
        probabilistic.kernel_ridge,
        1e-7,
    ),
    Case("gaussian_process", {"d": D, "examples": 6}, batch.draw_context, probabilistic.gaussian_process),
    Case("k_nearest_neighbours", {"d": D, "examples": 6}, batch.draw_context, probabilistic.k_nearest_neighbours),
    Case(
        "linear_discriminant_analysis",
        {"d": D, "classes": 3},
        probabilistic.draw_classes,
        probabilistic.linear_discriminant_analysis,
    ),
    Case(
        "softmax_regression",
        {"d": D, "classes": 3, "steps": 4},
        probabilistic.draw_classes,
        probabilistic.softmax_regression,
    ),
    Case(
        "gaussian_mixture",
        {"d": D, "k": 2, "steps": 3},
        probabilistic.draw_mixture,
        probabilistic.gaussian_mixture,
    ),
    Case(
        "prototypical_network",
        {"d": D, "classes": 3},
        probabilistic.draw_episode,
        probabilistic.prototypical_network,
    ),
    Case("maximum_mean_discrepancy", {"d": D}, probabilistic.draw_samples, probabilistic.maximum_mean_discrepancy),
    Case("adaboost", {"d": D, "rounds": 5}, decisions.draw_votes, decisions.adaboost),
    Case("lin_ucb", {"d": D, "arms": 3}, decisions.draw_trials, decisions.lin_ucb),
    Case(
        "value_iteration",
        {"states": 3, "actions": 2, "steps": 25, "discount": 0.5},
        decisions.draw_process,
        decisions.value_iteration,
        1e-7,
    ),
    Case("q_learning", {"states": 3, "actions": 2, "transitions": 10}, decisions.draw_walk, decisions.q_learning),
    Case("averaging", {"d": D}, batch.draw, batch.averaging),
    Case(
        "conjugate_gradient", {"d": D, "ridge": 0.2, "steps": D, "floor": 1e-12}, batch.draw, batch.conjugate_gradient
    ),
    Case("iterative_newton", {"d": D, "steps": 6}, batch.draw, batch.iterative_newton),
    Case("ridge", {"d": D, "steps": 25, "ridge": 0.1}, batch.draw, batch.ridge),
    Case("validated_ridge", {"d": D}, batch.draw_held_out, batch.validated_ridge),
    Case("lasso", {"d": D, "steps": 50, "rate": 0.1}, batch.draw, batch.lasso),
    Case("fista", {"d": D, "steps": 20, "rate": 0.1}, batch.draw, batch.fista),
    Case("chebyshev_iteration", {"d": D, "steps": 8}, batch.draw_context, batch.chebyshev_iteration),
    Case("algorithm_selection", {"d": D, "steps": 20, "rate": 0.1}, batch.draw_judged, batch.algorithm_selection),
    Case("bayes_model_average", _KNOWN, batch.draw, batch.bayes_model_average),
    Case("temporal_difference", {"d": D, "steps": 15}, batch.draw_transitions, batch.temporal_difference),
    Case(
        "temporal_difference_lambda",
        {"d": D, "steps": 15, "rate": 0.1},
        batch.draw_transitions,
        batch.temporal_difference_lambda,
    ),
    Case(
        "stochastic_gradient_descent",
        {"d": D, "rate": 0.05, "decay": 0.1},
        batch.draw,
        online.stochastic_gradient_descent,
    ),
    Case(
        "incremental_gradient",
        {"d": D, "epochs": 3, "examples": 6, "rates": np.array([0.1, 0.05, 0.1 / 3])},
        batch.draw_context,
        online.incremental_gradient,
    ),
    Case("normalized_least_mean_squares", {"d": D}, batch.draw, online.normalized_least_mean_squares),
    Case("sherman_morrison", {"d": D, "ridge": 0.1}, batch.draw, online.sherman_morrison),
    Case("recursive_least_squares", {"d": D, "ridge": 0.1, "forget": 0.9}, batch.draw, online.recursive_least_squares),
    Case("kalman_filter", {"d": D}, batch.draw, online.kalman_filter),
    Case("mesa_layer", {"d": D}, online.draw_states, online.mesa_layer),
    Case("oja", {"d": D}, online.draw_states, online.oja),
    Case("principal_component", {"d": D, "steps": 20}, online.draw_states, online.principal_component),
    Case("ar_mesa_optimizer", {"d": D, "rate": 0.2}, online.draw_complex, online.ar_mesa_optimizer),
    Case("perceptron", {"d": D}, classification.draw_signs, classification.perceptron),
    Case("support_vector", {"d": D, "steps": 30}, classification.draw_signs_context, descent.support_vector),
    Case("logistic_regression", {"d": D, "steps": 10}, classification.draw_bits, descent.logistic_regression),
    Case(
        "newton_logistic",
        {"d": D, "steps": 8, "inner": 25, "ridge": 0.1},
        classification.draw_bits,
        classification.newton_logistic,
    ),
    Case("nearest_neighbour", {"d": D, "sharpness": 1e6}, batch.draw, classification.nearest_neighbour),
    Case("kernel_regression", {"d": D, "width": 0.5}, batch.draw, classification.kernel_regression),
    Case("functional_gradient_descent", {"d": D}, batch.draw_context, classification.functional_gradient_descent),
    Case("finite_automaton", other.AUTOMATON, other.draw_word, other.finite_automaton),
    Case("associative_memory", {"d": D, "steps": 2}, other.draw_patterns, other.associative_memory),
    Case("forward_backward", {**series.MARKOV, "steps": series.STEPS}, series.draw_observed, series.forward_backward),
    Case("kalman_smoother", {**series.WALK, "steps": series.STEPS}, series.draw_series, series.kalman_smoother),
    Case("fast_weights", {"d": D, "m": 2}, online.draw_pairs, online.fast_weights),
    Case("k_means", {"d": D, "k": 2, "sharpness": 1e5}, other.draw_clusters, other.k_means),
    Case("mlp_gradient_descent", {"d": D, "hidden": 4}, other.draw_network, other.mlp_gradient_descent),
    Case("bigram", {"vocabulary": 4}, other.draw_symbols, other.bigram),
    Case("induction_head", {"vocabulary": 4}, other.draw_symbols, other.induction_head),
    # a step multiplies errors by rate · |x|² / width, far above 1 at the default width: see test_retargetable.py
    Case(
        "retargetable_gradient_descent",
        {"d": D, "steps": 60, "width": 1, "sharpness": 2},
        other.draw_loss,
        other.retargetable_gradient_descent,
    ),
    Case("retargetable_loss_table", {"d": D, "ramps": 3, "steps": 60}, other.draw_table, other.retargetable_loss_table),
)


def case_of(name: str) -> Case:
    return next(case for case in CASES if case.program == name)
