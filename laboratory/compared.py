"""What a comparison finds: numbers, each with the tasks that it is of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from innerloop.artifact.displayed import Displayed, Sheet
from innerloop.artifact.weights import Weights

from .inside import Inside
from .measures.distance import Fields, Floats
from .measures.interpolate import Line
from .measures.nearest import Nearest
from .measures.sample import Sample
from .measures.sensitivity import Alignment
from .measures.shift import Shift
from .network import Known
from .setting import Settings


@dataclass(frozen=True, repr=False)
class Comparison(Displayed):
    """`first` is the name of `compiled`; `trained` {name: weights}. By the name of a model, Samples: of each, `losses`
    E (ŷ − y)² [rows that have a truth, the last the query's]; of each trained, `spd` and `difference` from the first
    [rows], and `left`, the share of the predictions E (f − g)² / E (f² + g²)/2 that is between them; `seeds`, the same
    of each pair of trained. `d`: the size of an input, by which SPD is divided. `fields`, `answers`: what was asked,
    and what came. What does not apply is None or empty, and `left_out` says why, in words. `shown`: how it is
    displayed."""

    task: str
    first: str
    compiled: Weights
    trained: Mapping[str, Known]
    settings: Settings
    d: int
    fields: Fields
    answers: Mapping[str, Floats]
    losses: Mapping[str, Sample]
    spd: Mapping[str, Sample]
    difference: Mapping[str, Sample]
    left: Mapping[str, Sample]
    seeds: Mapping[tuple[str, str], Sample]
    implicit: Mapping[str, Sample] = field(default_factory=dict)
    sensitivities: Mapping[str, Alignment] = field(default_factory=dict)
    lines: Mapping[str, Line] = field(default_factory=dict)
    algorithms: Nearest | None = None
    shifts: tuple[Shift, ...] = ()
    inside: Inside = field(default_factory=Inside)
    learning: Mapping[str, Floats] = field(default_factory=dict)
    left_out: tuple[str, ...] = field(default=())
    shown: Callable[[Comparison], Sheet] = field(kw_only=True)

    @property
    def models(self) -> dict[str, Known]:
        """All that are compared, the compiled one first, by their names."""
        return {self.first: self.compiled, **self.trained}

    def _sheet(self) -> Sheet:
        return self.shown(self)
