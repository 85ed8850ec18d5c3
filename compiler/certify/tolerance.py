"""Choosing: the cheapest constructions with which the output stays within a tolerance.

    before   tolerance 1e-3; for every product and function its constructions, by falling precision
    after    U: 1 pair, shared    S w: coarse    dot(w, x): 2 pairs, halved          the fewest neurons in all

What each construction contributes to the output's error is found by disturbing its operation alone (predict.py). To
first order contributions add, so the cheapest combination whose sum stays within a budget is a multiple-choice
knapsack, solved exactly by dynamic programming over `BINS` shares of the budget. Rounding adds by squares, and less
than that, so the largest budget is taken for which the error of all together, predicted without the margin of
`SAFETY`, is within the tolerance; the weights are built, and accepted if their measured error is within it too.
So measured ≤ tolerance always, and predicted ≤ SAFETY · tolerance, but for the most precise constructions, where what
is measured decides alone. Where those are not within it, the program is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from sys import float_info
from typing import assert_never

import numpy as np
from innerloop.artifact.arrays import Dtype, Floats
from innerloop.artifact.errors import CompileError
from innerloop.artifact.precisions import UNIT
from innerloop.artifact.sparse import Matrix
from innerloop.artifact.tokens import TokenData
from numpy.typing import NDArray

from ..architectures.targets import Target
from ..interpreter.oracle import evaluate
from ..ir.graph import Affine, Function, Graph, Keep, Merge, Product, Value
from ..ir.operation_classes import Local, Reads, Source, Structural
from ..numerics.activations import Activation
from ..numerics.fit_smooth import fit
from ..numerics.square_banks import Squares, square_bank
from ..numerics.square_tables import SHIFTED
from ..schedule.allocate import Allocation
from ..schedule.constructions import CURVE, Choice, Construction, default_squares
from ..schedule.instructions import Apply, Instruction, Multiply
from ..schedule.sublayers import Placed, Schedule
from .error_model import ErrorModel
from .plan import Built
from .predict import SAFETY, contributions, predict
from .square_pairs import SquarePairs

BINS = 1000
SPARE, STEPS = 16.0, 4
"""Budgets go from so many tolerances to the inverse, in so many steps an octave."""
COMPARED = 2.0**16
"""The inverse of the smallest where comparisons decide: one turned over costs more than all errors that do not."""
LOOSEST = 0.25
"""A tolerance beyond this share of the output's root mean square asks for no more than this."""
CURVES = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2)


def bounded(graph: Graph, tolerance: object) -> None:
    """Raises CompileError for a tolerance that is no positive number."""
    if tolerance is None:
        return
    number = isinstance(tolerance, int | float | np.integer | np.floating) and not isinstance(tolerance, bool)
    if number and 0.0 < tolerance <= float_info.max:  # type: ignore[operator]
        return
    message = f"tolerance is {tolerance!r}: not a positive number"
    raise graph.signature.refusal(message, None, "give the largest error of the output to accept, such as 1e-3")


@dataclass(frozen=True)
class Option:
    construction: Construction
    neurons: int


def meet(
    model: ErrorModel,
    schedule: Schedule,
    allocation: Allocation,
    tasks: Sequence[TokenData],
    tolerance: float,
    build: Callable[[Choice], Built],
) -> Built:
    """What has the fewest neurons and an output within `tolerance` on `tasks`; `build` makes weights and measures
    them. Raises CompileError, with the operation that contributes most, if the most precise are not within it."""
    data, truths = tasks[0], [evaluate(model.graph, some) for some in tasks]
    truth = truths[0]
    offered = options(schedule, allocation, model.dtype)
    each = {v: [o.construction for o in some] for v, some in offered.items()}
    parts = contributions(model, data, truth, each)
    # What the oracle does not run, the first pass of a scan in front of it, keeps its default.
    # So does what comparisons decide by: an error there has no size, it turns one over or it does not.
    kept = _deciding(model.graph)
    offered = {v: some for v, some in offered.items() if any(parts[v]) and v not in kept}
    share = LOOSEST * min(float(np.sqrt(np.mean(part**2))) for part in model.graph.output.split(truth))
    goal = min(tolerance, share) if 0.0 < share < np.inf else tolerance
    tried: Choice | None = None
    for budget in _budgets(goal, SPARE if not kept else COMPARED):
        choice = cheapest(offered, parts, budget)
        if choice is None:
            break
        if choice != tried and _largest(model, tasks, truths, choice) <= SAFETY * goal:
            built = build(choice)
            report = built.weights.report
            if all(e.measured_error <= goal and e.predicted_error <= SAFETY * goal for e in report.each):
                return built
        tried = choice
    precise = {v: some[int(np.argmin(parts[v]))].construction for v, some in offered.items()}
    built = build(precise)
    reached = max(error.measured_error for error in built.weights.report.each)
    if reached <= tolerance:
        return built
    precise_parts = contributions(model, data, truth, {v: [precise.get(v)] for v in model.graph.values()})
    raise _refusal(model.graph, model.dtype, tolerance, precise_parts, reached, built.plan.certificate.spread)


def _largest(model: ErrorModel, tasks: Sequence[TokenData], truths: Sequence[Floats], choice: Choice) -> float:
    return max(float(predict(model, *task, choice).max()) for task in zip(tasks, truths, strict=True))


def _deciding(graph: Graph) -> set[Value]:
    """The products and functions that comparisons decide by."""
    found: set[Value] = set()
    stack = [graph[v].operands[0] for v in graph.values() if isinstance(graph[v].op, Keep)]
    while stack:
        value = stack.pop()
        match graph[value].op:
            case Affine() | Merge():
                stack.extend(graph[value].operands)
            case Product() | Function():
                found.add(value)
            case Source() | Local() | Reads() | Structural():
                pass
            case other:
                assert_never(other)
    return found


def _budgets(goal: float, least: float) -> Iterator[float]:
    """From `SPARE` goals to 1/`least`, on a grid that all goals share: a looser goal then never costs more."""
    middle = np.log2(np.clip(goal, 1e-300, 1e300))
    first, last = (int(np.floor(STEPS * (middle + octaves))) for octaves in (np.log2(SPARE), -np.log2(least)))
    yield from (2.0 ** (k / STEPS) for k in range(first, last - 1, -1))


# The choice --------------------------------------------------------------------------------------


def cheapest(
    offered: Mapping[Value, list[Option]], parts: Mapping[Value, list[float]], budget: float
) -> dict[Value, Construction] | None:
    """One option of each value, contributions within the budget in all, with the fewest neurons; None if there is no
    such choice."""
    if not budget > 0.0:
        return None
    best = np.zeros(BINS + 1)
    taken = []
    for value, some in offered.items():
        least, which = np.full(BINS + 1, np.inf), np.zeros(BINS + 1, dtype=np.int64)
        for index, (option, part) in enumerate(zip(some, parts[value], strict=True)):
            if not part <= budget:
                continue
            bins = int(np.ceil(BINS * part / budget))
            reached = np.full(BINS + 1, np.inf)
            reached[bins:] = best[: BINS + 1 - bins] + option.neurons
            which[reached < least] = index
            least = np.minimum(least, reached)
        taken.append(which)
        best = least
    if not np.isfinite(best[BINS]):
        return None
    choice, left = {}, BINS
    for (value, some), which in zip(reversed(list(offered.items())), reversed(taken), strict=True):
        index = int(which[left])
        choice[value] = some[index].construction
        left -= int(np.ceil(BINS * parts[value][index] / budget))
    return choice


# What there is to choose from --------------------------------------------------------------------


def options(schedule: Schedule, allocation: Allocation, dtype: Dtype) -> dict[Value, list[Option]]:
    """The constructions of every product and function, most neurons first; each is more precise than all cheaper
    ones."""
    found: dict[Value, list[Option]] = {}
    for placed in (p for sublayer in schedule.walk() for p in sublayer.placed):
        task, written = placed.instruction, _written(placed, allocation)
        if task.value is None:
            continue
        target = schedule.instructions.target
        if isinstance(task.op, Multiply):
            if target.gated or task.op.code is not None:
                continue  # one construction, and exact
            found[task.value] = _products(task, task.op, written, dtype, target.activation)
        elif isinstance(task.op, Apply):
            found[task.value] = _functions(task.op, int(written.sum()), dtype, target)
    return found


def _written(placed: Placed, allocation: Allocation) -> NDArray[np.bool_]:
    """Which components of what a task makes go anywhere."""
    matrices = [w.matrix for w in placed.writes]
    direct = any(w.atom == placed.instruction.out for w in placed.writes)
    if placed.instruction.out in allocation.slots and not direct:
        matrices.append(Matrix.identity(allocation.slots[placed.instruction.out].size))
    return np.asarray(sum(np.asarray(abs(m.csr).sum(axis=0)).ravel() for m in matrices) > 0)


def _products(
    task: Instruction, op: Multiply, written: NDArray[np.bool_], dtype: Dtype, activation: Activation
) -> list[Option]:
    pairs = SquarePairs.of(task, op, written)
    default = default_squares(op.left, op.right, pairs.distinct, dtype)
    banks: list[Squares] = [default]
    if dtype == "float32":
        banks += [Squares(name) for name in SHIFTED]
        halvable: tuple[int | str, ...] = (1, 2, 3)
    else:
        halvable = (1, 2, 3, "exact")
    banks += [Squares(bank, halved=halved) for bank in halvable for halved in (False, True)]
    every = (s for b in banks for s in (b, Squares(b.bank, b.copies, b.halved, True)))
    errors = {s: _roughly(s, dtype, activation) for s in every}
    kept: list[Squares] = []
    for squares in sorted(errors, key=lambda s: (pairs.neurons(s, activation), errors[s])):
        if not kept or errors[squares] < errors[kept[-1]]:
            kept.append(squares)
    return [Option(s, pairs.neurons(s, activation)) for s in reversed(kept)]


def _roughly(squares: Squares, dtype: Dtype, activation: Activation) -> float:
    """The error of a product of factors in [−1, 1]."""
    bank = square_bank(squares, activation)
    one = float(np.hypot(np.abs(bank.fit).max(), UNIT[dtype] * bank.most))
    return one * (1.5 if squares.shared else 1.0)


def _functions(op: Apply, size: int, dtype: Dtype, target: Target) -> list[Option]:
    found: list[Option] = []
    for tolerance in (CURVE[dtype], *(c for c in CURVES if c > CURVE[dtype])):
        curve = fit(op.name, op.arguments, float(op.low.min()), float(op.high.max()), tolerance, target.activation)
        line = size if target.gated else (2 * size if curve.slope else 0) + (1 if curve.constant else 0)
        neurons = size * curve.up.size + line
        if not found or neurons < found[-1].neurons:
            found.append(Option(tolerance, neurons))
    return found


# Refusal -----------------------------------------------------------------------------------------


def _refusal(
    graph: Graph,
    dtype: Dtype,
    tolerance: float,
    parts: Mapping[Value, list[float]],
    reached: float,
    spread: float | None,
) -> CompileError:
    placed = {v: part for v, (part,) in parts.items() if graph[v].span is not None}
    worst = max(placed, key=lambda v: placed[v], default=None)
    most = "" if worst is None else f"; of that error most comes from here, {placed[worst]:.2g}"
    message = f"{dtype} cannot meet a tolerance of {tolerance:.3g}: the most precise constructions reach {reached:.2g}"
    if spread is not None:
        message = f"a tolerance of {tolerance:.3g} needs a spread above {spread:.3g}, with which outputs are off by "
        return graph.signature.refusal(
            f"{message}{reached:.2g}", None, "ask for a larger spread, or a larger tolerance"
        )
    looser = f"a tolerance above {reached:.2g}, or scale the data so that its values lie closer together"
    mend = f"compile in float64, accept {looser}" if dtype == "float32" else f"accept {looser}"
    return graph.signature.refusal(message + most, None if worst is None else graph[worst].span, mend)
