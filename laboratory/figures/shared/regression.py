"""Small GPT-2s on linear regression, which several figures look at, each in its own way.

    seed   →   regressor   →   4 layers, trained on y = w · x, x, w ~ N(0, I), labels with noise of σ or without

Figures that are given the same `--trainings` train them once.
"""

from __future__ import annotations

from functools import cache

from innerloop.artifact.weights import Weights
from innerloop.compiler import compile_program
from innerloop.programs import load

from ...training.tasks import TaskDistribution, task
from .frame import Setting
from .small import WIDTH, fresh, trained

D, N, LAYERS = 3, 10, 4
TRAINING = 4000
TASKS = task("linear", d=D, n=N)


def noisy(noise: float) -> TaskDistribution:
    """The tasks, with N(0, noise²) added to the labels."""
    return task("noisy_linear", d=D, n=N, noise=noise) if noise else TASKS


def regressor(setting: Setting, seed: int, noise: float = 0.0, *, width: int = WIDTH) -> Weights:
    """The model of this seed and width."""
    name = f"seed_{seed}" if not noise else f"noise_{noise:g}_seed_{seed}"
    if width != WIDTH:
        name = f"width_{width}_{name}"
    return trained(setting, name, fresh(_like(), LAYERS, N, seed, width=width), noisy(noise), TRAINING, seed=seed)


@cache
def _like() -> Weights:
    """Of which it takes the tokens and the output."""
    return compile_program(load("gradient_descent"), d=D, steps=1)
