"""What packing and running weights takes, before anything of it is spent.

packing   every sublayer dense, one after the other, and of each what is not zero
running   of one chunk of tasks: the stream, the widest activation as it goes in, comes out and is mixed
widest    of a task, as its packed steps run
"""

from __future__ import annotations

from typing import Any

import numpy as np
from innerloop.artifact.memory import spend
from innerloop.artifact.places import Places
from innerloop.artifact.sparse import Matrix
from innerloop.artifact.tokens import TokenData
from innerloop.artifact.weights import Weights
from innerloop.compiler.interpreter.chunks import chunk_size

from ..packing.packed import AttentionStep, DeltaStep, LinearAttentionStep, LoopStep, MlpStep, Step

ACTIVATIONS = 4
"""As wide as the widest, at the same time."""
CACHED_BYTES = 2**22
"""A chunk's widest activation on a CPU: about what stays in its cache (most programs are slower with 2²³)."""
TIMES_IN_TURN = 2
"""As much where scans run in turn: their passes are at one token, and as quick for more tasks."""
DEVICE_BYTES = 2**30
"""The same on an accelerator, for each device."""


def packing(weights: Weights, dtype: np.dtype[Any]) -> None:
    """Raises MemoryLimitError."""
    kept = largest = 0
    for item in [weights, *weights.sublayers()]:
        matrices = [part for part in vars(item).values() if isinstance(part, Matrix)]
        sizes = [matrix.shape[0] * matrix.shape[1] for matrix in matrices]
        kept += sum(_filled(matrix) for matrix in matrices) * dtype.itemsize
        dense = 2 * sum(sizes) * dtype.itemsize + 8 * max(sizes, default=0)
        largest = max(largest, dense)
    kept += weights.positions.size * dtype.itemsize
    if weights.config.positions == "rotary":
        largest = max(largest, 16 * weights.config.n_positions * weights.config.d_head)
    name = weights.signature.name
    spend(kept + largest, f"the weights of {name}, packed to run,", f"compile {name} for smaller sizes")


def running(weights: Weights, widest: int, tasks: int, tokens: int) -> None:
    """`widest`: bytes of the widest activation of one task. Raises MemoryLimitError."""
    what = f"the activations of {weights.signature.name} on {tasks:,} tasks of {tokens:,} tokens"
    spend(ACTIVATIONS * tasks * widest, what, "give shorter tasks")


def together(
    weights: Weights,
    steps: tuple[Step, ...],
    data: TokenData,
    run: Places | None,
    itemsize: int,
    shards: int,
    on_cpu: bool,
) -> int:
    """How many tasks go through at once, on `shards` devices: steps run at the tokens `run` (None: all). Raises
    MemoryLimitError."""
    tokens = len(data.sequence)
    bytes_of, most = _of_a_task(weights, steps, tokens, run, itemsize, on_cpu)
    chunk = shards * chunk_size(-(-data.batch // shards), max(1, most))
    if on_cpu:
        running(weights, bytes_of, chunk, tokens)
    return chunk


def at_once(
    weights: Weights, steps: tuple[Step, ...], tokens: int, tasks: int, run: Places, itemsize: int, on_cpu: bool
) -> bool:
    """Whether so many tasks of so many tokens stay in the cache, or in what a device has for them."""
    return tasks <= _of_a_task(weights, steps, tokens, run, itemsize, on_cpu)[1]


def _of_a_task(
    weights: Weights, steps: tuple[Step, ...], tokens: int, run: Places | None, itemsize: int, on_cpu: bool
) -> tuple[int, int]:
    """Bytes of the widest activation of a task, and of how many tasks there is room for it."""
    numbers = max(widest(steps, 1 + tokens, run), (1 + tokens) * weights.config.d_model)
    cached = CACHED_BYTES * (TIMES_IN_TURN if run is not None and run.turns else 1)
    return numbers * itemsize, (cached if on_cpu else DEVICE_BYTES) // (numbers * itemsize)


def widest(steps: tuple[Step, ...], tokens: int, run: Places | None) -> int:
    """Numbers in the widest activation of one task of so many tokens, the rest token among them: neurons, scores, or
    what heads read. `run`: where steps run (None: everywhere)."""
    found = 0
    for step in steps:
        if isinstance(step, LoopStep):
            in_turn = step.turn is not None and run is not None and bool(run.turns)
            found = max(found, widest(step.steps, 2 if in_turn else tokens, None if in_turn else run))
        elif isinstance(step, MlpStep):
            live = None if run is None or step.live is None else run.live.get(step.live)
            neurons = [step.up.shape[-1], *(block.bias.size for block in step.blocks)]
            found = max(found, max(neurons) * (tokens if live is None else live.size))
        elif isinstance(step, AttentionStep | LinearAttentionStep):
            packed = step.qkv if isinstance(step, AttentionStep) else step.qkvc
            found = max(found, tokens * packed.shape[-1], step.heads * tokens**2)
        elif isinstance(step, DeltaStep):
            found = max(found, tokens * step.packed.shape[-1], step.start.size)
    return found


def _filled(matrix: Matrix) -> int:
    """Of the rows and columns that are not all zero, the product."""
    rows = np.count_nonzero(np.diff(matrix.csr.indptr))
    return int(rows) * np.unique(matrix.csr.indices).size
