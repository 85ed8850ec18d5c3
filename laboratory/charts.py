"""Figures of a comparison, drawn once for both the page and the PNG files.

Comparison → {name: (caption, Figure)}     svg(figure): text for a page, its ink the page's own
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
from innerloop.runtime.plots import COLOURS, STYLE, panels
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from .measures.distance import Floats
from .measures.interpolate import Line
from .measures.nearest import Nearest
from .measures.patching import Patch
from .measures.probes import HELD, Curve, ProbeTarget
from .measures.sensitivity import Alignment
from .measures.shift import Shift

COMPILED, TRAINED, OTHER = COLOURS[0], COLOURS[5], COLOURS[2]
INK, RULE, FAINT = "#222222", "#e6e6e6", "#808080"
"""Text, grid and axes: on a page, its own (`svg`)."""

VARIABLES = {INK: "var(--ink)", RULE: "var(--rule)", FAINT: "var(--faint)", COMPILED.lower(): "var(--compiled)"}

_STYLE: dict[Any, Any] = {
    **STYLE,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": RULE,
    "axes.edgecolor": FAINT,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
}


def colour(model: str) -> str:
    return {"compiled": COMPILED, "trained": TRAINED}.get(model, OTHER)


def _width(model: str) -> float:
    """The trained curve is drawn over the compiled one, which shows beside it where both are the same."""
    return 1.6 if model == "trained" else 3.6


def svg(figure: Figure, name: str) -> str:
    """The figure as an <svg> element whose text and rules take the colours of the page, light or dark, and whose ids
    begin with `name`: a page has each of them once."""
    stream = io.StringIO()
    with mpl.rc_context(_STYLE):
        figure.savefig(stream, format="svg", metadata={"Date": None}, transparent=True)
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    for ink, variable in VARIABLES.items():
        text = text.replace(ink, variable)
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    return re.sub(r'( id="|href="#|url\(#)', rf"\g<1>{name}-", text)


def png(figure: Figure) -> bytes:
    stream = io.BytesIO()
    with mpl.rc_context(_STYLE):
        figure.savefig(stream, format="png", facecolor="white")
    return stream.getvalue()


@contextmanager
def panelled(count: int, columns: int = 3, height: float = 3.2) -> Iterator[tuple[Figure, list[Axes]]]:
    """A figure of so many panels; a lone one is as wide as two."""
    columns = min(columns, count) if count != 4 else 2
    rows = -(-count // columns)
    size = 7.0 if columns == 1 else 3.7 * columns, height * rows
    with panels(rows, columns, size, style=_STYLE) as (figure, grid):
        for unused in grid[count:]:
            unused.set_axis_off()
        yield figure, grid[:count]


def by_examples(losses: dict[str, Floats], spd: Floats) -> Figure:
    """Loss of each model, and their SPD, at each row of the output."""
    with panelled(1) as (figure, (axes,)):
        rows = np.arange(spd.size)
        for name, loss in losses.items():
            axes.plot(rows, loss, color=colour(name), linewidth=_width(name), label=f"loss, {name}")
        axes.plot(rows, spd, color=OTHER, linewidth=2, linestyle=(0, (4, 2)), label="SPD between them")
        _logarithmic(axes, [*losses.values(), spd])
        axes.set_xlabel("row of the output (examples seen)")
        axes.set_ylabel("mean squared")
        axes.legend()
    return figure


def alignments(found: Alignment) -> Figure:
    with panelled(2) as (figure, (left, right)):
        left.hist(found.cosine, bins=np.linspace(min(0.0, float(found.cosine.min())), 1, 41).tolist(), color=OTHER)
        left.set_xlabel("cosine of ∂ŷ/∂x")
        left.set_ylabel("tasks")
        left.set_title(f"mean {found.mean_cosine:.4f}")
        right.hist(found.distance, bins=40, color=OTHER)
        right.set_xlabel("‖∂ŷ/∂x − ∂ŷ'/∂x‖₂")
        right.set_title(f"mean {found.mean_distance:.3g}")
    return figure


def line(found: Line) -> Figure:
    with panelled(1) as (figure, (axes,)):
        on_line(axes, found.alphas, found.losses)
        finite = found.losses[np.isfinite(found.losses)]
        if finite.size and finite.max() > 30 * max(finite.min(), 1e-30):
            axes.set_yscale("log")
        else:
            axes.set_ylim(0, 1.15 * float(finite.max(initial=1e-12)))
        axes.set_ylabel("loss at the query")
        axes.legend()
    return figure


def on_line(axes: Axes, alphas: Floats, losses: Floats) -> None:
    """Losses on the line between the weights, its ends marked."""
    axes.plot(alphas, losses, color=OTHER, linewidth=2, marker="o", markersize=4)
    axes.plot(alphas[:1], losses[:1], "o", color=COMPILED, markersize=8, label="compiled")
    axes.plot(alphas[-1:], losses[-1:], "o", color=TRAINED, markersize=8, label="trained")
    axes.set_xlabel("α, from compiled to trained weights")


def algorithms(found: Nearest) -> Figure:
    """SPD/d of every model from every reference: of two models dots on one axis, of more a table in shades."""
    if len(found.models) > 2:
        return _shades(found)
    with panelled(1, height=0.8 + 0.32 * len(found.references)) as (figure, (axes,)):
        places = np.arange(len(found.references))[::-1]
        floor = _floor(found.mean)
        for model, spd in zip(found.models, found.mean, strict=True):
            axes.plot(np.maximum(spd, floor), places, "o", color=colour(model), markersize=7, label=model, alpha=0.9)
        axes.set_yticks(places, found.references)
        axes.set_xscale("log")
        axes.set_xlabel("SPD/d from the reference, mean over rows")
        axes.legend()
    return figure


def _floor(spd: Floats) -> float:
    """What stands for 0 on a logarithmic axis."""
    return max(1e-16, 0.3 * float(spd[spd > 0].min(initial=1.0)))


def _shades(found: Nearest) -> Figure:
    """A line a model; the nearest reference of each in a frame."""
    with panelled(1, height=1.6 + 0.36 * len(found.models)) as (figure, (axes,)):
        logs = np.log10(np.maximum(found.mean, _floor(found.mean)))
        axes.imshow(-logs, cmap="Blues", aspect="auto", alpha=0.75)
        middle = (logs.min() + logs.max()) / 2
        for (line, column), value in np.ndenumerate(found.mean):
            dark = logs[line, column] < middle - 0.25 * np.ptp(logs)
            axes.text(column, line, f"{value:.0e}", ha="center", va="center", fontsize=7,
                      color="white" if dark else "black")  # fmt: skip
            if found.references[column] == found.nearest(found.models[line]):
                frame = Rectangle((column - 0.48, line - 0.46), 0.96, 0.92, fill=False, edgecolor=TRAINED, linewidth=2)
                axes.add_patch(frame)
        axes.set_xticks(np.arange(len(found.references)), found.references, rotation=30, ha="right", fontsize=8)
        axes.set_yticks(np.arange(len(found.models)), found.models)
        axes.grid(False)
        axes.set_title("SPD/d, mean over rows; framed: the nearest")
    return figure


def shifts(found: Sequence[Shift]) -> Figure:
    with panelled(len(found)) as (figure, grid):
        for axes, shift in zip(grid, found, strict=True):
            for name, loss in shift.loss.items():
                axes.plot(shift.values, loss, color=colour(name), linewidth=_width(name), label=f"loss, {name}")
            axes.plot(shift.values, shift.spd, color=OTHER, linewidth=2, linestyle=(0, (4, 2)), label="SPD")
            _logarithmic(axes, [*shift.loss.values(), shift.spd])
            axes.set_title(shift.what)
        grid[0].set_ylabel("mean squared, at the query")
        grid[0].legend()
    return figure


def probes(curves: Sequence[Curve], targets: Sequence[ProbeTarget]) -> Figure:
    """A panel for each variable: R² by layer in both models, dotted the controls; shaded where the layout holds it."""
    with panelled(len(targets)) as (figure, grid):
        for axes, target in zip(grid, targets, strict=True):
            held(axes, target)
            for curve in (c for c in curves if c.variable == target.name):
                layers, style = np.arange(curve.score.size), "-" if curve.kind == "linear" else "--"
                shown = np.maximum(curve.score, -0.1)
                axes.plot(layers, shown, style, color=colour(curve.model), linewidth=2, marker="o", markersize=3,
                          label=f"{curve.model}, {curve.kind}")  # fmt: skip
                axes.plot(layers, np.maximum(curve.control, -0.1), ":", color=colour(curve.model), linewidth=1.5)
            axes.axhline(HELD, color=FAINT, linewidth=0.8)
            axes.set_ylim(-0.12, 1.06)
            axes.set_title(f"{target.name}, token {target.token}")
            _layers(axes)
        grid[0].set_ylabel("R² on held-out tasks")
        grid[0].legend()
    return figure


def held(axes: Axes, target: ProbeTarget) -> None:
    """Shades the layers after which the layout holds the target."""
    for layer in np.flatnonzero(target.held):
        axes.axvspan(layer - 0.5, layer + 0.5, color=COMPILED, alpha=0.12, linewidth=0)


def patches(found: Sequence[Patch]) -> Figure:
    names = list(dict.fromkeys(patch.variable for patch in found))
    with panelled(len(names)) as (figure, grid):
        for axes, name in zip(grid, names, strict=True):
            for patch in (p for p in found if p.variable == name):
                layers, style = np.arange(patch.explained.size), "-" if patch.directions == "probe" else "--"
                axes.plot(layers, np.maximum(patch.explained, -0.5), style, color=colour(patch.model), linewidth=2,
                          marker="o", markersize=4, label=f"{patch.model}, {_along(patch)}")  # fmt: skip
                axes.set_xlim(-0.3, max(axes.get_xlim()[1], layers[-1] + 0.3))
            axes.axhline(0, color=FAINT, linewidth=0.8)
            axes.set_ylim(-0.55, 1.06)
            axes.set_title(f"{name} of another task put in")
            _layers(axes)
        grid[0].set_ylabel("explained share of what it implies")
        grid[0].legend()
    return figure


def _along(patch: Patch) -> str:
    return "read by no probe" if np.isnan(patch.explained).all() else f"along its {patch.directions}"


def _layers(axes: Axes) -> None:
    axes.set_xlabel("layer (0: embedding)")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _logarithmic(axes: Axes, curves: Sequence[Floats]) -> None:
    """A logarithmic axis where values span more than a factor of 30 and none is below 0."""
    values = np.concatenate([np.ravel(c) for c in curves])
    positive = values[np.isfinite(values) & (values > 0)]
    if positive.size and positive.max() > 30 * positive.min():
        axes.set_yscale("log")
        usual = min(float(np.median(c[c > 0])) for c in map(np.ravel, curves) if (c > 0).any())
        axes.set_ylim(bottom=max(float(positive.min()) * 0.7, usual * 1e-2))
