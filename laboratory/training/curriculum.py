"""A curriculum as Garg et al. 2022 have it: inputs of few components and short prompts first.

dimensions   inputs are 0 but in so many first components; more every `every` steps, until it is all
points       examples in the prompt; more every `every` steps, until it is n
"""

from __future__ import annotations

from dataclasses import dataclass

from innerloop.artifact.errors import InnerloopError

from .tasks import TaskDistribution


@dataclass(frozen=True)
class Curriculum:
    """Garg et al. 2022, App. A: 5 dimensions and 11 points (10 examples and a query), 1 and 2 more every 2,000 steps.

    For each number of points the training step is compiled once."""

    dimensions: int | None = 5
    more_dimensions: int = 1
    points: int | None = 10
    more_points: int = 2
    every: int = 2000

    @staticmethod
    def of(task: TaskDistribution) -> Curriculum:
        """Garg's, where inputs of one component only have longer and longer prompts."""
        return Curriculum() if "d" in task.parameters else Curriculum(dimensions=None)

    def at(self, step: int, task: TaskDistribution) -> tuple[int, int]:
        """(points, dimensions) at the step, counted from 0."""
        stage = step // self.every
        points, dimensions = task.parameters["n"], task.inputs
        if self.points is not None:
            points = min(points, self.points + stage * self.more_points)
        if self.dimensions is not None:
            dimensions = min(dimensions, self.dimensions + stage * self.more_dimensions)
        return points, dimensions

    def verify(self, task: TaskDistribution) -> None:
        """Raises InnerloopError for a curriculum that this task cannot have."""
        for name, value in vars(self).items():
            if value is not None and (type(value) is not int or value < (0 if name.startswith("more") else 1)):
                raise InnerloopError(f"curriculum: {name}={value!r}: must be a whole number of at least 1")
        if self.dimensions is not None and "d" not in task.parameters:
            raise InnerloopError(f"curriculum: the inputs of task {task.name} have one dimension; give dimensions=None")
