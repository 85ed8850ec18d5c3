"""Two ways to A⁻¹ b in layers: Jordan's sweeps (`solve` of linear_algebra) and Newton's iteration M ← 2M − M A M.

    python -m benchmarks.inverses [--sizes 2 4 6]

From the root of the repository. A is the mean of x xᵀ over 6 examples in [−1, 1]ᵈ and 0.2 I; errors are those of 64
tasks against numpy.linalg.solve, over the root mean square of the outputs, in float32.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

import numpy as np
from innerloop.compiler import compile_program

from tests.reference.measured import numpy_run

from .features.measured import TARGETS
from .support.tables import show

HEAD = """program solved(d, ridge = 0.2, steps = 8)

use linear_algebra

tokens (example)* query
    x : vector[d] on example, query
    y : scalar on example, query

A = shifted(mean[j in example](outer(x[j], x[j])), ridge)
b = mean[j in example](y[j] * x[j])
"""
SWEEPS = "at query\n    output dot(solve(A, b), x)\n"
NEWTON = """M = identity(d) / trace(A)
repeat steps
    M = 2 * M - M @ A @ M
at query
    output dot(M @ b, x)
"""
WAYS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("sweeps", SWEEPS, {}),
    *((f"Newton, {steps} steps", NEWTON, {"steps": steps}) for steps in (6, 8, 10)),
)
EXAMPLES, TASKS = 6, 64


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[2, 4, 6])
    options = parser.parse_args()
    rows = []
    for d in options.sizes:
        rng = np.random.default_rng(d)
        x, y = rng.uniform(-1.0, 1.0, (768, EXAMPLES + 1, d)), rng.uniform(-1.0, 1.0, (768, EXAMPLES + 1))
        fields, sample = {"x": x[:TASKS], "y": y[:TASKS]}, {"x": x, "y": y}
        u, v = fields["x"][:, :EXAMPLES], fields["y"][:, :EXAMPLES]
        gram = u.swapaxes(1, 2) @ u / EXAMPLES + 0.2 * np.eye(d)
        right = (u.swapaxes(1, 2) @ v[..., None]) / EXAMPLES
        truth = (np.linalg.solve(gram, right)[..., 0] * fields["x"][:, -1]).sum(-1)
        rms = float(np.sqrt(np.mean(truth**2)))
        for name, body, given in WAYS:
            for target in TARGETS:
                weights = compile_program(HEAD + body, target=target, calibration=sample, d=d, **given)
                off = float(np.abs(numpy_run(weights, fields)[:, -1] - truth).max()) / rms
                report = weights.report
                rows.append([str(d), name, target, str(report.layers), f"{report.neurons:,}", f"{off:.1e}"])
    show("A⁻¹ b", ("d", "by", "target", "layers", "neurons", "error"), ("by", "target"), rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
