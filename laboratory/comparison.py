"""A model and others on the same tasks: every measure that applies, and why the others do not.

    compiled, trained Weights (one training, or several seeds of it), a task   →   Comparison: numbers, and their tasks
    of a baseline in place of the trained                                      →   the same, but for what is inside

The first need not be compiled, nor the others trained: two trainings are compared alike. They may be of different
architectures, as long as they read the same tokens and give the same output. What is measured inside is in inside.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from math import prod

import numpy as np
from innerloop.artifact.errors import DataError, InnerloopError
from innerloop.artifact.outputs import OutputSpec
from innerloop.artifact.weights import Weights
from numpy.typing import NDArray

from .compared import Comparison
from .headlines import sheet
from .inside import Inside, inside
from .measures.distance import Fields, Floats, Predictor, implicit_weights, predicted, squared_difference
from .measures.gauge import comparable, of_one_basis
from .measures.interpolate import interpolation
from .measures.nearest import nearest
from .measures.references import references
from .measures.sample import Sample
from .measures.sensitivity import alignment
from .measures.shift import Shift, shift
from .measures.subject import Subject
from .network import Known, Network, subject
from .setting import Draw, Settings, Told


def agree(compiled: Weights, trained: Known) -> None:
    """Raises DataError, with both sides, for two that do not read the same tokens and give the same output."""
    a, b = compiled.signature, trained.signature
    if str(a.pattern) != str(b.pattern):
        raise DataError(
            f"the compiled read `{a.pattern}` and the trained `{b.pattern}`: compare models of the same tokens"
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


def _seeds(trained: Sequence[Known]) -> None:
    """Raises DataError for several that cannot be seeds of one training: their mean would be of nothing."""
    found = {model.model.variant if isinstance(model, Network) else "transformers" for model in trained}
    if len(found) > 1:
        raise DataError(f"{' and '.join(sorted(found))} are no seeds of one training: compare each by itself")


def _gives(output: OutputSpec) -> str:
    return ", ".join(f"{answer.shape} ({answer.name})" for answer in output.answers) or str(output.shape)


def _known(compiled: Weights, variables: Sequence[str]) -> None:
    names = dict.fromkeys(p.name for p in compiled.layout)
    for name in variables:
        if name not in names:
            raise InnerloopError(f"the compiled stream holds no `{name}`; its names are {', '.join(names) or 'none'}")


def _field(spec: tuple[tuple[int, ...], tuple[str, ...]] | None) -> str:
    return "absent" if spec is None else f"of shape {spec[0]} at {', '.join(sorted(spec[1]))}"


def _at(rows: NDArray[np.int64], models: Mapping[str, Predictor]) -> dict[str, Predictor]:
    """The same, with their answers at these rows alone."""

    def some(model: Predictor) -> Predictor:
        return lambda fields: predicted(model, fields)[:, rows]

    return {name: some(model) for name, model in models.items()}


def named(compiled: Weights, trained: Sequence[Known]) -> tuple[str, dict[str, Known]]:
    """What they are called: compiled and trained, or, of two trainings, first and second; numbered where several."""
    first, other = ("first", "second") if compiled.report.trained else ("compiled", "trained")
    if len(trained) == 1:
        return first, {other: trained[0]}
    return first, {f"{other} {number}": weights for number, weights in enumerate(trained, 1)}


def compare(
    compiled: Weights,
    trained: Sequence[Known],
    task: str,
    draw: Draw,
    shifting: Mapping[str, tuple[Sequence[float], float]],
    settings: Settings | None = None,
    told: Told = lambda *_: None,
    noise: float = 0.0,
    learning: Sequence[Floats] = (),
) -> Comparison:
    """Every measure on fresh tasks of `draw`. `shifting`: the changes that it takes, each with the values to try, and
    the task's own; `noise`: the deviation σ/τ of the labels over that of the weights, for the Bayes ridge among the
    references; `learning`: the losses of each training, where they are known.

    Raises DataError for models or tasks that do not fit each other, and InnerloopError for an unknown variable."""
    settings = settings or Settings()
    first, others = named(compiled, trained)
    for weights in others.values():
        agree(compiled, weights)
    _seeds(trained)
    _known(compiled, settings.variables or ())
    models = {name: subject(model, name) for name, model in {first: compiled, **others}.items()}
    told("predictions", 0, 0)
    fields, targets = draw(settings.seed, settings.tasks)
    answers = {name: predicted(model, fields) for name, model in models.items()}
    wanted = np.asarray(targets, np.float64)
    if wanted.shape != answers[first].shape:
        raise DataError(f"the task has targets {wanted.shape}, and the models answer {answers[first].shape}")
    rows = np.flatnonzero(np.isfinite(wanted).all((0, *range(2, wanted.ndim))))
    if not rows.size:
        raise DataError(f"task {task} has no truth for any output of {compiled.signature.name}")
    row = int(rows[-1])
    notes: list[str] = []
    sensitive = _where(notes, "sensitivities and implicit weights", _has_query(models[first], fields))
    regression = _where(notes, "nearest algorithms", _is_regression(compiled, fields))
    lines = {}
    networks = [name for name, model in others.items() if isinstance(model, Network)]
    for name, model in others.items():
        if isinstance(model, Network):
            what = f"the line between the weights, and what is inside, {name}"
            notes.append(f"{what}: it is a baseline, {model.model.variant}")
            continue
        reason = comparable(model, compiled) or of_one_basis(model, compiled)
        if _where(notes, f"the line between the weights, {name}", reason):
            lines[name] = interpolation(compiled, model, fields, wanted, row=row)
    d = prod(np.shape(fields["x"])[2:]) if "x" in fields else 1
    known, itself = references(wanted.shape[1], noise), f"{compiled.signature.name}, {first}"
    if not compiled.report.trained:
        known[itself] = models[first]
    told("sensitivities", 0, 0)
    implicit = {n: implicit_weights(m, fields, queries=4 * d) for n, m in models.items()} if sensitive else {}
    slopes = {n: m.sensitivities(fields) for n, m in models.items()} if sensitive else {}
    shown = {name: answer[:, rows] for name, answer in answers.items()}
    away = {name: squared_difference(shown[name], shown[first]) for name in others}
    shifts = _shifted(models, draw, shifting, settings, told, row)
    return Comparison(
        task=task,
        first=first,
        compiled=compiled,
        trained=others,
        settings=settings,
        d=d,
        fields=fields,
        answers=shown,
        losses={name: Sample(squared_difference(answer, wanted[:, rows])) for name, answer in shown.items()},
        spd={name: Sample(each) for name, each in away.items()},
        difference={name: Sample(np.sqrt(each)) for name, each in away.items()},
        left={name: between(shown[name], shown[first]) for name in others},
        seeds={(a, b): between(shown[a], shown[b]) for a, b in combinations(others, 2)},
        implicit={n: Sample(squared_difference(implicit[n], implicit[first]).sum(1)) for n in others if sensitive},
        sensitivities={n: alignment(slopes[first], slopes[n]) for n in others if sensitive},
        lines=lines,
        algorithms=nearest(_at(rows, models), _at(rows, known), fields, d, {itself: first}) if regression else None,
        shifts=tuple(shifts),
        inside=Inside() if networks else inside(tuple(models.values()), draw, settings, notes, told, row),
        learning=dict(zip(others, learning, strict=False)),
        left_out=tuple(notes),
        shown=sheet,
    )


def between(f: Floats, g: Floats) -> Sample:
    """E (f − g)² / E (f² + g²)/2, over rows: answers [tasks, rows, *shape]."""
    size = (squared_difference(f, np.zeros_like(f)) + squared_difference(g, np.zeros_like(g))) / 2
    return Sample(squared_difference(f, g).mean(1), size.mean(1))


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
    models: Mapping[str, Subject], draw: Draw, shifting: Mapping[str, tuple[Sequence[float], float]],
    settings: Settings, told: Told, row: int,
) -> list[Shift]:  # fmt: skip
    found = []
    for number, (what, (values, usual)) in enumerate(shifting.items()):
        told(f"off distribution: {what}", number, len(shifting))

        def at(value: float, what: str = what) -> tuple[Fields, Floats]:
            return draw(settings.seed, settings.tasks, **{what: value})

        found.append(shift(what, values, at, models, row, usual))
    return found
