"""Sizes at which each program's circuit has some 2,000 edges at most: those of tests/reference, or smaller ones.

Every edge is a run of all that is behind it, and their number grows with the square of the layers: a scan has some for
every example, a loop for every step.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from innerloop.artifact.signature import Pattern
from innerloop.artifact.words import TargetName
from innerloop.compiler import Weights
from innerloop.compiler.ir.build import graph_of

from tests.reference import Case, source
from tests.reference.measured import compiled

FEW = 2
"""Repetitions of the group that a scan is compiled for."""
SMALLER: dict[str, dict[str, object]] = {
    "adam": {"steps": 1},
    "algorithm_selection": {"steps": 2},
    "chebyshev_iteration": {"steps": 3},
    "conjugate_gradient": {"steps": 1},
    "deep_features": {"steps": 3},
    "fast_weights": {"length": FEW},
    "fista": {"steps": 2},
    "functional_gradient_descent": {"steps": 3},
    "gd_plus": {"steps": 2},
    "gradient_descent": {"steps": 3},
    "gradient_descent_alternating": {"steps": 3},
    "gradient_descent_dual": {"steps": 3},
    "heavy_ball": {"steps": 3},
    "incremental_gradient": {"epochs": 1, "examples": FEW, "rates": np.array([0.1])},
    "iterative_newton": {"steps": 1},
    "k_means": {"steps": 1},
    "kalman_filter": {"examples": FEW},
    "lasso": {"steps": 2},
    "logistic_regression": {"steps": 2},
    "mesa_layer": {"length": FEW},
    "mlp_gradient_descent": {"steps": 1},
    "nesterov": {"steps": 3},
    "newton_logistic": {"steps": 1, "inner": 1},
    "normalized_least_mean_squares": {"examples": FEW},
    "oja": {"length": FEW},
    "perceptron": {"examples": FEW},
    "preconditioned_gradient_descent": {"steps": 2},
    "principal_component": {"steps": 2},
    "recursive_least_squares": {"examples": FEW},
    "retargetable_gradient_descent": {"steps": 2},
    "retargetable_loss_table": {"steps": 2},
    "ridge": {"steps": 2},
    "sherman_morrison": {"examples": FEW},
    "stochastic_gradient_descent": {"examples": FEW},
    "support_vector": {"steps": 2},
    "temporal_difference": {"steps": 3},
    "temporal_difference_lambda": {"steps": 1, "length": FEW},
}


def small(case: Case, target: TargetName) -> tuple[Weights, str]:
    """The case's program, and what is smaller than in tests/reference. Raises CompileError."""
    smaller = SMALLER.get(case.program, {})
    said = ", ".join(f"{name} {value}" for name, value in smaller.items() if isinstance(value, int))
    case = replace(case, parameters=case.parameters | smaller)
    if not smaller.keys() & {"examples", "length"}:
        return compiled(case, target), said
    signature = graph_of(source(case.program), case.parameters).signature
    kinds = {field.name: field.kinds for field in signature.fields}
    fields = {name: _first(array, signature.pattern, kinds[name]) for name, array in case.sample().items()}
    return compiled(case, target, calibration=fields), said


def _first(array: Any, pattern: Pattern, kinds: tuple[str, ...]) -> Any:
    """A field's rows [tasks, rows, …] of the first FEW repetitions of the group, and of what is around them."""
    before, each, after = (
        sum(kind in kinds for kind in some) for some in (pattern.prefix, pattern.group, pattern.suffix)
    )
    rows = array.shape[1]
    return array[:, [*range(before + FEW * each), *range(rows - after, rows)]]
