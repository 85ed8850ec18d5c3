"""Where the regression weights can be read: in the compiled model as its layout says, in a trained one by a probe.

    compiled   gradient descent of four steps on gpt2; its layout says after which layers a token holds w
    trained    a GPT-2 of four layers on the same tasks

A linear probe for the compiled program's w after its last step, after every layer: from the stream at the query, at the
last label, and at all tokens side by side; and the same probe for other tasks' w (the control). w is a polynomial of
XᵀX/n times Xᵀy/n: after k steps a linear probe has a polynomial of degree k − 1 to work with, which on prompts of 4
examples in d = 3 is not yet w.
At the query and at the last label w is then patched: another task's w is put in along the probe's directions after each
layer. `explained` is the share of how the compiled prediction moves by this that the model's own prediction follows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from innerloop.compiler import compile_program
from innerloop.programs import load
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Picture
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from ..charts import colour, held
from ..measures.distance import Fields, squared_error
from ..measures.patching import Patch, implied, others, patch
from ..measures.probes import HELD, Curve, ProbeTarget, probed, target
from ..measures.subject import Subject
from ..training.tasks import task
from .shared.frame import Check, Figure, Result, Setting, Table
from .shared.pictures import INK, panels
from .shared.small import CALIBRATION, MEASURED, fresh, trained

D, N = 3, 4
LAYERS = 4
STEPS, RATE = 4, 0.3
TRAINING = 4000
TASKS = task("linear", d=D, n=N)
TOKENS = {"the query": -1, "the last label": -2}


def run(setting: Setting) -> Result:
    setting.told("compiling", 0, 0)
    calibration = TASKS.drawn(2048, CALIBRATION)
    weights = compile_program(load("gradient_descent"), d=D, steps=STEPS, rate=RATE, calibration=calibration)
    learnt = trained(setting, "four_layers", fresh(weights, LAYERS, N), TASKS, TRAINING)
    models = Subject(weights, "compiled"), Subject(learnt, "trained")
    fields = TASKS.drawn(max(1000, setting.tasks(3000)), MEASURED)
    loss = float(squared_error(models[1](fields), fields["y"])[-1])
    fields["y"] = fields["y"][:, :-1]  # the last token is the query
    setting.told("probing", 0, 0)
    targets = {place: target(models[0], fields, "w", token) for place, token in TOKENS.items()}
    curves = {
        place: [probed(model.stream(fields, wanted.token), wanted.values, model.name, place) for model in models]
        for place, wanted in targets.items()
    }
    curves["all tokens"] = [
        probed(side_by_side(model.stream(fields, None)), targets["the query"].values, model.name, "all tokens")
        for model in models
    ]
    setting.told("patching", 0, 0)
    patches = _patches(models, fields, targets)
    return Result(
        checks=checks(targets, curves, patches),
        tables=(_table(curves, patches),),
        pictures={"probes": _picture(targets, curves, patches)},
        numbers={
            "held": {place: wanted.held for place, wanted in targets.items()},
            "r_squared": {f"{c.model}, {place}": c.score for place, found in curves.items() for c in found},
            "control": {f"{c.model}, {place}": c.control for place, found in curves.items() for c in found},
            "patch_explained": {f"{p.model}, {place}": p.explained for place, pair in patches.items() for p in pair},
            "patch_slope": {f"{p.model}, {place}": p.slope for place, pair in patches.items() for p in pair},
            "trained_loss_at_query": loss,
        },
        weights={"compiled": weights, "trained": learnt},
    )


def side_by_side(stream: NDArray[Any]) -> NDArray[Any]:
    """[1 + layers, tasks, tokens, d_model] → [1 + layers, tasks, tokens · d_model]"""
    return stream.reshape(*stream.shape[:2], -1)


def _patches(models: Sequence[Subject], fields: Fields, targets: Mapping[str, ProbeTarget]) -> dict[str, list[Patch]]:
    """What is implied is what the compiled prediction does when the query holds another w."""
    query = targets["the query"]
    values = others(query.values)
    expected = implied(models[0], fields, query, values)
    return {
        place: [patch(model, fields, wanted, values, expected) for model in models] for place, wanted in targets.items()
    }


def checks(
    targets: Mapping[str, ProbeTarget], curves: Mapping[str, Sequence[Curve]], patches: Mapping[str, Sequence[Patch]]
) -> tuple[Check, ...]:
    found = []
    for place, wanted in targets.items():
        compiled = curves[place][0]
        found += [
            Check(f"compiled, {place}: least R² where the layout holds w", compiled.score[wanted.held].min(), low=HELD),
            Check(f"compiled, {place}: largest R² before that", compiled.score[: wanted.first].max(), high=HELD),
        ]
    controls = [curve.control.max() for pair in curves.values() for curve in pair]
    explained = patches["the query"][0].explained
    held = targets["the query"].held[: explained.size]  # there is no patch after the last layer
    return (
        *found,
        Check("largest R² of a control", float(max(controls)), high=0.05),
        Check("compiled: explained by patching w where the layout holds it", explained[held].min(), low=0.95),
    )


def _table(curves: Mapping[str, Sequence[Curve]], patches: Mapping[str, Sequence[Patch]]) -> Table:
    """A row for each curve, a column for each layer from 0, the embedding."""
    lines = []
    for place, pair in curves.items():
        lines += [(f"R², {c.model}, {place}", c.score) for c in pair]
        lines += [(f"control, {c.model}, {place}", c.control) for c in pair]
    lines += [(f"patch explained, {p.model}, {place}", p.explained) for place, pair in patches.items() for p in pair]
    layers = max(line.size for _, line in lines)
    rows = [
        [name, *("–" if np.isnan(v) else f"{v:.4f}" for v in line), *[""] * (layers - line.size)]
        for name, line in lines
    ]
    return Table(["after layer", *map(str, range(layers))], rows)


def _picture(
    targets: Mapping[str, ProbeTarget], curves: Mapping[str, Sequence[Curve]], patches: Mapping[str, Sequence[Patch]]
) -> Picture:
    with panels(4, "Where w can be read, and whether the prediction follows it", width=3.2) as (picture, grid):
        *readings, right = grid
        for axes, place in zip(readings, curves, strict=True):
            if place in targets:
                held(axes, targets[place])
            for curve in curves[place]:
                layers, of = np.arange(curve.score.size), colour(curve.model)
                axes.plot(layers, curve.score, "o-", color=of, linewidth=2, markersize=4, label=curve.model)
                axes.plot(layers, np.maximum(curve.control, -0.1), ":", color=of, linewidth=1.5,
                          label=f"{curve.model}, control")  # fmt: skip
            axes.set_title(f"w from the stream at {place}", loc="left", fontsize=10)
            axes.set_ylim(-0.12, 1.06)
            _layers(axes)
        readings[0].set_ylabel("R² on held-out tasks")
        readings[0].legend(fontsize=8, loc="center right")
        for place, style in zip(patches, ("-", (0, (4, 2))), strict=True):
            for found in patches[place]:
                if not np.isnan(found.explained).all():
                    layers = np.arange(found.explained.size)
                    right.plot(layers, found.explained, "o", linestyle=style, color=colour(found.model), linewidth=2,
                               markersize=4, label=f"{found.model}, {place}")  # fmt: skip
        right.set_title("another task's w put in", loc="left", fontsize=10)
        right.set_ylabel("explained share of what it implies")
        _layers(right)
        right.set_xlim(readings[0].get_xlim())
        right.legend(fontsize=8, loc="upper left")
    return picture


def _layers(axes: Axes) -> None:
    axes.set_xlabel("after layer (0: embedding)")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.tick_params(colors=INK)


FIGURE = Figure(
    "probes",
    "w is read linearly where the compiled layout holds it, and a trained model's w beside it",
    "Akyürek et al. 2022, What learning algorithm is in-context learning?, figure 5 (arXiv 2211.15661)",
    run,
)
