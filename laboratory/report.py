"""A comparison for people: rows for a table, and one page that needs nothing else.

Comparison   →   rows(comparison), page(comparison): HTML with its figures, light or dark as the reader has it
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

import numpy as np
from innerloop.artifact.sparse import Matrix
from innerloop.artifact.tokens import describe_pattern
from innerloop.artifact.weights import Weights
from innerloop.runtime.whole import replace, whole_folder
from matplotlib.figure import Figure

from . import charts
from .comparison import Comparison
from .measures.distance import Floats

COLUMNS = ("measure", "compiled", "trained", "between")


def rows(found: Comparison) -> list[list[str]]:
    """A line for each measure: what it is, of the compiled, of the trained, between both."""
    c, t = found.losses["compiled"], found.losses["trained"]
    lines = [["loss at the query", _number(c[-1]), _number(t[-1]), ""]]
    if c.size > 1:
        lines.append(["loss, mean over rows", _number(c.mean()), _number(t.mean()), ""])
    lines.append(["SPD/d at the query", "", "", _number(found.spd[-1] / found.d)])
    if c.size > 1:
        lines.append(["SPD/d, mean over rows", "", "", _number(found.spd.mean() / found.d)])
    lines.append(["prediction difference at the query", "", "", _number(found.difference[-1])])
    if found.implicit is not None:
        lines.append(["ILWD, implicit weights", "", "", _number(found.implicit)])
    if found.sensitivities is not None:
        lines.append(["sensitivities, mean cosine", "", "", f"{found.sensitivities.mean_cosine:.4f}"])
        lines.append(["sensitivities, mean L2", "", "", _number(found.sensitivities.mean_distance)])
    if found.line is not None:
        lines.append(["loss on the line, rise above its ends", "", "", _rise(found.line.rise)])
    if found.algorithms is not None:
        nearest = [found.algorithms.nearest(name) for name in found.algorithms.models]
        lines.append(["nearest algorithm", *nearest, ""])
    for shift in found.shifts:
        worst = int(np.argmax(shift.spd))
        values = [_number(shift.loss[name][worst]) for name in ("compiled", "trained")]
        lines.append([f"loss and SPD at {shift.what} = {shift.values[worst]:g}", *values, _number(shift.spd[worst])])
    return lines + _inside(found)


def _inside(found: Comparison) -> list[list[str]]:
    lines = []
    for kind in dict.fromkeys(curve.kind for curve in found.curves):
        for name in dict.fromkeys(curve.variable for curve in found.curves):
            curves = {c.model: c for c in found.curves if c.variable == name and c.kind == kind}
            cells = [_best(curves[model].score) for model in ("compiled", "trained")]
            lines.append([f"{name}, {kind} probe, R² (layer)", *cells, ""])
            controls = [f"{curves[model].control.max():.3f}" for model in ("compiled", "trained")]
            lines.append([f"{name}, {kind} probe, control", *controls, ""])
    for name in dict.fromkeys(patch.variable for patch in found.patches):
        patches = {p.model: p for p in found.patches if p.variable == name}
        cells = [_best(patches[model].explained) for model in ("compiled", "trained")]
        lines.append([f"{name} patched, explained (layer)", *cells, ""])
    return lines


def _best(values: Floats) -> str:
    """The largest, and after which layer."""
    if np.isnan(values).all():
        return "–"
    best = int(np.nanargmax(values))
    return f"{values[best]:.4f} ({best})"


def _rise(value: float) -> str:
    return f"{100 * value:.2f} %" if value < 10 else f"{_number(1 + value)} times"


def _number(value: float) -> str:
    return "∞" if np.isinf(value) else f"{value:.3g}"


def figures(found: Comparison) -> dict[str, tuple[str, str, Figure]]:
    """name → (title, caption, figure), of what was measured."""
    drawn: dict[str, tuple[str, str, Figure]] = {}

    def add(name: str, title: str, caption: str, figure: Figure) -> None:
        drawn[name] = (title, caption, figure)

    if found.spd.size > 1:
        add("examples", "By examples in context",
            "Loss E (ŷ − y)² of each, and SPD E (ŷ − ŷ')² between them, at each row (Akyürek et al. 2022).",
            charts.by_examples(dict(found.losses), found.spd))  # fmt: skip
    if found.sensitivities is not None:
        add("sensitivities", "Sensitivities",
            "∂ŷ/∂x at the query, task by task: a linear predictor's are its weights (von Oswald et al. 2022).",
            charts.alignments(found.sensitivities))  # fmt: skip
    if found.line is not None:
        add("line", "On the line between the weights",
            "Loss of (1 − α) compiled + α trained, the trained in the compiled one's scale and order of heads and "
            "neurons; of linear attention the products W_Q W_Kᵀ and W_V P are mixed (von Oswald et al. 2022).",
            charts.line(found.line))  # fmt: skip
    if found.algorithms is not None:
        add("algorithms", "Nearest algorithm",
            "SPD/d from known algorithms in closed form, mean over rows (Akyürek et al. 2022).",
            charts.algorithms(found.algorithms))  # fmt: skip
    if found.shifts:
        add("shifts", "Off the distribution",
            "Loss of each, and SPD between them, at the query, where the tasks change and the weights do not.",
            charts.shifts(found.shifts))  # fmt: skip
    if found.targets:
        add("probes", "Probes",
            "R² on held-out tasks of a probe for each variable of the program, at one token, after each layer. Shaded: "
            "where the compiled layout holds the final value. Dotted: the control, values of other tasks "
            "(Hewitt and Liang 2019).",
            charts.probes(found.curves, found.targets))  # fmt: skip
    if found.patches:
        add("patches", "Patches",
            "The value of another task put in along the probe's directions: 1 − Σ (Δŷ − Δ*)² / Σ Δ*², with Δ* what the "
            "same value implies in the compiled model's own slots. No point where the probe reads nothing.",
            charts.patches(found.patches))  # fmt: skip
    return drawn


STYLE = """
:root { color-scheme: light dark; --ink: #222222; --rule: #e6e6e6; --faint: #808080; --paper: #ffffff;
        --compiled: #0072b2; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e4e4; --rule: #383838; --faint: #909090; --paper: #181818; --compiled: #56b4e9; }
}
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
       max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.5rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 0.2rem 0.9rem 0.2rem 0; text-align: right; border-bottom: 1px solid var(--rule); }
th:first-child, td:first-child { text-align: left; }
th { font-weight: 600; border-bottom-color: var(--faint); }
figure { margin: 1rem 0; overflow-x: auto; } figure svg { max-width: 100%; height: auto; }
figcaption, .note { color: var(--faint); font-size: 0.9rem; }
"""


def page(found: Comparison, drawn: dict[str, tuple[str, str, Figure]]) -> str:
    """The report as one HTML file, its figures inside, without scripts."""
    program = escape(found.compiled.signature.name)
    sizes = html_table(
        ("", "compiled", "trained"),
        [[what, ours, architecture(found.trained)[what]] for what, ours in architecture(found.compiled).items()],
    )
    sections = [
        f"<h2>{escape(title)}</h2>\n<figure>\n{charts.svg(figure, name)}\n"
        f"<figcaption>{escape(caption)}</figcaption>\n</figure>"
        for name, (title, caption, figure) in drawn.items()
    ]
    left = "".join(f"<li>{escape(note)}</li>" for note in found.left_out)
    notes = f'<h2>Left out</h2>\n<ul class="note">{left}</ul>' if left else ""
    settings = found.settings
    about = (
        f"Task {escape(found.task)}, tokens <code>{escape(describe_pattern(found.compiled.signature.pattern))}</code>. "
        f"{settings.tasks:,} tasks, {settings.inside:,} for probes and patches, seed {settings.seed}."
    )
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{program}: compiled against trained</title>",
            f"<style>{STYLE}</style></head><body>",
            f"<h1>{program}: compiled against trained</h1>",
            f"<p>{about}</p>",
            sizes,
            "<h2>Measures</h2>",
            html_table(COLUMNS, rows(found)),
            *sections,
            notes,
            "</body></html>\n",
        ]
    )


def architecture(weights: Weights) -> dict[str, str]:
    """What a reader wants to know of it, in words."""
    config = weights.config
    kind = f"{config.attention} attention, {config.activation if config.d_mlp > 1 else 'no'} MLP"
    numbers = sum(
        value.shape[0] * value.shape[1]
        for item in weights.sublayers()
        for value in vars(item).values()
        if isinstance(value, Matrix)
    )
    return {
        "program": weights.signature.name,
        "architecture": f"{config.target}: {kind}",
        "layers": str(config.n_layer),
        "width": str(config.d_model),
        "heads": str(config.n_head),
        "numbers in matrices": f"{numbers:,}",
    }


def html_table(columns: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = "\n".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in line) + "</tr>" for line in lines)
    return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"


def write(found: Comparison, report: Path | None, pictures: Path | None) -> None:
    """The page to `report`, and the figures as NAME.png in the new folder `pictures`: each whole or not at all.

    Raises OSError where a place cannot be written."""
    if report is None and pictures is None:
        return
    drawn = figures(found)
    text = None if report is None else page(found, drawn)
    if pictures is not None:
        with whole_folder(pictures) as folder:
            for name, (_, _, figure) in drawn.items():
                (folder / f"{name}.png").write_bytes(charts.png(figure))
    if report is not None and text is not None:
        replace(report, lambda stream: stream.write(text.encode()))
