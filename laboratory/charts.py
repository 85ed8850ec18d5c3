"""How the laboratory draws: colours, style and panels; a figure as SVG for a page, or as PNG.

panelled(3)   →   a figure of three panels     svg(figure, name, alt): text for a page, its ink the page's own
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from html import escape
from typing import Any

import matplotlib as mpl
import numpy as np
from innerloop.runtime.plots import COLOURS, STYLE, panels
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from numpy.typing import ArrayLike

from .measures.distance import Floats
from .measures.probes import ProbeTarget
from .measures.sample import Sample, pooled

COMPILED, TRAINED, OTHER = COLOURS[0], COLOURS[5], COLOURS[2]
INK, RULE, FAINT = "#222222", "#e6e6e6", "#808080"
"""Text, grid and axes: on a page, its own (`svg`)."""

Add = Callable[[str, str, str, Figure], None]
"""Takes name, title, caption and figure."""

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
    "svg.fonttype": "none",
}


def colour(model: str) -> str:
    """Of the first model, compiled or not, and of all others."""
    return COMPILED if model in ("compiled", "first") else TRAINED


def _width(model: str) -> float:
    """The trained curve is drawn over the compiled one, which shows beside it where both are the same."""
    return 3.6 if model in ("compiled", "first") else 1.6


def svg(figure: Figure, name: str, alt: str = "") -> str:
    """The figure as <svg> elements, one for each panel, so that a narrow page has one below the other; their text is
    text, in the colours of the page, light or dark, `alt` says in words what they show, and ids begin with `name`: a
    page has each of them once."""
    figure.canvas.draw()
    figure.set_layout_engine("none")
    shown = [axes for axes in figure.axes if axes.axison]
    whole = []
    for number, panel in enumerate(shown):
        for axes in figure.axes:
            axes.set_visible(axes is panel)
        what = f"{alt}: {title}" if (title := panel.get_title(loc="left")) else alt
        whole.append(_panel(figure, panel, f"{name}-{number}", what))
    for axes in figure.axes:
        axes.set_visible(True)
    return "\n".join(whole)


def _panel(figure: Figure, panel: Axes, name: str, alt: str) -> str:
    box = panel.get_tightbbox()
    assert box is not None  # it is visible
    inches = box.transformed(figure.dpi_scale_trans.inverted()).padded(0.06)
    stream = io.StringIO()
    with mpl.rc_context(_STYLE):
        figure.savefig(stream, format="svg", metadata={"Date": None}, transparent=True, bbox_inches=inches)
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    for ink, variable in VARIABLES.items():
        text = text.replace(ink, variable)
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'( id="|href="#|url\(#)', rf"\g<1>{name}-", text)
    return text.replace("<svg", f'<svg role="img" aria-label="{escape(alt)}"', 1)


def png(figure: Figure, said: str = "") -> bytes:
    """`said`: what made it, in the file's own description."""
    stream = io.BytesIO()
    with mpl.rc_context(_STYLE):
        figure.savefig(stream, format="png", facecolor="white", metadata={"Description": said} if said else None)
    return stream.getvalue()


@contextmanager
def panelled(count: int, columns: int = 3, height: float = 3.2) -> Iterator[tuple[Figure, list[Axes]]]:
    """A figure of so many panels; a lone one is as wide as two."""
    columns = min(columns, count) if count != 4 else 2
    rows = -(-count // columns)
    size = 5.0 if columns == 1 else 3.7 * columns, height * rows
    with panels(rows, columns, size, style=_STYLE) as (figure, grid):
        for unused in grid[count:]:
            unused.set_axis_off()
        yield figure, grid[:count]


def band(axes: Axes, x: ArrayLike, of: Mapping[str, Sample], prefix: str = "") -> None:
    """A line for each model, in its 95 % interval; of several trained one, their mean, in the band of all of them."""
    trained = [name for name in of if colour(name) == TRAINED]
    for name, sample in of.items():
        if name in trained[1:]:
            continue
        several = name in trained and len(trained) > 1
        shown = pooled([of[each] for each in trained]) if several else sample
        low, high = shown.interval
        if several:
            each = np.array([of[one].value for one in trained])
            low, high = np.minimum(low, each.min(0)), np.maximum(high, each.max(0))
        label = f"{prefix}{name.split()[0]}, {len(trained)} seeds" if several else f"{prefix}{name}"
        axes.plot(x, shown.value, color=colour(name), linewidth=_width(name), label=label)
        axes.fill_between(np.asarray(x), low, high, color=colour(name), alpha=0.18, linewidth=0)


def on_line(axes: Axes, alphas: Floats, losses: Floats) -> None:
    """Losses on the line between the weights, its ends marked."""
    axes.plot(alphas, losses, color=OTHER, linewidth=2, marker="o", markersize=4)
    axes.plot(alphas[:1], losses[:1], "o", color=COMPILED, markersize=8, label="compiled")
    axes.plot(alphas[-1:], losses[-1:], "o", color=TRAINED, markersize=8, label="trained")
    axes.set_xlabel("α, from compiled to trained weights")


def averaged(losses: Floats, parts: int) -> tuple[Floats, Floats]:
    """The middles of about so many parts of a training run, and the mean loss of each; losses [steps]."""
    group = max(1, losses.size // parts)
    means = losses[: losses.size // group * group].reshape(-1, group).mean(1)
    return (np.arange(means.size) + 0.5) * group, means


def held(axes: Axes, target: ProbeTarget) -> None:
    """Shades the layers after which the layout holds the target."""
    for layer in np.flatnonzero(target.held):
        axes.axvspan(layer - 0.5, layer + 0.5, color=COMPILED, alpha=0.12, linewidth=0)


def logarithmic(axes: Axes, curves: Sequence[Floats]) -> None:
    """A logarithmic axis where values span more than a factor of 30 and none is below 0."""
    values = np.concatenate([np.ravel(c) for c in curves])
    positive = values[np.isfinite(values) & (values > 0)]
    if positive.size and positive.max() > 30 * positive.min():
        axes.set_yscale("log")
        usual = min(float(np.median(c[c > 0])) for c in map(np.ravel, curves) if (c > 0).any())
        axes.set_ylim(bottom=max(float(positive.min()) * 0.7, usual * 1e-4))


def numbered(axis: Axis) -> None:
    """A logarithmic axis of few decades: ticks at 1, 2 and 5 times each power of ten, as numbers, and none between."""
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())
