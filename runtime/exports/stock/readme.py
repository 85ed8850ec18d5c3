"""The README of an exported folder: what it holds, examples that run as they stand, and what is safe to do with it."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from math import isfinite
from textwrap import fill, indent
from typing import Any

import numpy as np
from innerloop.artifact.features import FeatureLayout
from innerloop.artifact.precisions import SHORT
from innerloop.artifact.tokens import role_kinds
from innerloop.artifact.weights import Weights

from ..folder import Sample
from .examples import Example, gradients, patching

_EMBEDDED = 'features @ interface["embedding"]'


def readme(
    weights: Weights,
    example: Example,
    roles: tuple[int, ...],
    sample: Sample,
    layout: dict[str, Any],
    moving: frozenset[str],
) -> str:
    """`roles` are those of the tokens of tasks.safetensors, which are `sample`, with the rest token; `layout` is what
    layout.json holds; `moving`: the fields that have a direction in tasks.safetensors."""
    load, run = example.load.format(dtype=weights.config.dtype).rstrip(), example.run.rstrip()
    if weights.config.dtype in SHORT:  # the interface is in float32
        run = run.replace(_EMBEDDED, f"({_EMBEDDED}).to(model.dtype)").replace("= stream @", "= stream.float() @")
    return f"""\
# {weights.signature.name}

{_what(weights, sample)}

A sequence is a rest token, then `{weights.signature.pattern}`. A token's features are its role
(one-hot), then its fields. `tasks.safetensors` holds a few tasks, field by field, and the float64 oracle's output.

```python
import torch
from safetensors.torch import load_file
{load}
interface, tasks = load_file("interface.safetensors"), load_file("tasks.safetensors")
{_features(weights, roles)}
rows = {_at(weights, weights.output.kinds)}
with torch.no_grad():
{indent(run, "    ")}
output = output[:, rows]
{_difference(weights)}
```
{_variables(weights, example, roles, layout, moving)}
## What is safe

{_safe(weights, example)}
"""


def _variables(
    weights: Weights, example: Example, roles: tuple[int, ...], layout: dict[str, Any], moving: frozenset[str]
) -> str:
    """How variables are read and changed, and gradients taken; of 16 bits neither was tried."""
    if weights.config.dtype in SHORT:
        return ""
    places = _places(weights)
    along = [(name, at) for name, at in places if name in moving]
    cut = gradients(example, places[0][1], along) if layout["constant"] else ""
    return patching(example, layout, roles) + cut + _LEVEL * (cut != "" and _shares_heads(weights))


_LEVEL = """
These weights were compiled with `optimize="heads"`: three moves of one symbol and more share heads, and steps that are
level tell them apart, so that no gradient passes through such moves. Without the option it does.
"""


def _shares_heads(weights: Weights) -> bool:
    made = weights.report.certificate
    return made is not None and made.optimize == "heads"


def _what(weights: Weights, sample: Sample) -> str:
    report, said = weights.report, _each(weights, [f"{error:.1e}" for error in sample.errors])
    try:
        by = f"innerloop {version('innerloop')}"
    except PackageNotFoundError:
        by = "innerloop"
    beside = f"As the library's norms and activations round, they are {said} off at most on the tasks below."
    beside += sample.note
    if isfinite(report.predicted_error):
        text = (
            f"A learning algorithm compiled into a transformer by {by}; the program is in `program.icl`. The weights "
            f"are {weights.config.dtype}; innerloop's own forward pass was measured {_measured(weights)}. {beside}"
        )
    else:
        trained = (
            f"They were trained: {report.trained}." if report.trained else "They were trained, or changed by hand."
        )
        text = (
            f"Weights of the architecture that {by} compiles `program.icl` to, {weights.config.dtype}, that it did not "
            f"compile. {trained} How far they are from what that program says, nobody vouches for: on the tasks below "
            f"they are {said} off at most."
        )
    return fill(text, 120, break_long_words=False, break_on_hyphens=False)


def _each(weights: Weights, said: list[str]) -> str:
    """What is said of each output, with the names of several."""
    if not weights.output.answers:
        return said[0]
    return ", ".join(f"{text} ({answer.name})" for text, answer in zip(said, weights.output.answers, strict=True))


def _measured(weights: Weights) -> str:
    errors, tasks = weights.report.each, weights.report.tasks
    most = _each(weights, [f"{error.measured_error:.1e}" for error in errors])
    rms = _each(weights, [f"{error.output_rms:.3g}" for error in errors])
    predicted = _each(weights, [f"{error.predicted_error:.1e}" for error in errors])
    return f"{most} off the float64 oracle at most ({tasks} tasks, output rms {rms}; predicted: {predicted})"


def _difference(weights: Weights) -> str:
    """The lines that print how far the output is from the oracle's, each of several by its columns."""
    output = weights.output
    if not output.answers:
        return 'print("largest difference from the oracle:", (output - tasks["output"]).abs().max().item())'
    parts = ", ".join(
        f'"{answer.name}": slice({at.start}, {at.stop})'
        for answer, at in zip(output.answers, output.columns, strict=True)
    )
    return (
        f"for name, at in {{{parts}}}.items():\n"
        '    difference = (output - tasks["output"])[..., at].abs().max().item()\n'
        '    print(f"{name}: largest difference from the oracle:", difference)'
    )


def _safe(weights: Weights, example: Example) -> str:
    """Each line is held by tests/exports/test_safe.py."""
    config, causal = weights.config, weights.config.causal
    norms = [norm.gain for item in weights.sublayers() if (norm := getattr(item, "norm", None)) is not None]
    largest = max((float(np.abs(gain).max(initial=0.0)) for gain in norms), default=0.0)
    lines = [
        f"Load them as {config.dtype}, for whose digits they were made"
        + (
            "."
            if config.dtype in SHORT
            else ": bfloat16 and float16 have too few for the constants that the norms divide by, up to "
            f"{largest:.3g}, beside values near 1. Compile for those (`--dtype bfloat16`)."
        ),
        "Leave the weights as they are (in TransformerLens no `fold_ln`, `center_unembed` or "
        "`refactor_factored_attn_matrices`): those constants stand in the stream, and rounding of what is folded is of "
        "their size.",
    ]
    if config.positions == "learned":
        lines.append(
            "Left padding: give `attention_mask` and `position_ids=(mask.cumsum(-1) - 1).clamp(min=0)`. The mask alone "
            "moves the positions, which tell tokens apart."
        )
    else:
        lines.append("Left padding: give `attention_mask`; positions count only as differences.")
    lines[-1] += f" A sequence has at most {config.n_positions} tokens, the rest token and padding included."
    padding = (
        "a padding token's features are those of the rest token (role 0), not zeros, of which a norm may make NaN, "
        "which masks do not stop"
    )
    if causal:
        lines.append(
            f"Right padding: no token sees later ones, so outputs stay as they are with and without a mask; {padding}."
        )
        lines.append("A cache (`use_cache=True`) is right: no token sees later ones.")
    else:
        lines.append(f"Right padding: give `attention_mask`; {padding}.")
        lines.append(
            "There is no cache: earlier tokens see later ones, so that what a cache holds of them is out of date with "
            "the next token. `config.json` turns it off (`use_cache`); a stock model that is told to use one all the "
            "same computes something else, and says nothing. Run whole sequences."
        )
    lines.append(
        "`torch.compile` with the backends `eager` and `aot_eager` computes the same numbers. `inductor`, its default, "
        "and devices other than the CPU add up in another order than was checked: look at the tasks above first, whose "
        "differences are to stay where they are."
    )
    return "\n".join(
        fill(line, 120, initial_indent="* ", subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
        for line in [*lines, *example.notes]
    )


def _features(weights: Weights, roles: tuple[int, ...]) -> str:
    """The lines that lay the tasks' fields out by token."""
    pattern, layout = weights.signature.pattern, FeatureLayout.of(weights.signature)
    first = 1 + len(pattern.prefix)
    line = f"{[0, *range(1, first)]}"
    for group in pattern.groups:
        line += f" + {[*range(first, first + len(group))]} * {roles.count(first)}"
        first += len(group)
    line += f" + {[*range(first, first + len(pattern.suffix))]}" if pattern.suffix else ""
    lines = [
        f"roles = torch.tensor({line})  # {', '.join(weights.roles)}",
        f'features = torch.zeros(len(tasks["output"]), len(roles), {layout.size}, dtype=interface["embedding"].dtype)',
        "features[:, torch.arange(len(roles)), roles] = 1",
    ]
    lines += [f'features[:, {where}] = tasks["field.{name}"]' for name, where in _places(weights)]
    return "\n".join(lines)


def _places(weights: Weights) -> list[tuple[str, str]]:
    """Each field's name, and its tokens and columns among the features, as they are indexed."""
    layout = FeatureLayout.of(weights.signature)
    columns = {field.name: layout.fields[field.name] for field in weights.signature.fields}
    return [
        (field.name, f"{_at(weights, field.kinds)}, {columns[field.name].start}:{columns[field.name].stop}")
        for field in weights.signature.fields
    ]


def _at(weights: Weights, kinds: tuple[str, ...] | frozenset[str]) -> str:
    """The tokens of these kinds, by their roles."""
    roles = [role for role, kind in enumerate(role_kinds(weights.signature.pattern)) if kind in kinds]
    return f"torch.isin(roles, torch.tensor({roles}))"
