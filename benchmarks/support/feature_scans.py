"""Features of scans (feature_table.py)."""

from __future__ import annotations

from .feature import Feature
from .feature_references import backwards

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
)
