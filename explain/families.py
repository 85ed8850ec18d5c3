"""What is tried: programs with free parameters, in classes of like tokens.

    Family("gradient_descent", text, reals={"rate": POSITIVE}, whole={"steps": 1 … 8})
    →   for each number of steps a candidate, whose rate is fitted

A family is a text of the language, so that what is found compiles. Beside the library there are programs that training
is known to find: a rate for each step; GD++ with a γ for each layer (von Oswald et al. 2022, Appendix A.10); and what
one layer of a GPT-2 finds, which cannot lay each label beside its input (docs/explain.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.resources import files

import numpy as np
from innerloop.artifact.arrays import Floats
from innerloop.artifact.errors import CompileError
from innerloop.compiler.frontend.bind import bind, whole_parameters
from innerloop.compiler.frontend.core import core
from innerloop.compiler.syntax.parse import parse
from innerloop.programs import load
from innerloop.runtime.differentiable.opened import counting_parameters, real_parameters


@dataclass(frozen=True)
class Range:
    """What a real parameter may be: `scale` is logarithmic (above 0), share (between 0 and 1) or linear; the fit begins
    at each of `starts`, of a matrix at so many times I."""

    scale: str
    starts: tuple[float, ...]

    def free(self, value: Floats) -> Floats:
        """As an unbounded number, for the fit."""
        match self.scale:
            case "logarithmic":
                return np.log(np.maximum(value, 1e-300))
            case "share":
                inside = np.clip(value, 1e-12, 1 - 1e-12)
                return np.log(inside / (1 - inside))
        return np.asarray(value, np.float64)


_TEXTS = files("innerloop.explain") / "texts"

POSITIVE = Range("logarithmic", (0.1, 1.0))
SHARE = Range("share", (0.3,))
SMALL = Range("linear", (0.01,))
MATRIX = Range("linear", (0.5,))


@dataclass(frozen=True)
class Family:
    """`whole`: the values to try of each counting parameter; `given`: parameters that the task decides (d …); `note`:
    of a text that was found by search, what was changed; `prior`: bits that it costs beside its text (library.py);
    `unrolled`: the passes of a loop that its text has written out."""

    name: str
    text: str
    reals: Mapping[str, Range]
    whole: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    given: Mapping[str, object] = field(default_factory=dict)
    note: str = ""
    prior: float = 0.0
    unrolled: Mapping[str, int] = field(default_factory=dict)

    @property
    def identity(self) -> tuple[str, str]:
        """What tells it from others: edits of one program share a name, neighbours of several k a text."""
        return self.name, self.text

    def takes(self, counts: Mapping[str, int]) -> bool:
        """Whether these counts are in the ranges that its text says."""
        try:
            bind(parse(self.text), {**self.given, **counts})
        except CompileError:
            return False
        return True

    @property
    def bits(self) -> float:
        """The length of its text: one for each operation of the calculus (docs/explain.md)."""
        body = core(parse(self.text)).split("\n\n", 1)[1]
        return float(sum(" = " in line or line.lstrip().startswith("output") for line in body.splitlines()))


def own(name: str) -> str:
    """A text that is tried and no program of the library."""
    return (_TEXTS / f"{name}.icl").read_text(encoding="utf-8")


def regression(d: int, n: int) -> list[Family]:
    """For tasks of x [n + 1, d] and y [n]: those whose answer is a number at the query."""
    sizes: dict[str, object] = {"d": d}
    rows: dict[str, object] = {"d": d, "examples": n}
    steps: dict[str, tuple[int, ...]] = {"steps": (*range(1, 9), 12, 20)}
    few: dict[str, tuple[int, ...]] = {"steps": (2, 3, 4)}
    rate, momentum = {"rate": POSITIVE}, {"momentum": SHARE}
    shipped: list[tuple[str, dict[str, Range], dict[str, tuple[int, ...]], dict[str, object]]] = [
        ("averaging", {}, {}, sizes),
        ("gradient_descent", rate, steps, sizes),
        ("heavy_ball", rate | momentum, {"steps": (2, 3, 4, 6, 8, 12, 20)}, sizes),
        ("preconditioned_gradient_descent", {"A": MATRIX}, {"steps": (1, 2)}, sizes),
        ("gd_plus", rate | {"curvature": SMALL}, few, sizes),
        ("sherman_morrison", {"ridge": POSITIVE}, {}, rows),
        ("recursive_least_squares", {"ridge": POSITIVE, "forget": SHARE}, {}, rows),
        ("stochastic_gradient_descent", {"rate": Range("logarithmic", (0.02, 0.1)), "decay": SMALL}, {}, rows),
        ("normalized_least_mean_squares", {"rate": POSITIVE, "epsilon": POSITIVE}, {}, rows),
        ("kernel_regression", {"width": POSITIVE}, {}, sizes),
        ("functional_gradient_descent", rate | {"width": POSITIVE}, {"steps": (1, 4, 16, 64)}, sizes),
        ("kernel_ridge", {"width": POSITIVE, "ridge": POSITIVE}, {}, rows | {"steps": 60}),
    ]  # fmt: skip
    found = [Family(name, load(name), reals, whole, given) for name, reals, whole, given in shipped]
    found.append(Family("first_example", own("first_example"), {"ridge": POSITIVE}, {}, sizes))
    recency = {"recency": Range("linear", (0.3, -0.3, -2.0))}
    pooled = {"ridge": POSITIVE} | recency
    found.append(Family("pooled_least_squares", own("pooled_least_squares"), pooled, {}, sizes))
    decay = {"decay": Range("linear", (0.9, 0.5))}
    found.append(Family("decayed_gradient_descent", own("decayed_gradient_descent"), rate | decay, steps, sizes))
    found += [schedule(layers, sizes) for layers in (2, 3)]
    curvatures = dict.fromkeys(("rate_1", "rate_2"), POSITIVE) | {"curvature": SMALL}
    return [*found, Family("gd_plus_layers_2", own("gd_plus_layers_2"), curvatures, {}, sizes)]


def schedule(steps: int, given: Mapping[str, object], prior: float = 0.0) -> Family:
    """Gradient descent with a rate for each step. From w = 0 their order changes nothing, and a fit that began at equal
    ones would keep them equal."""
    reals = {f"rate_{k}": Range("logarithmic", (0.1 * 1.6 ** (2 - k), 0.8**k)) for k in range(1, steps + 1)}
    return Family(
        f"gradient_descent_schedule_{steps}", scheduled(steps), reals, {}, given, prior=prior, unrolled={"steps": steps}
    )


def scheduled(steps: int) -> str:
    """Gradient descent with a rate for each step."""
    lines = [
        f"w = w - rate_{k} * mean[j in y]((dot(w, u[j]) - y[j]) * u[j])" for k in range(1, steps + 1)
    ]  # fmt: skip
    parameters = ", ".join(f"rate_{k} = 0.1" for k in range(1, steps + 1))
    return "\n".join(
        [
            "# Gradient descent on half the mean squared error, with a rate for each step.",
            f"program gradient_descent_schedule_{steps}(d, {parameters})", "",
            "tokens (x y)* x", "    x : vector[d]", "    y : scalar", "",
            "at y", "    u = move x from previous", "",
            "w : vector[d] = 0", *lines, "",
            "at x", "    output dot(w, x)", "",
        ]
    )  # fmt: skip


def of_program(text: str, source: str, given: Mapping[str, object]) -> Family:
    """A program of the user's, or one of the library's by its default: its real parameters are free, positive where
    the default is, and its counts up to eight and as given. What is `given` otherwise stays.

    Raises CompileError for a program that is not sound, or a parameter without a value."""
    tree = parse(text, source)
    sizes, _ = whole_parameters(tree)
    known = {p.name for p in tree.parameters}
    kept = {name: value for name, value in given.items() if name in known}
    bound = bind(tree, kept)
    reals = {
        name: _range(np.asarray(bound[name], np.float64))
        for name in real_parameters(tree)
        if name not in kept and name not in sizes
    }
    counts = [name for name in counting_parameters(tree) if name not in kept]
    family = Family(tree.name, text, reals, given=kept)
    tried = {name: sorted({1, 2, 3, 4, 6, 8, int(bound[name])}) for name in counts[:1]}
    whole = {name: tuple(k for k in of if family.takes({name: k})) for name, of in tried.items()}
    return replace(family, whole=whole)


def _range(value: Floats) -> Range:
    least, size = float(value.min()), float(np.abs(value).max())
    if least > 0.0:
        middle = float(np.exp(np.log(value).mean()))
        return Range("logarithmic", (middle, 0.2 * middle, 5.0 * middle))
    return Range("linear", (size or 0.1, -(size or 0.1)))
