"""What tasks and training may be set to, checked before anything heavy is loaded: no JAX here.

task_settings("linear", "all", {"d": 3})   →   {"d": 3, "n": 10, "inputs": "normal", …}, or InnerloopError
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any, get_args

from innerloop.artifact.errors import InnerloopError, near
from innerloop.artifact.words import OptimiserName, Products, RateSchedule, Rows

Values = Mapping[str, Any]

MOST = 2**31
"""More steps than the device counts."""

COMMON = {"d": 5, "n": 10}
INPUTS = {"inputs": "normal", "input_scale": 1.0, "weight_scale": 1.0}
MIXABLE = ("linear", "noisy_linear", "sparse_linear", "skewed_linear", "logistic")
"""The tasks of which one can be drawn instead of another: regressions of d inputs."""
DEFAULTS: Mapping[str, Values] = {
    "linear": {**COMMON, **INPUTS},
    "noisy_linear": {**COMMON, **INPUTS, "noise": 0.5},
    "sparse_linear": {**COMMON, **INPUTS, "nonzeros": 2, "noise": 0.0},
    "skewed_linear": {**COMMON, "power": 2.0, "eigenvalues": None, "weight_scale": 1.0, "noise": 0.0},
    "discrete_linear": {**COMMON, "tasks": 64, "noise": 0.5, "pool": 0},
    "logistic": {**COMMON, **INPUTS},
    "sine": {"n": 10},
    "autoregressive": {"d": 4, "n": 20, "form": "real", "start": "gaussian", "start_scale": 1.0, "field": "x"},
}
"""The parameters of each task, but of `mixed`, which has those of the kinds that it mixes."""
MIXED = ("linear", "skewed_linear")
TASKS = (*DEFAULTS, "mixed")


def _whole(least: int) -> tuple[Callable[[Any], bool], str]:
    return lambda v: type(v) is int and least <= v < 2**31, f"a whole number of at least {least}"


def _real(above: bool) -> tuple[Callable[[Any], bool], str]:
    def holds(value: Any) -> bool:
        return type(value) in (int, float) and isfinite(value) and (value > 0 if above else value >= 0)

    return holds, "a number above 0" if above else "a number of at least 0"


def _one_of(*names: str) -> tuple[Callable[[Any], bool], str]:
    return lambda v: v in names, " or ".join(map(repr, names))


_positive, _ = _real(above=True)
RULES: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "d": _whole(1),
    "n": _whole(1),
    "tasks": _whole(1),
    "pool": _whole(0),
    "nonzeros": _whole(1),
    "inputs": _one_of("normal", "uniform"),
    "form": _one_of("real", "complex", "orthogonal"),
    "start": _one_of("gaussian", "sparse"),
    "input_scale": _real(above=True),
    "weight_scale": _real(above=True),
    "start_scale": _real(above=True),
    "noise": _real(above=False),
    "power": _real(above=False),
    "eigenvalues": (
        lambda v: v is None or (isinstance(v, list | tuple) and all(map(_positive, v))),
        "a list of numbers above 0",
    ),
    "of": (
        lambda v: (
            isinstance(v, list | tuple) and len(v) > 1 and all(v.count(kind) == 1 and kind in MIXABLE for kind in v)
        ),
        f"a list of at least two of {', '.join(MIXABLE)}",
    ),
    "field": (lambda v: isinstance(v, str) and v.isidentifier(), "the name of the program's field"),
}


def task_settings(name: str, rows: str, parameters: Values) -> dict[str, Any]:
    """The parameters of the task `name`, others as `defaults(name)` has them. Raises InnerloopError."""
    values = mixture(parameters.get("of", MIXED)) if name == "mixed" else dict(defaults(name))
    for given, value in parameters.items():
        if given not in values:
            hint = f"{told} It" if (told := near(given, values)) else "it"
            raise InnerloopError(f"task {name} has no parameter `{given}`; {hint} has {', '.join(values)}")
        holds, meant = RULES[given]
        if not holds(value):
            raise InnerloopError(f"task {name}: {given}={value!r}: must be {meant}")
        values[given] = value
    if rows not in get_args(Rows):
        raise InnerloopError(f"task {name}: rows={rows!r}: must be 'all' or 'query'")
    d = values.get("d", 1)
    if values.get("nonzeros", 1) > d:
        raise InnerloopError(f"task {name}: nonzeros={values['nonzeros']}: must be at most d={d}")
    if values.get("eigenvalues") is not None and len(values["eigenvalues"]) != d:
        raise InnerloopError(f"task {name}: eigenvalues: has {len(values['eigenvalues'])} numbers, and d={d}: give d")
    if values.get("form") == "real" and d % 2:
        raise InnerloopError(f"task {name}: d={d}: rotations of the plane need an even number, or form='complex'")
    return values


def defaults(name: str) -> Values:
    """The parameters of the task `name`, of `mixed` those that a mixture can have. Raises InnerloopError."""
    if name == "mixed":
        return {**mixture(MIXABLE), "of": [*MIXED]}
    if name not in DEFAULTS:
        hint = f"{told} There" if (told := near(name, TASKS)) else "there"
        raise InnerloopError(f"no task `{name}`; {hint} are {', '.join(TASKS)}")
    return DEFAULTS[name]


def mixture(of: Any) -> dict[str, Any]:
    """The parameters of a mixture of these kinds: one number for all that have it, by default the first one's. Raises
    InnerloopError for what cannot be mixed."""
    holds, meant = RULES["of"]
    if not holds(of):
        raise InnerloopError(f"task mixed: of={of!r}: must be {meant}")
    values: dict[str, Any] = {"of": [*of]}
    for kind in of:
        values = {**DEFAULTS[kind], **values}
    return values


def fitting(name: str, d: int | None, given: Values) -> dict[str, Any]:
    """`given`, with the model's d, if that is known and the task has one and none is given. Raises InnerloopError."""
    values = dict(given)
    if d is not None and "d" in defaults(name):
        values.setdefault("d", d)
    return values


def training_settings(**given: Any) -> None:
    """Raises InnerloopError for settings of a training run that cannot be."""
    for name in ("steps", "batch", "interval"):
        if type(given[name]) is not int or not 1 <= given[name] < MOST:
            raise InnerloopError(f"{name}={given[name]!r}: must be a whole number from 1 to {MOST - 1}")
    if type(given["warmup"]) is not int or not 0 <= given["warmup"] < MOST:
        raise InnerloopError(f"warmup={given['warmup']!r}: must be a whole number of steps, from 0 to {MOST - 1}")
    patience, decay = given.get("patience"), given.get("decay", 0.0)
    if patience is not None and (type(patience) is not int or not 1 <= patience < MOST):
        raise InnerloopError(f"patience={patience!r}: must be a whole number of intervals, from 1 to {MOST - 1}")
    if type(decay) not in (int, float) or not (isfinite(decay) and decay >= 0):
        raise InnerloopError(f"decay={decay!r}: must be a number of at least 0")
    for name in ("rate", "clip"):
        value = given[name]
        if value is not None and not (isinstance(value, int | float) and isfinite(value) and value > 0):
            raise InnerloopError(f"{name}={value!r}: must be a number above 0")
    if given["schedule"] not in get_args(RateSchedule):
        raise InnerloopError(f"schedule={given['schedule']!r}: must be 'cosine' or 'constant'")
    if given.get("products", "float32") not in get_args(Products):
        raise InnerloopError(f"products={given['products']!r}: must be 'float32' or 'bfloat16'")
    if given.get("optimiser", "adam") not in get_args(OptimiserName):
        raise InnerloopError(f"optimiser={given['optimiser']!r}: must be 'adam' or 'sgd'")
