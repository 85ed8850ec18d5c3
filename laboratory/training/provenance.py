"""What the numbers of a run depend on besides its settings: what computes them.

    model, task   →   {"generator": "threefry2x32", "jax": "0.10.2", "devices": "1 × cpu", "code": "5f0c…", …}

A run that goes on elsewhere ends with other weights than one that was not broken off; so a checkpoint says where it was
made.
"""

from __future__ import annotations

import hashlib
import os
import sys
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import jax
import numpy as np
from innerloop.artifact.errors import counted
from innerloop.runtime import arrays, forward, surroundings
from innerloop.runtime.guard import checks
from innerloop.runtime.layers import attention, functions, turns
from innerloop.runtime.layers import steps as running
from innerloop.runtime.packing import pack, pack_heads, packed
from innerloop.runtime.surroundings import GENERATOR, devices, processor
from numpy.typing import NDArray

from . import build_steps, curriculum, kinds, settings, steps, tasks
from .model import Model
from .tasks import TaskDistribution

LIBRARIES = ("jax", "jaxlib", "numpy", "optax")
CODE = (
    *(kinds, build_steps, settings, steps, tasks, curriculum),
    *(arrays, attention, forward, functions, pack, pack_heads, packed, running, surroundings, checks, turns),
)
"""The modules that a step runs through, whatever model it is of."""
LABORATORY = __name__.rpartition(".training.")[0]
LAST = 100
"""Steps whose losses are told by their mean."""
COMPILER = ("jax_optimization_level", "jax_exec_time_optimization_effort", "jax_disable_most_optimizations")


def provenance(model: Model, task: TaskDistribution) -> dict[str, Any]:
    """Raises InnerloopError where JAX has no device."""
    found = devices()
    here: dict[str, Any] = {"generator": GENERATOR, "dtype": model.config.dtype}
    here |= {name: library_version(name) for name in (*LIBRARIES, *model.libraries)}
    here["devices"] = f"{len(found)} × {found[0].device_kind}"
    if found[0].platform == "cpu":
        here["processor"], here["threads"] = processor(), len(os.sched_getaffinity(0)) if _affine() else os.cpu_count()
    here["XLA_FLAGS"] = " ".join(sorted(os.environ.get("XLA_FLAGS", "").split()))
    here |= {name: str(jax.config.values.get(name)) for name in COMPILER}
    here["code"] = _code(model, task)
    return here


def in_words(task: TaskDistribution, batch: int) -> str:
    """What a step trains on."""
    given = ", ".join(f"{name} = {value}" for name, value in task.parameters.items())
    return f"{batch} tasks each of {task.name}" + f" ({given})" * bool(given)


def told(task: str, losses: NDArray[np.float32]) -> str:
    """What a report says of training: "500 steps of 64 tasks each of linear (d = 3); loss 3.1 at first, …"."""
    if not losses.size:
        return ""
    last = losses[-LAST:]
    ended = f"loss {losses[0]:.4g} at first, {last.mean():.4g} over the last {counted(last.size, 'step')}"
    return f"{counted(losses.size, 'step')} of {task}; {ended}"


def _affine() -> bool:
    return hasattr(os, "sched_getaffinity")


def library_version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "unknown"


def _code(model: Model, task: TaskDistribution) -> str:
    """Of the text of CODE, and of the modules of the model's and the task's classes and of what they are made of, such
    as the functions that a figure draws its tasks with: any change counts."""
    found = hashlib.sha256()
    held = (*vars(model).values(), *vars(task).values())
    parts = [part for value in held for part in (value if isinstance(value, tuple) else (value,))]
    classes = [*type(model).__mro__, *type(task).__mro__, *map(type, parts)]
    called = [part.func if isinstance(part, partial) else part for part in parts if callable(part)]
    modules = (str(of.__module__) for of in (*classes, *called))
    own = {module for module in modules if module.startswith(LABORATORY)}
    for module in (*CODE, *(sys.modules[name] for name in sorted(own))):
        place = module.__file__
        found.update(Path(place).read_bytes() if place is not None else b"")
    return found.hexdigest()[:12]
