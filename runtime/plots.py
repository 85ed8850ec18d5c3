"""Plots, drawn without a screen and written whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from .whole import replace

Floats = NDArray[np.float64]

FORMATS = frozenset({".png", ".pdf", ".svg"})

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
"""Okabe and Ito's, told apart by colour-blind readers too (https://jfly.uni-koeln.de/color/)."""

STYLE: dict[Any, Any] = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.8,
    "axes.axisbelow": True,
    "axes.edgecolor": "#808080",
    "legend.frameon": False,
    "svg.hashsalt": "innerloop",
}


@contextmanager
def panels(
    rows: int, columns: int, size: tuple[float, float], dpi: int = 140, style: Mapping[Any, Any] = STYLE
) -> Iterator[tuple[Figure, list[Axes]]]:
    """A figure of rows × columns panels, of this size in inches; what is drawn in the block has the style."""
    with mpl.rc_context(dict(style)):
        figure = Figure(figsize=size, dpi=dpi, layout="constrained")
        FigureCanvasAgg(figure)
        yield figure, list(figure.subplots(rows, columns, squeeze=False).ravel())


def error_curves(path: Path, curves: Mapping[str, Floats], reference: str, reference_curve: Floats) -> None:
    """Mean squared error [examples + 1] against the number of examples in context: a line for each of `curves`, and
    circles for the reference. `path` ends in one of FORMATS."""
    with panels(1, 1, (7.2, 4.2), dpi=160) as (figure, (axes,)):
        examples = np.arange(reference_curve.size)
        for (name, curve), colour in zip(curves.items(), COLOURS, strict=False):
            axes.plot(examples, curve, color=colour, linewidth=2, label=name)
        axes.plot(
            examples,
            reference_curve,
            linestyle="none",
            marker="o",
            markersize=5,
            markerfacecolor="none",
            markeredgecolor="#222222",
            label=reference,
        )
        axes.axhline(1.0, color="#808080", linewidth=1, linestyle=(0, (4, 3)))
        axes.annotate(
            "always the mean", (examples[-1], 1.0), (0, 4), textcoords="offset points", ha="right", color="#606060"
        )
        axes.set_xlim(0, examples[-1] + 0.5)
        axes.set_ylim(0, 1.08 * max(1.0, *(float(c.max()) for c in (*curves.values(), reference_curve))))
        axes.set_xlabel("patients in context")
        axes.set_ylabel("mean squared error / variance")
        axes.set_title("Disease progression, predicted by compiled transformers", loc="left", fontsize=11)
        axes.legend(loc="lower left")
        replace(path, lambda stream: figure.savefig(stream, format=path.suffix[1:]))
