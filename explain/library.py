"""What is tried where none of the usual families (families.py) gives a model's answers: the rest of the library.

    Family("lasso", text, reals={"rate": POSITIVE, "penalty": POSITIVE}, whole={"steps": 1 … 60})

Beside the library's regressions, that take x of vectors and y of numbers and answer with a number, stand those of
texts/: what predictors of other libraries compute by default (least squares, the Lasso and the elastic net with an
intercept, the mean of the k nearest labels, or of all where there are fewer); gradient descent on sums, at rates that
fall, with a rate for each of four to six steps, from a w that is not 0, clipped, averaged or adaptive; ridge regression
towards such a w, or of examples that count less the older they are. `RARE` is what such a program costs beside those
(choice.py).
"""

from __future__ import annotations

from collections.abc import Mapping

from innerloop.programs import load

from .families import POSITIVE, Family, Range, own, schedule

RARE = 16.0
"""In bits, as much as to halve what is left: what trained models are known to run is tried first."""
STEPS = (1, 2, 3, 4, 6, 8, 12, 20, 60)
"""Of those that are tried first; a fit looks between them (fit.py)."""
NEAR_ONE = Range("share", (0.9, 0.5))


def rest(d: int, n: int) -> list[Family]:
    """For tasks of x [n + 1, d] and y [n]."""
    sizes: dict[str, object] = {"d": d}
    rows: dict[str, object] = {"d": d, "examples": n}
    steps: dict[str, tuple[int, ...]] = {"steps": STEPS}
    several = {"steps": STEPS[:7]}
    rate, ridge, penalty = {"rate": POSITIVE}, {"ridge": POSITIVE}, {"penalty": POSITIVE}
    short, start = {"rate": Range("logarithmic", (0.05, 0.3))}, {"start": Range("linear", (0.0,))}
    tried: list[tuple[str, Mapping[str, Range], Mapping[str, tuple[int, ...]], Mapping[str, object]]] = [
        ("nesterov", rate | {"momentum": NEAR_ONE}, steps, sizes),
        ("lasso", short | penalty, steps, sizes),
        ("fista", short | penalty, steps, sizes),
        ("adam", rate | {"beta1": NEAR_ONE, "beta2": Range("share", (0.99, 0.9)),
                         "epsilon": Range("logarithmic", (0.01, 0.1))}, steps, sizes),
        ("conjugate_gradient", ridge, {"steps": tuple(range(1, d + 1))}, sizes),
        ("chebyshev_iteration", {"low": Range("logarithmic", (0.1, 0.5)), "high": Range("logarithmic", (8.0, 4.0))},
         steps, sizes),
        ("iterative_newton", {}, steps, sizes),
        ("ridge", ridge, steps, sizes),
        # Only the ratios of its three numbers count: prior stays 1.
        ("kalman_filter", {"drift": Range("logarithmic", (0.01, 0.1)), "noise": POSITIVE}, {}, rows | {"prior": 1}),
        ("perceptron", {}, {}, rows),
        ("logistic_regression", rate, steps, sizes),
        ("newton_logistic", ridge, {"steps": (1, 2, 3, 5, 8)}, sizes),
        ("support_vector", ridge, steps, sizes),
    ]  # fmt: skip
    falling = {"rate": Range("logarithmic", (0.2, 0.05)), "decay": NEAR_ONE, "power": Range("linear", (0.0, 1.0))}
    most = {"most": Range("logarithmic", (1.0, 0.3))}
    small, fine = {"rate": Range("logarithmic", (0.05, 0.2))}, {"epsilon": Range("logarithmic", (0.01, 0.1))}

    neighbours = {"k": tuple(range(1, min(n, 10) + 1))}
    written: list[tuple[str, Mapping[str, Range], Mapping[str, tuple[int, ...]], Mapping[str, object]]] = [
        ("scaled_gradient_descent", falling, {"steps": (2, 3, 4, 6, 8, 12)}, sizes),
        ("gradient_descent_from", rate | start, {"steps": (1, 2, 3, 4, 6, 8)}, sizes),
        ("clipped_gradient_descent", rate | most, several, sizes),
        ("averaged_gradient_descent", rate, several, sizes),
        ("rmsprop", rate | {"decay": NEAR_ONE} | fine, several, sizes),
        ("adagrad", rate | fine, several, sizes),
        ("averaged_stochastic_gradient_descent", small, {}, rows),
        ("falling_stochastic_gradient_descent", small | {"power": Range("linear", (0.5,))}, {}, rows),
        ("clipped_stochastic_gradient_descent", small | most, {}, rows),
        ("ridge_towards", ridge | start, {}, sizes),
        ("weighted_least_squares", ridge | {"recency": Range("linear", (0.1,))}, {}, sizes),
        ("ridge_with_intercept", ridge, {}, sizes),
        ("ridge_with_penalised_intercept", ridge | {"intercept": POSITIVE}, {}, sizes),
        ("lasso_with_intercept", short | penalty, steps, sizes),
        ("elastic_net", penalty | ridge, {"steps": (20, 60, 160)}, sizes),
        ("elastic_net_with_intercept", penalty | ridge, {"steps": (20, 60, 160)}, sizes),
        ("nearest_neighbours", {}, neighbours, rows),
        ("nearest_neighbours_by_distance", {}, neighbours, rows),
    ]  # fmt: skip
    return [
        *(Family(name, load(name), reals, whole, given, prior=RARE) for name, reals, whole, given in tried),
        *(schedule(count, sizes, RARE) for count in (4, 5, 6)),
        *(Family(name, own(name), reals, whole, given, prior=RARE) for name, reals, whole, given in written),
    ]
