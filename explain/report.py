"""An explanation for people and for machines: rows for a table, one page, a JSON, the program as text.

Explanation   →   DIR/verdict.json, DIR/report.html, DIR/program.icl (where one is named), whole or not at all
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
from innerloop.laboratory.charts import COMPILED, OTHER, TRAINED, panelled, svg
from innerloop.laboratory.report import STYLE, html_table
from innerloop.runtime.whole import whole_folder
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from .choice import description
from .evidence import Measured
from .explain import Explanation
from .fit import LEAST, Fitted, trivial
from .stream import PRESENT, Held, Inside
from .verdict import Verdict, described, said, small, verdict
from .written import written

SHOWN = 12
"""Fits that a table shows: the shortest descriptions."""
WORDS = "th:nth-child(6), td:nth-child(6) { text-align: left; }\n"
"""Of the tables of six columns the last holds words."""
PASSES = 8
"""Passes of a loop that a table shows."""
FITS = ("program", "unexplained", "typically", "numbers fitted", "bits", "where")
UNSEEN = "This model is a Python function: its answers were seen, and nothing of its inside."


def fit_rows(found: Explanation, count: int = SHOWN) -> list[list[str]]:
    """The fits, the shortest description first."""
    return [
        [f.label, f"{f.left:.2g}", f"{f.typical:.2g}", str(f.candidate.reals), f"{description(f):.0f}", _where(f)]
        for f in found.choice.order[:count]
    ]


def _where(fitted: Fitted) -> str:
    shown = {n: small(float(v), 4) if v.shape == () else described(v) for n, v in fitted.values.items()}
    note = fitted.candidate.family.note
    return "; ".join(filter(None, (note, ", ".join(f"{name} = {value}" for name, value in shown.items()))))


def measure_rows(found: Explanation) -> list[list[str]]:
    """What else was measured: what it is, its value, its interval."""
    evidence = found.evidence
    rows = [
        ["unexplained", f"{found.choice.best.left:.3g}", _ends(*found.interval)],
        ["unexplained on the nearest 95 % of tasks", f"{found.core[0]:.3g}", _ends(*found.core[1])],
        ["unexplained at the nearest 95 % of answers", f"{found.central[0]:.3g}", _ends(*found.central[1])],
        ["typically unexplained", f"{found.choice.best.typical:.3g}", ""],
        ["unexplained, median over tasks", f"{evidence.median:.3g}", ""],
        ["margin to the next that is not alike", f"{found.choice.margin:.3g}", ""],
        ["slopes ∂ŷ/∂x of the query, cosine", *_measured(evidence.query_slopes)],
        ["slopes ∂ŷ/∂y of the labels, cosine", *_measured(evidence.label_slopes)],
    ]
    if evidence.weights is not None:
        rows.append(["implicit weights, explained", *_measured(evidence.weights)])
    rows += [[f"unexplained at {what}", f"{value:.3g}", ""] for what, value in evidence.shifted.items()]
    if found.twins is not None and found.shared is not None:
        rows.append(["distance from the program / from the other seed", f"{found.twins:.3g}", ""])
        rows.append(["residual shared with the other seed", f"{found.shared:.3g}", ""])
    if found.inside is None:
        rows.append(["chance, by asking again", f"{found.chance:.3g}", ""])
    rows.append(["the model's loss, mean over prefixes", f"{found.loss:.3g}", f"of {found.size:.3g}"])
    return rows


def _measured(of: Measured) -> list[str]:
    return [f"{of.value:.5g}", _ends(of.low, of.high)]


def _ends(low: float, high: float) -> str:
    return f"[{low:.3g}, {high:.3g}]"


def prefix_rows(found: Explanation) -> list[list[str]]:
    """A line for each number of examples."""
    names = list(found.evidence.parameters)
    return [
        [str(k), f"{found.evidence.by_prefix[i]:.3g}", *(f"{found.evidence.parameters[n][i]:.4g}" for n in names)]
        for i, k in enumerate(found.prefixes)
    ]


def telling_rows(found: Explanation) -> list[list[str]]:
    """What the most telling prompts said."""
    return [
        [t.what, f"{t.gap:.3g}", f"{t.first:.3g}", f"{t.second:.3g}", f"{t.votes:.2f}", t.says] for t in found.telling
    ]


INSIDE = ("of the program", "R²", "where", "control", "slope of a patch", "95 %")


def inside_rows(found: Explanation) -> list[list[str]]:
    """Its variables in the stream, and its passes up to the first that is not there; none of a function."""
    if found.inside is None:
        return []
    rows = [
        [
            h.name, f"{h.score[h.first]:.4f}", f"{h.place} of {found.inside.layers}", f"{h.control[h.first]:.3f}",
            *(["–", ""] if h.slope is None else [f"{h.slope.value:.3f}", _ends(h.slope.low, h.slope.high)]),
        ]
        for h in _some(found.inside.held)
    ]  # fmt: skip
    absent = next((k for k, score in enumerate(found.inside.passes, 1) if score < PRESENT), PASSES)
    return rows + [
        [f"pass {k}, beside those before", f"{score:.4f}", "", "", "", ""]
        for k, score in enumerate(found.inside.passes[:absent], 1)
    ]


def _some(held: Sequence[Held]) -> list[Held]:
    """Of a variable that is looked for after many passes so many, evenly spread, the last among them; in the JSON are
    all."""
    places: dict[str, list[int]] = {}
    for place, h in enumerate(held):
        places.setdefault(h.name.split(" after ")[0], []).append(place)
    spread = (np.linspace(0, len(of) - 1, min(len(of), PASSES)).round().astype(int) for of in places.values())
    kept = {of[k] for of, some in zip(places.values(), spread, strict=True) for k in some}
    return [h for place, h in enumerate(held) if place in kept]


TELLING = ("prompts", "between the two", "model from the first", "from the second", "nearer the first", "decided")


def record(found: Explanation, said_: Verdict) -> dict[str, Any]:
    """All of it, as JSON has it."""
    evidence, best = found.evidence, found.choice.best
    return {
        "model": found.model,
        "internals_seen": found.inside is not None,
        "task": {"name": found.task.name, **found.task.parameters},
        "verdict": said_.kind,
        "sentence": said_.sentence,
        "status": said_.status,
        "named": [_fit(f) for f in said_.named],
        "explained": {"share": 1 - best.left, "interval": [1 - end for end in found.interval[::-1]]},
        "explained_core": {"share": 1 - found.core[0], "interval": [1 - end for end in found.core[1][::-1]]},
        "explained_central": {"share": 1 - found.central[0], "interval": [1 - e for e in found.central[1][::-1]]},
        "margin": found.choice.margin,
        "prefixes": list(found.prefixes),
        "unexplained_by_prefix": evidence.by_prefix.tolist(),
        "parameters_by_prefix": {name: values.tolist() for name, values in evidence.parameters.items()},
        "unexplained_median": evidence.median,
        "query_slopes": vars(evidence.query_slopes),
        "label_slopes": vars(evidence.label_slopes),
        "implicit_weights": None if evidence.weights is None else vars(evidence.weights),
        "unexplained_off_distribution": dict(evidence.shifted),
        "told_from": None if found.choice.rival is None else _fit(found.choice.rival),
        "telling": [
            {"prompts": t.what, "gap": t.gap, "from_first": t.first, "from_second": t.second, "votes": t.votes,
             "says": t.says, "x": t.x[:4].tolist(), "y": t.y[:4].tolist()}
            for t in found.telling
        ],
        "inside": None if found.inside is None else _inside(found.inside),
        "twins": found.twins,
        "shared": found.shared,
        "chance": found.chance,
        "loss": found.loss,
        "fits": [_fit(f) for f in found.choice.order],
    }  # fmt: skip


def _inside(inside: Inside) -> dict[str, Any]:
    return {
        "layers": inside.layers,
        "variables": [
            {"name": h.name, "place": h.place, "sublayers": h.first, "r_squared": h.score.tolist(),
             "control": h.control.tolist(), "slope": None if h.slope is None else vars(h.slope)}
            for h in inside.held
        ],
        "passes": list(inside.passes),
        "steps": inside.steps,
    }  # fmt: skip


def _fit(fitted: Fitted) -> dict[str, Any]:
    ends = fitted.intervals()
    return {
        "program": fitted.candidate.name,
        "changed": fitted.candidate.family.note,
        "counts": dict(fitted.counts),
        "counts_at_least": fitted.edge,
        "parameters": {n: v.tolist() for n, v in fitted.values.items()},
        "intervals": {n: [np.asarray(e).tolist() for e in both] for n, both in ends.items()},
        "unexplained": fitted.left,
        "typically_unexplained": fitted.typical,
        "bits": description(fitted),
    }


def _finite(value: Any) -> Any:
    """JSON has no infinity: null stands for it."""
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def page(found: Explanation, said_: Verdict) -> str:
    """The report as one HTML file, its figure inside, without scripts."""
    title = f"{found.model}: what it runs"
    parameters = ", ".join(f"{name} = {value}" for name, value in found.task.parameters.items())
    rival = found.choice.rival
    second = "" if rival is None else f"First: {said(found.choice.best)}. Second: {said(rival)}."
    beside = "" if rival is None else f", and by the second, {rival.full}"
    caption = (
        f"What is left unexplained by the first, {found.choice.best.full}{beside}; and the parameters of the first "
    )
    caption += "where each prefix fits its own."
    sections = [
        f"<h1>{escape(title)}</h1>",
        f"<p><strong>{escape(said_.sentence)}</strong></p>",
        f"<p>Task {escape(found.task.name)}, {escape(parameters)}. {UNSEEN if found.inside is None else ''}</p>",
        "<h2>What was tried</h2>",
        html_table(FITS, fit_rows(found, 30)),
        f"<h2>Evidence on other tasks, of {escape(found.choice.best.full)}</h2>",
        html_table(("measure", "value", "95 %"), measure_rows(found)),
        "<h2>By number of examples</h2>",
        f"<figure>\n{svg(picture(found), 'prefixes')}\n<figcaption>{escape(caption)}</figcaption>\n</figure>",
        html_table(("examples", "unexplained", *found.evidence.parameters), prefix_rows(found)),
        "<h2>The most telling prompts</h2>",
        f"<p>{escape(second)}</p>",
        html_table(TELLING, telling_rows(found)),
        *(["<h2>In the stream</h2>", html_table(INSIDE, inside_rows(found))] if found.inside else []),
        f"<h2>The {'' if said_.named else 'nearest '}program</h2>",
        f"<pre>{escape(written(found.choice.best, ''))}</pre>",
    ]
    head = (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}{WORDS}</style></head><body>"
    )
    return "\n".join([head, *sections, "</body></html>\n"])


def picture(found: Explanation) -> Figure:
    """Unexplained by prefix, of the best fit and of its rival; and each scalar parameter, fitted by prefix."""
    best, rival = found.choice.best, found.choice.rival
    names = list(found.evidence.parameters)
    held = found.held
    unit = np.maximum(held.by_prefix((held.model - trivial(held)) ** 2), 1e-300)
    with panelled(1 + len(names)) as (figure, grid):
        for fitted, style, color, name in ((best, "o-", COMPILED, "first"), (rival, "o--", TRAINED, "second")):
            if fitted is not None:
                left = held.by_prefix((held.model - fitted.answers) ** 2) / unit
                grid[0].plot(found.prefixes, np.maximum(left, LEAST), style, color=color, label=name)
        grid[0].set_yscale("log")
        grid[0].set_xlabel("examples")
        grid[0].set_ylabel("unexplained")
        grid[0].legend()
        for axes, name in zip(grid[1:], names, strict=True):
            axes.plot(found.prefixes, found.evidence.parameters[name], "o-", color=OTHER)
            axes.axhline(float(best.values[name]), color=COMPILED)
            axes.set_xlabel("examples")
            axes.set_title(name)
        for axes in grid:
            axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    return figure


def write(found: Explanation, folder: Path) -> Verdict:
    """The folder, whole; the verdict. Raises OSError where it cannot be written."""
    said_ = verdict(found)
    with whole_folder(folder) as place:
        text = json.dumps(_finite(record(found, said_)), indent=1, ensure_ascii=False)
        (place / "verdict.json").write_text(text + "\n", encoding="utf-8")
        (place / "report.html").write_text(page(found, said_), encoding="utf-8")
        if said_.named:
            program = written(said_.named[0], f"{found.model}: {said_.sentence}")
            (place / "program.icl").write_text(program, encoding="utf-8")
    return said_
