"""The guard: names every value that leaves the range that the weights were compiled for.

    before   Weights.inputs, Weights.layout: the ranges of the fields and of the named values
    after    "w reached 61.2 at layer 14, token 23 (task 5, component 3); compiled for [-8, 8]"

The forward pass itself only keeps, for each task, by how much each value was out at worst: a few
comparisons beside each sublayer that writes the value. Only where something was out is that one
task run once more, with the stream after every sublayer kept, to find the place.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from innerloop.compiler.errors import InnerloopError
from innerloop.compiler.sparse import Floats
from innerloop.compiler.weights import Attention, Body, Idle, LinearAttention, Placement, Repeated, Sublayer, Weights
from numpy.typing import NDArray

from .forward import Check

Mode = Literal["warn", "raise", "off"]

SLACK = 1e-3
"""How far a value may leave its range, as a share of the range's magnitude, for the rounding of the weights; a
hundredth of it for the largest component of the same value besides."""


class RangeWarning(UserWarning):
    """A value left the range that the weights were compiled for; what follows from it may be wrong."""


class RangeError(InnerloopError):
    """The same, where the guard is set to "raise"."""


@dataclass(frozen=True)
class Watch:
    """A placement with the stored sublayers after which its value can be new, and its range with the slack."""

    placement: Placement
    after: frozenset[int]
    low: Floats
    high: Floats


class Guard:
    """Checks one model's inputs and intermediates; in "off" mode there is nothing to check."""

    def __init__(self, weights: Weights, mode: Mode) -> None:
        self.mode = mode
        self._weights = weights
        self._watches = () if mode == "off" else tuple(_watches(weights))
        numbers = sorted({n for w in self._watches for n in w.after})
        self._owners = {n: [k for k, w in enumerate(self._watches) if n in w.after] for n in numbers}

    def checks(self, kinds: tuple[str, ...], dtype: np.dtype[Any]) -> dict[int, Check]:
        """What the forward pass is to look at after each stored sublayer; `kinds` of the data's tokens.

        The rest token stands before them and is never checked."""
        owners = self._owners.items()
        return {n: _check([self._watches[k] for k in watches], kinds, dtype) for n, watches in owners}

    def inspect_inputs(
        self, fields: dict[str, NDArray[Any]], held: dict[str, NDArray[np.bool_]], first_token: int = 0
    ) -> None:
        """fields: name → [batch, tokens, size]; held: name → [tokens], where the field stands.

        Raises RangeError, or warns, once for each field out of its range."""
        if self.mode == "off":
            return
        for bound in self._weights.inputs:
            if bound.name not in fields:
                continue
            values = np.where(held[bound.name][None, :, None], fields[bound.name], bound.low)
            out = np.maximum(values - bound.high, bound.low - values)
            slack = SLACK * max(abs(bound.low), abs(bound.high))
            if not out.size or not out.max() > slack:
                continue
            task, token, component = np.unravel_index(out.argmax(), out.shape)
            place = _place(None, first_token + int(token), int(task), int(component), values.shape[2])
            self._tell(
                f"{bound.name} reached {values[task, token, component]:.4g} at {place}; compiled for "
                f"[{bound.low:g}, {bound.high:g}]. Scale the data, or declare `{bound.name}` with a wider range "
                f"(`in [low, high]`) and compile again",
                5,
            )

    def inspect(
        self,
        worst: dict[int, NDArray[Any]],
        first_task: int,
        kinds: tuple[str, ...],
        rerun: Callable[[int], NDArray[Any]],
        told: set[str],
        first_token: int = 0,
        depth: int = 4,
    ) -> None:
        """worst: number → [batch, values] from the pass; `rerun(task)`: the stream [sublayers run, tokens, d_model] of
        one task of this chunk; `told`: the names already named in this call, which grows; `depth`: see `_tell`."""
        for index, watch in enumerate(self._watches):
            if watch.placement.name in told:
                continue
            bad = self._tasks(worst, index)
            if bad.size:
                told.add(watch.placement.name)
                task = first_task + int(bad[0])
                self._tell(self._locate(watch, rerun(int(bad[0])), task, kinds, first_token), depth)

    def _tasks(self, worst: dict[int, NDArray[Any]], index: int) -> NDArray[np.intp]:
        """The tasks in which this watch's value was out of its range, or not a number."""
        bad = np.zeros(len(next(iter(worst.values()), ())), bool)
        for number in self._watches[index].after:
            start = 0
            for owner in self._owners[number]:
                size = self._watches[owner].low.size
                if owner == index:
                    bad |= ~(worst[number][:, start : start + size] <= 0).all(1)
                start += size
        return np.flatnonzero(bad)

    def _locate(
        self, watch: Watch, stream: NDArray[Any], task: int, kinds: tuple[str, ...], first_token: int
    ) -> str:  # fmt: skip
        """The first layer after which the value was out, and there the token and component where it was out most."""
        placement = watch.placement
        everything, _ = _runs(self._weights.body, 0)
        runs = [k for k, (number, counts) in enumerate(everything) if counts and number in watch.after]
        tokens = np.flatnonzero([kind in placement.kinds for kind in kinds])
        with np.errstate(invalid="ignore"):
            values = stream[runs][:, tokens].astype(np.float64) @ placement.matrix.csr.toarray()
        out = np.where(np.isnan(values), np.inf, np.maximum(values - watch.high, watch.low - values))
        most = out.max((1, 2))
        # Run alone, the task may round differently: if nothing is out any more, the place where it came closest.
        run = int(np.argmax(most > 0)) if (most > 0).any() else int(most.argmax())
        token, component = np.unravel_index(out[run].argmax(), out[run].shape)
        place = _place(runs[run] // 2, first_token + int(tokens[token]), task, int(component), watch.low.size)
        low, high = placement.low.ravel()[component], placement.high.ravel()[component]
        return (
            f"{placement.name} reached {values[run, token, component]:.4g} at {place}; "
            f"compiled for [{low:.4g}, {high:.4g}]. The outputs of this task may be wrong"
        )

    def _tell(self, message: str, depth: int) -> None:
        """`depth`: how far up the stack the user's call is."""
        if self.mode == "raise":
            raise RangeError(f"{message}. The guard `warn` goes on all the same")
        warnings.warn(message, RangeWarning, stacklevel=depth)


def _runs(body: Body, number: int) -> tuple[list[tuple[int, bool]], int]:
    """Every sublayer that runs: its stored number, and whether its values count (in a scan, the last pass's do)."""
    runs: list[tuple[int, bool]] = []
    for item in body:
        if isinstance(item, Repeated):
            once, number = _runs(item.body, number)
            early = [(n, counts and not item.scan) for n, counts in once]
            runs += early * (item.count - 1) + once[: len(once) * item.count]
        else:
            runs.append((number, True))
            number += 1
    return runs, number


def _place(layer: int | None, token: int, task: int, component: int, size: int) -> str:
    """Numbers count from 0, as the trace's do."""
    inside = f"task {task}" if size == 1 else f"task {task}, component {component}"
    return f"{'' if layer is None else f'layer {layer}, '}token {token} ({inside})"


def _watches(weights: Weights) -> list[Watch]:
    sublayers = list(weights.sublayers())
    written = [_written(s, weights.config.d_model) for s in sublayers]
    watches = []
    for placement in weights.layout:
        slots = np.unique(placement.matrix.csr.tocoo().coords[0])
        covered = range(max(placement.first, 0), min(placement.last, len(sublayers) - 1) + 1)
        after = {n for n in covered if n == placement.first or written[n][slots].any()}
        low, high = (np.asarray(b, np.float64).ravel() for b in (placement.low, placement.high))
        magnitude = np.maximum(np.abs(low), np.abs(high))
        slack = SLACK * magnitude + 0.01 * SLACK * magnitude.max(initial=0.0) + 1e-6
        if after:
            watches.append(Watch(placement, frozenset(after), low - slack, high + slack))
    return watches


def _written(sublayer: Sublayer, width: int) -> NDArray[np.bool_]:
    """The slots that a sublayer adds to."""
    if isinstance(sublayer, Idle):
        return np.zeros(width, bool)
    match sublayer:
        case Attention():
            matrix, bias = sublayer.output, sublayer.output_bias
        case LinearAttention():
            matrix, bias = sublayer.output, np.zeros(width)
        case _:
            matrix, bias = sublayer.down, sublayer.down_bias
    written: NDArray[np.bool_] = bias != 0
    written[matrix.csr.indices] = True
    return written


def _check(watches: list[Watch], kinds: tuple[str, ...], dtype: np.dtype[Any]) -> Check:
    """One sublayer's values side by side. A value that is one slot times a factor is compared in the slot's scale."""
    matrix = np.concatenate([w.placement.matrix.csr.toarray() for w in watches], 1)
    low, high = (np.concatenate([getattr(w, side) for w in watches]) for side in ("low", "high"))
    held = np.concatenate([np.tile([[k in w.placement.kinds] for k in kinds], w.low.size) for w in watches], 1)
    chosen: NDArray[np.float64] | None = None
    if (np.count_nonzero(matrix, axis=0) == 1).all():
        slots = np.abs(matrix).argmax(0)
        factor = matrix[slots, np.arange(slots.size)]
        ends = low / factor, high / factor
        low, high = np.minimum(*ends), np.maximum(*ends)
    else:
        slots = np.flatnonzero(matrix.any(1))
        chosen = matrix[slots].astype(dtype)
    free = np.full((1, low.size), np.inf)
    low = np.concatenate([-free, np.where(held, low, -np.inf)])
    high = np.concatenate([free, np.where(held, high, np.inf)])
    return Check(slots.astype(np.int32), chosen, low.astype(dtype), high.astype(dtype))
