"""What is tried where a sequence of states is to be continued, x_{t+1} = W x_t: families as those of families.py.

task autoregressive, form real or orthogonal: vectors; form complex: matrices [d, 2], real and imaginary column
"""

from __future__ import annotations

from innerloop.laboratory.training.tasks import TaskDistribution
from innerloop.programs import load

from .families import POSITIVE, Family, Range

LAST = Range("linear", (0.5,))

SCALED = """\
# The last state, scaled: what is said of a walk that is not understood.
program scaled_last_state(d, scale = 1)

tokens {tokens}
    {field} : {type}{on}

output scale * {field}
"""

REAL = """\
# Gradient descent on the mean squared error of sₜ₊₁ = W sₜ, from W = 0 (von Oswald et al. 2023).
program sequence_gradient_descent(d, steps = 1, rate = 0.1)

tokens (s)*
    s : vector[d]

p = move s from previous               # 0 at the first token, which then teaches nothing
W : matrix[d, d] = 0
repeat steps
    W = W - rate * mean[j in s](outer(W @ p[j] - s[j], p[j]))

output W @ s
"""

COMPLEX = """\
# Gradient descent on xₜ₊₁ = W xₜ, W = A + √−1 B, from W = 0; one step is ar_mesa_optimizer (Zheng et al. 2024).
program complex_gradient_descent(d, steps = 1, rate = 0.1)

tokens start (step)*
    x : matrix[d, 2] on start, step    # real and imaginary column

i = [[0, 1], [-1, 0]]                  # x @ i is √−1 · x
at step
    p = move x from previous
    q = p @ i
A : matrix[d, d] = 0
B : matrix[d, d] = 0
repeat steps
    C = A - rate * mean[j in step]((A @ p[j] + B @ q[j] - x[j]) @ transpose(p[j]))
    B = B - rate * mean[j in step]((A @ p[j] + B @ q[j] - x[j]) @ transpose(q[j]))
    A = C

at step
    output A @ x + B @ (x @ i)
"""


def sequences(task: TaskDistribution) -> list[Family]:
    """For the task's form of states."""
    p = task.parameters
    steps = {"steps": (1, 2, 3, 4)}
    rate = {"rate": POSITIVE}
    if p["form"] == "complex":
        d: dict[str, object] = {"d": p["d"]}
        scaled = SCALED.format(tokens="start (step)*", field="x", type="matrix[d, 2]", on=" on start, step")
        return [
            Family("scaled_last_state", scaled, {"scale": LAST}, {}, d),
            Family("ar_mesa_optimizer", load("ar_mesa_optimizer"), rate, {}, d),
            Family("complex_gradient_descent", COMPLEX, rate, {"steps": (2, 3, 4)}, d),
        ]
    size = p["d"]
    return [
        Family(
            "scaled_last_state",
            SCALED.format(tokens="(s)*", field="s", type="vector[d]", on=""),
            {"scale": LAST},
            {},
            {"d": size},
        ),
        Family("sequence_gradient_descent", REAL, rate, steps, {"d": size}),
        Family("mesa_layer", load("mesa_layer"), {"ridge": POSITIVE}, {}, {"d": size, "length": p["n"]}),
    ]
