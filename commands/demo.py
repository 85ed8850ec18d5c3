"""The demonstration: three learning algorithms, compiled, on patients that they have never seen.

    442 patients → 342 to draw contexts from, 100 unseen → tasks of 40 patients in context and one unseen query
    programs     → weights, compiled for the ranges of tasks of the 342 alone
    both         → a table (size, exactness, R² on the unseen) and a plot of error against examples in context

Each task's sequence is x₁ y₁ … x₄₀ y₄₀ x: a prediction at every x gives the error after 0, 1 … 40 examples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from innerloop.laboratory.measures import references
from innerloop.programs import dataset, load
from numpy.typing import NDArray

Floats = NDArray[np.float64]

EXAMPLES = 40
UNSEEN = 100
CALIBRATION_TASKS = 3072
SEED = 2004

SETTINGS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        # Stable after any number of patients: 0.035 < 2 / max |x|², which bounds 2 / λ of every mean of x xᵀ.
        "gradient_descent": {"d": 10, "steps": 20, "rate": 0.035},
        "stochastic_gradient_descent": {"d": 10, "examples": EXAMPLES, "rate": 0.01},
        # The ridge that predicts best within the 342: see tests/commands/test_demo.py.
        "sherman_morrison": {"d": 10, "examples": EXAMPLES, "ridge": 20},
    }
)


@dataclass(frozen=True)
class DemoTasks:
    """x [tasks, examples + 1, d], y [tasks, examples + 1]; the last is the query, its label for scoring only."""

    x: Floats
    y: Floats

    @property
    def context(self) -> Floats:
        """The labels that a model may see."""
        return self.y[:, :-1]


@dataclass(frozen=True)
class DemoResult:
    """One compiled program on the tasks: `predictions` [tasks, examples + 1] at every x, `difference` the largest
    from the oracle, `closed` the same predictions in closed form by NumPy, if there is one."""

    name: str
    layers: int
    width: int
    parameters: int
    nonzeros: int
    difference: float
    predictions: Floats
    closed: Floats | None


def diabetes_tasks(count: int, calibration: int = CALIBRATION_TASKS, seed: int = SEED) -> tuple[DemoTasks, DemoTasks]:
    """`count` tasks with unseen queries, each unseen patient once before any comes again, and `calibration` tasks
    of the other patients alone, whose mean and deviation standardise everything.

    Source: Efron, Hastie, Johnstone and Tibshirani 2004, "Least Angle Regression", the diabetes study.
    """
    features, target = dataset("diabetes")
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(target))
    unseen, pool = order[:UNSEEN], order[UNSEEN:]
    x = (features - features[pool].mean(0)) / features[pool].std(0)
    y = (target - target[pool].mean()) / target[pool].std()
    contexts = np.array([rng.choice(pool, EXAMPLES + 1, replace=False) for _ in range(calibration + count)])
    known, tasks = contexts[:calibration], contexts[calibration:]
    tasks[:, -1] = np.resize(unseen, count)
    return DemoTasks(x[tasks], y[tasks]), DemoTasks(x[known], y[known])


def ridge_regression(tasks: DemoTasks, ridge: float) -> Floats:
    """Ridge regression on the examples before each x: [tasks, examples + 1]."""
    return references.ridge_regression(tasks.x, tasks.context, ridge)


def gradient_steps(tasks: DemoTasks, steps: int, rate: float) -> Floats:
    """The same for gradient descent from 0."""
    return references.gradient_descent(tasks.x, tasks.context, steps, rate)


CLOSED: Mapping[str, tuple[Callable[..., Floats], tuple[str, ...]]] = MappingProxyType(
    {"gradient_descent": (gradient_steps, ("steps", "rate")), "sherman_morrison": (ridge_regression, ("ridge",))}
)
"""The programs that have a closed form, and which of their settings it takes."""


def squared_error(predictions: Floats, tasks: DemoTasks) -> Floats:
    """Mean squared error after 0, 1 … examples, in units of the target's variance."""
    return np.asarray(((predictions - tasks.y) ** 2).mean(0))


def r_squared(predictions: Floats, tasks: DemoTasks) -> float:
    """1 − Σ(y − ŷ)² / Σ(y − ȳ)² over the unseen patients."""
    y = tasks.y[:, -1]
    return float(1 - ((y - predictions[:, -1]) ** 2).sum() / ((y - y.mean()) ** 2).sum())


WIDER = (1.0, 0.8, 1.25)
"""How much longer the patients of the calibration are made, task by task: those of other tasks may reach further."""


def wider(tasks: DemoTasks, scales: Sequence[float]) -> dict[str, Floats]:
    """Data for the ranges: contexts scaled, task by task, by `scales`, and all queries and labels by the largest.
    Each feature is turned round in half of the tasks, so that the ranges of the algorithms' states are symmetric."""
    signs = np.random.default_rng(SEED).choice((-1.0, 1.0), (len(tasks.x), 1, tasks.x.shape[2]))
    x = signs * tasks.x * np.resize(scales, len(tasks.x))[:, None, None]
    x[:, -1] = max(WIDER) * (signs * tasks.x)[:, -1]
    return {"x": x, "y": max(WIDER) * tasks.context}


def run_program(
    name: str, tasks: DemoTasks, calibration: DemoTasks, told: Callable[[str, int, int], None]
) -> DemoResult:
    """Compiles the shipped program with the demo's settings and runs it; `told` hears (what, done, in all)."""
    from innerloop.compiler import compile_program, interpret
    from innerloop.runtime import Transformer

    settings = SETTINGS[name]
    # A step of gradient descent that is stable on these patients diverges on longer ones.
    scales = [s for s in WIDER if s <= 1 or name != "gradient_descent"]
    told(f"compiling {name}", 0, 0)
    weights = compile_program(
        load(name),
        target="gpt2",
        calibration=wider(calibration, scales),
        source=f"{name}.icl",
        **settings,
    )
    told(f"running {name}", 0, len(tasks.x))
    model = Transformer(weights, on_chunk=lambda done, total: told(f"running {name}", done, total))
    predictions = np.asarray(model(x=tasks.x, y=tasks.context), dtype=np.float64)
    oracle = interpret(load(name), x=tasks.x, y=tasks.context, **settings)
    closed, takes = CLOSED.get(name, (None, ()))
    return DemoResult(
        name=name,
        layers=weights.config.n_layer,
        width=weights.config.d_model,
        parameters=weights.report.parameters,
        nonzeros=weights.report.nonzeros,
        difference=float(np.abs(predictions - oracle).max()),
        predictions=predictions,
        closed=None if closed is None else closed(tasks, **{key: settings[key] for key in takes}),
    )


def demo(plot: Path, count: int) -> None:
    """Runs all three programs on `count` tasks, prints the table and saves the plot."""
    from innerloop.runtime.plots import error_curves
    from innerloop.runtime.tables import console, progress, table

    tasks, calibration = diabetes_tasks(count)
    with progress("reading the data") as told:
        results = [run_program(name, tasks, calibration, told) for name in SETTINGS]
    ridge = SETTINGS["sherman_morrison"]["ridge"]
    closed = ridge_regression(tasks, ridge)
    rows = [
        [
            r.name,
            f"{r.layers}",
            f"{r.width:,}",
            f"{r.parameters:,}",
            f"{r.nonzeros:,}",
            f"{r.difference:.1e}",
            f"{r_squared(r.predictions, tasks):.4f}",
            "–" if r.closed is None else f"{r_squared(r.closed, tasks):.4f}",
        ]
        for r in results
    ]
    rows.append([f"NumPy, ridge {ridge:g}", *["–"] * 6, f"{r_squared(closed, tasks):.4f}"])
    out = console()
    out.print(
        f"{count} problems from the diabetes study: {EXAMPLES} patients in context, then one never seen.\n"
        "Difference: the largest from the float64 oracle, over all predictions, in deviations of the target.\n"
        "R²: on the unseen patients, by the transformer and by NumPy's closed form of the same algorithm."
    )
    columns = ["program", "layers", "width", "parameters", "nonzeros", "difference", "R²", "R² NumPy"]
    out.print(table(columns, rows))
    curves = {
        f"{r.name.replace('_', ' ')}, {r.layers} layers": squared_error(r.predictions, tasks) for r in results
    }  # fmt: skip
    error_curves(plot, curves, f"NumPy, ridge {ridge:g}", squared_error(closed, tasks))
    out.print(f"plot: {plot}")
