"""Which programs can be told apart by what they answer, by which of their answers, and by which prompts.

    python -m benchmarks.told_apart [--part 0/2] [-o FOLDER]

From the root of the repository; tasks of d = 3 and 10 examples. Every other family of `explain` is fitted to each exact
program, at all prefixes and at the last alone. FOLDER holds a file for each program: a run that is killed goes on from
there, and several share the work. The prompts are the 64 of 4,096 drawn ones on which the program and its nearest
imitation that is not the same are furthest apart: how many times the mean their squared gap is, after how many examples
it is largest, and the size of the query, of the inputs and of the labels there over that of all.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from innerloop.explain.behaviour import Behaviour, of_function, prompts
from innerloop.explain.counts import fit
from innerloop.explain.explain import candidate_of
from innerloop.explain.families import Family, regression
from innerloop.explain.fit import Fitted, Tasks
from innerloop.explain.library import rest
from innerloop.explain.telling import furthest
from innerloop.runtime.differentiable.function import Differentiable

from .explain.known_models import LINEAR, D, N, told
from .support.tables import show

SAME = 1e-6
"""What leaves less is the same program in other words."""
DRAWN = 4096
EXACT: list[tuple[str, dict[str, int], dict[str, Any]]] = [
    ("averaging", {}, {}),
    ("gradient_descent", {"steps": 1}, {"rate": 0.2}),
    ("gradient_descent", {"steps": 3}, {"rate": 0.137}),
    ("gradient_descent", {"steps": 8}, {"rate": 0.1}),
    ("gradient_descent_schedule_2", {}, {"rate_1": 0.3, "rate_2": 0.1}),
    ("heavy_ball", {"steps": 4}, {"rate": 0.1, "momentum": 0.6}),
    ("preconditioned_gradient_descent", {"steps": 1}, {"A": np.diag([0.1, 0.2, 0.4])}),
    ("gd_plus", {"steps": 2}, {"rate": 0.3, "curvature": 0.02}),
    ("sherman_morrison", {}, {"ridge": 0.02}),
    ("sherman_morrison", {}, {"ridge": 0.3}),
    ("sherman_morrison", {}, {"ridge": 3.0}),
    ("recursive_least_squares", {}, {"ridge": 0.3, "forget": 0.8}),
    ("stochastic_gradient_descent", {}, {"rate": 0.08}),
    ("normalized_least_mean_squares", {}, {"rate": 0.5, "epsilon": 0.1}),
    ("kernel_regression", {}, {"width": 1.0}),
    ("functional_gradient_descent", {"steps": 4}, {"rate": 0.5, "width": 1.0}),
    ("kernel_ridge", {}, {"width": 1.0, "ridge": 0.3}),
    ("nearest_neighbours", {"k": 3}, {}),
]


def imitated(name: str, counts: dict[str, int], reals: dict[str, Any]) -> dict[str, Any]:
    """What the others leave unexplained of a program, at all prefixes and at the last; and the prompts that tell."""
    families = {family.name: family for family in (*rest(D, N), *regression(D, N))}
    own = families[name]
    exact = Differentiable(own.text, (), **{**own.given, **counts, **reals})
    model = of_function(lambda x, y: np.asarray(exact(x=x, y=y))[:, -1], name)
    row: dict[str, Any] = {"program": f"{name} {told(reals, counts)}".strip()}
    for what, prefixes in (("all", model.prefixes(N)), ("last", (N,))):
        seen, held = (_tasks(model, count, seed, prefixes) for count, seed in ((128, 0), (512, 1)))
        found = []
        for family in families.values():
            if family.name != name:
                fits = fit(candidate_of(family, N, prefixes), seen, held)
                found.append(min(fits, key=lambda s: s.left))
        found.sort(key=lambda s: s.left)
        row[what] = [[s.label, s.left] for s in found]
        other = next(s for s in found if s.left > SAME)
        if what == "all":
            row["prompts"] = _telling(model, own, other, counts, reals, prefixes)
    return row


def _telling(
    model: Behaviour, own: Family, other: Fitted, counts: dict[str, int], reals: dict[str, Any],
    prefixes: tuple[int, ...],
) -> dict[str, Any]:  # fmt: skip
    x, y = prompts(LINEAR, DRAWN, 3)
    y = y[:, :-1]
    candidate = candidate_of(own, N, prefixes)
    theta = candidate.free({**candidate.function.start, **{n: np.asarray(v, np.float64) for n, v in reals.items()}})
    a = candidate.answers(theta, counts, x, y)
    b = other.candidate.answers(other.theta, other.counts, x, y)
    most = np.quantile(np.abs(a), 0.99, axis=0)
    chosen = furthest(a, b, most)
    gap = (a - b) ** 2
    place = int(gap[chosen].mean(0).argmax())
    sizes = [
        np.linalg.norm(x[:, prefixes[place]], axis=1),
        np.linalg.norm(x[:, : prefixes[place]], axis=2).mean(1),
        np.abs(y[:, : prefixes[place]]).mean(1),
    ]
    return {
        "against": other.label,
        "times": float(gap[chosen].mean() / gap.mean()),
        "examples": prefixes[place],
        "sizes": [float(size[chosen].mean() / size.mean()) for size in sizes],
    }


def _tasks(model: Behaviour, count: int, seed: int, prefixes: tuple[int, ...]) -> Tasks:
    x, y = prompts(LINEAR, count, seed)
    return Tasks(x, y, model.ask(x, y[:, :-1], prefixes), prefixes)


def run(options: argparse.Namespace) -> None:
    folder = Path(options.output)
    folder.mkdir(parents=True, exist_ok=True)
    part, parts = (int(number) for number in options.part.split("/"))
    rows = []
    for number, exact in list(enumerate(EXACT))[part::parts]:
        kept = folder / f"{number}.json"
        if not kept.is_file():
            kept.write_text(json.dumps(imitated(*exact), indent=1))
            print(exact[0], flush=True)
        rows.append(json.loads(kept.read_text()))
    lines = []
    for row in rows:
        prompt = row["prompts"]
        sizes = " ".join(f"{size:.1f}" for size in prompt["sizes"])
        same = [label for label, left in row["all"] if left <= SAME]
        near = [f"{label} {left:.1e}" for label, left in row["all"] if left > SAME][:3]
        last = [f"{label} {left:.1e}" for label, left in row["last"]][:2]
        telling = f"{prompt['against']}: {prompt['times']:.0f} ×, after {prompt['examples']}, {sizes}"
        lines.append([row["program"], ", ".join(same) or "–", "; ".join(near), "; ".join(last), telling])
    show(
        "the same at all prefixes; the nearest others, unexplained; at the last prefix; prompts that tell the nearest",
        ("program", "same", "all prefixes", "last alone", "prompts: gap, after examples, query, inputs, labels"),
        ("program", "same", "all prefixes", "last alone", "prompts: gap, after examples, query, inputs, labels"),
        lines,
        230,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", default="0/1", help="which part of the programs, for several processes side by side")
    parser.add_argument("-o", "--output", default="out/told_apart")
    run(parser.parse_args())
