"""What a trained causal layer of linear attention makes of x_{t+1} = W x_t, W = diag(e^{iθ}).

    compiled   ar_mesa_optimizer on lsa: ŷ_t = ab/(t−1) Σ_{i=2..t} xᵢ (xᵢ₋₁* x_t), one step of gradient descent
    trained    the same architecture from a diagonal start, ab = 0.09, all numbers of its attention free; the softmax
               layer in front, which lays x_{t−1} beside x_t, is as compiled and stays

Gradient flow from such a start goes to the ab of least loss. With θ uniform and a real x₁, of the second moment of
component r only |xᵣ|⁶ and, s ≠ r, the sums of t − 1 independent phases xᵣ² xₛ⁴ / (t − 1) are left, so that

    ab = κ₁ / (κ₂ + κ₃ mean_{t=2..T−1} 1/(t−1)),   κ₁ = E xᵣ⁴, κ₂ = E xᵣ⁶, κ₃ = Σ_{s≠r} E xᵣ² xₛ⁴

N(0, σ²): κ = 3σ⁴, 15σ⁶, 3(d−1)σ⁶, so that for long sequences ab → 1/(5σ²): the prediction is shrunk to a fifth.
±c eⱼ: κ = c⁴/d, c⁶/d, 0, so that ab = 1/c² and the prediction is exact.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from innerloop.artifact.weights import Weights
from innerloop.compiler import compile_program
from innerloop.programs import load
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Picture

from ..charts import COMPILED, TRAINED, averaged
from ..measures.distance import Floats
from ..measures.subject import Subject
from ..training.model import Model
from ..training.tasks import task
from .shared.frame import LONGER, UNSEEN, Check, Figure, Result, Setting, Table
from .shared.layers import copies
from .shared.pictures import INK, panels

D, T = 5, 20
SIGMA, C = 1.0, 0.8
BEGIN = 0.3
"""a₀ = b₀ of the diagonal start."""


def closed_form(start: str, d: int = D, length: int = T, scale: float = 1.0) -> float:
    """ab of least loss for a gaussian or sparse start of this scale: see above."""
    if start == "sparse":
        return 1 / scale**2
    shorter = np.mean([1 / (t - 1) for t in range(2, length)])
    return float(3 / ((15 + 3 * (d - 1) * shorter) * scale**2))


@dataclass(frozen=True)
class Found:
    """A trained layer against the closed form on fresh tasks. predictions, truth [tasks, rows, d, 2].

    ab            ⟨ŷ, u⟩/⟨u, u⟩, u the prediction of ab = 1
    unexplained   ‖ŷ − ab u‖² / ‖ŷ‖²
    """

    closed: float
    ab: float
    unexplained: float
    losses: Floats
    loss: float
    compiled_loss: float
    predictions: Floats
    truth: Floats
    weights: Weights
    compiled: Weights

    def errors(self) -> Floats:
        """|ŵ − e^{iθ}| of the entry of W that a sparse start shows: its prediction over what it was predicted from,
        whose absolute value is c at every step [tasks, rows]."""
        return np.asarray(np.sqrt(((self.predictions - self.truth) ** 2).sum((2, 3)) / (self.truth**2).sum((2, 3))))


def trained(setting: Setting, start: str, scale: float, steps: int, rate: float) -> Found:
    text, closed = load("ar_mesa_optimizer"), closed_form(start, D, T, scale)
    unit = compile_program(text, target="lsa", d=D, rate=1.0)
    compiled = compile_program(text, target="lsa", d=D, rate=closed)
    stream = task("autoregressive", d=D, n=T, form="complex", start=start, start_scale=scale)
    # Long enough, Adam's noise leaves the diagonal: a long run takes smaller steps over the same way.
    rate = rate / LONGER if setting.long else rate
    found = setting.train(
        start, _diagonal(Model.of(unit)), stream, steps=steps, batch=1024, rate=rate, warmup=50, clip=10.0,
        freeze=copies(unit),
    )  # fmt: skip
    setting.told("comparing", 0, 0)
    fields = stream.drawn(setting.tasks(20_000), UNSEEN)
    predictions, step, ours = (
        np.asarray(Subject(weights, "")(fields), np.float64)[:, :-1] for weights in (found.weights, unit, compiled)
    )
    truth = fields["x"][:, 2:]
    ab = float((predictions * step).sum() / (step**2).sum())
    return Found(
        closed=closed,
        ab=ab,
        unexplained=float(((predictions - ab * step) ** 2).sum() / (predictions**2).sum()),
        losses=2 * found.losses.astype(np.float64),
        loss=float(((predictions - truth) ** 2).mean()) * 2,
        compiled_loss=float(((ours - truth) ** 2).mean()) * 2,
        predictions=predictions,
        truth=truth,
        weights=found.weights,
        compiled=compiled,
    )


def _diagonal(model: Model) -> Model:
    """The step of ab = 1 with queries and outputs times BEGIN: ab = BEGIN²."""
    scaled = {
        name: BEGIN * value if name.endswith(("linear_attention.query", "linear_attention.output")) else value
        for name, value in model.parameters.items()
    }
    return replace(model, parameters=scaled)


def run(setting: Setting) -> Result:
    gaussian = trained(setting, "gaussian", SIGMA, steps=600, rate=5e-4)
    sparse = trained(setting, "sparse", C, steps=700, rate=4e-3)
    both = {"gaussian": gaussian, "sparse": sparse}
    wrong = sparse.errors()
    return Result(
        checks=(
            Check("gaussian start: ab, trained / closed form", gaussian.ab / gaussian.closed, 0.97, 1.03),
            Check("gaussian start: unexplained by one step", gaussian.unexplained, high=0.02),
            Check("gaussian start: loss, trained / compiled", gaussian.loss / gaussian.compiled_loss, 0.98, 1.02),
            Check("gaussian start: the step over an exact one", gaussian.ab * SIGMA**2, high=0.2),
            Check("sparse start: ab, trained / closed form", sparse.ab / sparse.closed, 0.97, 1.03),
            Check("sparse start: error of W, root mean square", float(np.sqrt((wrong**2).mean())), high=0.01),
            Check("sparse start: error of W, largest", float(wrong.max()), high=0.05),
        ),
        tables=(
            Table(
                ["start", "ab, closed form", "ab, trained", "unexplained", "loss, compiled", "loss, trained"],
                [
                    [name, f"{f.closed:.4f}", f"{f.ab:.4f}", f"{f.unexplained:.1e}", f"{f.compiled_loss:.2e}",
                     f"{f.loss:.2e}"]
                    for name, f in both.items()
                ],
            ),
        ),
        pictures={"zheng_ar": _picture(gaussian, sparse)},
        numbers={
            name: {
                "ab_closed_form": f.closed,
                "ab_trained": f.ab,
                "unexplained": f.unexplained,
                "loss_trained": f.loss,
                "loss_compiled": f.compiled_loss,
                "training_losses": f.losses,
            }
            for name, f in both.items()
        },
        weights={f"compiled_{name}": f.compiled for name, f in both.items()}
        | {f"trained_{name}": f.weights for name, f in both.items()},
    )  # fmt: skip


def _picture(gaussian: Found, sparse: Found) -> Picture:
    with panels(3, "One trained causal layer of linear attention on $x_{t+1} = W x_t$") as (
        picture,
        (left, middle, right),
    ):
        for name, found, colour in (("gaussian", gaussian, TRAINED), ("sparse", sparse, COMPILED)):
            steps, curve = averaged(found.losses, 100)
            scale = (found.truth**2).mean() * 2
            left.plot(steps, curve / scale, color=colour, linewidth=2, label=f"{name} start")
            left.axhline(found.compiled_loss / scale, color=colour, linewidth=1, linestyle=(0, (4, 2)))
        left.set_ylim(-0.02, 1.05)
        left.set_xlabel("steps of Adam (dashed: compiled)")
        left.set_ylabel("loss / variance")
        left.legend()
        _points(middle, gaussian, 3.0, "gaussian start: shrunk")
        _points(right, sparse, 1.05 * C, "sparse start: exact")
    return picture


def _points(axes: Axes, found: Found, limit: float, title: str) -> None:
    """Components of the last prediction, trained and compiled, over the truth."""
    truth = found.truth[:1500, -1].ravel()
    kept = truth != 0
    axes.axline((0, 0), slope=1, color=INK, linewidth=1, linestyle=(0, (4, 2)), label="exact")
    axes.plot(truth[kept], found.predictions[:1500, -1].ravel()[kept], ".", color=TRAINED, markersize=2, alpha=0.5,
              label="trained", rasterized=True)  # fmt: skip
    axes.set_xlim(-limit, limit)
    axes.set_ylim(-limit, limit)
    axes.set_title(title, loc="left", fontsize=10)
    axes.set_xlabel("component of $x_T$")
    axes.set_ylabel("its prediction")
    axes.legend(loc="upper left", markerscale=5)


FIGURE = Figure(
    "zheng_ar",
    "a trained causal layer takes one step of gradient descent on a sequence, shrunk or exact by its start",
    "Zheng et al. 2024, On mesa-optimization in autoregressively trained transformers (arXiv 2405.16845)",
    run,
)
