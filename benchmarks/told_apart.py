"""Which programs can be told apart by what they answer, and by which of their answers.

    python -m benchmarks.told_apart

From the root of the repository; tasks of d = 3 and 10 examples.
"""

from __future__ import annotations

import argparse
from typing import Any

from innerloop.explain.behaviour import Behaviour, of_function
from innerloop.explain.explain import candidate_of
from innerloop.explain.families import regression
from innerloop.explain.fit import Tasks, fit
from innerloop.programs import load
from innerloop.runtime.differentiable.function import Differentiable

from .support.known_models import LINEAR, D, N
from .support.tables import show


def pairs() -> None:
    """Each program, exact, and the best imitation by every other family: at all prefixes, and at the last alone."""
    exact: list[tuple[str, str, dict[str, Any]]] = [
        ("GD, 1 step", "gradient_descent", {"steps": 1, "rate": 0.2}),
        ("GD, 3 steps", "gradient_descent", {"steps": 3, "rate": 0.137}),
        ("GD++, 2 layers", "gd_plus", {"steps": 2, "rate": 0.3, "curvature": 0.02}),
        ("heavy ball, 4 steps", "heavy_ball", {"steps": 4, "rate": 0.1, "momentum": 0.6}),
        ("SGD", "stochastic_gradient_descent", {"rate": 0.08}),
        ("ridge 0.3", "sherman_morrison", {"ridge": 0.3}),
        ("kernel 1", "kernel_regression", {"width": 1.0}),
    ]
    rows = []
    for label, program, given in exact:
        f = Differentiable(load(program), (), d=D, **given)
        model = of_function(lambda x, y, f=f: f(x=x, y=y)[:, -1], program)  # type: ignore[misc]
        for what, prefixes in (("all", model.prefixes(N)), ("last", (N,))):
            seen, held = (_tasks(model, count, seed, prefixes) for count, seed in ((128, 0), (512, 1)))
            found = []
            for family in regression(D, N):
                if family.name != program:
                    fits = fit(candidate_of(family, N, prefixes), seen, held)
                    found.append(min(fits, key=lambda s: s.left))
            nearest = sorted(found, key=lambda s: s.left)[:3]
            most = float(((nearest[0].answers - held.model) ** 2).sum(1).max())
            rows.append([label, what, *(f"{s.label}: {s.left:.1e}" for s in nearest), f"{most:.2g}"])
    show(
        "unexplained by the best imitations of other families, and the largest (f − g)² of 512 tasks",
        ("program", "prefixes", "nearest", "second", "third", "most"),
        ("program", "prefixes", "nearest", "second", "third"),
        rows,
        190,
    )


def _tasks(model: Behaviour, count: int, seed: int, prefixes: tuple[int, ...]) -> Tasks:
    fields = LINEAR.drawn(count, seed, jit=False)
    x, y = fields["x"], fields["y"]
    return Tasks(x, y, model.ask(x, y[:, :-1], prefixes), prefixes)


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    pairs()
