"""How the figures are drawn: panels side by side, compiled and trained in the colours of `charts`."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager

from innerloop.runtime import plots
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Picture

from ...charts import TRAINED, averaged
from ...measures.distance import Floats

INK = "#404040"


@contextmanager
def panels(count: int, title: str, width: float = 3.9, height: float = 3.5) -> Iterator[tuple[Picture, list[Axes]]]:
    """A picture of so many panels side by side; what is drawn in the block has the style of all plots."""
    with plots.panels(1, count, (width * count, height)) as (picture, grid):
        _titled(picture, title)
        yield picture, grid


def _titled(picture: Picture, title: str) -> None:
    """In as many lines as its width needs."""
    drawn = picture.suptitle(title, x=0.01, ha="left", fontsize=11)
    width = len(title)
    while drawn.get_window_extent().width > 0.98 * picture.bbox.width and width > len(max(title.split(), key=len)):
        width -= 1
        drawn.set_text(textwrap.fill(title, width))


def learning(axes: Axes, losses: Floats, references: dict[str, tuple[float, str]]) -> None:
    """The loss of training [steps], averaged over a two-hundredth of it, and lines at {name: (loss, colour)}."""
    steps, means = averaged(losses, 200)
    axes.plot(steps, means, color=TRAINED, linewidth=1.5, label="training")
    for name, (loss, colour) in references.items():
        axes.axhline(loss, color=colour, linewidth=1.5, linestyle=(0, (4, 2)), label=name)
    axes.set_xlabel("steps of Adam")
    axes.set_ylabel("loss")
    axes.set_ylim(0, 1.05 * float(means.max()))
    axes.legend()
