"""Patching by name: a variable of the program gets another value, and all that reads it later follows.

before   Patch(value, token, layer) for a name; `Weights.layout`
after    after which sublayers of the run the stream of which token is changed, by which matrices; and what the guard
         says of the outputs, from the interpreter in which the variable was changed
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from innerloop.artifact.appearances import Appearance, appearances, followed
from innerloop.artifact.arrays import Floats, numeric
from innerloop.artifact.claims import Write
from innerloop.artifact.errors import DataError
from innerloop.artifact.tokens import TokenData
from innerloop.artifact.weights import Weights
from innerloop.compiler.interpreter.chunks import some_of
from innerloop.compiler.interpreter.counterfactual import Moment, changed
from innerloop.compiler.interpreter.oracle import evaluate
from innerloop.compiler.ir.graph import Graph
from numpy.typing import ArrayLike, NDArray

from ..guard.guard import Guard
from .following import CLOSE, bearable, error

TRIED = 3
"""Tasks that ways to write are tried on, where there are several."""


class Patch(NamedTuple):
    """What a variable is to be: `value` [batch, *shape], or [*shape] for all tasks, at `token` of the data (from 0;
    −1 is the last one).

    layer   of a variable that is held more than once, a layer after which it is held, from 0, as `Trace` counts them.
            Of one that a scan carries it is not asked: there it is what the token's own pass leaves
    """

    value: ArrayLike
    token: int = -1
    layer: int | None = None


class Change(NamedTuple):
    """One patch, found in the layout: `times` [1 + sublayers] says after which sublayers of the run, the embedding
    first, the stream of `token` of the data is changed; `value` [batch, size]."""

    appearance: Appearance
    write: Write
    token: int
    times: NDArray[np.bool_]
    value: Floats

    def parts(self, tasks: slice, chunk: int, dtype: np.dtype[Any]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """What reads the value off the stream, what writes it there, and the value for these tasks, 0 in what fills
        their chunk: in this precision."""
        own = self.value[tasks]
        value = np.concatenate([own, np.zeros((chunk - len(own), own.shape[1]))])
        to_value, into = self.appearance.placement.matrix.csr.toarray(), self.write.matrix.csr.toarray()
        return to_value.astype(dtype), into.astype(dtype), value.astype(dtype)


def found(weights: Weights, data: TokenData, patches: Mapping[str, Patch], graph: Graph | None) -> Change:
    """`graph`: the program's, if it is known. Raises DataError for more than one name, and for what is not held there
    or cannot be changed."""
    if len(patches) != 1:
        raise DataError(f"patch has {len(patches)} names: give one, as in patch={{'w': Patch(value, token=3)}}")
    ((name, given),) = patches.items()
    if not isinstance(given, Patch):
        raise DataError(f"patch of `{name}` is of type {type(given).__name__}: give Patch(value, token)")
    patch = given
    for what, number in (("token", patch.token), ("layer", 0 if patch.layer is None else patch.layer)):
        if isinstance(number, bool) or not isinstance(number, int | np.integer):
            raise DataError(f"patch of `{name}`: {what} is {number!r}, not a whole number")
    kinds, every = data.sequence.kinds, appearances(weights)
    if name not in {a.placement.name for a in every}:
        known = ", ".join(sorted({a.placement.name for a in every}))
        raise DataError(f"patch of `{name}`: these weights hold no such variable; they hold: {known}")
    if not -len(kinds) <= patch.token < len(kinds):
        raise DataError(f"patch of `{name}`: token is {patch.token}; the tasks have {len(kinds)} tokens")
    token = patch.token % len(kinds)
    appearance = _chosen(weights, every, name, patch, kinds, token)
    before = sum(kind in appearance.placement.kinds for kind in kinds[:token])
    after = followed(every, appearance, before)
    if not after:
        raise DataError(
            f"patch of `{name}` at token {token}: what its first token starts from is not told apart there; patch what "
            "it is after the pass, or a later token"
        )
    times = np.zeros(1 + 2 * weights.config.n_layer, bool)
    times[[1 + sublayer for sublayer in after]] = True
    shape = appearance.placement.shape
    value = numeric(f"patch of {name}", patch.value).astype(np.float64)
    if not np.isfinite(value).all():
        raise DataError(f"patch of `{name}`: value has a NaN or an infinity")
    if value.shape not in (shape, (data.batch, *shape)):
        raise DataError(f"patch of `{name}`: value has shape {value.shape}; wanted {(data.batch, *shape)} or {shape}")
    whole = np.broadcast_to(value, (data.batch, *shape)).reshape(data.batch, -1)
    writes = [write for write in appearance.placement.writes if kinds[token] in write.kinds]
    write = next((write for write in writes if write.alone), None)
    if write is None and graph is not None:
        write = _followed(weights, graph, data, every, appearance, writes, token, whole)
    if write is None:
        raise DataError(_refused(weights, name, kinds, token, "shares its slots with other values there"))
    return Change(appearance, write, token, times, whole)


def _refused(weights: Weights, name: str, kinds: tuple[str, ...], token: int, what: str) -> str:
    names = sorted({p.name for p in weights.layout if any(kinds[token] in w.kinds and w.alone for w in p.writes)})
    can = ", ".join(names) or "none"
    return f"patch of `{name}` at token {token}, a `{kinds[token]}`: it {what}. To be changed are: {can}"


def _followed(
    weights: Weights, graph: Graph, data: TokenData, every: tuple[Appearance, ...], appearance: Appearance,
    writes: list[Write], token: int, value: Floats,
) -> Write | None:  # fmt: skip
    """The first that is followed in a trial."""
    few, wanted = some_of(data, slice(0, TRIED)), value[:TRIED]
    most = bearable(weights, few, evaluate(graph, few))
    for write in writes:
        off = error(weights, graph, few, every, appearance, write, token, lambda _: wanted)
        if off is not None and off <= most:
            return write
    return None


def _chosen(
    weights: Weights, every: tuple[Appearance, ...], name: str, patch: Patch, kinds: tuple[str, ...], token: int
) -> Appearance:
    """The appearance that is meant, of those that can be written."""
    able = [
        a
        for a in every
        if a.placement.name == name and a.first <= a.last
        if any(kinds[token] in write.kinds for write in a.placement.writes)
    ]
    if not able:
        held = any(p.name == name and kinds[token] in p.kinds for p in weights.layout)
        what = "shares its slots with other values there" if held else "is not held there"
        raise DataError(_refused(weights, name, kinds, token, what))
    scanned = [a for a in able if a.turn is not None]
    if scanned and patch.layer is None:
        return next((a for a in reversed(scanned) if a.placement.when == "ended"), scanned[-1])
    here = [a for a in able if patch.layer is None or a.first <= 2 * patch.layer + 1 <= a.last]
    if len({a.write for a in here}) != 1:
        layers = sorted({layer for a in able for layer in range(a.first // 2, (a.last + 1) // 2)})
        raise DataError(f"patch of `{name}`: layer is {patch.layer}; give one after which it is held: {layers}")
    return here[-1]


def hold(guard: Guard, graph: Graph | None, data: TokenData, change: Change, outputs: NDArray[Any]) -> None:
    """The guard warns, or raises RangeError, of tasks whose outputs are not the interpreter's in which the variable was
    changed; a program that has no such value is not asked. The user's call is four frames up."""
    placement = change.appearance.placement
    moment = Moment(placement.name, placement.when, change.appearance.back, change.token)
    if guard.mode == "off" or graph is None or (exact := changed(graph, data, moment, lambda _: change.value)) is None:
        return
    split = guard.weights.output.split
    by_output = zip(split(exact), split(np.asarray(outputs, np.float64).reshape(exact.shape)), strict=True)
    parts = [_errors(*one) for one in by_output]
    errors = np.max([off for off, _ in parts], axis=0)
    beyond = [off > max(CLOSE * scale, own) for (off, scale), own in zip(parts, guard.resolved, strict=True)]
    wrong = np.flatnonzero(np.any(beyond, axis=0))
    if wrong.size:
        worst = int(wrong[errors[wrong].argmax()])
        guard.tell(
            f"with {placement.name} changed at token {change.token} the outputs of task {worst} are off by "
            f"{errors[worst]:.3g} from the program's in which it is changed: what is computed beside it does not "
            f"follow, or its value leaves the ranges that the weights were compiled for",
            wrong,
            5,
        )


def _errors(exact: Floats, found: Floats) -> tuple[Floats, float]:
    """How far off an output is at most in each task, where it is a number; and its size, 1 at least."""
    finite = np.isfinite(exact)
    scale = max(1.0, float(np.sqrt(np.mean(exact[finite] ** 2)))) if finite.any() else 1.0
    off = np.nan_to_num(np.where(finite, np.abs(found - exact), 0.0), nan=np.inf)
    return off.reshape(len(off), -1).max(1, initial=0.0), scale
