"""The plan: all that is decided about a program before its weights are written."""

from __future__ import annotations

from dataclasses import dataclass, field

from innerloop.artifact.arrays import Dtype
from innerloop.artifact.claims import Certificate
from innerloop.artifact.tokens import TokenData
from innerloop.artifact.weights import Weights

from ..architectures.targets import Target
from ..interpreter.calibrate import Ranges
from ..ir.graph import Graph
from ..numerics.sizes import Sizes, sizes_of
from ..schedule.allocate import Allocation
from ..schedule.constructions import Choice
from ..schedule.sublayers import Schedule
from .error_model import ErrorModel


@dataclass(frozen=True)
class Plan:
    """A program on its way to weights: the graph as rewritten, its ranges, schedule and slots."""

    graph: Graph
    ranges: Ranges
    schedule: Schedule
    allocation: Allocation
    target: Target
    dtype: Dtype
    n_positions: int
    """How many tokens the position table holds, the rest token included."""
    fresh: tuple[TokenData, ...]
    """What the report's error is measured on, by length."""
    certificate: Certificate
    accept_error: bool = False
    """Whether weights are handed out whose error is of the output's own size."""
    choice: Choice = field(default_factory=dict)
    """What products and functions are built from, where not by default."""
    shrunk: float = 0.0
    """By what share a norm makes what is read smaller, at most."""

    @property
    def sizes(self) -> Sizes:
        """How large what stands beside values is made."""
        return sizes_of(self.dtype, self.certificate.rotation, self.certificate.bits)

    @property
    def clears_leave(self) -> bool:
        """Whether what takes a value out of a slot leaves its rounding there."""
        return not self.target.gated and self.sizes.straight == 1.0

    @property
    def model(self) -> ErrorModel:
        return ErrorModel(self.graph, self.ranges, self.dtype, self.target, self.shrunk)


@dataclass(frozen=True)
class Built:
    """A plan with its constructions chosen, and the weights that it gives, measured."""

    plan: Plan
    weights: Weights
