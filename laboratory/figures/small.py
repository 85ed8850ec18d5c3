"""Small GPT-2s that learn in minutes on two cores: how they start, how they are trained, and the tasks that they see.

    Weights of a program on tokens (x y)* x   →   Model of 32 slots, 2 heads and so many layers, random

GPT-2's deviation of 0.02 is made for wide streams. Matrices of deviation √(1/width) ≈ 0.18 keep the size of what they
are given, and training is faster: 4 layers, d = 3, 10 examples, 3,000 steps, loss 0.640 with 0.02 and 0.608 with 0.15
(and an embedding of N(0, 0.25) at every token).
"""

from __future__ import annotations

from dataclasses import replace

from innerloop.artifact.weights import Weights

from ..training.model import Model
from ..training.tasks import TaskDistribution
from .frame import Setting

WIDTH, HEADS = 32, 2
GPT2 = 0.02
"""The deviation that `Model.fresh` draws matrices with."""

CALIBRATION, MEASURED = 10_001, 10_002
"""The seeds of the tasks whose values give the ranges, and of those that models are measured on."""


def fresh(like: Weights, layers: int, examples: int, seed: int = 0, *, width: int = WIDTH, heads: int = HEADS) -> Model:
    """A model of so many layers for prompts of so many examples, with the tokens and the output of `like`."""
    model = Model.fresh(
        like, seed, n_layer=layers, d_model=width, n_head=heads, n_positions=2 * examples + 2
    )  # the rest token, and a query
    louder = width**-0.5 / GPT2
    matrices = {name for name, value in model.parameters.items() if name.startswith("body.") and value.ndim == 2}
    scaled = {name: louder * value if name in matrices else value for name, value in model.parameters.items()}
    return replace(model, parameters=scaled)


def trained(
    setting: Setting, name: str, start: Model, on: TaskDistribution, steps: int, *, seed: int = 0, rate: float = 3e-3
) -> Weights:
    """As all of them are trained."""
    return setting.train(name, start, on, steps=steps, batch=64, rate=rate, warmup=200, seed=seed).weights
