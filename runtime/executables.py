"""Functions compiled by XLA, as many of them as the process can hold.

    before   a function of arrays
    after    the same, compiled once for each shape, until the process has no room for more: then all are dropped

On a CPU, XLA maps the code of each kernel by itself: a pass of 11 layers takes about 150 memory maps, a trace of
iterative_newton 2,300. Linux gives a process 65,530 (vm.max_map_count), and beyond them LLVM ends it with a
segmentation fault; a sweep over some hundred programs would get there.

With INNERLOOP_CACHE=1, or a folder, what is compiled is kept on disk for other processes, in the user's cache folder or
there, for each kind of processor apart. It is not kept unasked: on some Intel processors JAX (to 0.10.1 at least) takes
what it kept for another machine's, says so in lines of errors and compiles anew (jax-ml/jax#38445).

All are compiled without a fusion of XLA's that gives wrong sums, and for vectors of 512 bits (`exact`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager
from functools import cache, update_wrapper, wraps
from pathlib import Path
from threading import Lock
from typing import Any, Generic, ParamSpec, TypeVar
from weakref import WeakSet

import jax
from innerloop.artifact.folders.kept import cache_folder
from jax.core import Tracer

from .surroundings import devices, processor


def kept_in() -> Path | None:
    """Where executables are kept for other processes; None: nowhere, or where the user has told JAX to."""
    folder = cache_folder(unasked=False)
    if folder is None or jax.config.values.get("jax_compilation_cache_dir"):
        return None
    return folder / f"xla-{hashlib.sha256(processor().encode()).hexdigest()[:12]}"


if (_folder := kept_in()) is not None:
    jax.config.update("jax_compilation_cache_dir", str(_folder))  # type: ignore[no-untyped-call]
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)  # type: ignore[no-untyped-call]

P = ParamSpec("P")
R = TypeVar("R")

MAPS, LIMIT = Path("/proc/self/maps"), Path("/proc/sys/vm/max_map_count")
SHARE = 0.5
"""Of the limit: one pass more must fit, and the libraries map files of their own."""


FUSIONS, LEVEL = "xla_cpu_experimental_ynn_fusion_type", "xla_backend_optimization_level"
VECTORS = "xla_cpu_prefer_vector_width"

Options = dict[str, str | int]


def exact(platform: str) -> Options:
    """Options under which XLA computes what it is told there, for `jax.jit(…, compiler_options=…)`.

    On a CPU, XLA of JAX 0.10 gives wrong sums, off by their own size, where a product with a constant of ones is
    multiplied and then summed, and maxima that pass NaN over (tests/runtime/test_executables.py): its fusion of
    reductions for YNNPACK. It is switched off here. And LLVM takes vectors of 256 bits where the processor has 512: of
    GELU it then does half as much at once. A JAX that does not know an option is not given it."""
    return _known() if platform == "cpu" else {}


@cache
def _known() -> Options:
    asked: Options = {FUSIONS: "", VECTORS: 512}
    return asked if _is_known(asked) else {n: value for n, value in asked.items() if _is_known({n: value})}


def _is_known(options: Options) -> bool:
    try:
        jax.jit(lambda x: x + 1, compiler_options=options).lower(0).compile()
    except Exception:  # whatever an XLA without it raises
        return False
    return True


def soon(platform: str) -> Options:
    """`exact`, and compiled sooner on a CPU: by level 1 of LLVM for 3. What it makes was as fast, and its outputs as
    they were, on all that was run: XLA has laid the loops out before. Training, which runs long, takes 3."""
    return exact(platform) | ({LEVEL: 1} if platform == "cpu" else {})


class Compiled(Generic[P, R]):
    """A function under `jax.jit`. `traces` counts how many times it was compiled, or inlined in another."""

    def __init__(self, function: Callable[P, R], options: dict[str, Any]) -> None:
        self.traces, self._seen = 0, 0

        @wraps(function)
        def traced(*args: P.args, **kwargs: P.kwargs) -> R:
            self.traces += 1  # This body runs only while JAX traces, for a shape that it has not compiled yet.
            return function(*args, **kwargs)

        self._inlined: Any = jax.jit(traced, **options)
        self._jit: Callable[[str], Any] = lambda platform: jax.jit(traced, **options, compiler_options=soon(platform))
        self._jitted: dict[str, Any] = {}
        self._settled: dict[Hashable, Any] = {}
        update_wrapper(self, function)
        with _making:
            _made.add(self)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        leaves = jax.tree.leaves((args, kwargs))
        if any(isinstance(a, Tracer) for a in leaves):
            inlined: R = self._inlined(*args, **kwargs)  # compiled with what it stands in, and by its options
            return inlined
        platform = _platform(leaves)
        if platform not in self._jitted:
            self._jitted[platform] = self._jit(platform)
        result: R = self._jitted[platform](*args, **kwargs)
        if self.traces > self._seen:
            self._seen = self.traces
            make_room()
        return result

    def settled(
        self, shapes: Hashable, settings: Callable[[], AbstractContextManager[Any]], *args: Any
    ) -> Callable[..., R]:
        """As it is compiled under these settings for arrays of these shapes that are on no device yet; `shapes`: what
        is the same for these alone. A call of it looks none of the settings up, which takes longer than a small
        function does."""
        if (ready := self._settled.get(shapes)) is None:
            with settings():
                ready = self._jit(_platform([])).lower(*args).compile()
            make_room()
            self._settled[shapes] = ready
        return ready  # type: ignore[no-any-return]

    def forget(self) -> None:
        """Drops its executables: the next call compiles anew."""
        self._settled.clear()
        for jitted in self._jitted.values():
            jitted.clear_cache()
        self._jitted.clear()


def _platform(leaves: list[Any]) -> str:
    """Where a function of these runs: where the first is that is on a device, or where anything runs."""
    placed = next((leaf for leaf in leaves if isinstance(leaf, jax.Array)), None)
    found: str = (devices() if placed is None else list(placed.devices()))[0].platform
    return found


_made: WeakSet[Compiled[..., Any]] = WeakSet()
_making = Lock()
"""Held while `_made` grows or is gone through: threads may make models of their own."""


def compiled(function: Callable[P, R], /, **options: Any) -> Compiled[P, R]:
    """jax.jit(function, **options), whose executables are dropped, with those of all others made here, when the process
    has used `SHARE` of its memory maps."""
    return Compiled(function, options)


def make_room() -> None:
    """Drops every executable if the process is short of memory maps. Other systems than Linux have no limit."""
    if LIMIT.is_file() and memory_maps() > SHARE * int(LIMIT.read_text()):
        with _making:
            every = list(_made)
        for function in every:
            function.forget()


def memory_maps() -> int:
    """How many memory maps this process holds."""
    with MAPS.open("rb") as lines:
        return sum(1 for _ in lines)
