"""The table of a comparison: a line for each measure, with 95 % intervals over tasks.

    Comparison   →   columns(found), rows(found):  loss at the query   1.14 [1.02, 1.27]   2.19 [2.0, 2.4]   …

Off the distribution the cells are losses, and between them the SPD; of probes and patches the best layer's, its number
in brackets. Of several trained models the cells are means over them, and the last column their least and largest value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from innerloop.artifact.displayed import Sheet

from .compared import Comparison
from .measures.patching import Patch
from .measures.probes import Curve
from .measures.sample import Sample, pooled
from .verdict import limit, verdict


def sheet(found: Comparison) -> Sheet:
    """The table on a screen or in a notebook, with what was left out."""
    lines = [tuple(row) for row in rows(found)] + [(f"left out: {note}",) for note in found.left_out]
    return Sheet(f"Comparison on {found.task}", tuple(lines), columns(found))


def columns(found: Comparison) -> tuple[str, ...]:
    other = next(iter(found.trained)).split()[0]
    spread = (f"{len(found.trained)} seeds",) if len(found.trained) > 1 else ()
    return ("measure", found.first, other, "between", *spread)


def rows(found: Comparison) -> list[list[str]]:
    """What it is, of the first model, of the others, between both."""
    table = _Table(found)
    table.both("loss at the query", {name: each[-1] for name, each in found.losses.items()})
    several = found.losses[found.first].left.shape[1] > 1
    if several:
        table.both("loss, mean over rows", {name: each.over_rows() for name, each in found.losses.items()})
    per_d = {name: Sample(each.left / found.d) for name, each in found.spd.items()}
    table.between("SPD/d at the query", {name: each[-1] for name, each in per_d.items()})
    if several:
        table.between("SPD/d, mean over rows", {name: each.over_rows() for name, each in per_d.items()})
    table.between("share of the predictions", found.left)
    table.between("‖ŷ − ŷ'‖ at the query", {name: each[-1] for name, each in found.difference.items()})
    if found.implicit:
        table.between("ILWD, implicit weights", found.implicit)
    if found.sensitivities:
        table.between("sensitivities, cosine", {n: Sample(a.cosine) for n, a in found.sensitivities.items()})
        table.between("sensitivities, L2", {n: Sample(a.distance) for n, a in found.sensitivities.items()})
    if found.lines:
        rises = [line.rise for line in found.lines.values()]
        table.add("rise on the line", ["", ""], _rise(max(rises)))
    _algorithms(found, table)
    for shift in found.shifts:
        if not shift.off.size:
            continue
        away = np.mean([each.mean(0) for each in shift.apart.values()], axis=0)
        worst = int(shift.off[int(np.argmax(away[shift.off]))])
        losses = {name: Sample(each[:, worst]) for name, each in shift.each.items()}
        apart = pooled([Sample(each[:, worst]) for each in shift.apart.values()])
        name = f"off: {shift.what} = {shift.values[worst]:g}"
        table.both(name, losses, cell(apart))
    _inside(found, table)
    answer = verdict(found)
    table.add("on these tasks", ["", ""], answer.sentence.partition(":")[0])
    return table.lines


def _algorithms(found: Comparison, table: _Table) -> None:
    if found.algorithms is None:
        return
    most, _ = limit(found)
    one, *others = [found.algorithms.judged(name, most) for name in found.models]
    best = min(others, key=lambda each: float(each.spd.value))
    pair = [one, best]
    table.add("nearest algorithm", [each.name if each.near else f"none is near ({each.name})" for each in pair])
    table.add("SPD/d from it", [cell(each.spd) for each in pair])
    if any(each.ties for each in pair):
        table.add("as near", [", ".join(each.ties) or "–" for each in pair])


class _Table:
    def __init__(self, found: Comparison) -> None:
        self._found, self.lines = found, list[list[str]]()

    def add(self, what: str, cells: Sequence[str], between: str = "", spread: str = "") -> None:
        """`cells`: of the first model, and of the others."""
        self.lines.append([what, *cells, between, *[spread] * (len(self._found.trained) > 1)])

    def both(self, what: str, samples: Mapping[str, Sample], between: str = "") -> None:
        others = [samples[name] for name in self._found.trained]
        self.add(what, [cell(samples[self._found.first]), cell(pooled(others))], between, _spread(others))

    def between(self, what: str, samples: Mapping[str, Sample]) -> None:
        others = list(samples.values())
        self.add(what, ["", ""], cell(pooled(others)), _spread(others))


def _inside(found: Comparison, table: _Table) -> None:
    of = found.inside
    for kind in dict.fromkeys(curve.kind for curve in of.curves):
        for name in dict.fromkeys(curve.variable for curve in of.curves):
            curves = {c.model: c for c in of.curves if c.variable == name and c.kind == kind}
            others = [curves[model] for model in found.trained]
            spread = _range([float(c.score.max()) for c in others])
            cells = [_best(curves[found.first]), _best(_top(others))]
            table.add(f"{name}, {kind} probe, R²", cells, "", spread)
            controls = [f"{curves[model].control.max():.3f}" for model in (found.first, _top(others).model)]
            table.add(f"{name}, {kind} probe, control", controls)
    for name in dict.fromkeys(patch.variable for patch in of.patches):
        patches = {p.model: p for p in of.patches if p.variable == name}
        cells = [_best(patches[model]) for model in (found.first, next(iter(found.trained)))]
        table.add(f"{name} patched, explained", cells)


def _top(curves: Sequence[Curve]) -> Curve:
    """The one whose best score is the middle of all."""
    return sorted(curves, key=lambda curve: float(curve.score.max()))[len(curves) // 2]


def _best(of: Curve | Patch) -> str:
    """The largest, with its interval, and after which layer."""
    scores = of.score if isinstance(of, Curve) else of.explained
    if np.isnan(scores).all():
        return "–"
    best = int(np.nanargmax(scores))
    low, high = Sample(of.left[:, best], of.whole, explained=True).interval
    ends = f" [{low:.3g}, {high:.3g}]" if high - low > 1e-4 else ""
    return f"{scores[best]:.4f}{ends} ({best})"


def cell(sample: Sample) -> str:
    """1.14 [1.02, 1.27]"""
    low, high = sample.interval
    return f"{number(float(sample.value))} [{number(float(low))}, {number(float(high))}]"


def _spread(samples: Sequence[Sample]) -> str:
    return _range([float(sample.value) for sample in samples])


def _range(values: Sequence[float]) -> str:
    return f"{number(min(values))} … {number(max(values))}"


def _rise(value: float) -> str:
    return f"{100 * value:.2f} %" if value < 10 else f"{number(1 + value)} times"


def number(value: float) -> str:
    return "∞" if np.isinf(value) else f"{value:.3g}"
