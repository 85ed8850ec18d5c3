"""The certificate: the tasks that a report's errors are measured on, and what it says of them.

    default         8 tasks as long as the calibration's, 24 of a quarter of that, 32 of two groups; by turns
                    the core's and those of each family that the ranges hold for; one in sixteen has a row in
                    which all inputs stand at the ends of their ranges
    the caller's    as many, spread over the data, whole and cut short

Default tasks in which some value leaves its range are the guard's business: they are not counted, and their number is
told. Long sequences get fewer tasks, and short ones more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from innerloop.artifact.arrays import Floats, Indices
from innerloop.artifact.claims import Certificate, InputRange
from innerloop.artifact.errors import counted
from innerloop.artifact.limits import SLACK
from innerloop.artifact.signature import Pattern, Signature
from innerloop.artifact.tokens import Sequence as Tokens
from innerloop.artifact.tokens import TokenData, output_rows, read_data, sequence
from innerloop.artifact.words import Optimize
from numpy.typing import NDArray

from ..interpreter.calibrate import Ranges
from ..interpreter.chunks import parts, some_of, together
from ..interpreter.default_tasks import Sample, describe, draw, repetitions
from ..interpreter.oracle import evaluate
from ..interpreter.task_families import CORE, Family
from ..ir.graph import Field, Graph, Value

TASKS = 64
LEAST, MOST = 8, 1_000_000
SEED = 2
"""Where those tasks are drawn from; calibration's are drawn from others."""
FEWEST = 2
TOKENS = 648
"""So many tokens the tasks of one length may have together, but for the shortest."""
CORNERS = 16
"""One task in so many has a row at a corner of the input ranges."""


def enough(graph: Graph, tasks: object) -> None:
    """Raises CompileError for a number of tasks that is none, or too few to say anything."""
    if isinstance(tasks, int | np.integer) and not isinstance(tasks, bool) and LEAST <= tasks <= MOST:
        return
    message = f"certify is {tasks!r}: not a whole number from {LEAST} to {MOST:,}"
    raise graph.signature.refusal(message, None, f"give the number of tasks to measure the error on, such as {TASKS}")


def _lengths(pattern: Pattern, longest: tuple[int, ...], tasks: int) -> dict[tuple[int, ...], int]:
    """How many tasks whose groups come how often; of several groups, each is also the longest in turn."""
    short = (1, 2, 3) if pattern.visible_context else (2,)  # else short contexts begin all longer ones
    found: dict[tuple[int, ...], int] = {}
    quarter = tuple(min(times, max(1, times // 4)) for times in longest)
    lopsided = [(*quarter[:k], most, *quarter[k + 1 :]) for k, most in enumerate(longest) if len(longest) > 1]
    shares = [(longest, tasks // 8), *((times, tasks // 16) for times in lopsided), (quarter, 3 * tasks // 8)]
    for times, share in shares:
        most = TOKENS * tasks // TASKS // max(1, len(sequence(pattern, times)))
        found[times] = found.get(times, 0) + max(FEWEST, min(share, most))
    left = max(FEWEST, tasks - sum(found.values()))
    for few in short:
        times = tuple(min(few, most) for most in longest)
        found[times] = found.get(times, 0) + -(-left // len(short))
    return found


def fresh_tasks(
    graph: Graph, ranges: Ranges, families: Sequence[Family], tasks: int, tokens: int | None = None
) -> tuple[list[TokenData], int]:
    """Default tasks of at most `tokens` that calibration has not seen, by length, longest first; and how many beside
    leave the ranges."""
    signature = graph.signature
    ends = _ends(graph, ranges)
    found, left = [], 0
    lengths = _lengths(signature.pattern, repetitions(graph, tokens), tasks)
    for number, (groups, count) in enumerate(lengths.items()):
        drawn = read_data(signature, _mixed(signature, groups, count, [CORE, *families], ends, SEED + 1000 * number))
        found.append(_kept(graph, ranges, drawn))
        left += drawn.batch - found[-1].batch
    return [some for some in found if some.batch], left


def own_tasks(graph: Graph, ranges: Ranges, data: TokenData, tasks: int) -> tuple[list[TokenData], int]:
    """The caller's, spread over the data: whole, and cut short; and how many of the latter leave the ranges beside, for
    under a visible context less of it is other data."""
    pattern, whole, found, left = graph.signature.pattern, data.sequence, [], 0
    for times, count in _lengths(pattern, whole.repetitions, tasks).items():
        line = sequence(pattern, times)
        if not len(line):
            continue
        chosen = np.unique(np.linspace(0, data.batch - 1, min(count, data.batch)).astype(np.int64))
        some = TokenData(line, chosen.size, _cut(graph.signature, data, chosen, line))
        found.append(_kept(graph, ranges, some) if times != whole.repetitions else some)
        left += some.batch - found[-1].batch
    return [some for some in found if some.batch], left


def _cut(signature: Signature, data: TokenData, chosen: Indices, line: Tokens) -> dict[str, Floats]:
    """Fields [tasks, tokens, size] of a shorter sequence: of one group the first rows of each field, so that what was
    an example is a query; of several the first rows at each role."""
    found, whole = {}, data.sequence
    for spec in signature.fields:
        at, rows = output_rows(line, spec.kinds), output_rows(whole, spec.kinds)
        if len(whole.repetitions) > 1:
            mine, theirs = np.array(line.roles)[at], np.array(whole.roles)
            numbers = [int(np.count_nonzero(mine[:k] == role)) for k, role in enumerate(mine)]
            rows = np.array([np.flatnonzero(theirs == r)[n] for r, n in zip(mine, numbers, strict=True)], np.int64)
        found[spec.name] = np.zeros((chosen.size, len(line), data.fields[spec.name].shape[2]))
        found[spec.name][:, at] = data.fields[spec.name][chosen][:, rows[: at.size]]
    return found


def _ends(graph: Graph, ranges: Ranges) -> dict[str, tuple[float, float]]:
    """What each field may hold."""
    found = {}
    for value in graph.values():
        op = graph[value].op
        if isinstance(op, Field):
            low, high = ranges[value]
            found[op.name] = float(low.min()), float(high.max())
    return found


def _mixed(
    signature: Signature, groups: tuple[int, ...], count: int, families: Sequence[Family],
    ends: Mapping[str, tuple[float, float]], seed: int,
) -> dict[str, Floats]:  # fmt: skip
    """Tasks of these families in turn, the first with every third; some with a row at a corner."""
    first, *others = families
    turns = [f for k in range(0, max(1, len(others)), 3) for f in (first, *others[k : k + 3])]
    chosen = [turns[(seed + k) % len(turns)] for k in range(count)]
    every = [
        draw(signature, groups, chosen.count(f), seed + 1 + k, family=f) for k, f in enumerate(families) if f in chosen
    ]
    drawn = {spec.name: np.concatenate([some[spec.name] for some in every]) for spec in signature.fields}
    rng = np.random.default_rng(seed)
    for spec in signature.fields:
        rows = drawn[spec.name].shape[1]
        if not spec.onehot and rows and spec.name in ends:
            for task in range(count - 1, -1, -CORNERS):
                drawn[spec.name][task, rng.integers(rows)] = rng.choice(ends[spec.name], spec.shape)
    return drawn


def _kept(graph: Graph, ranges: Ranges, data: TokenData) -> TokenData:
    """The tasks in which every value is in its range."""
    found = []
    for part in parts(data, together(graph, data)):
        inside = np.ones(part.batch, bool)

        def see(value: Value, array: Floats, inside: NDArray[np.bool_] = inside) -> None:
            low, high = ranges[value]
            slack = SLACK * np.maximum(np.abs(low), np.abs(high)).max(initial=0.0) + 1e-9
            inside &= ((array >= low - slack) & (array <= high + slack)).all(axis=(1, 2))

        evaluate(graph, part, see)
        found.append(inside)
    return some_of(data, np.concatenate(found))


def certificate(
    signature: Signature,
    data: Sequence[TokenData],
    left: int,
    samples: Sequence[Sample],
    families: Sequence[Family],
    default: bool,
    optimize: Optimize,
    certify: int,
    tokens: int | None = None,
) -> Certificate:
    """Of errors measured on `data`, with ranges from those samples that are the core's or of `families`; `default` if
    all was drawn here."""

    def described(some: Sequence[TokenData]) -> str:
        *first, last = (f"{counted(d.batch, 'task')} of {counted(len(d.sequence), 'token')}" for d in some)
        return f"{', '.join(first)} and {last}" if first else last

    core, others = samples[0], [s.family for s in samples[1:]]
    drawn = f"drawn: {describe(signature, data[0].sequence.repetitions)}"
    more = [f.words for f in others if f in families]
    dear = [f.words for f in others if f not in families]
    told = [f"{described(core.data)}, {drawn if default else 'given by the caller'}"]
    told += [f"in turn with {', '.join(more)}"] if more else []
    told += [f"too dear, and left to the guard: {', '.join(dear)}"] if dear else []
    measured = [f"{described(data)}, " + ("drawn alike" if default else "of the caller's")]
    measured += [f"{left} more left the ranges, as the guard says"] if left else []
    seen = []
    for spec in signature.fields:
        held = [d.fields[spec.name][:, output_rows(d.sequence, spec.kinds)] for d in data]
        if any(h.size for h in held):
            low, high = min(h.min() for h in held if h.size), max(h.max() for h in held if h.size)
            seen.append(InputRange(spec.name, float(low), float(high)))
    return Certificate(
        measured_on="; ".join(measured),
        seen=tuple(seen),
        calibrated="; ".join(told),
        default=default,
        seed=SEED if default else None,
        optimize=optimize,
        tolerance=None,
        certify=certify,
        tokens=tokens,
    )
