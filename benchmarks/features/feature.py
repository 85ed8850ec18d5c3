"""A feature of the language: a program that uses it, its data, and NumPy's word."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from innerloop.artifact.arrays import Floats

from .references import (
    EXAMPLES,
    Task,
)


@dataclass(frozen=True)
class Feature:
    """`fields`: name → shape, drawn from [−1, 1], and then changed; `reference` gives the query's output, or all of
    them one after the other."""

    name: str
    body: str
    fields: Mapping[str, tuple[int, ...]]
    reference: Callable[[Task], Floats]
    change: Callable[[dict[str, Floats]], Mapping[str, Floats]] = dict
    head: str = ""
    parameters: Mapping[str, object] = field(default_factory=dict)
    use: str = ""
    examples: int = EXAMPLES
    visible: str = ""
    pattern: str = "(example)* query"
    on: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    """Of fields that live elsewhere than on examples and query: where, and their rows."""

    def __str__(self) -> str:
        return self.name

    @property
    def text(self) -> str:
        types = {0: "scalar", 1: "vector", 2: "matrix"}
        lines = [f"program feature({self.head})", self.use, "", f"tokens {self.pattern}{self.visible}"]
        for name, shape in self.fields.items():
            sizes = f"[{', '.join(map(str, shape))}]" if shape else ""
            lines.append(f"    {name} : {types[len(shape)]}{sizes} on {self._held(name)[0]}")
        return "\n".join([*lines, "", self.body.strip(), ""])

    def draw(self, rng: np.random.Generator) -> Mapping[str, Floats]:
        return self.change({n: rng.uniform(-1.0, 1.0, (self._held(n)[1], *shape)) for n, shape in self.fields.items()})

    def _held(self, name: str) -> tuple[str, int]:
        return self.on.get(name, ("example, query", self.examples + 1))
