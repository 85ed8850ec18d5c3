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
"""Arrays to features, and the rows of the output: {name}, `{pattern}`.

    x = features({given})  # [batch, tokens, features], NumPy
    …[:, rows(x)]  # of [batch, tokens, …] the tokens that give output
"""

import numpy as np

PREFIX, GROUP, SUFFIX = {prefix}, {group}, {suffix}  # of roles; role 0 is the rest token, before them
FIELDS = {fields}
"""Name: the first column of its features and the one behind, its shape, the roles of the tokens that hold it."""
OUTPUT = {output}
"""The roles of the tokens that give output."""


def features(**fields):
    """{dtype} [batch, tokens, {size}] from an array [batch, rows, *shape], or [batch, rows, numbers], of each field, a
    row for each token that holds it. One last row that has no token, such as the label of a query, is left out."""
    if set(fields) != set(FIELDS):
        raise ValueError(f"the fields are {{', '.join(FIELDS)}}; given: {{', '.join(fields) or 'none'}}")
    arrays = {{name: np.asarray(given, "{dtype}") for name, given in fields.items()}}
    roles = _roles(arrays)
    batch = len(next(iter(arrays.values())))
    found = np.zeros((batch, len(roles), {size}), "{dtype}")
    found[:, np.arange(len(roles)), roles] = 1
    for name, array in arrays.items():
        start, stop, shape, held = FIELDS[name]
        at = np.flatnonzero(np.isin(roles, held))
        if array.shape[2:] not in (shape, (stop - start,)) or len(array) != batch:
            raise ValueError(f"{{name}} has shape {{array.shape}}; wanted {{(batch, len(at), *shape)}}")
        found[:, at, start:stop] = array[:, : len(at)].reshape(batch, len(at), stop - start)
    return found


def rows(features):
    """The tokens that give output, of arrays [batch, tokens, …]."""
    return np.flatnonzero(np.isin(_line((features.shape[1] - 1 - len(PREFIX) - len(SUFFIX)) // len(GROUP)), OUTPUT))


def _line(times):
    return np.array([0, *PREFIX, *(GROUP * times), *SUFFIX])


def _roles(arrays):
    """The role of every token, from how many rows the fields have."""
    times = None
    for name, array in arrays.items():
        if array.ndim < 2:
            raise ValueError(f"{{name}} has shape {{array.shape}}; the first two are batch and rows")
        held, given = FIELDS[name][3], array.shape[1]
        fixed = sum(role in held for role in PREFIX + SUFFIX)
        each = sum(role in held for role in GROUP)
        spare = 1 if each and SUFFIX and not any(role in held for role in SUFFIX) else 0
        fits = {{t for t in range(given + 1) if 0 <= given - fixed - each * t <= spare}}
        if each:
            times = fits if times is None else times & fits
        if not fits or not times and each:
            raise ValueError(f"{{name}} has {{given}} rows, which does not fit {pattern}")
    return _line(max(times))
'''
_TORCH = '''

def inputs_embeds(**fields):
    """[batch, tokens, d_model] of torch from arrays, as `features` takes them."""
    import torch

    return torch.from_numpy(features(**fields)) @ _interface()["embedding"]


def outputs(last_hidden_state):
    """[batch, rows, *shape], a row for each token that gives output."""
    interface = _interface()
    found = last_hidden_state[:, rows(last_hidden_state)] @ interface["readout"] + interface["readout_bias"]
    return found.reshape(*found.shape[:2], *{shape})


def _interface():
    from pathlib import Path

    from safetensors.torch import load_file

    return load_file(Path(__file__).with_name("interface.safetensors"))
'''


def module(weights: Weights, torch: bool) -> str:
    """The text of fields.py, with what makes `inputs_embeds` of `torch` or without."""
    signature, kinds = weights.signature, role_kinds(weights.signature.pattern)
    pattern, columns = signature.pattern, FeatureLayout.of(signature).fields

    def at(of: tuple[str, ...] | frozenset[str]) -> list[int]:
        return [role for role, kind in enumerate(kinds) if kind in of]

    first, behind = 1 + len(pattern.prefix), 1 + len(pattern.prefix) + len(pattern.group)
    fields = {
        field.name: (columns[field.name].start, columns[field.name].stop, field.shape, at(field.kinds))
        for field in signature.fields
    }
    return (_MODULE + (_TORCH if torch else "")).format(
        name=signature.name,
        pattern=describe_pattern(pattern),
        given=given(weights),
        prefix=list(range(1, first)),
        group=list(range(first, behind)),
        suffix=list(range(behind, len(kinds))),
        fields=fields,
        output=at(weights.output.kinds),
        shape=weights.output.shape,
        dtype=weights.config.dtype,
        size=FeatureLayout.of(signature).size,
    )


def note(weights: Weights) -> str:
    """What the folder's README says of it."""
    return NOTE.format(given=given(weights))


def given(weights: Weights) -> str:
    """The fields as arguments: "x=x, y=y"."""
    return ", ".join(f"{field.name}={field.name}" for field in weights.signature.fields)
