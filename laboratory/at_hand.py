"""The laboratory's measures as one asks for them in Python: weights, a task or data, a name.

compare(compiled, trained, task)     what `innerloop compare` does
probe(weights, "w", fields)        where in the stream a variable can be read
patch(weights, "w", fields)        what the prediction does where it is changed
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from innerloop.artifact.errors import DataError
from innerloop.artifact.weights import Weights
from numpy.typing import ArrayLike

from .compared import Comparison
from .comparison import compare as compare_models
from .drawing import drawing, shifts
from .measures.distance import Floats
from .measures.patching import Patch, implied, others
from .measures.patching import patch as patched
from .measures.probes import Curve, probed, target
from .measures.subject import Subject
from .network import Known, Network
from .setting import Settings, Told
from .training.tasks import TaskDistribution


def compare(
    compiled: Weights,
    trained: Known | Sequence[Known],
    task: TaskDistribution,
    settings: Settings | None = None,
    told: Told = lambda *_: None,
    learning: Sequence[Floats] = (),
) -> Comparison:
    """Every measure that applies to the two, or to the first and several seeds of one training, on fresh tasks, and on
    tasks that are shifted; `learning`: the losses of each training, if they are known.

    Raises DataError for models or tasks that do not fit each other, and InnerloopError for an unknown variable."""
    noise = float(task.parameters.get("noise", 0.0)) / float(task.parameters.get("weight_scale", 1.0))
    others = [trained] if isinstance(trained, Weights | Network) else list(trained)
    if not others:
        raise DataError("compare: there are no weights to hold against the first; give one or more")
    draw, shifting = drawing(task, compiled), shifts(task)
    return compare_models(compiled, others, task.name, draw, shifting, settings, told, noise, learning)


def probe(
    weights: Weights, name: str, fields: Mapping[str, ArrayLike], *, within: Weights | None = None, seed: int = 0
) -> Curve:
    """R² of a linear probe for the variable `name` of the compiled weights, and of its control, after each layer, in
    their own stream or in that of other weights, `within`. Fields are [tasks, rows, *shape].

    Raises DataError for data that does not fit, fewer than 40 tasks, and a name that the stream does not hold."""
    data = {field: np.asarray(value) for field, value in fields.items()}
    _enough(data)
    wanted = target(Subject(weights, "compiled"), data, name)
    asked = Subject(within or weights, "compiled" if within is None else "trained")
    return probed(asked.stream(data, wanted.token), wanted.values, asked.name, name, seed=seed)


def patch(
    weights: Weights,
    name: str,
    fields: Mapping[str, ArrayLike],
    *,
    within: Weights | None = None,
    directions: str = "probe",
    seed: int = 0,
) -> Patch:
    """What share of the change that the compiled weights show follows where the variable `name` is given the value of
    another task, after each layer, in their own stream or in that of other weights, `within`.

    Raises DataError as `probe` does, and for a variable that is whole only after the last layer."""
    data = {field: np.asarray(value) for field, value in fields.items()}
    _enough(data)
    compiled = Subject(weights, "compiled")
    wanted = target(compiled, data, name)
    if wanted.first >= compiled.layers:
        raise DataError(f"`{name}` is whole only after the last layer, which nothing reads: there is nothing to patch")
    values = others(wanted.values, seed)
    expected = implied(compiled, data, wanted, values)
    asked = compiled if within is None else Subject(within, "trained")
    return patched(asked, data, wanted, values, expected, directions)


LEAST = 40
"""Fewer tasks than these give probes nothing to go by."""


def _enough(data: dict[str, np.ndarray]) -> None:
    count = min((len(value) for value in data.values()), default=0)
    if count < LEAST:
        raise DataError(f"probes need {LEAST} tasks or more, and there are {count}")
