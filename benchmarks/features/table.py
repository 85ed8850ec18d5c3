"""The features of the language that this benchmark measures: a program for each, its data, and NumPy's word."""

from __future__ import annotations

import numpy as np

from .feature import Feature
from .references import (
    EXAMPLES,
    RATES,
    TENSOR,
    answers,
    by_step,
    chebyshev,
    chosen,
    class_means,
    descent,
    gram,
    largest,
    logs,
    mean,
    nearest,
    parts,
    posterior_mean,
    standardised,
    transposed_loop,
    weighed,
)
from .scans import SCANS

FEATURES = (
    Feature(
        "transpose",
        """
S = mean[j in example](transpose(A[j]) @ outer(x[j], x[j]) @ A[j])
at query
    output S @ transpose(A) @ x
""",
        {"A": (2, 3), "x": (2,)},
        lambda t: mean(lambda a, x: np.outer(a.T @ x, a.T @ x), t, "A", "x") @ t["A"][-1].T @ t["x"][-1],
    ),
    Feature(
        "transpose of what a loop changes",
        """
W : matrix[2, 3] = 0
repeat 3
    W = 0.5 * W + 0.2 * mean[j in example](transpose(A[j])) + 0.1 * transpose(transpose(W) @ outer([1, -1], [0.5, 1]))
at query
    output W @ x
""",
        {"A": (3, 2), "x": (3,)},
        lambda t: transposed_loop(t["A"][:-1].mean(0)) @ t["x"][-1],
    ),
    Feature(
        "diag, row and column sums",
        """
C = mean[j in example](outer(x[j], x[j]))
at query
    output diag(C) * row_sums(A) + A @ diag(column_sums(A)) @ transpose(A) @ x
""",
        {"A": (2, 3), "x": (2,)},
        lambda t: (
            (t["x"][:-1] ** 2).mean(0) * t["A"][-1].sum(1) + t["A"][-1] * t["A"][-1].sum(0) @ t["A"][-1].T @ t["x"][-1]
        ),
    ),
    Feature(
        "an intercept: [1, x]",
        """
w : vector[3] = 0
repeat 4
    w = w - 0.4 * mean[j in example]((dot(w, [1, x[j]]) - y[j]) * [1, x[j]])
at query
    output dot(w, [1, x])
""",
        {"x": (2,), "y": ()},
        lambda t: descent(np.insert(t["x"][:-1], 0, 1.0, 1), t["y"][:-1], 4, 0.4) @ np.insert(t["x"][-1], 0, 1.0),
    ),
    Feature(
        "concat, rows of run-time values",
        """
S = mean[j in example](outer(concat(x[j], z[j]), concat(2, z[j])))
at query
    output S @ transpose([[1, x, x[2]], [x, -1, 0]]) @ x
""",
        {"x": (2,), "z": (3,)},
        lambda t: (
            np.mean(
                [np.outer(np.r_[x, z], np.r_[2, z]) for x, z in zip(t["x"][:-1], t["z"][:-1], strict=True)],
                axis=0,
            )
            @ np.array([[1, *t["x"][-1], t["x"][-1][1]], [*t["x"][-1], -1, 0]]).T
            @ t["x"][-1]
        ),
    ),
    Feature(
        "components and slices",
        """
S = mean[j in example](x[j][2] * A[j][1] + A[j][2:3, 1:3][2])
at query
    g = grad[x](x[2] * dot([x[d], x[1:2]], A[1]) + sum([x, A[1]][1, d - 1:3]))
    output concat(A[1:2, 2] * S[2:3], S[1] * x[d:d], g[2:3])
""",
        {"A": (3, 3), "x": (3,)},
        lambda t: parts(t),
        head="d",
        parameters={"d": 3},
    ),
    Feature(
        "def with reads and a loop",
        """
def fitted(a, b, passes)
    v : vector[size(a)] = 0
    repeat passes
        v = v - 0.3 * mean[j in example]((dot(v, a[j]) - b[j]) * a[j])
    output v

w = fitted(x, y, 3) + fitted(2 * x, y - 1, 2)
at query
    output dot(w, x)
""",
        {"x": (2,), "y": ()},
        lambda t: (descent(t["x"][:-1], t["y"][:-1], 3) + descent(2 * t["x"][:-1], t["y"][:-1] - 1, 2)) @ t["x"][-1],
    ),
    *(
        Feature(
            f"solve, d = {d}",
            """
A = shifted(mean[j in example](outer(x[j], x[j])), ridge)
b = mean[j in example](y[j] * x[j])
at query
    output dot(solve(A, b), x)
""",
            {"x": (d,), "y": ()},
            lambda t: np.linalg.solve(gram(t["x"]), t["x"][:-1].T @ t["y"][:-1] / EXAMPLES) @ t["x"][-1],
            head="ridge = 0.2",
            use="use linear_algebra",
        )
        for d in (1, 2, 3, 5)
    ),
    Feature(
        "inverse, d = 3",
        """
A = mean[j in example](outer(x[j], x[j])) + 0.2 * identity(3)
at query
    output inverse(A) * (1 + trace(A))
""",
        {"x": (3,)},
        lambda t: np.linalg.inv(gram(t["x"])) * (1.0 + np.trace(gram(t["x"]))),
        use="use linear_algebra",
    ),
    Feature(
        "statistics: standardised, covariance, logsumexp",
        """
at query
    output standardised(x, example, 0.2) * logsumexp(x) + norm(x) * variance(x, example) + covariance(x, example) @ x
""",
        {"x": (3,)},
        lambda t: standardised(t["x"][:-1], t["x"][-1]),
        use="use linear_algebra\nuse statistics",
    ),
    Feature(
        "max, min and argmax of components",
        """
at query
    output concat(argmax(x), max(x) * x, min(x), argmax(x) @ A @ argmax(-x), grad[x](max(x) ^ 2 + min(x[1:4])))
""",
        {"x": (5,), "A": (5, 5)},
        lambda t: largest(t["x"][-1], t["A"][-1]),
    ),
    Feature(
        "argmax of 18 components",
        """
at query
    output argmax(x) - argmax(-x)
""",
        {"x": (18,)},
        lambda t: np.eye(18)[t["x"][-1].argmax()] - np.eye(18)[t["x"][-1].argmin()],
    ),
    Feature(
        "max, min and argmax of tokens",
        """
s = tanh(y) + x[1]
v = x
at query
    w = grad[v](max[j in example](dot(v, x[j])))
    nearest = argmax[j in example](dot(x, x[j]), y[j] * x[j])
    output concat(max[j in example](s[j]), min[j in example](dot(x, x[j])), nearest, w)
""",
        {"x": (2,), "y": ()},
        lambda t: nearest(t["x"], t["y"]),
    ),
    Feature(
        "0/0 is 0: means of classes, some without an example",
        """
C = sum[j in example](outer(c[j] == [0, 1, 2, 3], x[j]))
n = sum[j in example](c[j] == [0, 1, 2, 3])
at query
    output ratio(C, outer(n, [1, 1])) @ x
""",
        {"c": (), "x": (2,)},
        lambda t: class_means(t["c"][:-1], t["x"][:-1]) @ t["x"][-1],
        lambda t: {**t, "c": np.floor(2.0 * t["c"] + 2.0)},
        use="use statistics",
    ),
    Feature(
        "components by step: of tables and tensors, in repeats inside each other, through grad and in definitions",
        """
def middle(a, K) = mean[j in K](a[j])
def faded(v, K, n)
    m = move v from last K
    repeat n as t
        m = m + 0.5 ^ t * middle(v, K)
    output m

w : vector[2] = 0
repeat 3 as t
    g = grad[w](mean[j in example]((dot(w, A[t] @ x[j]) - y[j]) ^ 2 / 2))
    repeat 2 as s
        w = w - rates[t + s - 1] * g / s + middle(rates[5 - t] * x, example) * A[4 - t][s, 1]
at query
    output w + faded(x, example, 2) + sum(A[2, 1:2, 1])
""",
        {"x": (2,), "y": ()},
        lambda t: by_step(t["x"], t["y"][:-1]),
        head="rates : vector[4], A : tensor[3, 2, 2]",
        parameters={"rates": RATES, "A": TENSOR},
    ),
    Feature(
        "logsumexp of tokens",
        """
at query
    z = x
    s = logsumexp[j in example](20 * dot(x, x[j]) + y[j])
    output [s, log(sum[j in example](exp(dot(x, x[j]))))] + grad[z](logsumexp[j in example](dot(z, x[j]) * y[j]))
""",
        {"x": (2,), "y": ()},
        lambda t: logs(t["x"][:-1], t["y"][:-1], t["x"][-1]),
    ),
    Feature(
        "sums weighed by exp(score)",
        """
def distance(a, b) = dot(a - b, a - b)
z = x[1]
at query
    g = grad[z](sum[j in example](exp(z * x[j][2]) * y[j]))
    output density = sum[j in example](exp(-2 * distance(x, x[j])))
    output weighed = mean[j in example](exp(dot(x, x[j])) * (y[j] * x[j] - x) / 2 + y[j])
    output slope = g
""",
        {"x": (2,), "y": ()},
        lambda t: weighed(t["x"][:-1], t["y"][:-1], t["x"][-1]),
    ),
    Feature(
        "Gaussian process, RBF kernel: 16 examples, 38 steps of Chebyshev's iteration",
        """
def kernel(a, b) = exp(-dot(a - b, a - b))

at example
    a = 0
    p = 0
    repeat 38 as t
        p = momenta[t] * p + rates[t] * (y - a - sum[j in example](kernel(x, x[j]) * a[j]))
        a = a + p
at query
    output sum[j in example](kernel(x, x[j]) * a[j])
""",
        {"x": (2,), "y": ()},
        lambda t: posterior_mean(t["x"][:-1], t["y"][:-1], t["x"][-1]),
        head="rates : vector[38], momenta : vector[38]",
        parameters=dict(zip(("rates", "momenta"), chebyshev(38, 1.0, 12.0), strict=True)),
        examples=16,
        visible="  visible context",
    ),
    Feature(
        "several outputs, by name",
        """
w : vector[2] = 0
repeat 3
    w = w - 0.3 * mean[j in example]((dot(w, x[j]) - y[j]) * x[j])
at query
    output mean = dot(w, x)
    output spread = 0.001 * mean[j in example](outer(x[j], x[j]))
    output weights = w
""",
        {"x": (2,), "y": ()},
        lambda t: answers(t["x"][:-1], t["y"][:-1], t["x"][-1]),
    ),
    Feature(
        "==, and, or, not",
        """
at query
    output mean[j in example]((c[j] == 2 or not c[j] < 3 and x[j][1] > 0) * x[j]) + (c == 1) * x
""",
        {"c": (), "x": (2,)},
        lambda t: chosen(t["c"], t["x"]),
        lambda t: {**t, "c": np.floor(2.0 * t["c"] + 2.0)},
    ),
    *SCANS,
)
