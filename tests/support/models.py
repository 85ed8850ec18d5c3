"""Small compiled models, and regression tasks, that the tests of the laboratory share."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from innerloop.artifact.words import TargetName
from innerloop.compiler import Weights, compile_program
from innerloop.laboratory.measures.distance import Floats
from innerloop.programs import load

D, N = 2, 6


@cache
def compiled(program: str, target: TargetName = "gpt2", **parameters: Any) -> Weights:
    return compile_program(load(program), target=target, d=D, **parameters)


def descent(steps: int = 2, rate: float = 0.3) -> Weights:
    """Gradient descent on GPT-2's architecture: a prediction at every x."""
    return compiled("gradient_descent", steps=steps, rate=rate)


def dual(steps: int = 2, rate: float = 0.3) -> Weights:
    """Gradient descent by linear attention: a prediction at the query."""
    return compiled("gradient_descent_dual", "lsa", steps=steps, rate=rate)


def tasks(count: int = 60, seed: int = 0) -> tuple[dict[str, Floats], Floats]:
    """x [count, N + 1, D] and y [count, N] of noiseless linear tasks, and the labels [count, N + 1] of all x."""
    rng = np.random.default_rng(seed)
    x, w = rng.standard_normal((count, N + 1, D)), rng.standard_normal((count, D))
    y = np.einsum("bnd,bd->bn", x, w)
    return {"x": x, "y": y[:, :-1]}, y


def descended(fields: dict[str, Floats], steps: int = 2, rate: float = 0.3) -> Floats:
    """The weights [count, D] that gradient descent ends with."""
    x, y = fields["x"][:, :-1], fields["y"]
    w = np.zeros((len(x), D))
    for _ in range(steps):
        w = w - rate * np.einsum("bn,bnd->bd", np.einsum("bnd,bd->bn", x, w) - y, x) / y.shape[1]
    return w
