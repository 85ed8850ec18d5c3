"""The README of an exported folder: what it holds, and a short example that runs as it stands."""

from __future__ import annotations

from textwrap import indent

from innerloop.artifact.features import FeatureLayout
from innerloop.artifact.tokens import describe_pattern, role_kinds
from innerloop.artifact.weights import Weights


def transformers_example(model: str) -> str:
    """The part of `readme`'s example that runs a model of transformers: what comes before the features, and after."""
    return f"""\
from transformers import {model}

model = {model}.from_pretrained(".", dtype=torch.{{dtype}}).eval()
---
stream = model(inputs_embeds=features @ interface["embedding"]).last_hidden_state
output = stream @ interface["readout"] + interface["readout_bias"]
"""


def readme(weights: Weights, run: str, note: str, roles: tuple[int, ...], errors: list[float]) -> str:
    """`run` is the library's part of the example, before and after the features, apart by a line `---`; `roles` are
    those of the tokens of tasks.safetensors, with the rest token; `note` is what else there is to say; `errors`:
    how far off each output is in the library's arithmetic."""
    before, after = (part.rstrip() for part in run.format(dtype=weights.config.dtype).split("---\n"))
    name, said = weights.signature.name, _each(weights, [f"{error:.1e}" for error in errors])
    return f"""\
# {name}

A learning algorithm compiled into a transformer by innerloop; the program is in `program.icl`. The weights are
{weights.config.dtype}; innerloop's own forward pass was measured {_measured(weights)}. As the
library's norms and activations round, they are {said} off at most on the tasks below.

A sequence is a rest token, then `{describe_pattern(weights.signature.pattern)}`. A token's features are its role
(one-hot), then its fields. `tasks.safetensors` holds a few tasks, field by field, and the float64 oracle's output.

```python
import torch
from safetensors.torch import load_file
{before}
interface, tasks = load_file("interface.safetensors"), load_file("tasks.safetensors")
{_features(weights, roles)}
with torch.no_grad():
{indent(after, "    ")}
output = output[:, {_at(weights, weights.output.kinds)}]
{_difference(weights)}
```
{note}"""


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
    return f"{most} off the float64 oracle\nat most ({tasks} tasks, output rms {rms}; predicted: {predicted})"


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


def _features(weights: Weights, roles: tuple[int, ...]) -> str:
    """The lines that lay the tasks' fields out by token."""
    pattern, layout = weights.signature.pattern, FeatureLayout.of(weights.signature)
    first, repeated = 1 + len(pattern.prefix), len(pattern.group)
    end = first + repeated
    times = roles.count(first)
    parts = [[0, *range(1, first)], list(range(first, end)), list(range(end, end + len(pattern.suffix)))]
    line = f"{parts[0]} + {parts[1]} * {times}" + (f" + {parts[2]}" if parts[2] else "")
    lines = [
        f"roles = torch.tensor({line})  # {', '.join(weights.roles)}",
        f'features = torch.zeros(len(tasks["output"]), len(roles), {layout.size}, dtype=interface["embedding"].dtype)',
        "features[:, torch.arange(len(roles)), roles] = 1",
    ]
    for field in weights.signature.fields:
        columns = layout.fields[field.name]
        where = f"{_at(weights, field.kinds)}, {columns.start}:{columns.stop}"
        lines.append(f'features[:, {where}] = tasks["field.{field.name}"]')
    return "\n".join(lines)


def _at(weights: Weights, kinds: tuple[str, ...] | frozenset[str]) -> str:
    """The tokens of these kinds, by their roles."""
    roles = [role for role, kind in enumerate(role_kinds(weights.signature.pattern)) if kind in kinds]
    return f"torch.isin(roles, torch.tensor({roles}))"
