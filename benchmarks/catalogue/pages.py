"""The pages of the catalogue: what was measured of a program   →   its page, its row of the overview, what is wrong."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from innerloop.artifact.words import TargetName
from innerloop.compiler.syntax.parse import parse
from innerloop.programs import GROUPS, citation, load, names, purpose

from tests.reference import Case, case_of
from tests.reference.measured import BOUNDS, TASKS, Measured, Refused, measure, size
from tests.reference.reasons import REASONS, Place

PLACES: tuple[Place, ...] = (
    ("gpt2", "float32"),
    ("gpt2", "float64"),
    ("gelu", "float32"),
    ("llama", "float32"),
    ("llama", "float64"),
    ("lsa", "float32"),
)
PICTURES = "pictures"
"""The folder beside the pages."""
Found = Mapping[Place, Measured | Refused]

_OPENING = f"""\
# The library

Every program that ships, compiled to every target. `make catalogue` writes these pages. Each program has a page with
its text, its source, and how far its transformer is from an implementation that nobody here wrote, on {TASKS} random
tasks. SPD/d is the mean squared difference of the two, over d (Akyürek et al. 2022), here in float32. A picture shows
what its residual stream holds, layer after layer.
"""


def measured(job: tuple[str, Place]) -> Measured | Refused:
    warnings.simplefilter("ignore")
    program, (target, dtype) = job
    return measure(case_of(program), target, dtype)


# Pages -------------------------------------------------------------------------------------------


def page(name: str, found: Found, seen: str) -> str:
    """A program's page, in Markdown. `seen`: what its picture shows."""
    case, text = case_of(name), load(name)
    body = text[text.index("\nprogram ") :].strip("\n")
    parts = [
        f"# {name}",
        purpose(name),
        f"Source: {citation(name)}",
        f"```\n{body}\n```",
        f"![{seen}]({PICTURES}/{name}.png)\n\n{seen[0].upper()}{seen[1:]}.",
        f"Compiled with {_parameters(case.parameters)}. {_tokens(case)} Held against: {_lowered(case.against)} "
        f"SPD/d has d = {size(case)}.",
        _figures(found),
        *_refusals(text, found),
        *_reasons(name, found),
        "[The library](README.md)",
    ]
    return "\n\n".join(parts) + "\n"


def _parameters(parameters: Mapping[str, Any]) -> str:
    def shown(value: Any) -> str:
        array = np.asarray(value)
        return f"{value:g}" if array.ndim == 0 else f"an array of {' × '.join(map(str, array.shape))}"

    given = [f"{name} = {shown(value)}" for name, value in parameters.items()]
    return ", ".join(given) + (" and else the defaults" if given else "the defaults")


def _tokens(case: Case) -> str:
    tree = parse(load(case.program), case.program)
    shown = str(tree.tokens.pattern).removesuffix("  visible context")
    task = {name: array[0] for name, array in case.data(seed=0, tasks=1).items()}
    rows = ", ".join(f"{field.name} {len(task[field.name])}" for field in tree.fields)
    return f"A task is `{shown}`, with rows: {rows}."


def _lowered(sentence: str) -> str:
    """With a small first letter, where the first word is written small elsewhere."""
    first = sentence.split()[0]
    return sentence[0].lower() + sentence[1:] if first[1:].islower() and "'" not in first else sentence


def _figures(found: Found) -> str:
    head = "| target | dtype | layers | width | neurons | heads | output rms | largest error | rms error | SPD/d |"
    rows = [
        f"| `{target}` | {dtype} | {m.layers} | {m.width} | {m.neurons:,} | {m.heads} | {m.rms:.2g} | "
        f"{m.largest:.0e} | {m.error:.0e} | {m.spd:.0e} |"
        for (target, dtype), m in found.items()
        if isinstance(m, Measured)
    ]
    return "\n".join([head, "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|", *rows]) if rows else "No target holds it yet."


def _refusals(text: str, found: Found) -> list[str]:
    """A paragraph for each thing that a target refuses, in its own words."""
    said: dict[str, None] = {}
    for (target, dtype), what in found.items():
        if isinstance(what, Refused):
            always = all(other == what for place, other in found.items() if place[0] == target)
            line = f"`{text.splitlines()[what.line - 1].partition('#')[0].strip()}`" if what.line else "it"
            told = f"`{target}`{'' if always else f' in {dtype}'} refuses {line}: {what.message}."
            said[f"{told} {_sentence(what.hint)}" if what.hint else told] = None
    return list(said)


def _sentence(hint: str) -> str:
    return f"{hint[0].upper()}{hint[1:]}."


def _reasons(name: str, found: Found) -> list[str]:
    by_text: dict[str, list[str]] = {}
    for (target, dtype), why in REASONS.get(name, {}).items():
        if (target, dtype) in found:
            by_text.setdefault(why, []).append(f"`{target}` in {dtype}")
    return [f"SPD/d is above its bound on {', '.join(places)}. {why}" for why, places in by_text.items()]


def overview(pages: Mapping[str, Found], kept: Mapping[str, str]) -> str:
    """The first page: the programs by groups, a cell for each target. `kept`: rows of programs without pages here."""
    targets = list(dict.fromkeys(target for target, _ in PLACES))
    parts = [_OPENING.rstrip("\n")]
    parts.append(
        "A cell says layers × width, neurons: SPD/d. – is a refusal, whose reason stands on the program's page."
    )
    for group, members in GROUPS.items():
        rows = [_row(name, pages[name], targets) if name in pages else kept[name] for name in members
                if name in pages or name in kept]  # fmt: skip
        if rows:
            head = f"| program | what it does | {' | '.join(f'`{t}`' for t in targets)} |"
            parts.append("\n".join([f"## {group}\n", head, "|---|---|" + "---|" * len(targets), *rows]))
    listed = [name for name in names() if name in pages or name in kept]
    reasons = [f"`{name}`: {text}" for name in listed for text in dict.fromkeys(REASONS.get(name, {}).values())]
    if reasons:
        bounds = " and ".join(f"{bound:.0e} in {dtype}" for dtype, bound in BOUNDS.items())
        parts.append("## Not exact\n\n" + f"SPD/d is within {bounds}, but for these.\n\n" + "\n\n".join(reasons))
    return "\n\n".join(parts) + "\n"


def _row(name: str, found: Found, targets: Sequence[TargetName]) -> str:
    cells = " | ".join(_cell(found[target, "float32"]) for target in targets)
    return f"| [{name}]({name}.md) | {purpose(name)} | {cells} |"


def rows_of(folder: Path) -> dict[str, str]:
    """The rows of an overview that was written before, by program."""
    file = folder / "README.md"
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    found = {line.removeprefix("| [").partition("]")[0]: line for line in lines if line.startswith("| [")}
    return {name: line for name, line in found.items() if name in names()}


def _cell(found: Measured | Refused) -> str:
    if isinstance(found, Refused):
        return "–"
    return f"{found.layers} × {found.width}, {found.neurons:,}: {found.spd:.0e}"


# Faults ------------------------------------------------------------------------------------------


def faults(pages: Mapping[str, Found]) -> list[str]:
    """Programs that miss a bound without a reason, and reasons that are none."""
    said = []
    for name, found in pages.items():
        for place, what in found.items():
            missed = isinstance(what, Measured) and not what.spd <= BOUNDS[place[1]]
            if missed != (place in REASONS.get(name, {})):
                told = "misses its bound, and no reason is given" if missed else "has a reason that does not hold"
                said.append(f"{name} on {place[0]} in {place[1]} {told} (tests/reference/reasons.py)")
    return said
