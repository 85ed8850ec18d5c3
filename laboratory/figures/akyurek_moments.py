"""A trained model holds Xᵀy in its middle layers, where only a network reads it, and w in its last, where a line does.

    compiled   Newton's iteration for least squares on gpt2, with two names for what it holds: b = Xᵀy/n and w = S⁻¹ b
    trained    GPT-2s on linear regression, x, w ~ N(0, I)
    control    the same on tasks whose w is always 1: they need neither

Probes as published: a learned softmax over all tokens, then a linear readout, or one of 512 GELUs; after every layer,
on tasks of random w for all models. Targets are Xᵀy and the w of least squares of the n examples before the query.
What the compiled model holds, the same probes read from it, and its layout says from which layer on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from innerloop.artifact.weights import Weights
from innerloop.compiler import compile_program
from innerloop.runtime.plots import COLOURS
from matplotlib.figure import Figure as Picture
from matplotlib.ticker import MaxNLocator

from ..measures.distance import Fields, Floats
from ..measures.probes import r_squared, targets
from ..measures.subject import Subject
from ..measures.trained_probes import HIDDEN, pooled
from .shared.frame import Check, Figure, Result, Setting, Table
from .shared.pictures import INK, panels
from .shared.regression import LAYERS, TASKS, D, N, regressor
from .shared.small import CALIBRATION, MEASURED, fresh, trained
from .shared.streams import Stream

STEPS = 6
SEEDS = (0, 1, 2)
CONTROL = 1000
READOUTS = {"linear": 0, "network": HIDDEN}

PROGRAM = """\
# Least squares by Newton's iteration, its moments and its weights named (Fu et al. 2023).
program newton_moments(d, steps = 6)

tokens (x y)* x
    x : vector[d]
    y : scalar

at y
    u = move x from previous

S = mean[j in y](outer(u[j], u[j]))
b = mean[j in y](y[j] * u[j])
M = S / sum(S ^ 2)
repeat steps
    M = 2 * M - M @ S @ M

at x
    w = M @ b
    output dot(w, x)
"""


def always_one(key: Any, batch: int) -> dict[str, Any]:
    """Tasks of w = 1."""
    x = jax.random.normal(key, (batch, N + 1, D))
    return {"x": x, "y": x.sum(-1)}


def score(outputs: Any, fields: Mapping[str, Any]) -> Any:
    return jnp.mean(jnp.square(outputs - fields["y"]))


CONTROLS = Stream("always_one", {"d": D, "n": N}, draw=always_one, score=score)


def sought(fields: Fields) -> dict[str, Floats]:
    """Xᵀy and the least-squares w of the examples before the query: [tasks, d]."""
    x, y = (np.asarray(fields[name], np.float64)[:, :N] for name in ("x", "y"))
    moments = np.einsum("bnd,bn->bd", x, y)
    products = np.einsum("bnd,bne->bde", x, x)
    return {"Xᵀy": moments, "w": np.linalg.solve(products, moments[..., None])[..., 0]}


@dataclass(frozen=True)
class Read:
    """R² on held-out tasks after each layer, from 0, the embedding: {(target, readout): [1 + layers]}."""

    scores: Mapping[tuple[str, str], Floats]

    def first(self, target: str, readout: str, share: float = 0.9) -> int:
        """The first layer after which it reaches this share of its most."""
        curve = self.scores[target, readout]
        return int(np.argmax(curve >= share * curve.max()))


def read(weights: Weights, fields: Fields, wanted: Mapping[str, Floats]) -> Read:
    """The probes of all layers; the last quarter of the tasks is held out."""
    stream = Subject(weights, "").stream(fields, None)
    cut = len(stream[0]) - len(stream[0]) // 4
    return Read({
        (target, readout): np.array([
            r_squared(pooled(layer[:cut], values[:cut], hidden)(layer[cut:]), values[cut:]) for layer in stream
        ])
        for target, values in wanted.items()
        for readout, hidden in READOUTS.items()
    })  # fmt: skip


def run(setting: Setting) -> Result:
    setting.told("compiling", 0, 0)
    compiled = compile_program(PROGRAM, d=D, steps=STEPS, calibration=TASKS.drawn(2048, CALIBRATION))
    fields = dict(TASKS.drawn(max(400, setting.tasks(3000)), MEASURED))
    wanted = sought(fields)
    fields["y"] = fields["y"][:, :-1]  # the last token is the query
    few = {name: value[:64] for name, value in fields.items()}
    held = {name: targets(Subject(compiled, ""), few, name)(None).first for name in ("b", "w")}
    models = {}
    for seed in SEEDS:
        models["trained", seed] = regressor(setting, seed)
        start = fresh(compiled, LAYERS, N, seed)
        models["control", seed] = trained(setting, f"control_{seed}", start, CONTROLS, CONTROL, seed=seed)
    found = {}
    for number, (name, weights) in enumerate(models.items()):
        setting.told("probing", number, len(models))
        found[name] = read(weights, fields, wanted)
    known = read(compiled, fields, wanted)
    return Result(
        checks=checks(found, known, held),
        tables=(_table(found, known),),
        pictures={"akyurek_moments": _picture(found, known, held)},
        numbers={
            "held_from_layer": held,
            "compiled": _named(known),
            **{f"{kind}_{seed}": _named(one) for (kind, seed), one in found.items()},
        },
        weights={"compiled": compiled} | {f"{kind}_{seed}": w for (kind, seed), w in models.items()},
    )


def checks(found: Mapping[tuple[str, int], Read], known: Read, held: Mapping[str, int]) -> tuple[Check, ...]:
    ours = [found["trained", seed] for seed in SEEDS]
    gaps = {
        target: min(
            float(found["trained", s].scores[target, how].max() - found["control", s].scores[target, how].max())
            for s in SEEDS
        )
        for target, how in (("Xᵀy", "network"), ("w", "linear"))
    }
    nonlinear = [one.scores["Xᵀy", "network"].max() - one.scores["Xᵀy", "linear"].max() for one in ours]
    straight = [one.scores["w", "network"].max() - one.scores["w", "linear"].max() for one in ours]
    return (
        Check("compiled: the layer from which it holds b / w", held["b"] / held["w"], high=0.99),
        Check("compiled: R² of Xᵀy and of w, the least, from a linear readout", min(
            known.scores[target, "linear"].max() for target in ("Xᵀy", "w")), low=0.95),
        Check("trained: R² of w from a linear readout, least of the seeds", min(
            one.scores["w", "linear"].max() for one in ours), low=0.8),
        Check("trained: runs whose Xᵀy (network) does not come before w (linear)", sum(
            one.first("Xᵀy", "network") >= one.first("w", "linear") for one in ours), high=0),
        Check("trained: R² of Xᵀy, network − linear, least", min(nonlinear), low=0.02),
        Check("trained: R² of w, network − linear, largest", max(straight), high=0.02),
        Check("R² of Xᵀy (network), trained − control, least", gaps["Xᵀy"], low=0.05),
        Check("R² of w (linear), trained − control, least", gaps["w"], low=0.05),
    )  # fmt: skip


def _named(one: Read) -> dict[str, Floats]:
    return {f"{target}, {readout}": curve for (target, readout), curve in one.scores.items()}


def _table(found: Mapping[tuple[str, int], Read], known: Read) -> Table:
    rows = []
    layers = max(curve.size for curve in known.scores.values())
    everything = {f"{kind}, seed {seed}": one for (kind, seed), one in found.items()} | {"compiled": known}
    for name, one in everything.items():
        for (target, readout), curve in one.scores.items():
            rows.append([f"{name}: {target}, {readout}", *(f"{v:.2f}" for v in curve), *[""] * (layers - curve.size)])
    return Table(["R² after layer", *map(str, range(layers))], rows)


def _picture(found: Mapping[tuple[str, int], Read], known: Read, held: Mapping[str, int]) -> Picture:
    colours = {"Xᵀy": COLOURS[0], "w": COLOURS[5]}
    with panels(3, "What a trained model holds of a regression, and where") as (picture, grid):
        for axes, kind in zip(grid, ("trained", "control", "compiled"), strict=True):
            runs = [known] if kind == "compiled" else [found[kind, seed] for seed in SEEDS]
            for target, readout in known.scores:
                curves = np.array([one.scores[target, readout] for one in runs])
                layers, style = np.arange(curves.shape[1]), "-" if readout == "network" else ":"
                axes.plot(layers, np.median(curves, 0), style, color=colours[target], linewidth=1.8,
                          label=f"{target}, {readout}")  # fmt: skip
                axes.fill_between(layers, curves.min(0), curves.max(0), color=colours[target], alpha=0.15, linewidth=0)
            axes.set_title({"control": "trained on w = 1", "compiled": "Newton, compiled"}.get(kind, kind),
                           loc="left", fontsize=10)  # fmt: skip
            axes.set_ylim(-0.05, 1.03)
            axes.set_xlabel("after layer (0: embedding)")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.tick_params(colors=INK)
        for name, target in (("b", "Xᵀy"), ("w", "w")):
            grid[2].axvline(held[name], color=colours[target], linewidth=1.2, linestyle=(0, (4, 2)),
                            label=f"the layout holds {name}")  # fmt: skip
        grid[0].set_ylabel("R² on held-out tasks")
        grid[0].legend(fontsize=8)
        grid[2].legend(fontsize=8, loc="lower right")
    return picture


FIGURE = Figure(
    "akyurek_moments",
    "a trained model holds Xᵀy before w: the first only for a network to read, the second for a line",
    "Akyürek et al. 2022, What learning algorithm is in-context learning?, section 5 (arXiv 2211.15661)",
    run,
    minutes=4.1,
)
