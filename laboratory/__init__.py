"""The laboratory: transformers trained on the tasks that programs solve, held against the compiled ones.

    train(weights, task("linear", d=3, n=6), steps=200)      → Trained: parameters, losses, weights
    compare(compiled, trained, task("linear", d=3, n=6))     → Comparison: every measure that applies
    probe(weights, "w", fields)                              → Curve: where a variable can be read off the stream
    patch(weights, "w", fields)                              → Patch: what follows where it is changed
    plot_stream(trace), plot_attention(…), plot_errors(…)    → figures of matplotlib

Names are imported when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .at_hand import compare, patch, probe
    from .compared import Comparison
    from .plots import plot_attention, plot_errors, plot_stream
    from .setting import Settings
    from .training.model import Model
    from .training.tasks import TaskDistribution, task
    from .training.tasks import names as tasks
    from .training.train import Trained, train

_HOMES = {
    "Comparison": ("compared", "Comparison"),
    "Model": ("training.model", "Model"),
    "Settings": ("setting", "Settings"),
    "TaskDistribution": ("training.tasks", "TaskDistribution"),
    "Trained": ("training.train", "Trained"),
    "compare": ("at_hand", "compare"),
    "patch": ("at_hand", "patch"),
    "plot_attention": ("plots", "plot_attention"),
    "plot_errors": ("plots", "plot_errors"),
    "plot_stream": ("plots", "plot_stream"),
    "probe": ("at_hand", "probe"),
    "task": ("training.tasks", "task"),
    "tasks": ("training.tasks", "names"),
    "train": ("training.train", "train"),
}

__all__ = [
    "Comparison",
    "Model",
    "Settings",
    "TaskDistribution",
    "Trained",
    "compare",
    "patch",
    "plot_attention",
    "plot_errors",
    "plot_stream",
    "probe",
    "task",
    "tasks",
    "train",
]


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home, there = _HOMES[name]
    value: object = getattr(import_module(f".{home}", __name__), there)
    globals()[name] = value
    return value
