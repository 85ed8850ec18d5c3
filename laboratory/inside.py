"""What is measured inside of models: probes, patches, and what each token holds after each layer.

Subjects, the first of them compiled   →   Inside: probes and patches of its variables in all of them, by the layout;
                                           of models without a layout, what the prediction takes from where
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from innerloop.artifact.errors import DataError
from innerloop.runtime.surroundings import SEEDS

from .measures.distance import Fields
from .measures.everywhere import Everywhere, read, taken
from .measures.patching import Patch, implied, others, patch
from .measures.probes import Curve, ProbeTarget, probed, target
from .measures.subject import Subject
from .setting import Draw, Settings


@dataclass(frozen=True)
class Inside:
    """`maps`: where each variable can be read in each model; `taken`: where each model's prediction comes from."""

    targets: tuple[ProbeTarget, ...] = ()
    curves: tuple[Curve, ...] = ()
    patches: tuple[Patch, ...] = ()
    maps: tuple[Everywhere, ...] = ()
    taken: tuple[Everywhere, ...] = ()


def inside(
    models: Sequence[Subject], draw: Draw, settings: Settings, notes: list[str], told: Callable[[str, int, int], None],
    row: int,
) -> Inside:  # fmt: skip
    """All of it; what does not apply is said in `notes`. Raises InnerloopError for an unknown variable."""
    compiled = models[0]
    fields, _ = draw((settings.seed + 1) % SEEDS, settings.inside)
    targets = _targets(compiled, fields, settings, notes)
    curves: list[Curve] = []
    patches: list[Patch] = []
    maps: list[Everywhere] = []
    for number, wanted in enumerate(targets):
        told(f"probing for {wanted.name}", number, len(targets))
        for model in models:
            stream = model.stream(fields, wanted.token)
            curves.append(probed(stream, wanted.values, model.name, wanted.name, seed=settings.seed))
            if settings.mlp:
                from .measures.trained_probes import perceptron

                curves.append(probed(stream, wanted.values, model.name, wanted.name, "MLP", perceptron, settings.seed))
        maps += read(compiled, models, fields, wanted.name, wanted.token)
        told(f"patching {wanted.name}", number, len(targets))
        patches += _patches(models, fields, wanted, settings, notes, row)
    found = []
    for number, model in enumerate(models):
        told(f"where the prediction of {model.name} comes from", number, len(models))
        found.append(taken(model, fields, row, settings.seed))
    return Inside(tuple(targets), tuple(curves), tuple(patches), tuple(maps), tuple(found))


def _patches(
    models: Sequence[Subject], fields: Fields, wanted: ProbeTarget, settings: Settings, notes: list[str], row: int
) -> list[Patch]:
    compiled = models[0]
    if wanted.first >= compiled.layers:
        notes.append(f"patching of {wanted.name}: it is whole only after the last layer, which nothing reads")
        return []
    values = others(wanted.values, settings.seed)
    expected = implied(compiled, fields, wanted, values, row)
    if not np.any(np.abs(expected) > 1e-6 * max(1e-30, float(np.abs(compiled(fields)[:, row]).max()))):
        notes.append(f"patching of {wanted.name}: where the layout holds it, the prediction does not depend on it")
        return []
    return [patch(model, fields, wanted, values, expected, row=row) for model in models]


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
        notes.append(f"probes, and patches of variables: {compiled.name} has no layout that says where they are")
    return found
