"""The programs that ship, as text, and the small real data sets that ship beside them."""

from __future__ import annotations

from importlib.resources import files
from itertools import takewhile
from typing import TYPE_CHECKING

from innerloop.artifact.errors import near

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["GROUPS", "UnknownNameError", "citation", "dataset", "datasets", "load", "names", "purpose"]

_FOLDER = files(__name__)
_DATA = _FOLDER / "data"

GROUPS = {
    "Least squares": (
        "gradient_descent",
        "gradient_descent_dual",
        "gradient_descent_alternating",
        "stochastic_gradient_descent",
        "incremental_gradient",
        "sherman_morrison",
        "gd_plus",
        "preconditioned_gradient_descent",
        "heavy_ball",
        "nesterov",
        "adam",
        "chebyshev_iteration",
        "conjugate_gradient",
        "iterative_newton",
        "ridge",
        "validated_ridge",
        "recursive_least_squares",
        "normalized_least_mean_squares",
        "kalman_filter",
    ),
    "Beyond squares": (
        "lasso",
        "fista",
        "logistic_regression",
        "softmax_regression",
        "newton_logistic",
        "perceptron",
        "support_vector",
        "adaboost",
        "linear_discriminant_analysis",
    ),
    "Kernels and neighbours": (
        "kernel_regression",
        "kernel_ridge",
        "gaussian_process",
        "functional_gradient_descent",
        "nearest_neighbour",
        "k_nearest_neighbours",
        "averaging",
        "prototypical_network",
        "maximum_mean_discrepancy",
    ),
    "Sequences": (
        "ar_mesa_optimizer",
        "mesa_layer",
        "induction_head",
        "bigram",
        "finite_automaton",
        "forward_backward",
        "kalman_smoother",
        "associative_memory",
        "fast_weights",
    ),
    "Decisions": ("temporal_difference", "temporal_difference_lambda", "value_iteration", "q_learning", "lin_ucb"),
    "Unsupervised": ("principal_component", "oja", "k_means", "gaussian_mixture"),
    "Networks": ("mlp_gradient_descent", "deep_features"),
    "Choosing": ("bayes_model_average", "algorithm_selection"),
    "Retargetable": ("retargetable_gradient_descent", "retargetable_loss_table"),
}
"""The shipped programs by what they do, each once, in the order of a first reading."""


def __dir__() -> list[str]:
    return __all__


class UnknownNameError(LookupError):
    """No program or data set of this name ships; the message names the nearest."""


def names() -> list[str]:
    """The shipped programs, sorted."""
    return _stems(".icl")


def load(name: str) -> str:
    """The text of the shipped program `name`. Raises UnknownNameError."""
    _require("program", name, names())
    return (_FOLDER / f"{name}.icl").read_text(encoding="utf-8")


def purpose(name: str) -> str:
    """What the program does, in a line: its opening comment up to the source. Raises UnknownNameError."""
    return _opening(name)[0]


def citation(name: str) -> str:
    """Where the program is from: its opening comment after `Source:`. Raises UnknownNameError."""
    return _opening(name)[1]


def datasets() -> list[str]:
    """The shipped data sets, sorted."""
    return _stems(".csv", folder="data")


def dataset(name: str) -> tuple[Floats, Floats]:
    """Features [rows, columns] and target [rows] of the shipped data set `name`, as measured (not standardised).

    The target is the last column of the file. Raises UnknownNameError.
    """
    import numpy as np

    _require("data set", name, datasets())
    lines = (_DATA / f"{name}.csv").read_text(encoding="utf-8").splitlines()
    table: Floats = np.loadtxt(lines, delimiter=",", skiprows=1, ndmin=2)
    return table[:, :-1], table[:, -1]


def _opening(name: str) -> tuple[str, str]:
    opening = takewhile(lambda line: line.startswith("#"), load(name).splitlines())
    what, _, source = " ".join(line.removeprefix("#").strip() for line in opening).partition(" Source: ")
    return what, source


def _stems(suffix: str, folder: str = ".") -> list[str]:
    return sorted(f.name.removesuffix(suffix) for f in (_FOLDER / folder).iterdir() if f.name.endswith(suffix))


def _require(what: str, name: str, known: list[str]) -> None:
    if name not in known:
        hint = near(name, known) or f"there are {', '.join(f'`{k}`' for k in known)}"
        raise UnknownNameError(f"no {what} `{name}` ships with innerloop; {hint}")
