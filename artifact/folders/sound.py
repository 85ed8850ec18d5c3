"""What config.json may say: each number as the language would have it, and bounded, so that a folder of a stranger's is
safe to load and bounded to run.

    config.d_model = 2147483647                 →   Fault: … it is at most 16777216
    inputs[0].high = inf                        →   Fault: … its ends are finite, the lower one first
    body[2] repeats no sublayers 500000000 times →  Fault
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise
from math import isfinite, prod

import numpy as np

from ..claims import InputRange, Placement, Report
from ..limits import LARGEST_SIZE, MOST_LAYERS, WIDEST
from ..outputs import OutputSpec
from ..parts import Config
from ..rotations import turning_of
from ..signature import Signature
from .serialize import Damage

_NAME = re.compile(r"[A-Za-z_][A-Za-z_0-9]*")


def sound_config(config: Config) -> None:
    for name in ("d_model", "n_head", "d_head", "n_positions"):
        if (size := getattr(config, name)) < 1:
            raise Damage(f"config.{name} is {size}, less than 1")
    for name in ("unread", "d_mlp", "n_layer"):
        if (size := getattr(config, name)) < 0:
            raise Damage(f"config.{name} is {size}, less than 0")
    for name in ("d_model", "d_head", "n_positions", "d_mlp"):
        if (size := getattr(config, name)) > WIDEST:
            raise Damage(f"config.{name} is {size}; it is at most {WIDEST}")
    if config.n_head * config.d_head > WIDEST:
        raise Damage(f"config has {config.n_head} × {config.d_head} head dimensions; they are at most {WIDEST}")
    if config.n_layer > MOST_LAYERS:
        raise Damage(f"config.n_layer is {config.n_layer}; it is at most {MOST_LAYERS}")
    if not (isfinite(config.norm_epsilon) and config.norm_epsilon >= 0):
        raise Damage(f"config.norm_epsilon is {config.norm_epsilon}, not a number from 0 on")
    groups = config.n_head if config.n_kv_head is None else config.n_kv_head
    if groups < 1 or config.n_head % groups:
        raise Damage(f"config.n_kv_head is {groups}, of which {config.n_head} heads is no multiple")
    if config.positions == "rotary" and config.d_head % 2:
        raise Damage(f"config.d_head is {config.d_head}; rotary positions need an even number")
    if not 0.0 < (share := config.rotary_fraction) <= 1.0 or (share < 1.0 and turning_of(config.d_head, share) % 2):
        raise Damage(f"config.rotary_fraction is {share}; of {config.d_head} dimensions pairs turn")
    if not 0.0 < config.rope_theta < float("inf"):
        raise Damage(f"config.rope_theta is {config.rope_theta}, not a positive number")


def sound_signature(signature: Signature) -> None:
    """Names are names, fields have sizes, kinds and ranges, and the pattern goes on."""
    pattern = signature.pattern
    names = [
        signature.name,
        *pattern.kinds,
        *signature.parameters,
        *signature.outputs,
        *(field.name for field in signature.fields),
    ]
    if bad := [name for name in names if not _NAME.fullmatch(name)]:
        raise Damage(f"signature has the name {bad[0][:40]!r}, which no program can have")
    if not pattern.group:
        raise Damage("signature.pattern.group is empty: no data could say how long a sequence is")
    ends = (0, *pattern.cuts, len(pattern.group))
    if any(not isinstance(cut, int) or cut <= before for before, cut in pairwise(ends)):
        raise Damage(f"signature.pattern.cuts are {list(pattern.cuts)[:8]}, which do not cut its group into several")
    if bad := [scan.kind for scan in signature.scans if scan.kind not in pattern.kinds]:
        raise Damage(f"signature.scans has the kind {bad[0][:40]!r}, which its pattern does not have")
    for name, value in signature.parameters.items():
        if not np.isfinite(np.asarray(value, np.float64)).all():
            raise Damage(f"parameters.{name} is not finite")
    if len({field.name for field in signature.fields}) < len(signature.fields) or not signature.fields:
        raise Damage("signature.fields are not one or more, each with a name of its own")
    for k, field in enumerate(signature.fields):
        place = f"signature.fields[{k}]"
        _shape(field.shape, place)
        _kinds(field.kinds, pattern.kinds, place)
        if field.onehot and len(field.shape) != 1:
            raise Damage(f"{place} is one-hot with shape {list(field.shape)}, not of one size")
        if (field.low is None) != (field.high is None):
            raise Damage(f"{place} has one end of a range")
        if field.low is not None and field.high is not None:
            _range(field.low, field.high, place)


def sound_output(output: OutputSpec, signature: Signature) -> None:
    """Of several outputs each has its name in the signature and columns of its own."""
    _shape(output.shape, "output", WIDEST if output.answers else LARGEST_SIZE)
    _kinds(output.kinds, signature.pattern.kinds, "output")
    for k, answer in enumerate(output.answers):
        _shape(answer.shape, f"output.answers[{k}]")
    if output.answers and tuple(answer.name for answer in output.answers) != signature.outputs:
        raise Damage(f"output.answers are not the {len(signature.outputs)} of signature.outputs")
    if len(set(signature.outputs)) < len(signature.outputs) or (len(signature.outputs) > 1) != bool(output.answers):
        raise Damage("signature.outputs are not one, or several, each with a name of its own and an answer")
    if output.answers and output.shape != (sum(prod(answer.shape) for answer in output.answers),):
        raise Damage(f"output.shape is {list(output.shape)}, and its answers hold other numbers")


def sound_inputs(inputs: tuple[InputRange, ...], signature: Signature) -> None:
    known = {field.name for field in signature.fields}
    for k, each in enumerate(inputs):
        if each.name not in known:
            raise Damage(f"inputs[{k}] is of {each.name[:40]!r}, which is no field")
        _range(each.low, each.high, f"inputs[{k}]")


def sound_placement(placement: Placement, config: Config, kinds: Iterable[str], stored: int, place: str) -> None:
    _shape(placement.shape, place)
    _kinds(placement.kinds, kinds, place)
    size = prod(placement.shape)
    if placement.matrix.shape != (config.d_model, size):
        raise Damage(f"{place}.matrix has shape {placement.matrix.shape}, not {(config.d_model, size)}")
    for k, write in enumerate(placement.writes):
        _kinds(write.kinds, placement.kinds, f"{place}.writes[{k}]")
        if write.matrix.shape != (size, config.d_model):
            raise Damage(f"{place}.writes[{k}].matrix has shape {write.matrix.shape}, not {(size, config.d_model)}")
    if placement.low.shape != (size,) or placement.high.shape != (size,):
        raise Damage(f"{place} has {placement.low.size} lows and {placement.high.size} highs for {size} components")
    for low, high in zip(placement.low.tolist(), placement.high.tolist(), strict=True):
        _range(low, high, place)
    if not placement.first <= placement.last < stored:
        raise Damage(f"{place} is held from sublayer {placement.first} to {placement.last} of {stored}")


def sound_report(report: Report, output: OutputSpec) -> None:
    for one in (report, *report.answers):
        for name, value in vars(one).items():
            if isinstance(value, int | float) and value < 0:  # NaN and ∞ stand for what was not measured
                raise Damage(f"report.{name} is {value}, less than 0")
    if [error.name for error in report.answers] != [answer.name for answer in output.answers]:
        raise Damage(f"report.answers are of {len(report.answers)} outputs; there are {len(output.answers)}")


def _shape(shape: tuple[int, ...], place: str, largest: int = LARGEST_SIZE) -> None:
    if len(shape) > 2 or any(not 1 <= size <= largest for size in shape):
        raise Damage(f"{place}.shape is {list(shape)[:4]}, not up to two sizes from 1 to {largest}")


def _kinds(kinds: Iterable[str], known: Iterable[str], place: str) -> None:
    if not (found := set(kinds)) or not found <= set(known):
        raise Damage(f"{place}.kinds are {', '.join(sorted(found))[:40] or 'none'}; the pattern has {', '.join(known)}")


def _range(low: float, high: float, place: str) -> None:
    if not (isfinite(low) and isfinite(high) and low <= high):
        raise Damage(f"{place} has the range from {low} to {high}; its ends are finite, the lower one first")
