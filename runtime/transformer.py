"""Running a compiled transformer on data.

    before   Weights, and the program's fields: x [batch, tokens that hold x, …], y …
    after    the program's output at every token that gives it: [batch, rows, …]

One jitted function over [batch, tokens]. A large batch goes through in chunks of one size, so that memory stays bounded
and the function is compiled once for each number of tokens, of small ones for few (calls/lengths.py); several devices
share each chunk's tasks, or the weights (calls/placement.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, cast

import jax
import numpy as np
from innerloop.artifact.arrays import Dtype
from innerloop.artifact.errors import DataError, counted
from innerloop.artifact.features import FeatureLayout
from innerloop.artifact.interrupts import check, stoppable
from innerloop.artifact.memory import spend
from innerloop.artifact.places import Places
from innerloop.artifact.precisions import carrier
from innerloop.artifact.tokens import TokenData, output_rows
from innerloop.artifact.weights import Weights
from innerloop.artifact.words import GuardMode, Share
from numpy.typing import ArrayLike, NDArray

from .calls.afford import packing, together
from .calls.placement import Placement
from .calls.reading import read, verify
from .calls.way import Way, way_of
from .forward import embedded, forward, streams
from .guard.beside import Beside, Worst, joined
from .guard.checks import GuardCheck
from .guard.guard import Guard
from .guard.jitted import Jitted
from .packing.pack import pack
from .packing.packed import Parameters
from .patching.patched import written
from .patching.patches import Patch, found, hold
from .stream import TokenStream
from .surroundings import concrete
from .trace import Trace, tasks_at_most, too_large, traced

if TYPE_CHECKING:
    from .certify import Certified
    from .diff import Diff
    from .inspector.inspection import Inspection


class Transformer:
    """A compiled transformer as a function of the program's fields.

    dtype    "float32" or "float64", or the 16 bits that the weights were compiled for; None: what they were compiled
             for. 16 bits are computed in arrays of float32, and every result is rounded, as PyTorch does
    guard    what happens when an input or a value leaves its compiled range, or an output is further off the
             interpreter's than the certificate says: "warn" (RangeWarning), "raise" (RangeError) or "off"
    on_chunk called with (tasks done, tasks in all) while a large batch is run
    share    what several devices share: the "tasks" of a batch, or the "weights", where these do not fit one

    Raises InnerloopError for weights of an architecture that this runtime does not run.
    """

    def __init__(
        self,
        weights: Weights,
        dtype: Dtype | None = None,
        guard: GuardMode = "warn",
        on_chunk: Callable[[int, int], None] | None = None,
        share: Share = "tasks",
    ) -> None:
        verify(weights, dtype, guard, share)
        self.weights = weights
        self.dtype = np.dtype(dtype or weights.config.dtype)
        self._real = carrier(self.dtype.name)
        self.on_chunk = on_chunk
        self._share: Share = share
        self._guard = Guard(weights, guard, self.dtype)
        self._layout = FeatureLayout.of(weights.signature)
        self._bounds: dict[tuple[str, ...], dict[int, GuardCheck]] = {}
        packing(weights, self._real)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled and copied without what is on the devices, and without `on_chunk`."""
        return Transformer, (self.weights, self.dtype.name, self._guard.mode, None, self._share)

    # On the devices when first used: a process that is given a model may be one where JAX cannot run.

    @cached_property
    def parameters(self) -> Parameters:
        """The packed weights, on the devices."""
        with self.precision():
            return self._placement.put(pack(self.weights, self.dtype))

    @cached_property
    def _interpreter(self) -> Jitted:
        return Jitted(self.weights, self._guard, self._placement.first)

    @cached_property
    def _placement(self) -> Placement:
        return Placement(self._share)

    def __call__(self, /, **given: ArrayLike | Mapping[str, Patch]) -> Any:
        """The program's output, [batch, rows, *shape], at the tokens that give it, in order; of several outputs a dict,
        name to array.

        Each field is [batch, tokens that hold it, *shape]; data without a batch dimension gives an output
        without one. `patch={"w": Patch(value, token)}` gives a variable of the program another value, and all that
        reads it later follows; the guard then holds the outputs against the interpreter in which it was changed.

        Raises DataError for data that does not fit, RangeError under guard="raise"."""
        patches = given.pop("patch") if isinstance(given.get("patch"), Mapping) else None
        data = read(self.weights, self._guard, cast("Mapping[str, ArrayLike]", given))
        result = self._patched(data, patches) if isinstance(patches, Mapping) else self.outputs_of(data)
        return self.weights.output.named(result if data.batched else result[0])

    def outputs_of(self, data: TokenData) -> NDArray[Any]:
        """All outputs side by side, [batch, rows, *shape], for data that was read already."""
        results = []
        with stoppable(), self.precision():
            way = way_of(self.weights, self.parameters.steps, data, self._placement, self._real.itemsize)
            looked = partial(self._looked, way)
            beside = Beside(self._guard, self._interpreter, data, looked, self.sublayers_of, 2)
            for found, worst in self._passed(way, data, beside.blind):
                results.append(found)
                beside.chunk(found, worst)
                if self.on_chunk is not None:
                    self.on_chunk(sum(map(len, results)), data.batch)
                check()
        outputs = np.concatenate(results)
        outputs = outputs.reshape(*outputs.shape[:2], *self.weights.output.shape)
        beside.tell(outputs)
        return outputs

    def _passed(
        self, way: Way, data: TokenData, checked: bool
    ) -> Iterator[tuple[NDArray[Any], dict[int, NDArray[Any]]]]:
        """The outputs [tasks, rows, size] of each chunk, and by how much values were out at worst, if that is
        `checked`."""
        own, line, kinds = data.sequence, way.line, self.weights.output.kinds
        checks = self._checks(own.kinds + ("",) * (len(line) - len(own))) if checked else {}
        rows, wanted = 1 + output_rows(line, kinds), len(output_rows(own, kinds))
        for _, count, features in self.chunks(data, chunk=way.chunk, length=1 + len(line)):
            split = jax.device_put(features, self._placement.tasks)
            found, worst = forward(self.parameters, split, rows, checks, way.run, way.length)
            out = {time: np.asarray(excess)[:count] for time, excess in worst.items()}
            yield np.asarray(found)[:count, :wanted], out

    def _looked(self, way: Way, data: TokenData) -> Worst:
        """By how much values are out at worst in these tasks of a call that ran so."""
        with self.precision():
            return joined([worst for _, worst in self._passed(way, data, True)])

    def _patched(self, data: TokenData, patches: Mapping[str, Patch]) -> NDArray[Any]:
        change = found(self.weights, data, patches, self._interpreter.graph)
        line, shape = data.sequence, self.weights.output.shape
        rows, results = output_rows(line, self.weights.output.kinds), []
        with stoppable(), self.precision():
            for start, count, features in self.chunks(data):
                split = jax.device_put(features, self._placement.tasks)
                made = written(
                    self.parameters,
                    split,
                    rows + 1,
                    change.times,
                    1 + change.token,
                    *change.parts(slice(start, start + count), len(features), self.dtype),
                )
                results.append(np.asarray(made)[:count])
                check()
        outputs = np.concatenate(results).reshape(data.batch, rows.size, *shape)
        hold(self._guard, self._interpreter.graph, data, change, outputs)
        return outputs

    def trace(self, /, **fields: ArrayLike) -> Trace:
        """Every named value after every layer: a mapping name → [layers, batch, tokens, *shape].

        Data without a batch dimension is a batch of 1. Raises DataError as a call does, and for more
        tasks than a trace of 2 GiB holds."""
        data = read(self.weights, self._guard, fields)
        if data.batch > (most := self.traceable(data)):
            raise too_large(self.weights, data.batch, most)
        return self.trace_of(data)

    def diff(self, calibration: Mapping[str, ArrayLike] | None = None, /, **fields: ArrayLike) -> Diff:
        """Every named value after every layer against the float64 oracle, each with the bound that the error model
        gives it on this data: see diff.py. `calibration` is what the weights were compiled with, if anything.

        Raises DataError as a call does, and where the weights' program does not compile to them again."""
        from .diff import diff

        return diff(self, read(self.weights, self._guard, fields), calibration)

    def certify(self, calibration: Mapping[str, ArrayLike] | None = None, /, **fields: ArrayLike) -> Certified:
        """Every prediction with its own error bound, from the error model run on these data: see certify.py. Values out
        of range raise nothing here: they are named, and bounds that they may have spoilt are infinite. `calibration` is
        what the weights were compiled with, if anything.

        Raises DataError as a call does, and where the weights' program does not compile to them again."""
        from .certify import certify

        unguarded = object.__new__(Transformer)
        vars(unguarded).update(vars(self), _guard=Guard(self.weights, "off"), _bounds={})
        return certify(unguarded, read(self.weights, unguarded._guard, fields), calibration)

    def inspect(
        self, calibration: Mapping[str, ArrayLike] | None = None, /, *, task: int = 0, **fields: ArrayLike
    ) -> Inspection:
        """A page on which a reader goes through the run of one task, sublayer by sublayer: see runtime/inspector. In a
        notebook it is the cell's output; `.save(path)` writes it. Without fields the task is one of those that the
        weights' error was measured on. `calibration` is what the weights were compiled with, if anything.

        Raises DataError as a call does, and where the weights' program does not compile to them again."""
        from .inspector.inspection import inspect

        return inspect(self, read(self.weights, self._guard, fields) if fields else None, calibration, task)

    def traceable(self, data: TokenData) -> int:
        """How many tasks like these a trace holds."""
        return tasks_at_most(self.weights, len(data.sequence), self._real.itemsize)

    def trace_of(self, data: TokenData) -> Trace:
        """The trace for data that was read already, and for no more tasks than `traceable` says."""
        slots, layers, tokens = traced(self.weights), self.weights.config.n_layer, len(data.sequence)
        count = layers * data.batch * tokens * slots.size * self._real.itemsize
        spend(count, f"the traces of {counted(data.batch, 'task')}", "trace fewer")
        stream = np.zeros((layers, data.batch, tokens, slots.size), self._real)
        with stoppable(), self.precision():
            for start, count, features in self.chunks(data):
                split = jax.device_put(features, self._placement.tasks)
                found = streams(self.parameters, split, slots.astype(np.int32), every=2)
                stream[:, start : start + count] = np.asarray(found)[:, :count, 1:]
                if self.on_chunk is not None:
                    self.on_chunk(start + count, data.batch)
                check()
        return Trace(self.weights, slots, stream, data.sequence.kinds)

    def stream(self, batch: int = 1) -> TokenStream:
        """A sequence of so many tasks, to be given token by token; each gives the predictions of a whole call.

        The guard watches it, without the interpreter beside: what leaves a domain is named, harmless or not.

        Raises InnerloopError for weights that read tokens yet to come."""
        if batch < 1:
            raise DataError(f"a stream has a batch of at least 1, not {batch}")
        return TokenStream(self.weights, self.parameters, self._guard, self._real, batch)

    def __repr__(self) -> str:
        config, name = self.weights.config, self.weights.signature.name
        of = f"{counted(config.n_layer, 'layer')} of width {config.d_model}"
        return f"Transformer({name}: {of}, {self.dtype.name}, guard {self._guard.mode!r})"

    def precision(self) -> Any:
        """A context of this model's precision alone: the user's own settings stay as they are."""
        return concrete(self.dtype)

    def chunks(
        self, data: TokenData, run: Places | None = None, chunk: int | None = None, length: int = 0
    ) -> Iterator[tuple[int, int, NDArray[Any]]]:
        """(first task, tasks, features [chunk, 1 + tokens, features]) by the fewest chunks, or by chunks of this size,
        all of one size, the last one filled. `run`: the tokens that steps run at (None: all); `length`: `features`."""
        steps, of = self.parameters.steps, self._placement
        chunk = chunk or together(self.weights, steps, data, run, self._real.itemsize, of.shards, of.on_cpu)
        for start in range(0, data.batch, chunk):
            count = min(chunk, data.batch - start)
            yield start, count, self.features(data, start, count, chunk, length)

    def features(self, data: TokenData, start: int, count: int, chunk: int, length: int = 0) -> NDArray[Any]:
        """What the pass takes of `count` tasks from `start` on, [chunk, 1 + tokens, features] (features.py): the rest
        token comes first, tasks of zeros fill the chunk, and tokens of zeros this `length`."""
        return self._layout.tokens(data, slice(start, start + count), self._real, chunk, length)

    def _checks(self, kinds: tuple[str, ...]) -> dict[int, GuardCheck]:
        """The guard's bounds for a sequence, on the devices; those of the last kind of sequence are kept."""
        bounds = self._bounds  # which another thread may replace
        if kinds not in bounds:
            checks = self._guard.checks(kinds, self._real)
            self._bounds = bounds = {kinds: jax.device_put(checks, self._placement.whole)}
        return bounds[kinds]

    def sublayers_of(self, data: TokenData) -> NDArray[Any]:
        """The stream after every sublayer [1 + sublayers run, 1 + tokens, d_model] for data of one task that was read
        already: the embedding first, and of tokens the rest token."""
        slots = np.arange(self.weights.config.d_model, dtype=np.int32)
        with self.precision():
            one = jax.device_put(self.features(data, 0, 1, 1), self._placement.whole)
            start, later = embedded(self.parameters, one)[None], streams(self.parameters, one, slots, every=1)
            return np.concatenate([start, later])[:, 0]
