"""The README of an exported folder: what it holds, and a short example that runs as it stands."""

from __future__ import annotations

from textwrap import indent

from innerloop.artifact.features import FeatureLayout
from innerloop.artifact.precisions import SHORT
from innerloop.artifact.tokens import describe_pattern, role_kinds
from innerloop.artifact.weights import Weights


def transformers_example(model: str) -> str:
    """The part of `readme`'s example that runs a model of transformers: what comes before the features, and after."""
    return f"""\
from transformers import {model}

model = {model}.from_pretrained(".", dtype=torch.{{dtype}}).eval()
---
stream = model(inputs_embeds={{embedded}}).last_hidden_state
output = {{stream}} @ interface["readout"] + interface["readout_bias"]
"""


def readme(weights: Weights, run: str, note: str, roles: tuple[int, ...], error: float) -> str:
    """`run` is the library's part of the example, before and after the features, apart by a line `---`; `roles` are
    those of the tokens of tasks.safetensors, with the rest token; `note` is what else there is to say; `error` is
    how far off they are in the library's arithmetic."""
    dtype, given, taken = weights.config.dtype, 'features @ interface["embedding"]', "stream"
    if dtype in SHORT:
        given, taken = f"({given}).to(model.dtype)", "stream.to(torch.float32)"
    before, after = (part.rstrip() for part in run.format(dtype=dtype, embedded=given, stream=taken).split("---\n"))
    report, name = weights.report, weights.signature.name
    return f"""\
# {name}

A learning algorithm compiled into a transformer by innerloop; the program is in `program.icl`. The weights are
{weights.config.dtype}; innerloop's own forward pass was measured {report.measured_error:.1e} off the float64 oracle
at most ({report.tasks} tasks, output rms {report.output_rms:.3g}; predicted: {report.predicted_error:.1e}). As the
library's norms and activations round, they are {error:.1e} off at most on the tasks below.

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
print("largest difference from the oracle:", (output - tasks["output"]).abs().max().item())
```
{note}"""


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
