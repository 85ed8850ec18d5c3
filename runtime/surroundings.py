"""What surrounds a computation and must not change it: settings of JAX and NumPy that are the user's, or another
library's.

    before   JAX_ENABLE_X64, JAX_NUMPY_RANK_PROMOTION=raise, JAX_DEFAULT_PRNG_IMPL=rbg, numpy.seterr(all="raise") …
    after    under `settled("float32")` the numbers, and the code that XLA makes for them, are those of a bare process;
             the user's settings are back when the block ends

Random numbers come from `key`, whose generator no setting chooses.
"""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from innerloop.artifact.errors import InnerloopError

_used = _forked = False
"""Whether this process has computed here, and whether one that had is its parent."""


def _in_child() -> None:
    global _forked
    _forked = _forked or _used or bool(getattr(sys.modules.get("jax._src.xla_bridge"), "_backends", None))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)


def _verify_process() -> None:
    """Raises InnerloopError in a child of `fork` that has JAX's locks and not the threads that would open them."""
    global _used
    if _forked:
        raise InnerloopError(
            "this process was forked from one that had run JAX, where JAX waits for ever: start processes by "
            'multiprocessing.get_context("spawn") or "forkserver" (DataLoader: multiprocessing_context="spawn"), or '
            "fork before the first call"
        )
    _used = True


GENERATOR = "threefry2x32"
SEEDS = 2**32
"""As many as the generator tells apart."""


@contextmanager
def promoting() -> Iterator[None]:
    """Arrays of different ranks and dtypes may meet, as in a bare process, and NumPy's go to the device: what a pass
    needs while it is traced."""
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"), jax.transfer_guard("allow"):
        yield


@contextmanager
def settled(dtype: str | np.dtype[Any]) -> Iterator[None]:
    """A context in which JAX and NumPy compute in this precision, whatever they are set to. Raises InnerloopError in a
    process where JAX cannot run."""
    _verify_process()
    with ExitStack() as stack:
        for setting in (
            jax.enable_x64(np.dtype(dtype) == np.float64),
            jax.numpy_rank_promotion("allow"),
            jax.numpy_dtype_promotion("standard"),
            jax.default_matmul_precision("highest"),
            jax.threefry_partitionable(True),
            jax.disable_jit(False),
            jax.debug_nans(False),
            jax.debug_infs(False),
            jax.transfer_guard("allow"),
            np.errstate(all="ignore"),
        ):
            stack.enter_context(setting)
        yield


@contextmanager
def concrete(dtype: str | np.dtype[Any]) -> Iterator[None]:
    """`settled`, and computed now, though it be within a function that JAX traces."""
    with jax.ensure_compile_time_eval(), settled(dtype):
        yield


def seeded(seed: object) -> int:
    """The seed, verified. Raises InnerloopError."""
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed < SEEDS:
        raise InnerloopError(f"seed={seed!r}: must be a whole number from 0 to {SEEDS - 1}")
    return int(seed)


def key(seed: int) -> Any:
    """The key that `jax.random.key(seed)` is in a bare process: there the generator, an offset of the seed and the
    width of integers are settings."""
    with promoting():
        return jax.random.wrap_key_data(jnp.array([0, seeded(seed)], jnp.uint32), impl=GENERATOR)


def devices() -> list[Any]:
    """The devices to run on: all that this process has of JAX's platform, or the one that `jax.default_device` says, or
    the first of a platform that it names. Raises InnerloopError where JAX has none, as where it is told to use what is
    not there."""
    _verify_process()
    default = cast("Any", jax.config).jax_default_device
    try:
        if default is None:
            return list(jax.local_devices())
        return jax.local_devices(backend=default)[:1] if isinstance(default, str) else [default]
    except (RuntimeError, ValueError, AssertionError) as error:
        chosen = next((name for name in ("JAX_PLATFORMS", "JAX_PLATFORM_NAME") if os.environ.get(name)), None)
        told = (
            f"{chosen}={os.environ[chosen]}: "
            if chosen
            else f"jax_platforms={jax.config.values.get('jax_platforms')}: "
        )
        reason = " ".join(str(error).split())
        raise InnerloopError(
            f"{told}JAX finds no such device here ({reason[:200] or type(error).__name__}): unset it, or install the "
            f"JAX of that platform"
        ) from None


def processor() -> str:
    """Its name, and its instructions, which XLA compiles for."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    split = [line.split(":", 1) for line in reversed(lines) if ":" in line]
    facts = {name.strip(): value.strip() for name, value in split}  # of the first processor
    flags = facts.get("flags", facts.get("Features", ""))
    digest = hashlib.sha256(" ".join(sorted(flags.split())).encode()).hexdigest()[:8]
    return f"{facts.get('model name', platform.machine())}, instructions {digest}"
