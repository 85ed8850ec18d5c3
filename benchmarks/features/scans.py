"""Features of scans, of several groups, of moves and of functions (table.py)."""

from __future__ import annotations

from .feature import Feature
from .references import backwards, lags, smooth, two_groups

SCANS = (
    Feature(
        "a scan backwards: from a value of the last token's own, in a repeat after a scan forwards",
        """
at example
    g = y
    m : vector[2] = 0
repeat 2 as t
    scan example up to 6
        m = 0.5 * m + x / t
    scan example backwards up to 6
        g = y + 0.8 * tanh(g) * m[1]
at query
    output concat(mean[j in example](g[j] * x[j]), move g from first example)
""",
        {"x": (2,), "y": ()},
        lambda t: backwards(t["x"][:-1], t["y"][:-1]),
        visible="  visible context",
    ),
    Feature(
        "several groups: a fit, its error on others, a distance of the two samples",
        """
def square(v) = dot(v, v)
w : vector[2] = 0
repeat 4
    w = w - 0.5 * mean[j in fit]((dot(w, x[j]) - y[j]) * x[j])
at fit
    e = y
    r = mean[j in fit](exp(-square(x - x[j])))
at judge
    e = (dot(w, x) - z) ^ 2
    r = mean[j in judge](exp(-square(x - x[j]))) - 2 * mean[j in fit](exp(-square(x - x[j])))
at query
    near = softmax[j in judge](-square(x - x[j]), z[j])
    output [dot(w, x), mean[j in judge](e[j]), mean[j in fit](r[j]) + mean[j in judge](r[j]), near, sum[j in fit](y[j])]
""",
        {"x": (2,), "y": (), "z": ()},
        lambda t: two_groups(t["x"], t["y"], t["z"]),
        visible="  visible context",
        pattern="(fit)* (judge)* query",
        on={"x": ("fit, judge, query", 12), "y": ("fit", 7), "z": ("judge", 4)},
    ),
    Feature(
        "previous 2, previous K: lags, and the latest of another kind",
        """
p = move x from previous 2
l = move y from previous b
S = mean[j in b](outer(x[j], p[j]))
at query
    output S @ p + l * x + mean[j in a](l[j] * x[j])
""",
        {"x": (2,), "y": ()},
        lambda t: lags(t["x"], t["y"]),
        visible="  visible context",
        pattern="(a b)* query",
        on={"x": ("a, b, query", 13), "y": ("b", 6)},
    ),
    Feature(
        "sin, cos, erf, softplus, and a parameter with a range",
        """
at query
    output concat(mean[j in example](sin(x[j]) * cos(y[j])) + erf(x) - rate * x, [softplus(3 * y), softplus(-8 * y)])
""",
        {"x": (2,), "y": ()},
        lambda t: smooth(t["x"], t["y"]),
        head="rate = 0.25 in (0, 1)",
    ),
)
