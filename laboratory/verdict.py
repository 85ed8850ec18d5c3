"""Whether two models are one algorithm, in a sentence, and where they differ most.

    the same algorithm   the share of the predictions that is between them, E (f − g)² / E (f² + g²)/2, is at most the
                         limit, its interval too
    different            it is above, its interval too
    undecided            the limit is within the interval: more tasks would tell

The limit is what two seeds of one training leave between each other, where there are several, and else NEAR. It is said
of the tasks that were drawn; the rows off the distribution say where it ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.stats import spearmanr

from .compared import Comparison
from .measures.distance import Floats, squared_difference
from .measures.nearest import EXACT, NEAR
from .measures.sample import Sample, pooled

SHOWN = 3
"""Tasks that differ most, of which each is shown."""


@dataclass(frozen=True)
class Verdict:
    """`kind`: same, different or undecided; `left`: the share that is between them."""

    kind: str
    left: Sample
    limit: float
    sentence: str


def limit(found: Comparison) -> tuple[float, str]:
    """What counts as one algorithm, and why."""
    if not found.seeds:
        return NEAR, f"at most {100 * NEAR:g} % is one algorithm"
    most = max(float(pair.interval[1]) for pair in found.seeds.values())
    return max(
        most, EXACT
    ), f"as far as two seeds are from each other, {100 * max(most, EXACT):.3g} %, is one algorithm"


def verdict(found: Comparison) -> Verdict:
    """Of the first model and the others."""
    most, why = limit(found)
    return judged(pooled(list(found.left.values())), most, why)


def among_seeds(found: Comparison) -> Verdict | None:
    """Of the trained among themselves, by NEAR; None where there is one."""
    if not found.seeds:
        return None
    return judged(pooled(list(found.seeds.values())), NEAR, f"at most {100 * NEAR:g} % is one algorithm")


def judged(left: Sample, most: float, why: str) -> Verdict:
    low, high = (float(end) for end in left.interval)
    kind = "same" if high <= most else "different" if low > most else "undecided"
    words = {"same": "the same algorithm", "different": "different", "undecided": "undecided"}[kind]
    share = f"{100 * float(left.value):.3g} % [{100 * low:.3g}, {100 * high:.3g}] of the predictions is between them"
    return Verdict(kind, left, most, f"{words}: {share}; {why}")


@dataclass(frozen=True)
class Extremes:
    """`tasks` that differ most, the worst first; {what describes a task: (its rank correlation with the difference,
    values [tasks], the median of all)}."""

    tasks: tuple[int, ...]
    traits: Mapping[str, tuple[float, Floats, float]]
    spd: Floats
    answers: Mapping[str, Floats]


def extremes(found: Comparison) -> Extremes:
    """The tasks on which the others, on the mean, are furthest from the first, at the query."""
    away = np.asarray(np.mean([each.left[:, -1] for each in found.spd.values()], axis=0), np.float64)
    worst = np.argsort(-away, kind="stable")[:SHOWN]
    traits = {}
    for name, values in traits_of(found.fields).items():
        with np.errstate(invalid="ignore", divide="ignore"):
            rank = float(np.asarray(spearmanr(values, away))[0]) if np.ptp(values) > 0 and np.ptp(away) > 0 else 0.0
        traits[name] = rank, values[worst], float(np.median(values))
    last = {name: answer[worst, -1].reshape(worst.size, -1)[:, 0] for name, answer in found.answers.items()}
    return Extremes(tuple(int(task) for task in worst), traits, away[worst], last)


def traits_of(fields: Mapping[str, Floats]) -> dict[str, Floats]:
    """What tells tasks apart: the size of each field, and of regression the query and the inputs' spectrum."""
    found: dict[str, Floats] = {}
    arrays = {name: np.asarray(value, np.float64) for name, value in fields.items()}
    for name, value in arrays.items():
        found[f"rms of {name}"] = np.sqrt(squared_difference(value, np.zeros_like(value)).mean(1))
    x = arrays.get("x")
    if x is not None and x.ndim == 3 and x.shape[1] > 1:
        found["‖x‖ of the query"] = np.asarray(np.linalg.norm(x[:, -1], axis=1))
        products = np.einsum("bni,bnj->bij", x[:, :-1], x[:, :-1]) / (x.shape[1] - 1)
        scales = np.asarray(np.linalg.eigvalsh(products), np.float64)
        found["largest eigenvalue of XᵀX/n"] = scales[:, -1]
        found["smallest eigenvalue of XᵀX/n"] = scales[:, 0]
    return found
