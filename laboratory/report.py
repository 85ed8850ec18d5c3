"""A comparison for people: one page that needs nothing else, and its numbers beside it.

Comparison   →   page(comparison): HTML with its figures, light or dark as the reader has it, on a screen of any width
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from matplotlib.figure import Figure

from . import charts, drawn
from .compared import Comparison
from .described import in_words, sizes
from .headlines import columns, number, rows
from .network import trained_on
from .verdict import Extremes, among_seeds, extremes, verdict


def figures(found: Comparison) -> dict[str, tuple[str, str, Figure]]:
    """name → (title, caption, figure), of what was measured."""
    made: dict[str, tuple[str, str, Figure]] = {}

    def add(name: str, title: str, caption: str, figure: Figure) -> None:
        made[name] = (title, caption, figure)

    if found.learning:
        add("learning", "Learning curve",
            "The loss of each training, averaged over a two-hundredth of its steps.",
            drawn.learning(found.learning))  # fmt: skip
    if found.losses[found.first].value.size > 1:
        add("examples", "By examples in context",
            "Loss E (ŷ − y)² of each, and SPD E (ŷ − ŷ')² between them, at each row (Akyürek et al. 2022); shaded: "
            "95 % intervals over tasks, and of several seeds all of them.",
            drawn.by_examples(found.losses, found.spd))  # fmt: skip
    if found.sensitivities:
        add("sensitivities", "Sensitivities",
            "∂ŷ/∂x at the query, task by task: a linear predictor's are its weights (von Oswald et al. 2022).",
            drawn.alignments(found.sensitivities))  # fmt: skip
    if found.lines:
        add("line", "On the line between the weights",
            f"Loss of (1 − α) {found.first} + α {next(iter(found.lines)).split()[0]}, the second in the first one's "
            "scale and order of heads and neurons; of linear attention the products W_Q W_Kᵀ and W_V P are mixed (von "
            "Oswald et al. 2022).",
            drawn.line(found.lines))  # fmt: skip
    if found.algorithms is not None:
        add("algorithms", "Nearest algorithm",
            "SPD/d from known algorithms in closed form and from the compiled program, mean over the rows that are "
            "scored, with 95 % intervals over tasks (Akyürek et al. 2022). ◂: beyond the axis, by its number.",
            drawn.algorithms(found.algorithms))  # fmt: skip
    if found.shifts:
        add("shifts", "Off the distribution",
            "Loss of each, and SPD between them, at the query, where the tasks change and the weights do not. Dotted: "
            "the task itself.",
            drawn.shifts(found.shifts))  # fmt: skip
    _inside(found, add)
    return made


def _inside(found: Comparison, add: charts.Add) -> None:
    of = found.inside
    if of.targets:
        add("probes", "Probes",
            "R² on held-out tasks of a linear probe for each variable of the program, at one token, after each layer. "
            "Shaded: where the compiled layout holds the final value. Dotted: the control, values of other tasks "
            "(Hewitt and Liang 2019).",
            drawn.probes(of.curves, of.targets))  # fmt: skip
    if of.maps:
        add("everywhere", "Probes at every token and layer",
            "R² in hundredths. A token that holds the variable in the compiled stream, as each turn of a scan does, is "
            "probed for its own value; others for the last one.",
            drawn.maps(of.maps))  # fmt: skip
    if of.patches:
        add("patches", "Patches of variables",
            "The value of another task put in along the probe's directions: 1 − Σ (Δŷ − Δ*)² / Σ Δ*², with Δ* what the "
            "same value implies in the compiled model's own slots. No point where the probe reads nothing.",
            drawn.patches(of.patches))  # fmt: skip
    if of.taken:
        add("taken", "Where the prediction comes from",
            "The stream of one token after one layer is replaced by another task's: the share, in hundredths, of the "
            "way to that task's prediction that the prediction goes (Meng et al. 2022).",
            drawn.maps(of.taken))  # fmt: skip


STYLE = """
:root { color-scheme: light dark; --ink: #222222; --rule: #e6e6e6; --faint: #6a6a6a; --paper: #ffffff;
        --compiled: #0072b2; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e4e4; --rule: #383838; --faint: #a0a0a0; --paper: #181818; --compiled: #56b4e9; }
  figure svg image { filter: brightness(0.85); }
}
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
       max-width: 60rem; margin: 2rem auto; padding: 0 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.5rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; overflow-wrap: normal; }
th, td { padding: 0.2rem 0.9rem 0.2rem 0; text-align: right; border-bottom: 1px solid var(--rule); }
th:first-child, td:first-child, .words th, .words td { text-align: left; vertical-align: top; }
th { font-weight: 600; border-bottom-color: var(--faint); }
figure { margin: 1rem 0; } figure svg { max-width: 100%; height: auto; margin-right: 1rem; }
figcaption, .note { color: var(--faint); font-size: 0.9rem; }
@media (max-width: 40rem) {
  table.wide thead { display: none; }
  table.wide tr { display: block; border-bottom: 1px solid var(--rule); padding: 0.3rem 0; }
  table.wide td { display: flex; justify-content: space-between; gap: 1rem; border: 0; padding: 0; }
  table.wide td:first-child { font-weight: 600; } table.wide td:empty { display: none; }
  table.wide td:not(:first-child)::before { content: attr(data-label); color: var(--faint); }
}
"""


def page(found: Comparison, made: Mapping[str, tuple[str, str, Figure]], about: Sequence[tuple[str, str]] = ()) -> str:
    """The report as one HTML file, its figures inside, without scripts. `about`: what was compared, in words, beside
    what the comparison knows itself."""
    other = columns(found)[2]
    title = f"{escape(found.compiled.signature.name)}: {found.first} against {other}"
    sections = [
        f"<h2>{escape(heading)}</h2>\n<figure>\n{charts.svg(figure, name, f'{heading}. {caption}')}\n"
        f"<figcaption>{escape(caption)}</figcaption>\n</figure>"
        for name, (heading, caption, figure) in made.items()
    ]
    left = "".join(f"<li>{escape(note)}</li>" for note in found.left_out)
    notes = f'<h2>Left out</h2>\n<ul class="note">{left}</ul>' if left else ""
    seeds = among_seeds(found)
    said = [f"<p><strong>{escape(found.first.capitalize())} and {escape(other)}: "
            f"{escape(verdict(found).sentence)}.</strong></p>"]  # fmt: skip
    if seeds is not None:
        said.append(f"<p>The {len(found.trained)} seeds among themselves: {escape(seeds.sentence)}.</p>")
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{title}</title>",
            f"<style>{STYLE}</style></head><body>",
            f"<h1>{title}</h1>",
            *said,
            html_table(("", *found.models), _sizes(found)),
            "<h2>Measures</h2>",
            '<p class="note">In brackets: 95 % bootstrap intervals over tasks.</p>',
            html_table(columns(found), rows(found)),
            *_extremes(extremes(found)),
            *sections,
            notes,
            "<h2>What was compared</h2>",
            html_table(("", "what"), [*_about(found), *about], words=True),
            "</body></html>\n",
        ]
    )


def _sizes(found: Comparison) -> list[list[str]]:
    each = [sizes(model) for model in found.models.values()]
    return [[what, *(of[what] for of in each)] for what in each[0]]


def _about(found: Comparison) -> list[tuple[str, str]]:
    shapes = (f"{name} {list(value.shape[1:])}" for name, value in found.fields.items())
    told = [
        ("task", f"{found.task}: {', '.join(shapes)} in each; d = {found.d}"),
        ("tokens", str(found.compiled.signature.pattern)),
        (
            "tasks",
            f"{found.settings.tasks:,}; {found.settings.inside:,} for probes and patches; seed {found.settings.seed}",
        ),
    ]
    for name, model in found.models.items():
        trained = trained_on(model)
        told.append((name, in_words(model) + (f"; {trained}" if trained else "")))
    return told


def _extremes(found: Extremes) -> list[str]:
    """Where they differ most: the tasks, and what goes with the difference."""
    lines = [[what, *(number(float(value)) for value in values), number(median), f"{round(rank, 2) + 0.0:+.2f}"]
             for what, (rank, values, median) in found.traits.items()]  # fmt: skip
    answers = [[f"ŷ, {name}", *(number(float(v)) for v in values), "", ""] for name, values in found.answers.items()]
    away = ["(ŷ − ŷ')² at the query", *(number(float(value)) for value in found.spd), "", ""]
    return [
        "<h2>Where they differ most</h2>",
        '<p class="note">The tasks that are furthest apart at the query, counted from 0, and the median of all; last: '
        "the rank correlation with (ŷ − ŷ')² over all tasks.</p>",
        html_table(("", *(f"task {task}" for task in found.tasks), "median", "correlation"), [away, *answers, *lines]),
    ]


def html_table(names: Sequence[str], lines: Sequence[Sequence[str]], *, words: bool = False) -> str:
    """A table of numbers, or of words; on a narrow screen a block a line, the columns' names beside its cells."""
    head = "".join(f"<th>{escape(name)}</th>" for name in names)

    def row(line: Sequence[str]) -> str:
        first, *others = zip(names, line, strict=True)
        cells = "".join(f'<td data-label="{escape(name)}">{escape(text)}</td>' for name, text in others)
        return f"<tr><td>{escape(first[1])}</td>{cells}</tr>"

    body = "\n".join(map(row, lines))
    kind = "wide words" if words else "wide"
    table = f'<table class="{kind}">\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table>'
    return f'<div class="scroll">{table}</div>'
