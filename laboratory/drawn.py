"""The figures of a comparison, each drawn once for the page and for the PNG files.

Samples, curves, maps …   →   Figure     in the style and the colours of charts.py
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from .charts import FAINT, OTHER, TRAINED, averaged, band, colour, held, logarithmic, numbered, on_line, panelled
from .measures.distance import Floats
from .measures.everywhere import Everywhere
from .measures.interpolate import Line
from .measures.nearest import Nearest
from .measures.patching import Patch
from .measures.probes import HELD, Curve, ProbeTarget
from .measures.sample import Sample, pooled
from .measures.sensitivity import Alignment
from .measures.shift import Shift


def by_examples(losses: Mapping[str, Sample], spd: Mapping[str, Sample]) -> Figure:
    """Loss of each model, and their SPD, at each row of the output."""
    with panelled(1) as (figure, (axes,)):
        apart = pooled(list(spd.values()))
        rows = np.arange(apart.value.size)
        band(axes, rows, losses, "loss, ")
        _between(axes, rows, apart)
        logarithmic(axes, [*(each.value for each in losses.values()), apart.value])
        axes.set_xlabel("row of the output (examples seen)")
        axes.set_ylabel("mean squared")
        axes.legend()
    return figure


def _between(axes: Axes, x: ArrayLike, apart: Sample) -> None:
    axes.plot(x, apart.value, color=OTHER, linewidth=2, linestyle=(0, (4, 2)), label="SPD between them")
    axes.fill_between(np.asarray(x), *apart.interval, color=OTHER, alpha=0.18, linewidth=0)


def alignments(found: Mapping[str, Alignment]) -> Figure:
    with panelled(2) as (figure, (left, right)):
        cosines = np.concatenate([each.cosine for each in found.values()])
        distances = np.concatenate([each.distance for each in found.values()])
        left.hist(cosines, bins=np.linspace(min(0.0, float(cosines.min())), 1, 41).tolist(), color=OTHER)
        left.set_xlabel("cosine of ∂ŷ/∂x")
        left.set_ylabel("tasks")
        left.set_title(f"mean {cosines.mean():.4f}")
        right.hist(distances, bins=40, color=OTHER)
        right.set_xlabel("‖∂ŷ/∂x − ∂ŷ'/∂x‖₂")
        right.set_title(f"mean {distances.mean():.3g}")
    return figure


def line(found: Mapping[str, Line]) -> Figure:
    with panelled(1) as (figure, (axes,)):
        losses = np.concatenate([each.losses for each in found.values()])
        for each in found.values():
            on_line(axes, each.alphas, each.losses)
            axes.fill_between(each.alphas, *Sample(each.each).interval, color=OTHER, alpha=0.18, linewidth=0)
        finite = losses[np.isfinite(losses)]
        if finite.size and finite.max() > 30 * max(finite.min(), 1e-30):
            axes.set_yscale("log")
        else:
            axes.set_ylim(0, 1.15 * float(finite.max(initial=1e-12)))
        axes.set_ylabel("loss at the query")
        handles, labels = axes.get_legend_handles_labels()
        axes.legend(*zip(*dict(zip(labels, zip(handles, labels, strict=True), strict=True)).values(), strict=True))
    return figure


def learning(found: Mapping[str, Floats]) -> Figure:
    """The loss of each training, averaged over a two-hundredth of its steps."""
    with panelled(1) as (figure, (axes,)):
        for name, losses in found.items():
            steps, means = averaged(losses, 200)
            axes.plot(steps, means, color=TRAINED, linewidth=1.4, alpha=0.9 if len(found) == 1 else 0.6, label=name)
        if len(found) > 1:
            axes.set_title(f"{len(found)} seeds")
        everything = np.concatenate([averaged(losses, 200)[1] for losses in found.values()])
        logarithmic(axes, [everything])
        axes.set_xlabel("steps of training")
        axes.set_ylabel("loss")
    return figure


def algorithms(found: Nearest) -> Figure:
    """SPD/d of every model from every reference, with intervals: of two kinds of models dots on one axis; of a sweep a
    table in shades."""
    if not {"compiled", "first"} & set(found.models):
        return _shades(found)
    with panelled(1, height=0.8 + 0.32 * len(found.references)) as (figure, (axes,)):
        places = np.arange(len(found.references))[::-1]
        floor = _floor(found.mean)
        for number, model in enumerate(found.models):
            sample = found.sample(model)
            own = np.isfinite(sample.value)
            spd, (low, high) = sample.value[own], (np.maximum(end[own], floor) for end in sample.interval)
            shown, y = np.maximum(spd, floor), places[own] + 0.12 * (len(found.models) - 1 - 2 * number) / 2
            beyond = spd < floor
            label = model if number < 2 else None  # the seeds of one training have one colour
            axes.hlines(y, low, high, color=colour(model), linewidth=1.6)
            axes.plot(shown[~beyond], y[~beyond], "o", color=colour(model), markersize=6, label=label)
            axes.plot(shown[beyond], y[beyond], "<", color=colour(model), markersize=7)
            for value, place in zip(spd[beyond], y[beyond], strict=True):
                axes.annotate(f" {value:.0e}", (floor, place), fontsize=7, va="center", xytext=(5, 0),
                              textcoords="offset points")  # fmt: skip
        axes.set_yticks(places, found.references)
        axes.set_xscale("log")
        axes.set_xlim(left=0.7 * floor)
        if axes.get_xlim()[1] < 100 * axes.get_xlim()[0]:
            numbered(axes.xaxis)
        axes.set_xlabel("SPD/d from the reference, mean over rows")
        axes.legend()
    return figure


def _floor(spd: Floats) -> float:
    """Where a logarithmic axis ends: below all but what is exact, whose number is written beside its mark."""
    usual = spd[np.isfinite(spd) & (spd > 1e-8)]
    return 0.3 * float(usual.min(initial=1.0))


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
            losses = {name: Sample(each) for name, each in shift.each.items()}
            apart = pooled([Sample(each) for each in shift.apart.values()])
            if shift.usual is not None:
                axes.axvline(shift.usual, color=FAINT, linewidth=1, linestyle=":", label="the task itself")
            band(axes, shift.values, losses, "loss, ")
            _between(axes, shift.values, apart)
            logarithmic(axes, [*(each.value for each in losses.values()), apart.value])
            axes.set_title(shift.what)
        grid[0].set_ylabel("mean squared, at the query")
        grid[0].legend()
    return figure


def probes(curves: Sequence[Curve], targets: Sequence[ProbeTarget]) -> Figure:
    """A panel for each variable: R² by layer in every model, dotted the controls; shaded where the layout holds it."""
    with panelled(len(targets)) as (figure, grid):
        for axes, target in zip(grid, targets, strict=True):
            held(axes, target)
            known: set[str] = set()
            for curve in (c for c in curves if c.variable == target.name):
                layers, style = np.arange(curve.score.size), "-" if curve.kind == "linear" else "--"
                labels = [f"{curve.model.split()[0]}, {curve.kind}", f"control, {curve.model.split()[0]}"]
                one, two = (None if label in known else label for label in labels)  # seeds have one colour
                known |= set(labels)
                ends = Sample(curve.left, np.broadcast_to(curve.whole[:, None], curve.left.shape), True).interval
                axes.fill_between(layers, *np.maximum(ends, -0.1), color=colour(curve.model), alpha=0.18, linewidth=0)
                axes.plot(layers, np.maximum(curve.score, -0.1), style, color=colour(curve.model), linewidth=2,
                          marker="o", markersize=3, label=one)  # fmt: skip
                axes.plot(layers, np.maximum(curve.control, -0.1), ":", color=colour(curve.model), linewidth=1.5,
                          label=two)  # fmt: skip
            axes.axhline(HELD, color=FAINT, linewidth=0.8)
            axes.set_ylim(-0.12, 1.06)
            axes.set_title(f"{target.name}, token {target.token}")
            _layers(axes)
        grid[0].set_ylabel("R² on held-out tasks")
        grid[0].legend(fontsize=8)
    return figure


def maps(found: Sequence[Everywhere]) -> Figure:
    """A panel for each: layers down, tokens across, in hundredths."""
    wide = max(each.tokens.size for each in found)
    with panelled(len(found), 2 if wide > 8 else 3, 1.2 + 0.26 * max(each.layers.size for each in found)) as (
        figure,
        grid,
    ):
        for axes, each in zip(grid, found, strict=True):
            shown = np.clip(each.values, 0, 1)
            axes.imshow(shown, cmap="Blues", vmin=0, vmax=1.25, aspect="auto", alpha=0.75)
            for (i, j), value in np.ndenumerate(each.values):
                hundredths = np.round(100 * max(value, -9.99)) + 0.0  # no −0
                axes.text(j, i, f"{hundredths:.0f}", ha="center", va="center", fontsize=7, color="black")
            axes.set_xticks(np.arange(each.tokens.size), [str(token) for token in each.tokens])
            axes.set_yticks(np.arange(each.layers.size), [str(layer) for layer in each.layers])
            axes.set_xlabel("token")
            axes.set_ylabel("after layer")
            axes.grid(False)
            axes.set_title(f"{each.variable}, {each.model}" if each.variable else each.model)
    return figure


def patches(found: Sequence[Patch]) -> Figure:
    names = list(dict.fromkeys(patch.variable for patch in found))
    with panelled(len(names)) as (figure, grid):
        for axes, name in zip(grid, names, strict=True):
            for patch in (p for p in found if p.variable == name):
                layers, style = np.arange(patch.explained.size), "-" if patch.directions == "probe" else "--"
                label = f"{patch.model}, {_along(patch)}"
                axes.plot(layers, np.maximum(patch.explained, -0.5), style, color=colour(patch.model), linewidth=2,
                          marker="o", markersize=4, label=label)  # fmt: skip
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
