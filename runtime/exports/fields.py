"""fields.py of an exported folder: a module for its users that makes `inputs_embeds` from arrays.

before   Weights
after    the text of a module of torch alone: inputs_embeds(x=…, y=…) → [batch, tokens, d_model],
         outputs(last_hidden_state) → [batch, rows, *shape]
"""

from __future__ import annotations

from itertools import pairwise

from innerloop.artifact.features import FeatureLayout
from innerloop.artifact.limits import SLACK
from innerloop.artifact.precisions import carrier
from innerloop.artifact.tokens import role_kinds
from innerloop.artifact.weights import Weights

NOTE = """
`fields.py` does the same for arrays of yours: `from fields import inputs_embeds, outputs`, then
`outputs(model(inputs_embeds=inputs_embeds({given})).last_hidden_state{too})`.
"""

_MODULE = '''\
"""Arrays to features, and the rows of the output: {name}, `{pattern}`.

    x = features({given})  # [batch, tokens, features], NumPy
    …[:, rows(x)]  # of [batch, tokens, …] the tokens that give output
"""

import warnings

import numpy as np

PREFIX, GROUPS, SUFFIX = {prefix}, {groups}, {suffix}  # of roles; role 0 is the rest token, before them
FIELDS = {fields}
"""Name: the first column of its features and the one behind, its shape, the roles of the tokens that hold it."""
RANGES = {ranges}
"""Name: from which number to which the weights were compiled for; beyond, a stock model may be wrong in silence."""
OUTPUT = {output}
"""The roles of the tokens that give output."""
SCANS = {scans}
"""Kind of token: its roles, and how many of them are scanned at most."""
POSITIONS = {positions}
"""As many tokens as the weights take, the rest token included."""


def features(**fields):
    """{dtype} [batch, tokens, {size}] from an array [batch, rows, *shape], or [batch, rows, numbers], of each field, a
    row for each token that holds it. One last row that has no token, such as the label of a query, is left out."""
    if set(fields) != set(FIELDS):
        raise ValueError(f"the fields are {{', '.join(FIELDS)}}; given: {{', '.join(fields) or 'none'}}")
    arrays = {{name: _numbers(name, given) for name, given in fields.items()}}
    roles = _roles(arrays)
    for kind, (held, most) in SCANS.items():
        if (have := np.isin(roles, held).sum()) > most:
            raise ValueError(f"the data has {{have}} {{kind}} tokens; the program scans {{kind}} up to {{most}}")
    if len(roles) > POSITIONS:
        raise ValueError(f"the data has {{len(roles) - 1}} tokens; the weights were compiled for {{POSITIONS - 1}}")
    if not (batch := len(next(iter(arrays.values())))):
        raise ValueError("the data has no task")
    found = np.zeros((batch, len(roles), {size}), "{dtype}")
    found[:, np.arange(len(roles)), roles] = 1
    for name, array in arrays.items():
        start, stop, shape, held = FIELDS[name]
        at = np.flatnonzero(np.isin(roles, held))
        if array.shape[2:] not in (shape, (stop - start,)) or len(array) != batch:
            raise ValueError(f"{{name}} has shape {{array.shape}}; wanted {{(batch, len(at), *shape)}}")
        held = array[:, : len(at)].reshape(batch, len(at), stop - start)
        _look(name, held)
        found[:, at, start:stop] = held
    return found


def _numbers(name, given):
    """An array of {dtype}. Raises ValueError for what is none."""
    try:
        if np.iscomplexobj(given):
            raise TypeError
        return np.asarray(given, "{dtype}")
    except (TypeError, ValueError):
        raise ValueError(f"{{name}} is no array of real numbers, rows of one shape") from None


def _look(name, array):
    """Raises ValueError for what is no number, and warns of what is out of its range."""
    if not np.isfinite(array).all():
        task, row, _ = np.argwhere(~np.isfinite(array))[0]
        raise ValueError(f"{{name}} is not finite at task {{task}}, row {{row}} (from 0)")
    low, high = RANGES.get(name, (-np.inf, np.inf))
    out = np.maximum(low - array, array - high)
    if out.max(initial=0) > {slack} * max(abs(low), abs(high)):
        task, row, column = np.unravel_index(out.argmax(), out.shape)
        where = f"{{name}} is {{array[task, row, column]:.4g}} at task {{task}}, row {{row}} (from 0)"
        warnings.warn(f"{{where}}; compiled for {{low:.4g}} to {{high:.4g}}, the weights may be wrong", stacklevel=4)


def rows(features):
    """The tokens that give output, of arrays [batch, tokens, …]; of several groups only `features` say which."""
    if len(GROUPS) > 1:
        line = features[0, :, :{roles}].argmax(-1)
    else:
        line = _line([(features.shape[1] - 1 - len(PREFIX) - len(SUFFIX)) // len(GROUPS[0])])
    if len(line) != features.shape[1]:
        raise ValueError(f"{{features.shape[1]}} tokens do not fit the rest token and {pattern}")
    return np.flatnonzero(np.isin(line, OUTPUT))


def _line(times):
    repeated = [role for group, count in zip(GROUPS, times) for role in group * count]
    return np.array([0, *PREFIX, *repeated, *SUFFIX])


def _roles(arrays):
    """The role of every token, from how many rows the fields have."""
    equations = []
    for name, array in arrays.items():
        if array.ndim < 2:
            raise ValueError(f"{{name}} has shape {{array.shape}}; the first two are batch and rows")
        held = FIELDS[name][3]
        fixed, *each = (sum(role in held for role in some) for some in (PREFIX + SUFFIX, *GROUPS))
        ends = len(GROUPS) == 1 and any(each) and SUFFIX and not any(role in held for role in SUFFIX)
        equations.append((name, array.shape[1], fixed, each, 1 if ends else 0))
    if len(GROUPS) == 1:
        may = [(times,) for times in range(1 + max(given for _, given, *_ in equations))]
    else:
        left = [given - fixed for _, given, fixed, *_ in equations]
        may = [tuple(np.rint(np.linalg.lstsq([each for *_, each, _ in equations], left)[0]).astype(int))]
    for name, given, fixed, each, spare in equations:
        may = [t for t in may if min(t) >= 0 and 0 <= given - fixed - sum(map(int.__mul__, map(int, t), each)) <= spare]
        if not may and len(GROUPS) > 1:
            told = ", ".join(f"{{given}} of {{name}}" for name, given, *_ in equations)
            raise ValueError(f"so many rows do not fit {pattern}: {{told}}")
        if not may:
            raise ValueError(f"{{name}} has {{given}} rows, which does not fit {pattern}")
    return _line(max(may))
'''
_TORCH = '''

def inputs_embeds(**fields):
    """[batch, tokens, d_model] of torch from arrays, as `features` takes them."""
    import torch

    return (torch.from_numpy(features(**fields)) @ _interface()["embedding"]).to(torch.{model})


def outputs(last_hidden_state, **fields):
    """[batch, rows, *shape], a row for each token that gives output; of several groups the fields say which."""
    if len(GROUPS) > 1 and not fields:
        raise ValueError("of several groups the fields say which: outputs(last_hidden_state, {given})")
    interface, shape = _interface(), tuple(last_hidden_state.shape)
    if len(shape) != 3 or shape[2] != len(interface["readout"]):
        raise ValueError(f"the stream has shape {{shape}}; wanted (batch, tokens, {{len(interface['readout'])}})")
    at = rows(features(**fields) if fields else last_hidden_state)
    found = last_hidden_state[:, at].to(interface["readout"].dtype) @ interface["readout"] + interface["readout_bias"]
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
    begins = [first + cut for cut in (0, *pattern.cuts)]
    fields = {
        field.name: (columns[field.name].start, columns[field.name].stop, field.shape, at(field.kinds))
        for field in signature.fields
    }
    most = dict(sorted(((scan.kind, scan.most) for scan in signature.scans), reverse=True))  # of two, the fewer
    return (_MODULE + (_TORCH if torch else "")).format(
        name=signature.name,
        pattern=str(pattern),
        given=given(weights),
        prefix=list(range(1, first)),
        groups=[list(range(*ends)) for ends in pairwise((*begins, behind))],
        roles=len(kinds),
        suffix=list(range(behind, len(kinds))),
        fields=fields,
        output=at(weights.output.kinds),
        scans={kind: (at((kind,)), few) for kind, few in most.items()},
        positions=weights.config.n_positions,
        shape=weights.output.shape,
        dtype=carrier(weights.config.dtype).name,
        model=weights.config.dtype,
        ranges={each.name: (each.low, each.high) for each in weights.inputs},
        slack=SLACK,
        size=FeatureLayout.of(signature).size,
    )


def note(weights: Weights) -> str:
    """What the folder's README says of it."""
    too = f", {given(weights)}" if len(weights.signature.pattern.groups) > 1 else ""
    return NOTE.format(given=given(weights), too=too)


def given(weights: Weights) -> str:
    """The fields as arguments: "x=x, y=y"."""
    return ", ".join(f"{field.name}={field.name}" for field in weights.signature.fields)
