"""A model is asked, and what is said of it is judged: a row of the table.

Case (known_models.py, learnt_models.py)   →   what was said, whether it is right, how far off its parameters are
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from innerloop.artifact.errors import DataError, InnerloopError
from innerloop.explain.explain import explain
from innerloop.explain.fit import Fitted, Tasks, trivial, unexplained
from innerloop.explain.verdict import verdict

from .known_models import Case


def judged(case: Case, folder: Path) -> dict[str, Any]:
    """A row of the table."""
    start = time.process_time()
    row: dict[str, Any] = {"name": case.name, "off": None, "close": None, "steps": None, "explained_s": 0.0}
    try:
        model = case.make(folder)
        made = time.process_time()
        found = explain(model, case.on)
    except InnerloopError as error:  # answers that are not finite are of what runs nothing
        refused = isinstance(error, DataError) and case.wanted != "named"
        said = {"verdict": "none", "sentence": str(error), "first": "–", "unexplained": np.inf, "margin": 1.0}
        return row | said | {"right": refused}
    said_, best = verdict(found), found.choice.best
    match, off = matched(case, found.held, said_.named)
    refused = said_.status != 0
    right = {"named": match is not None, "refused": refused, "either": refused or match is not None, "open": True}
    return row | {
        "made_s": made - start,
        "verdict": said_.kind,
        "sentence": said_.sentence,
        "first": best.label,
        "values": {n: np.asarray(v).tolist() for n, v in best.values.items()},
        "intervals": {n: [np.asarray(e).tolist() for e in ends] for n, ends in best.intervals().items()},
        "unexplained": best.left,
        "margin": min(found.choice.margin, 1e99),
        "right": right[case.wanted],
        "named": [f.label for f in said_.named],
        "off": off,
        "close": None if off is None or not (case.parameters or case.exact) else off <= case.within,
        "steps": None if not case.counts or match is None else case.counts == match.counts,
        "telling": [t.says for t in found.telling],
        "by_prefix": {n: v.tolist() for n, v in found.evidence.parameters.items()},
        "explained_s": time.process_time() - made,
    }  # fmt: skip


def matched(case: Case, held: Tasks, named: Sequence[Fitted]) -> tuple[Fitted | None, float | None]:
    """The fit of the case's program, and how far off it is: of one that has no name, whose words there may be many of,
    the fit that answers as it does."""
    if case.exact is None:
        fits = [f for f in named if f.candidate.name == case.truth]
        match = next((f for f in fits if f.counts == case.counts), fits[0] if fits else None)
        return match, None if match is None else _off(case, match)
    wanted = replace(held, model=np.asarray(case.exact.ask(held.x, held.labels, held.prefixes)))
    base = trivial(wanted)
    offs = [float(np.sqrt(unexplained(wanted.model, f.answers, base))) for f in named]
    least = min(offs, default=np.inf)
    return (named[offs.index(least)], least) if least <= case.within else (None, None)


def _off(case: Case, found: Fitted) -> float:
    errors = [0.0]
    for name, wanted in case.parameters.items():
        of = np.asarray(wanted, np.float64)
        errors.append(float(np.linalg.norm(np.asarray(found.values[name]) - of) / np.linalg.norm(of)))
    return max(errors)
