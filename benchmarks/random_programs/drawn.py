"""What becomes of a seed's program.

seed   →   Drawn: text, target, dtype   →   Line: the verdict, and a fault made small
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from innerloop.artifact.precisions import SHORT
from innerloop.compiler.architectures.sixteen_bits import STOCK

from tests.reference.programs import random_delta_program, random_linear_program, random_program

from ..support.workers import results
from .constructs import constructs
from .shrink import shrink
from .verdicts import Verdict, judge

TARGETS = {"gpt2": 8, "gelu": 4, "llama": 8, "lsa": 2, "qwen2": 2, "gemma": 2, "neox": 2, "deltanet": 2}
DTYPES = {"float32": 12, "float64": 5, "bfloat16": 2, "float16": 1}
"""How often each is drawn; 16 bits on those targets alone that have them."""
RESTART = 200
"""Seeds after which a process is replaced."""
PATIENCE = 300
"""CPU seconds for one program; what is raised where no exception gets out, in JAX's callbacks, is raised again."""
FAULTS = ("silent", "crashed")


@dataclass(frozen=True)
class Drawn:
    text: str
    target: str
    dtype: str


@dataclass(frozen=True)
class Line:
    seed: int
    target: str
    dtype: str
    verdict: Verdict
    seconds: float
    constructs: tuple[str, ...]
    small: str | None = None


class _Patience(Exception):
    pass


def drawn(seed: int) -> Iterator[Drawn]:
    """Programs of that seed; most are sound, and the first sound one is meant."""
    random = Random(seed)
    target = random.choices(list(TARGETS), list(TARGETS.values()))[0]
    dtypes = DTYPES if target in STOCK else {k: v for k, v in DTYPES.items() if k not in SHORT}
    dtype = random.choices(list(dtypes), list(dtypes.values()))[0]
    own = {"lsa": random_linear_program, "deltanet": random_delta_program}.get(target)
    while True:
        held = own is not None and random.random() < 0.8
        yield Drawn(own(random) if own is not None and held else random_program(random), target, dtype)


def line_of(seed: int, minimise: float = 0.0) -> Line:
    """The verdict on a seed's program; a fault is made small in at most so many seconds."""
    started = time.monotonic()
    found, verdict = next((f, v) for f in drawn(seed) if (v := _patient(f.text, f.target, f.dtype, seed)) is not None)
    small = None
    if verdict.result in FAULTS and minimise:
        small = shrink(found.text, lambda text: _same(text, found, seed, verdict), minimise)
    seconds = round(time.monotonic() - started, 2)
    return Line(seed, found.target, found.dtype, verdict, seconds, tuple(sorted(constructs(found.text))), small)


def _same(text: str, found: Drawn, seed: int, verdict: Verdict) -> bool:
    other = _patient(text, found.target, found.dtype, seed)
    if other is None or other.result != verdict.result:
        return False
    return verdict.result != "crashed" or other.said.split(":")[0] == verdict.said.split(":")[0]


def _patient(text: str, target: str, dtype: str, seed: int) -> Verdict | None:
    def stop(*_: object) -> None:
        raise _Patience(f"after {PATIENCE} CPU s")

    signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, PATIENCE, 1.0)
    try:
        return judge(text, target, dtype, seed)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)


def _line_of(job: tuple[int, float]) -> Line:
    try:
        return line_of(*job)
    except Exception as fault:  # the others go on, and this counts
        found = next(drawn(job[0]))
        return Line(
            job[0], found.target, found.dtype, Verdict("crashed", said=f"{type(fault).__name__}: {fault}"), 0.0, ()
        )


def lines(seeds: list[int], minimise: float, workers: int) -> Iterator[Line]:
    """As they are done."""
    for (seed, _), line in results(_line_of, [(seed, minimise) for seed in seeds], workers, RESTART):
        if line is None:
            found = next(drawn(seed))
            line = Line(seed, found.target, found.dtype, Verdict("crashed", said="the process died"), 0.0, ())
        yield line
