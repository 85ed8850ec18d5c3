"""Layers with separate keys and queries learn principal-component regression, a component at a time.

    separate   linear attention of d heads, each of rank one: v_h k_hᵀ q_h, all small at first
    merged     the same with one matrix v_h S_h in place of keys and queries
    compiled   one step of gradient descent through A_m on lsa (zhang_gamma's PROGRAM), m = 0 … d

Both are trained by plain gradient descent, x ~ N(0, Λ), w ~ N(0, I). With eigenvectors e_i of Λ and Γ of zhang_gamma
the best A of m components, and its loss ½ E (ŷ − y)², are

    A_m = Σ_{i ≤ m} e_i e_iᵀ / Γᵢ,   ½ (tr Λ − Σ_{i ≤ m} λᵢ² / Γᵢ),   Γᵢ = (1 + 1/n) λᵢ + tr Λ/n

A rank-one head grows along the one eigenvector whose growth, v k q λ², is quickest, and stays there: the loss stands
still at every m. A merged head grows along all at once. Keys and queries of a head are equal at first: the flow keeps
the difference of their norms, and makes them so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from innerloop.artifact.weights import Weights
from innerloop.compiler import compile_program
from matplotlib.figure import Figure as Picture

from ..charts import COMPILED, OTHER, TRAINED
from ..measures.distance import Fields, Floats
from ..measures.subject import Subject
from ..training.kinds import eigenvalues
from ..training.model import Model
from ..training.tasks import task
from .frame import UNSEEN, Check, Figure, Result, Setting, Table
from .layers import half_loss, preconditioner, random_layers, slots
from .pictures import panels
from .zhang_gamma import PROGRAM

D, N = 4, 30
TASKS = task("skewed_linear", d=D, n=N, power=1.0, rows="query")
SMALL = 0.02
"""The length of each head's key and query, and its value, at first."""

SEEDS = (0, 1, 2)
TRAINING, STAGES = 4500, 60
MERGED = 27
"""Stages of a run of merged heads, which is over by the tenth."""

STILL, LEAST = 0.01, 2
"""A plateau: over more than so many stages in a row the loss changes by less than this share of itself."""


def gammas() -> Floats:
    """Γᵢ [d], in the order of the eigenvalues, which fall."""
    values = eigenvalues(TASKS.parameters)
    return np.asarray((1 + 1 / N) * values + values.sum() / N)


def losses() -> Floats:
    """The loss of m components, m = 0 … d."""
    values = eigenvalues(TASKS.parameters)
    return np.asarray(values.sum() - np.concatenate([[0], np.cumsum(values**2 / gammas())])) / 2


def compiled(components: int) -> Weights:
    """One step through A_m, m of at least 1."""
    kept = np.where(np.arange(D) < components, 1 / gammas(), 0.0)
    return compile_program(PROGRAM, target="lsa", d=D, A=np.diag(kept))


def begun(like: Weights, seed: int, merged: bool) -> tuple[Model, list[str]]:
    """A model of small heads, and the parameters of it that stay: values, which read y/n, and of merged heads the keys,
    which are I, so that queries are the whole S."""
    rank = D if merged else 1
    model = random_layers(like, seed, n_head=D, d_head=rank)
    x, (y,) = slots(model.template, "x"), slots(model.template, "y")
    rng = np.random.default_rng(seed)
    drawn = rng.standard_normal((D, rank, D))
    drawn *= SMALL / np.linalg.norm(drawn, axis=2, keepdims=True)  # [head, rank, component]
    found = {}
    for name, like_it in model.parameters.items():
        part, value = name.rsplit(".", 1)[-1], np.zeros(like_it.shape)
        heads = np.arange(D) * rank  # the first dimension of each head
        if part == "output":
            value[heads, y] = -SMALL
        elif part == "value":
            value[y, heads] = 1 / N
        elif part == "key" and merged:
            value[x] = np.tile(np.eye(D), D)
        else:
            value[x] = drawn.reshape(D * rank, D).T
        found[name] = value.astype(np.float32)
    stays = ("value", "key") if merged else ("value",)
    return replace(model, parameters=found), [n for n in found if n.endswith(stays)]


@dataclass(frozen=True)
class Plateau:
    """Where the loss stands still from one stage to another. Its loss is the median of its stages'; what it computes is
    looked at in the middle one."""

    first: int
    last: int

    @property
    def middle(self) -> int:
        return (self.first + self.last) // 2

    def loss(self, curve: Floats) -> float:
        return float(np.median(curve[self.first : self.last + 1]))


def plateaus(curve: Sequence[float] | Floats) -> list[Plateau]:
    """The plateaus of the losses at all stages."""
    values, found, begin = np.asarray(curve), [], 0
    for stage in range(1, len(values) + 1):
        if stage == len(values) or abs(values[stage] - values[stage - 1]) > STILL * values[stage - 1]:
            if stage - 1 - begin >= LEAST:
                found.append(Plateau(begin, stage - 1))
            begin = stage
    return found


def ends() -> list[int]:
    """The steps at which the run is looked at: closer at first."""
    return [round(TRAINING * (k / STAGES) ** 2) or 1 for k in range(1, STAGES + 1)]


@dataclass(frozen=True)
class Course:
    """A run: steps and losses at its stages, and for each plateau the components m of the nearest compiled model,
    loss over that model's closed form, and E (ŷ − ŷ_m)² over E ŷ_m² (the loss of nothing where m is 0)."""

    steps: Floats
    curve: Floats
    found: list[Plateau]
    components: list[int]
    ratios: list[float]
    apart: list[float]
    weights: Weights


def course(setting: Setting, seed: int, merged: bool, models: Sequence[Weights], fields: Fields) -> Course:
    start, stays = begun(models[0], seed, merged)
    name = f"{'merged' if merged else 'separate'}_{seed}"
    until = ends()[: MERGED if merged else STAGES]
    stages = setting.stages(
        name, start, TASKS, ends=until, batch=512, rate=0.025, clip=None, optimiser="sgd", freeze=stays, seed=seed
    )  # fmt: skip
    setting.told("comparing", 0, 0)
    kept = [stage.weights for stage in stages]
    curve = np.array([exact_loss(weights) for weights in kept])
    found = plateaus(curve)
    truth = fields["y"][:, -1:]
    known = [np.zeros_like(truth), *(np.asarray(Subject(model, "")(fields), np.float64) for model in models)]
    components, ratios, apart = [], [], []
    for plateau in found:
        predicted = np.asarray(Subject(kept[plateau.middle], "")(fields), np.float64)
        off = [float(((predicted - one) ** 2).mean()) for one in known]
        m = int(np.argmin(off))
        components.append(m)
        ratios.append(plateau.loss(curve) / float(losses()[m]))
        apart.append(off[m] / float(((known[m] if m else truth) ** 2).mean()))
    steps = np.array([stage.losses.size for stage in stages], float)
    return Course(steps, curve, found, components, ratios, apart, kept[-1])


def exact_loss(weights: Weights) -> float:
    """½ E (ŷ − y)² of x_qᵀ A (1/n) Σ yⱼ xⱼ in closed form (zhang_gamma), A read off the weights, whose ρ is 1."""
    values, a = eigenvalues(TASKS.parameters), N * preconditioner(weights)
    second = np.diag(gammas() * values)  # E S²
    scale = np.diag(values)
    return float(np.trace(scale - 2 * a @ scale @ scale + scale @ a @ second @ a.T)) / 2


def run(setting: Setting) -> Result:
    setting.told("compiling", 0, 0)
    models = [compiled(m) for m in range(1, D + 1)]
    fields = TASKS.drawn(setting.tasks(20_000), UNSEEN)
    separate = [course(setting, seed, False, models, fields) for seed in SEEDS]
    merged = [course(setting, seed, True, models, fields) for seed in SEEDS]
    worst = max((abs(r - 1) for one in separate for r in one.ratios), default=1.0)
    error = max(abs(half_loss(m, fields) / e - 1) for m, e in zip(models, losses()[1:], strict=True))
    return Result(
        checks=(
            Check("compiled: loss off its closed form, at most", error, high=0.03),
            Check(
                f"separate: most of the plateaus 0 … {D} that a run stands on",
                max(len(set(one.components)) for one in separate), low=D + 1,
            ),
            Check("separate: fewest that a run stands on", min(len(set(c.components)) for c in separate), low=D - 1),
            Check("separate: runs whose components do not grow from plateau to plateau", sum(
                any(b <= a for a, b in zip(c.components, c.components[1:], strict=False)) for c in separate), high=0),
            Check("separate: loss of a plateau off compiled regression, at most", worst, high=0.02),
            Check("merged: most plateaus between the first and the last", max(
                len(set(c.components) - {0, D}) for c in merged), high=0),
            Check("merged: loss at the end off compiled regression, at most", max(
                abs(c.ratios[-1] - 1) if c.components[-1:] == [D] else 1.0 for c in merged), high=0.02),
        ),
        tables=(_table(separate, merged),),
        pictures={"zhang_pcr": _picture(separate, merged)},
        numbers={
            "eigenvalues": eigenvalues(TASKS.parameters),
            "losses_of_components": losses(),
            **{
                f"{name}_{seed}": {"steps": c.steps, "losses": c.curve, "components": c.components,
                                   "ratios": c.ratios, "apart": c.apart}
                for name, runs in (("separate", separate), ("merged", merged))
                for seed, c in zip(SEEDS, runs, strict=True)
            },
        },
        weights={f"compiled_{m}": w for m, w in enumerate(models, 1)}
        | {f"separate_{seed}": c.weights for seed, c in zip(SEEDS, separate, strict=True)}
        | {f"merged_{seed}": c.weights for seed, c in zip(SEEDS, merged, strict=True)},
    )  # fmt: skip


def _table(separate: Sequence[Course], merged: Sequence[Course]) -> Table:
    rows = []
    for name, runs in (("separate", separate), ("merged", merged)):
        for seed, one in zip(SEEDS, runs, strict=True):
            for plateau, m, ratio, apart in zip(one.found, one.components, one.ratios, one.apart, strict=True):
                span = f"{one.steps[plateau.first]:.0f}–{one.steps[plateau.last]:.0f}"
                rows.append([f"{name}, seed {seed}", span, str(m), f"{ratio:.4f}", f"{apart:.1e}"])
    return Table(["plateau of", "steps", "components", "loss / compiled", "difference"], rows)


def _picture(separate: Sequence[Course], merged: Sequence[Course]) -> Picture:
    title = "Separate keys and queries learn a principal component at a time"
    with panels(2, title, width=5.0) as (picture, grid):
        for axes, runs, colour, name in zip(
            grid, (separate, merged), (TRAINED, OTHER), ("separate K and Q", "merged"), strict=True
        ):
            for m, level in enumerate(losses()):
                axes.axhline(level, color=COMPILED, linewidth=1.2, linestyle=(0, (4, 2)),
                             label="compiled, m components" if m == 0 else None)  # fmt: skip
                axes.annotate(f"m = {m}", (1, level), xycoords=("axes fraction", "data"), xytext=(-4, 3),
                              textcoords="offset points", ha="right", fontsize=8, color=COMPILED)  # fmt: skip
            for seed, one in zip(SEEDS, runs, strict=True):
                axes.plot(one.steps, one.curve, color=colour, linewidth=1.6, alpha=1 - 0.25 * seed,
                          label=f"trained, {name}" if seed == 0 else None)  # fmt: skip
            axes.set_title(name, loc="left", fontsize=10)
            axes.set_xlabel("steps of gradient descent")
            axes.set_ylabel("loss")
            axes.set_ylim(0, 1.08 * float(losses()[0]))
            axes.legend(loc="upper right", bbox_to_anchor=(1, 0.88))
    return picture


FIGURE = Figure(
    "zhang_pcr",
    "with separate keys and queries training stands still at principal-component regression with 0, 1, 2 … components",
    "Zhang, Singh, Latham and Saxe 2025, Training dynamics of in-context learning in linear attention "
    "(arXiv 2501.16265)",
    run,
    minutes=2.3,
)
