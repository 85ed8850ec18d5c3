"""A trained model holds Xᵀy and w where a network reads more of them than a line, Xᵀy first: as published, or why not.

    compiled   Newton's iteration for least squares on gpt2, with two names for what it holds: b = Xᵀy/n and w = S⁻¹ b
    trained    GPT-2s on linear regression, x, w ~ N(0, I)
    control    the same on tasks whose w is always 1: they need neither

Probes as published: a learned softmax over all tokens, then a linear readout, or one of 512 GELUs; after every layer,
on tasks of random w for all models. Targets are Xᵀy and the w of least squares of the n examples before the query.
What the compiled model holds, its b and its w, the line reads from it, and its layout says from which layer on.

Beside them, what such probes cannot see. `products`: a line from the products of slots within each label's token,
averaged over the labels. Σⱼ rⱼ xⱼ is linear in them, and in no average of the tokens: the dual form, in which w stands
at no token. `implicit`: the w of least squares of the model's own answers to fresh queries.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from innerloop.artifact.weights import Weights
from innerloop.compiler import compile_program
from innerloop.runtime.plots import COLOURS
from matplotlib.figure import Figure as Picture
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from ..measures.distance import Fields, Floats, implicit_weights
from ..measures.probes import fit, learnt_from, r_squared, targets
from ..measures.products import read_products
from ..measures.subject import Subject
from ..measures.trained_probes import HIDDEN, pooled, several
from .shared.frame import Check, Figure, Result, Setting, Table
from .shared.pictures import INK, panels
from .shared.regression import LAYERS, TASKS, D, N, regressor
from .shared.small import CALIBRATION, MEASURED, fresh, trained
from .shared.streams import Stream, squared

STEPS = 6
SEEDS = (0, 1, 2)
CONTROL = 1000
READOUTS = {"linear": 0, "network": HIDDEN}
PROBED, KNOWN = 12_000, 3000
"""Tasks for the probes of the trained models, and of the compiled one. The last quarter is held out."""

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


CONTROLS = Stream("always_one", {"d": D, "n": N}, draw=always_one, score=squared("y"))


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

    def most(self, target: str, readout: str) -> float:
        return float(self.scores[target, readout].max())

    def first(self, target: str, readout: str, share: float = 0.9) -> int:
        """The first layer after which it reaches this share of its most."""
        curve = self.scores[target, readout]
        return int(np.argmax(curve >= share * curve.max()))


@dataclass(frozen=True)
class Why:
    """Of a trained model: R² of its implicit w, and of w read by a network that had a quarter of the tasks."""

    implicit: float
    fewer: float


def read(stream: NDArray[np.floating], wanted: Mapping[str, Floats], readouts: Mapping[str, int]) -> Read:
    """The pooled probes of all layers: stream [1 + layers, tasks, tokens, d_model]."""
    cut = learnt_from(stream.shape[1])
    found: dict[tuple[str, str], list[float]] = {}
    for target, values in wanted.items():
        for layer in stream:
            probes = several(layer[:cut], values[:cut], tuple(readouts.values()))
            for readout, probe in zip(readouts, probes, strict=True):
                found.setdefault((target, readout), []).append(r_squared(probe(layer[cut:]), values[cut:]))
    return Read({name: np.array(curve) for name, curve in found.items()})


def read_labels(stream: NDArray[np.floating], wanted: Mapping[str, Floats]) -> Read:
    """The line from the products within the labels' tokens."""
    cut, values = learnt_from(stream.shape[1]), list(wanted.values())
    curves = [
        [r_squared(probe(labels[cut:]), of[cut:]) for probe, of in zip(probes, values, strict=True)]
        for labels in stream[:, :, 1::2]
        for probes in [read_products(labels[:cut], [of[:cut] for of in values])]
    ]
    return Read({(target, "products"): curve for target, curve in zip(wanted, np.array(curves).T, strict=True)})


def run(setting: Setting) -> Result:
    setting.told("compiling", 0, 0)
    compiled = compile_program(PROGRAM, d=D, steps=STEPS, calibration=TASKS.drawn(2048, CALIBRATION))
    whole = dict(TASKS.drawn(max(400, setting.tasks(PROBED)), MEASURED))
    wanted = sought(whole)
    fields = whole | {"y": whole["y"][:, :-1]}  # the last token is the query
    models = {}
    for seed in SEEDS:
        models["trained", seed] = regressor(setting, seed)
        start = fresh(compiled, LAYERS, N, seed)
        models["control", seed] = trained(setting, f"control_{seed}", start, CONTROLS, CONTROL, seed=seed)
    found, why = {}, {}
    for number, (name, weights) in enumerate(models.items()):
        setting.told("probing", number, len(models))
        subject = Subject(weights, "")
        stream = subject.stream(fields, None)
        one = found[name] = Read({**read(stream, wanted, READOUTS).scores, **read_labels(stream, wanted).scores})
        if name[0] == "trained":
            implicit = implicit_weights(subject, {field: values[:1000] for field, values in whole.items()})
            best = stream[int(one.scores["w", "network"].argmax())]
            why[name[1]] = Why(r_squared(implicit, wanted["w"][:1000]), _by_fewer(best, wanted["w"]))
    known, held = _known(compiled, {name: value[:KNOWN] for name, value in fields.items()})
    cut = learnt_from(len(wanted["w"]))
    told = r_squared(fit(wanted["Xᵀy"][:cut], wanted["w"][:cut])(wanted["Xᵀy"][cut:]), wanted["w"][cut:])
    return Result(
        checks=checks(found, why, known, held),
        tables=(by_layer(found), of_compiled(known, held), reasons(found, why, told, len(wanted["w"]))),
        pictures={"akyurek_moments": picture(found, known, held)},
        numbers={
            "held_from_layer": held,
            "compiled": _named(known),
            "w_told_by_moments": told,
            "implicit": {f"seed_{seed}": one.implicit for seed, one in why.items()},
            "w_by_a_quarter_of_the_tasks": {f"seed_{seed}": one.fewer for seed, one in why.items()},
            **{f"{kind}_{seed}": _named(one) for (kind, seed), one in found.items()},
        },
        weights={"compiled": compiled} | {f"{kind}_{seed}": w for (kind, seed), w in models.items()},
    )


def _by_fewer(layer: NDArray[np.floating], values: Floats) -> float:
    """R² on the same held-out tasks of a network that is trained on a quarter of the others."""
    cut = learnt_from(len(values))
    return r_squared(pooled(layer[: cut // 4], values[: cut // 4], HIDDEN)(layer[cut:]), values[cut:])


def _known(compiled: Weights, fields: Fields) -> tuple[Read, dict[str, int]]:
    """What a line reads of the compiled model's own b and w, and from which layer on its layout holds them."""
    subject = Subject(compiled, "")
    own = {target: targets(subject, fields, name)(None) for target, name in (("Xᵀy", "b"), ("w", "w"))}
    values = {target: one.values for target, one in own.items()}
    known = read(subject.stream(fields, None), values, {"linear": 0})
    return known, {target: one.first for target, one in own.items()}


def checks(
    found: Mapping[tuple[str, int], Read], why: Mapping[int, Why], known: Read, held: Mapping[str, int]
) -> tuple[Check, ...]:
    """What is published (§5 and appendix E) of the trained models, then what it comes from."""
    ours = [found["trained", seed] for seed in SEEDS]
    both = "Xᵀy", "w"

    def beside_control(target: str) -> float:
        return min(found["trained", s].most(target, "network") - found["control", s].most(target, "network")
                   for s in SEEDS)  # fmt: skip

    shallow = [one.scores[target, "network"][0] / one.most(target, "network") for one in ours for target in both]
    return (
        Check("compiled: the layer from which it holds b / w", held["Xᵀy"] / held["w"], high=0.99),
        Check("compiled: R² of its b and w, a line, where the layout first holds them, the least", min(
            float(known.scores[target, "linear"][held[target]]) for target in both), low=0.99),
        *(Check(f"trained: R² of {target} from a network, least of the seeds", min(
            one.most(target, "network") for one in ours), low=0.8) for target in both),
        Check("trained: R² from a network, after the embedding / the most, largest", float(max(shallow)), high=0.5),
        *(Check(f"trained: R² of {target}, network − linear, least", min(
            one.most(target, "network") - one.most(target, "linear") for one in ours), low=0.02) for target in both),
        Check("trained: runs whose Xᵀy does not come before w (network)", sum(
            one.first("Xᵀy", "network") >= one.first("w", "network") for one in ours), high=0),
        *(Check(f"R² of {target} (network), trained − control, least", beside_control(target), low=0.05)
          for target in both),
        Check("why: R² of the implicit w, least", min(one.implicit for one in why.values()), low=0.99),
        *(Check(f"why: R² of {target} from products within the labels, least", min(
            one.most(target, "products") for one in ours), low=0.9) for target in both),
        Check("why: runs whose Xᵀy does not come before w (products)", sum(
            one.first("Xᵀy", "products") >= one.first("w", "products") for one in ours), high=0),
    )  # fmt: skip


def _named(one: Read) -> dict[str, Floats]:
    return {f"{target}, {readout}": curve for (target, readout), curve in one.scores.items()}


def by_layer(found: Mapping[tuple[str, int], Read]) -> Table:
    readings = [
        [f"{kind}, seed {seed}: {target}, {readout}", *(f"{value:.2f}" for value in curve)]
        for (kind, seed), one in found.items()
        for (target, readout), curve in one.scores.items()
    ]
    return Table(["R² after layer", *map(str, range(1 + LAYERS))], readings)


def of_compiled(known: Read, held: Mapping[str, int]) -> Table:
    curves = [known.scores[target, "linear"] for target in held]
    rows = [
        [str(layer), *(f"{value:.4f}" for value in values)] for layer, values in enumerate(zip(*curves, strict=True))
    ]
    named = (f"{target}, held from {first}" for target, first in held.items())
    return Table(["compiled, a line: R² after layer", *named], rows)


def reasons(found: Mapping[tuple[str, int], Read], why: Mapping[int, Why], told: float, tasks: int) -> Table:
    """Where the trained models' w is."""
    cut = learnt_from(tasks)
    readings: dict[str, Callable[[int], float]] = {
        "implicit, by fresh queries": lambda s: why[s].implicit,
        "products within the labels' tokens": lambda s: found["trained", s].most("w", "products"),
        f"pooled, a network, {cut} tasks": lambda s: found["trained", s].most("w", "network"),
        f"pooled, a network, {cut // 4} tasks": lambda s: why[s].fewer,
        "pooled, a line": lambda s: found["trained", s].most("w", "linear"),
        "from Xᵀy alone, a line": lambda s: told,
    }
    rows = [[name, *(f"{of(seed):.3f}" for seed in SEEDS)] for name, of in readings.items()]
    return Table(["R² of w, best layer", *(f"seed {seed}" for seed in SEEDS)], rows)


STYLES: Mapping[str, Any] = {"linear": ":", "network": "-", "products": (0, (4, 2))}


def picture(found: Mapping[tuple[str, int], Read], known: Read, held: Mapping[str, int]) -> Picture:
    colours = {"Xᵀy": COLOURS[0], "w": COLOURS[5]}
    with panels(3, "What a trained model holds of a regression, and where") as (drawn, grid):
        for axes, kind in zip(grid, ("trained", "control", "compiled"), strict=True):
            runs: Sequence[Read] = [known] if kind == "compiled" else [found[kind, seed] for seed in SEEDS]
            for target, readout in runs[0].scores:
                curves = np.array([one.scores[target, readout] for one in runs])
                layers = np.arange(curves.shape[1])
                axes.plot(layers, np.median(curves, 0), linestyle=STYLES[readout], color=colours[target], linewidth=1.8,
                          label=f"{target}, {readout}")  # fmt: skip
                axes.fill_between(layers, curves.min(0), curves.max(0), color=colours[target], alpha=0.15, linewidth=0)
            axes.set_title({"control": "trained on w = 1", "compiled": "Newton, compiled"}.get(kind, kind),
                           loc="left", fontsize=10)  # fmt: skip
            axes.set_ylim(-0.05, 1.03)
            axes.set_xlabel("after layer (0: embedding)")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.tick_params(colors=INK)
        for target, name in (("Xᵀy", "b"), ("w", "w")):
            grid[2].axvline(held[target], color=colours[target], linewidth=1.2, linestyle=(0, (4, 2)),
                            label=f"the layout holds {name}")  # fmt: skip
        grid[0].set_ylabel("R² on held-out tasks")
        grid[1].legend(*grid[0].get_legend_handles_labels(), fontsize=8, loc="upper left")
        grid[2].legend(fontsize=8, loc="center")
    return drawn


FIGURE = Figure(
    "akyurek_moments",
    "a trained model holds Xᵀy before w, both for a network to read more than a line; why w is not held at a token",
    "Akyürek et al. 2022, What learning algorithm is in-context learning?, section 5 (arXiv 2211.15661)",
    run,
    minutes=9.5,
)
