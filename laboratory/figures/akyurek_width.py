"""Narrow transformers learn gradient descent, wider ones ridge regression and least squares.

    trained    GPT-2s of four layers and of several widths, on y = w · x, x, w ~ N(0, I), three seeds each
    compiled   gradient descent of one step and of four, SGD, ridge regression and least squares, on gpt2

SPD/d of each trained model from each algorithm, mean over the queries with an example before them, as in
akyurek_algorithms, which goes over depth. Rates are those of the least loss on these tasks. Akyürek et al. 2022 find
models at d = 8 to be like ridge regression from a width of 16 on, and like least squares where they are wider; here
d = 3.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from innerloop.runtime.plots import COLOURS
from matplotlib.figure import Figure as Picture

from ..charts import TRAINED
from ..measures.nearest import Nearest, nearest
from ..measures.references import averaging, nearest_neighbours, reference
from .akyurek_algorithms import SMALLEST, descents, off, predictors, ridges, seen
from .shared.frame import Check, Figure, Result, Setting, Table
from .shared.pictures import INK, panels
from .shared.regression import TASKS, D, regressor
from .shared.small import CALIBRATION, MEASURED, WIDTH

WIDTHS = (4, 8, 16, WIDTH)
LONG_WIDTHS = (64, 128)
SEEDS = (0, 1, 2)
DESCENTS = (1, 4)
RIDGES = (1.0, 0.1, SMALLEST)

Found = Mapping[int, Nearest]
"""By width: the models of its seeds, against all algorithms."""


def run(setting: Setting) -> Result:
    setting.told("compiling", 0, 0)
    usual = TASKS.drawn(2048, CALIBRATION)
    known = descents(usual, DESCENTS) | ridges(usual, RIDGES)
    widths = (*WIDTHS, *LONG_WIDTHS) if setting.long else WIDTHS
    models = {width: {f"{seed}": regressor(setting, seed, width=width) for seed in SEEDS} for width in widths}
    setting.told("comparing", 0, 0)
    fields = TASKS.drawn(setting.tasks(2048), MEASURED)
    compiled = {name: weights for name, (weights, _) in known.items()}
    references = predictors(compiled) | {
        "averaging, NumPy": seen(reference(averaging)),
        "3 nearest, NumPy": seen(reference(nearest_neighbours, count=3)),
    }
    found = {width: nearest(predictors(those), references, fields, D) for width, those in models.items()}
    return Result(
        checks=checks(found, max(off(pair, fields) for pair in known.values())),
        tables=(_table(found),),
        pictures={"akyurek_width": _picture(found)},
        numbers={
            "references": tuple(references),
            **{f"width {width}": {"spd": table.mean, "nearest": named(table)} for width, table in found.items()},
        },
        weights={f"width_{width}_seed_{seed}": w for width, those in models.items() for seed, w in those.items()},
    )


def named(table: Nearest) -> list[str]:
    """The nearest algorithm of each seed."""
    return [table.nearest(model) for model in table.models]


def away(found: Found, name: str) -> np.ndarray:
    """SPD/d from an algorithm, of every width and seed: [widths, seeds]."""
    return np.stack([table.mean[:, table.references.index(name)] for table in found.values()])


def checks(found: Found, error: float) -> tuple[Check, ...]:
    exact, one = away(found, "least squares"), away(found, "GD, 1 step")
    falls = np.diff(np.median(exact, 1))
    return (
        Check("SPD/d of compiled algorithms from their closed forms", error, high=1e-6),
        Check("the narrowest: SPD/d from one GD step / from least squares, largest of the seeds",
              (one[0] / exact[0]).max(), high=1),
        Check("the widest: SPD/d from least squares / from one GD step, largest", (exact[-1] / one[-1]).max(), high=1),
        Check("the widest: SPD/d from least squares, largest", exact[-1].max(), high=0.02),
        Check("SPD/d from least squares, a width / the next narrower, median: the largest change", falls.max(), high=0),
    )  # fmt: skip


def _table(found: Found) -> Table:
    """SPD/d of the median seed, a column a width, and the nearest algorithm of each seed."""
    medians = {width: np.median(table.mean, 0) for width, table in found.items()}
    references = next(iter(found.values())).references
    rows = [[name, *(f"{line[r]:.2g}{' *' if line.argmin() == r else ''}" for line in medians.values())]
            for r, name in enumerate(references)]  # fmt: skip
    rows.append(["nearest, by seed", *("; ".join(named(table)) for table in found.values())])
    return Table(["SPD/d, median (* nearest)", *(f"width {width}" for width in found)], rows)


def _picture(found: Found) -> Picture:
    references = next(iter(found.values())).references
    names = [name for name in references if name not in ("averaging, NumPy", "ridge 1", "least squares")]
    colours = dict(zip(names, COLOURS, strict=False)) | {"least squares": TRAINED}
    with panels(1, "Which algorithm four layers have learned, by their width", width=5.5) as (
        picture,
        (axes,),
    ):
        for name, colour in colours.items():
            curves = away(found, name)
            axes.plot(list(found), np.median(curves, 1), "o-", color=colour, linewidth=2, markersize=5, label=name)
            axes.fill_between(list(found), curves.min(1), curves.max(1), color=colour, alpha=0.15, linewidth=0)
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.set_xticks(list(found), [str(width) for width in found])
        axes.set_xlabel("width of the residual stream")
        axes.set_ylabel("SPD/d from the trained models")
        axes.tick_params(colors=INK)
        axes.legend(fontsize=8)
    return picture


FIGURE = Figure(
    "akyurek_width",
    "narrow transformers learn gradient descent, wider ones least squares",
    "Akyürek et al. 2022, What learning algorithm is in-context learning?, figure 4 (arXiv 2211.15661)",
    run,
    minutes=9.5,
)
