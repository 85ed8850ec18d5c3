"""fields.py of an exported folder: a module for its users that makes `inputs_embeds` from arrays.

before   Weights
after    the text of a module of torch alone: inputs_embeds(x=…, y=…) → [batch, tokens, d_model],
         outputs(last_hidden_state) → [batch, rows, *shape]
"""

from __future__ import annotations

from innerloop.artifact.features import FeatureLayout
from innerloop.artifact.tokens import describe_pattern, role_kinds
from innerloop.artifact.weights import Weights

NOTE = """
`fields.py` does the same for arrays of yours: `from fields import inputs_embeds, outputs`, then
`outputs(model(inputs_embeds=inputs_embeds({given})).last_hidden_state)`.
"""

_MODULE = '''\
"""Arrays to `inputs_embeds`, and hidden states to outputs: {name}, `{pattern}`.

    stream = model(inputs_embeds=inputs_embeds({given})).last_hidden_state
    result = outputs(stream)
"""

from pathlib import Path

import torch
from safetensors.torch import load_file

INTERFACE = load_file(Path(__file__).with_name("interface.safetensors"))
PREFIX, GROUP, SUFFIX = {prefix}, {group}, {suffix}  # of roles; role 0 is the rest token, before them
FIELDS = {fields}
"""Name: the first column of its features and the one behind, its shape, the roles of the tokens that hold it."""
OUTPUT, SHAPE = {output}, {shape}
"""The roles of the tokens that give output, and its shape."""


def inputs_embeds(**fields):
    """[batch, tokens, d_model] from an array [batch, rows, *shape] of each field, a row for each token that holds it.
    One last row that has no token, such as the label of a query, is left out."""
    if set(fields) != set(FIELDS):
        raise ValueError(f"the fields are {{', '.join(FIELDS)}}; given: {{', '.join(fields) or 'none'}}")
    dtype = INTERFACE["embedding"].dtype
    arrays = {{name: torch.as_tensor(given).to(dtype) for name, given in fields.items()}}
    roles = _roles(arrays)
    batch = len(next(iter(arrays.values())))
    features = torch.zeros(batch, len(roles), len(INTERFACE["embedding"]), dtype=dtype)
    features[:, torch.arange(len(roles)), roles] = 1
    for name, array in arrays.items():
        start, stop, shape, held = FIELDS[name]
        at = torch.isin(roles, torch.tensor(held))
        rows = int(at.sum())
        if array.shape[2:] != shape or len(array) != batch:
            raise ValueError(f"{{name}} has shape {{tuple(array.shape)}}; wanted {{(batch, rows, *shape)}}")
        features[:, at, start:stop] = array[:, :rows].reshape(batch, rows, stop - start)
    return features @ INTERFACE["embedding"]


def outputs(last_hidden_state):
    """[batch, rows, *shape], a row for each token that gives output."""
    times = (last_hidden_state.shape[1] - 1 - len(PREFIX) - len(SUFFIX)) // len(GROUP)
    at = torch.isin(_line(times), torch.tensor(OUTPUT))
    found = last_hidden_state[:, at] @ INTERFACE["readout"] + INTERFACE["readout_bias"]
    return found.reshape(*found.shape[:2], *SHAPE)


def _line(times):
    return torch.tensor([0, *PREFIX, *(GROUP * times), *SUFFIX])


def _roles(arrays):
    """The role of every token, from how many rows the fields have."""
    times = None
    for name, array in arrays.items():
        held = FIELDS[name][3]
        fixed = sum(role in held for role in PREFIX + SUFFIX)
        each = sum(role in held for role in GROUP)
        spare = 1 if each and SUFFIX and not any(role in held for role in SUFFIX) else 0
        if array.ndim < 2:
            raise ValueError(f"{{name}} has shape {{tuple(array.shape)}}; the first two are batch and rows")
        rows = array.shape[1]
        fits = {{t for t in range(rows + 1) if 0 <= rows - fixed - each * t <= spare}}
        if each:
            times = fits if times is None else times & fits
        if not fits or not times and each:
            raise ValueError(f"{{name}} has {{rows}} rows, which does not fit {pattern}")
    return _line(max(times))
'''


def module(weights: Weights) -> str:
    """The text of fields.py."""
    signature, kinds = weights.signature, role_kinds(weights.signature.pattern)
    pattern, columns = signature.pattern, FeatureLayout.of(signature).fields

    def at(of: tuple[str, ...] | frozenset[str]) -> list[int]:
        return [role for role, kind in enumerate(kinds) if kind in of]

    first, behind = 1 + len(pattern.prefix), 1 + len(pattern.prefix) + len(pattern.group)
    fields = {
        field.name: (columns[field.name].start, columns[field.name].stop, field.shape, at(field.kinds))
        for field in signature.fields
    }
    return _MODULE.format(
        name=signature.name,
        pattern=describe_pattern(pattern),
        given=given(weights),
        prefix=list(range(1, first)),
        group=list(range(first, behind)),
        suffix=list(range(behind, len(kinds))),
        fields=fields,
        output=at(weights.output.kinds),
        shape=weights.output.shape,
    )


def note(weights: Weights) -> str:
    """What the folder's README says of it."""
    return NOTE.format(given=given(weights))


def given(weights: Weights) -> str:
    """The fields as arguments: "x=x, y=y"."""
    return ", ".join(f"{field.name}={field.name}" for field in weights.signature.fields)
