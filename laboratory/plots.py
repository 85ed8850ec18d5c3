"""Pictures of one model and its data, as figures of matplotlib: what it holds, where it looks, how far it is off.

plot_stream(model.trace(x=…, y=…), "w")              layers × tokens
plot_attention(weights, layer=3, x=…, y=…)           a map for each head
plot_errors({"compiled": predictions}, targets)      against the number of examples
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil

import numpy as np
from innerloop.artifact.errors import DataError
from innerloop.artifact.tokens import read_data
from innerloop.artifact.weights import Weights
from innerloop.runtime import Trace
from innerloop.runtime.attention_maps import attention_maps
from innerloop.runtime.plots import COLOURS, STYLE, panels
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

MAPS = {**STYLE, "axes.grid": False}
ACROSS = 4
"""Panels beside each other."""
NAMED = 14
"""Tokens along a map that are named."""


def plot_stream(trace: Trace, names: str | Sequence[str] | None = None, task: int = 0) -> Figure:
    """Each name of a trace as a map of layers × tokens in one task, a token's components beside each other in reading
    order; blank where the stream does not hold it. Raises DataError for a name or a task that the trace does not
    hold."""
    chosen = [names] if isinstance(names, str) else list(trace.names if names is None else names)
    across = min(ACROSS, max(1, len(chosen)))
    down = max(1, ceil(len(chosen) / across))
    with panels(down, across, (3.2 * across, 2.6 * down), style=MAPS) as (figure, axes):
        for name, place in zip(chosen, axes, strict=False):
            held = trace[name]
            _within(task, held.shape[1])
            layers, tokens = held.shape[0], held.shape[2]
            values = held[:, task].reshape(layers, -1)
            reach = np.nanmax(np.abs(values), initial=0.0) or 1.0
            _map(figure, place, values, (-reach, reach, "RdBu_r"))
            _tokens(place, trace.kinds, values.shape[1] // tokens)
            place.yaxis.set_major_locator(MaxNLocator(6, integer=True))
            place.set_title(name, loc="left", fontsize=10)
            place.set_ylabel("after layer")
        _blank(axes[len(chosen) :])
    return figure


def plot_attention(weights: Weights, layer: int, task: int = 0, **fields: ArrayLike) -> Figure:
    """The map of each head of a layer that writes anything: the token that reads down, the token that is read across,
    the rest token first. Raises DataError for data that does not fit, InnerloopError for a layer that there is not."""
    data = read_data(weights.signature, fields)
    _within(task, data.batch)
    maps = attention_maps(weights, data, layer)
    across = min(ACROSS, max(1, len(maps)))
    down = max(1, ceil(len(maps) / across))
    kinds = ["·", *data.sequence.kinds]
    with panels(down, across, (2.8 * across, 2.8 * down), style=MAPS) as (figure, axes):
        for (head, shares), place in zip(maps.items(), axes, strict=False):
            reach = float(np.abs(shares[task]).max()) or 1.0
            low = -reach if (shares[task] < 0).any() else 0.0
            _map(figure, place, shares[task], (low, reach, "RdBu_r" if low else "viridis"))
            place.set_title(f"layer {layer}, head {head}", loc="left", fontsize=10)
            place.set_xlabel("is read")
            place.set_ylabel("reads")
            if len(kinds) <= 24:
                place.set_xticks(range(len(kinds)), kinds)
                place.set_yticks(range(len(kinds)), kinds)
        _blank(axes[len(maps) :])
    return figure


def plot_errors(predictions: ArrayLike | Mapping[str, ArrayLike], targets: ArrayLike) -> Figure:
    """Mean squared error against the number of examples before each prediction: predictions and targets
    [tasks, examples + 1], NaN where a target is not known. Raises DataError where the shapes differ."""
    curves = predictions if isinstance(predictions, Mapping) else {"model": predictions}
    wanted = np.asarray(targets, np.float64)
    with panels(1, 1, (6.0, 3.6)) as (figure, (place,)):
        for (name, given), colour in zip(curves.items(), np.resize(COLOURS, len(curves)), strict=True):
            found = np.asarray(given, np.float64)
            if found.shape != wanted.shape or found.ndim != 2:
                raise DataError(f"`{name}` has shape {found.shape}, and the targets {wanted.shape}: both [tasks, rows]")
            known = ~np.isnan(wanted)
            error = np.where(known, (found - wanted) ** 2, 0.0).sum(0) / np.maximum(1, known.sum(0))
            place.plot(np.flatnonzero(known.any(0)), error[known.any(0)], color=colour, linewidth=2, label=name)
        place.set_xlabel("examples in context")
        place.set_ylabel("mean squared error")
        place.set_ylim(bottom=0.0)
        place.legend(loc="best")
    return figure


def _map(figure: Figure, place: Axes, values: NDArray[np.floating], limits: tuple[float, float, str]) -> None:
    low, high, colours = limits
    drawn = place.imshow(values, aspect="auto", interpolation="nearest", vmin=low, vmax=high, cmap=colours)
    figure.colorbar(drawn, ax=place, shrink=0.8)


def _tokens(place: Axes, kinds: Sequence[str], size: int) -> None:
    """The tokens along a map that has `size` columns for each, with lines between those of several columns."""
    if size > 1:
        for edge in range(1, len(kinds)):
            place.axvline(edge * size - 0.5, color="#808080", linewidth=0.5)
    shown = range(0, len(kinds), ceil(len(kinds) / NAMED))
    names = [kinds[token] for token in shown]
    upright = sum(map(len, names)) > 2 * NAMED
    place.set_xticks([size * token + (size - 1) / 2 for token in shown], names, rotation=90 if upright else 0)
    place.set_xlabel("token")


def _blank(axes: Sequence[Axes]) -> None:
    for place in axes:
        place.set_visible(False)


def _within(task: int, batch: int) -> None:
    if not 0 <= task < batch:
        raise DataError(f"there is no task {task}: the data has {batch}, counted from 0")
