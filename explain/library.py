"""What is tried where none of the usual families (families.py) gives a model's answers: the rest of the library.

    Family("lasso", text, reals={"rate": POSITIVE, "penalty": POSITIVE}, whole={"steps": 1 … 60})

Beside the library's regressions, that take x of vectors and y of numbers and answer with a number, stand those that
predictors of other libraries compute by default: least squares with an intercept, the Lasso with one, and the mean of
the k nearest labels, or of all where there are fewer; gradient descent on sums, at rates that fall, with a rate for
each of four to six steps, or from a w that is not 0; ridge regression towards such a w, or of examples that count less
the older they are. `RARE` is what such a program costs beside those (choice.py).
"""

from __future__ import annotations

from collections.abc import Mapping

from innerloop.programs import load

from .families import POSITIVE, Family, Range, schedule

RARE = 16.0
"""In bits, as much as to halve what is left: what trained models are known to run is tried first."""
STEPS = (1, 3, 8, 20, 60)
"""Of those that are tried first; a fit looks between them (fit.py)."""
NEAR_ONE = Range("share", (0.9, 0.5))

NEIGHBOURS = """\
# The mean label of the k nearest examples, of all where there are fewer.
program nearest_neighbours(d, k = 3, examples = 12, far = 1000)

tokens (example)* query
    x : vector[d] on example, query
    y : scalar on example

n = sum[j in example](1)
e : vector[examples] = 0               # an example's number, as a unit vector
repeat examples as t
    e = e + ((n > t - 0.5) - (n > t + 0.5)) * identity(examples)[t]

taken : vector[examples] = 0
total = 0
count = 0
at query
    repeat k
        next = argmax[j in example](2 * dot(x, x[j]) - dot(x[j], x[j]) - far * dot(taken, e[j]), [y[j], e[j]])
        another = n > count + 0.5
        total = total + another * next[1]
        count = count + another
        taken = taken + next[2:examples + 1]
    output total / max(count, 1)
"""

SCALED = """\
# Gradient descent whose rate falls from step to step, and grows with a power of the number of examples: 1 sums.
program scaled_gradient_descent(d, steps = 2, rate = 0.1, decay = 0.9, power = 0)

tokens (x y)* x
    x : vector[d]
    y : scalar

at y
    u = move x from previous

n = sum[j in y](1)
eta = rate * exp(power * log(max(n, 1)))
w : vector[d] = 0
repeat steps
    w = w - eta * mean[j in y]((dot(w, u[j]) - y[j]) * u[j])
    eta = decay * eta

at x
    output dot(w, x)
"""

INTERCEPT = """\
# Ridge regression with an intercept, which is not penalised: on deviations from the means.
program ridge_with_intercept(d, ridge = 0.1)
use linear_algebra

tokens (x y)* x
    x : vector[d]
    y : scalar

at y
    u = move x from previous

m = mean[j in y](u[j])
b = mean[j in y](y[j])
A = ridge * identity(d) + sum[j in y](outer(u[j] - m, u[j] - m))

at x
    output b + dot(solve(A, sum[j in y]((y[j] - b) * (u[j] - m))), x - m)
"""

SPARSE = """\
# The Lasso with an intercept, which is not penalised, by FISTA on deviations from the means.
program lasso_with_intercept(d, steps = 50, rate = 0.05, penalty = 0.1)

tokens (x y)* x
    x : vector[d]
    y : scalar

def shrink(v, t) = relu(v - t) - relu(-v - t)

at y
    u = move x from previous

m = mean[j in y](u[j])
b = mean[j in y](y[j])
w : vector[d] = 0
z : vector[d] = 0
t = 1
repeat steps
    before = w
    w = shrink(z - rate * mean[j in y]((dot(z, u[j] - m) - y[j] + b) * (u[j] - m)), rate * penalty)
    next = (1 + sqrt(1 + 4 * t ^ 2)) / 2
    z = w + (t - 1) / next * (w - before)
    t = next

at x
    output b + dot(w, x - m)
"""


STARTED = """\
# Gradient descent from a w that is not 0.
program gradient_descent_from(d, steps = 1, rate = 0.1, start : vector[d] = identity(d)[1])

tokens (x y)* x
    x : vector[d]
    y : scalar

at y
    u = move x from previous

w : vector[d] = start
repeat steps
    w = w - rate * mean[j in y]((dot(w, u[j]) - y[j]) * u[j])

at x
    output dot(w, x)
"""

TOWARDS = """\
# Ridge regression towards a w that is not 0: the mean of w given the examples, where that was its mean before.
program ridge_towards(d, ridge = 0.1, start : vector[d] = identity(d)[1])
use linear_algebra

tokens (x y)* x
    x : vector[d]
    y : scalar

at y
    u = move x from previous

A = ridge * identity(d) + sum[j in y](outer(u[j], u[j]))

at x
    output dot(start + solve(A, sum[j in y]((y[j] - dot(start, u[j])) * u[j])), x)
"""

WEIGHTED = """\
# Ridge regression in which exp(recency) weighs each example against the one before it.
program weighted_least_squares(d, ridge = 0.1, recency = 0)
use linear_algebra

tokens (x y)* x
    x : vector[d]
    y : scalar

at y
    u = move x from previous
    place = sum[k in y](1)

n = sum[j in y](1)
A = ridge * identity(d) + sum[j in y](exp(recency * (place[j] - n)) * outer(u[j], u[j]))

at x
    output dot(solve(A, sum[j in y](exp(recency * (place[j] - n)) * y[j] * u[j])), x)
"""


def rest(d: int, n: int) -> list[Family]:
    """For tasks of x [n + 1, d] and y [n]."""
    sizes: dict[str, object] = {"d": d}
    rows: dict[str, object] = {"d": d, "examples": n}
    steps: dict[str, tuple[int, ...]] = {"steps": STEPS}
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
    neighbours = {"k": tuple(range(1, min(n, 10) + 1))}
    return [
        *(Family(name, load(name), reals, whole, given, prior=RARE) for name, reals, whole, given in tried),
        Family(
            "scaled_gradient_descent",
            SCALED,
            {"rate": Range("logarithmic", (0.2, 0.05)), "decay": NEAR_ONE, "power": Range("linear", (0.0, 1.0))},
            {"steps": (2, 3, 4, 6, 8, 12)},
            sizes,
            prior=RARE,
        ),
        *(schedule(count, sizes, RARE) for count in (4, 5, 6)),
        Family("gradient_descent_from", STARTED, rate | start, {"steps": (1, 2, 3, 4, 6, 8)}, sizes, prior=RARE),
        Family("ridge_towards", TOWARDS, ridge | start, {}, sizes, prior=RARE),
        Family("weighted_least_squares", WEIGHTED, ridge | {"recency": Range("linear", (0.1,))}, {}, sizes, prior=RARE),
        Family("nearest_neighbours", NEIGHBOURS, {}, neighbours, rows, prior=RARE),
        Family("ridge_with_intercept", INTERCEPT, ridge, {}, sizes, prior=RARE),
        Family("lasso_with_intercept", SPARSE, short | penalty, steps, sizes, prior=RARE),
    ]
