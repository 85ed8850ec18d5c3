"""A compiled and a trained transformer on the same tasks: every measure that applies, and why the others do not.

    compiled, trained Weights, a task   →   Comparison: numbers for a table, arrays for figures

The two may be of different architectures, as long as they read the same tokens and give the same output.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Protocol

import numpy as np
from innerloop.artifact.displayed import Displayed, Sheet
from innerloop.artifact.errors import DataError, InnerloopError
from innerloop.artifact.outputs import OutputSpec
from innerloop.artifact.tokens import describe_pattern
from innerloop.artifact.weights import Weights
from innerloop.runtime.surroundings import SEEDS

from .measures.distance import (
    Fields,
    Floats,
    implicit_weight_difference,
    implicit_weights,
    predicted,
    prediction_difference,
    squared_error,
    squared_prediction_difference,
)
from .measures.gauge import comparable
from .measures.interpolate import Line, interpolation
from .measures.nearest import Nearest, nearest
from .measures.patching import Patch, implied, others, patch
from .measures.probes import Curve, ProbeTarget, probed, target
from .measures.references import references
from .measures.sensitivity import Alignment, alignment
from .measures.shift import Shift, shift
from .measures.subject import Subject

Told = Callable[[str, int, int], None]


class Draw(Protocol):
    """Tasks of one kind: the same seed gives the same; `changes` are what shifts, by name."""

    def __call__(self, seed: int, tasks: int, **changes: float) -> tuple[Fields, Floats]:
        """The fields, and the targets [tasks, rows, *shape] of the output, NaN at rows without a truth."""
        ...


@dataclass(frozen=True)
class Settings:
    """tasks for predictions; inside for streams, of probes and patches; `mlp`: two-layer probes beside the linear;
    `variables` to probe (None: all that the compiled stream holds and are no fields)."""

    tasks: int = 1000
    inside: int = 1000
    seed: int = 0
    mlp: bool = False
    variables: tuple[str, ...] | None = None


@dataclass(frozen=True, repr=False)
class Comparison(Displayed):
    """`losses`, `spd`, `difference` at each row of the output that has a truth; the last of these is the query's. `d`:
    the size of an input, by which SPD is divided.
    What does not apply is None or empty, and `left_out` says why, in words."""

    task: str
    compiled: Weights
    trained: Weights
    settings: Settings
    d: int
    losses: Mapping[str, Floats]
    spd: Floats
    difference: Floats
    implicit: float | None = None
    sensitivities: Alignment | None = None
    line: Line | None = None
    algorithms: Nearest | None = None
    shifts: tuple[Shift, ...] = ()
    targets: tuple[ProbeTarget, ...] = ()
    curves: tuple[Curve, ...] = ()
    patches: tuple[Patch, ...] = ()
    left_out: tuple[str, ...] = field(default=())

    def _sheet(self) -> Sheet:
        from .report import COLUMNS, rows

        lines = [tuple(row) for row in rows(self)] + [(f"left out: {note}",) for note in self.left_out]
        return Sheet(f"Comparison on {self.task}", tuple(lines), COLUMNS)


def agree(compiled: Weights, trained: Weights) -> None:
    """Raises DataError, with both sides, for two that do not read the same tokens and give the same output."""
    a, b = compiled.signature, trained.signature
    if describe_pattern(a.pattern) != describe_pattern(b.pattern):
        raise DataError(
            f"the compiled read `{describe_pattern(a.pattern)}` and the trained `{describe_pattern(b.pattern)}`: "
            f"compare models of the same tokens"
        )
    ours, theirs = ({f.name: (f.shape, f.kinds) for f in s.fields} for s in (a, b))
    for name in [*ours, *theirs]:
        if ours.get(name) != theirs.get(name):
            sides = " and ".join(_field(side.get(name)) for side in (ours, theirs))
            raise DataError(f"the field `{name}` is {sides}, compiled and trained: compare models of the same fields")
    ours_give, theirs_give = ((o.answers, o.shape, o.kinds) for o in (compiled.output, trained.output))
    if ours_give != theirs_give:  # the name of the only output is its program's, and no matter here
        raise DataError(
            f"the outputs are of shapes {_gives(compiled.output)} and {_gives(trained.output)} at "
            f"{', '.join(sorted(compiled.output.kinds))} and {', '.join(sorted(trained.output.kinds))}: "
            f"compare models that answer alike"
        )


def _gives(output: OutputSpec) -> str:
    return ", ".join(f"{answer.shape} ({answer.name})" for answer in output.answers) or str(output.shape)


def _known(compiled: Weights, variables: Sequence[str]) -> None:
    names = dict.fromkeys(p.name for p in compiled.layout)
    for name in variables:
        if name not in names:
            raise InnerloopError(f"the compiled stream holds no `{name}`; its names are {', '.join(names) or 'none'}")


def _field(spec: tuple[tuple[int, ...], tuple[str, ...]] | None) -> str:
    return "absent" if spec is None else f"of shape {spec[0]} at {', '.join(sorted(spec[1]))}"


def compare(
    compiled: Weights,
    trained: Weights,
    task: str,
    draw: Draw,
    shifting: Mapping[str, Sequence[float]],
    settings: Settings | None = None,
    told: Told = lambda *_: None,
    noise: float = 0.0,
) -> Comparison:
    """Every measure on fresh tasks of `draw`. `shifting`: the changes that it takes, each with the values to try;
    `noise`: the deviation σ/τ of the labels over that of the weights, for the Bayes ridge among the references.

    Raises DataError for models or tasks that do not fit each other, and InnerloopError for an unknown variable."""
    settings = settings or Settings()
    agree(compiled, trained)
    _known(compiled, settings.variables or ())
    both = Subject(compiled, "compiled"), Subject(trained, "trained")
    told("predictions", 0, 0)
    fields, targets = draw(settings.seed, settings.tasks)
    answers = {model.name: predicted(model, fields) for model in both}
    wanted = np.asarray(targets, np.float64)
    if wanted.shape != answers["compiled"].shape:
        raise DataError(f"the task has targets {wanted.shape}, and the models answer {answers['compiled'].shape}")
    rows = np.flatnonzero(np.isfinite(wanted).all((0, *range(2, wanted.ndim))))
    if not rows.size:
        raise DataError(f"task {task} has no truth for any output of {compiled.signature.name}")
    row = int(rows[-1])
    notes: list[str] = []
    sensitive = _where(notes, "sensitivities and implicit weights", _has_query(both[0], fields))
    regression = _where(notes, "nearest algorithms", _is_regression(compiled, fields))
    alike = _where(notes, "the line between the weights", comparable(trained, compiled))
    d = prod(np.shape(fields["x"])[2:]) if "x" in fields else 1
    line = interpolation(compiled, trained, fields, wanted, row=row) if alike else None
    models = {model.name: model for model in both}
    told("sensitivities", 0, 0)
    found = _inside(both, draw, settings, notes, told, row)
    return Comparison(
        task=task,
        compiled=compiled,
        trained=trained,
        settings=settings,
        d=d,
        losses={name: squared_error(answer[:, rows], wanted[:, rows]) for name, answer in answers.items()},
        spd=squared_prediction_difference(*(answer[:, rows] for answer in answers.values())),
        difference=prediction_difference(*(answer[:, rows] for answer in answers.values())),
        implicit=implicit_weight_difference(*(implicit_weights(m, fields, queries=4 * d) for m in both))
        if sensitive
        else None,
        sensitivities=alignment(*(m.sensitivities(fields) for m in both)) if sensitive else None,
        line=line,
        algorithms=nearest(models, references(wanted.shape[1], noise), fields, d) if regression else None,
        shifts=tuple(_shifted(models, draw, shifting, settings, told, row)),
        targets=found[0],
        curves=found[1],
        patches=found[2],
        left_out=tuple(notes),
    )


def _where(notes: list[str], what: str, reason: str | None) -> bool:
    """Whether it applies; if not, the reason is noted."""
    if reason is not None:
        notes.append(f"{what}: {reason}")
    return reason is None


def _has_query(model: Subject, fields: Fields) -> str | None:
    """Why there is no x at the token of the last prediction, or None."""
    if "x" not in fields or np.ndim(fields["x"]) != 3:
        return "no field x of vectors"
    spec = next(f for f in model.weights.signature.fields if f.name == "x")
    kinds = model.tokens(fields).sequence.kinds
    answering = [kind for kind in kinds if kind in model.weights.output.kinds]
    held = [kind for kind in kinds if kind in spec.kinds]
    return None if answering[-1] in spec.kinds and held[-1] == answering[-1] else "the token that predicts holds no x"


def _is_regression(weights: Weights, fields: Fields) -> str | None:
    if set(fields) != {"x", "y"} or np.ndim(fields["x"]) != 3 or np.ndim(fields["y"]) != 2 or weights.output.shape:
        return "they are of regression: fields x of vectors and y of numbers, and one number as output"
    return None


def _shifted(
    models: Mapping[str, Subject],
    draw: Draw,
    shifting: Mapping[str, Sequence[float]],
    settings: Settings,
    told: Told,
    row: int,
) -> list[Shift]:
    found = []
    for number, (what, values) in enumerate(shifting.items()):
        told(f"off distribution: {what}", number, len(shifting))

        def at(value: float, what: str = what) -> tuple[Fields, Floats]:
            return draw(settings.seed, settings.tasks, **{what: value})

        found.append(shift(what, values, at, models, row))
    return found


def _inside(
    both: tuple[Subject, Subject], draw: Draw, settings: Settings, notes: list[str], told: Told, row: int
) -> tuple[tuple[ProbeTarget, ...], tuple[Curve, ...], tuple[Patch, ...]]:
    """Probes and patches, of the variables that the compiled layout holds."""
    compiled = both[0]
    fields, _ = draw((settings.seed + 1) % SEEDS, settings.inside)
    targets = _targets(compiled, fields, settings, notes)
    curves, patches = [], []
    for number, wanted in enumerate(targets):
        told(f"probing for {wanted.name}", number, len(targets))
        streams = {model.name: model.stream(fields, wanted.token) for model in both}
        for name, stream in streams.items():
            curves.append(probed(stream, wanted.values, name, wanted.name, seed=settings.seed))
            if settings.mlp:
                from .measures.trained_probes import perceptron

                curves.append(probed(stream, wanted.values, name, wanted.name, "MLP", perceptron, settings.seed))
        if wanted.first >= compiled.layers:
            notes.append(f"patching of {wanted.name}: it is whole only after the last layer, which nothing reads")
            continue
        told(f"patching {wanted.name}", number, len(targets))
        values = others(wanted.values, settings.seed)
        expected = implied(compiled, fields, wanted, values, row)
        if not np.any(np.abs(expected) > 1e-6 * max(1e-30, float(np.abs(compiled(fields)[:, row]).max()))):
            notes.append(f"patching of {wanted.name}: where the layout holds it, the prediction does not depend on it")
            continue
        patches += [patch(model, fields, wanted, values, expected, row=row) for model in both]
    return tuple(targets), tuple(curves), tuple(patches)


def _targets(compiled: Subject, fields: Fields, settings: Settings, notes: list[str]) -> list[ProbeTarget]:
    names = list(dict.fromkeys(p.name for p in compiled.weights.layout))
    given = [f.name for f in compiled.weights.signature.fields]
    if settings.variables is not None:
        return [target(compiled, fields, name) for name in settings.variables]
    found = []
    for name in names:
        if name in given:
            continue
        try:
            found.append(target(compiled, fields, name))
        except DataError as reason:
            notes.append(f"probes for {name}: {reason}")
    if not names:
        notes.append("probes and patches: the compiled weights have no layout")
    return found
