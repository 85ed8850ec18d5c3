"""All that the page says of one run, as JSON: from the plan that the weights were made by, from them, and from the run.

key         holds
text        the program; lines count from 1
tokens      what the sequence is made of, the rest token first
run         the sublayers in the order in which they run, each with its stored number
stored      what each stored sublayer does (doings.py)
variables   what is held and what should be (variables.py), without the rest token; `output` alike
owners      whose the slots are (slots.py)
linear      whether attention is, whose shares sum to nothing in particular
inputs      the task's fields, by token
live        the weights (live.py); or `maps`, each head's attention as it was, where they are too large
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from innerloop.artifact.errors import DataError, counted
from innerloop.artifact.parts import Attention, LinearAttention
from innerloop.artifact.tokens import TokenData, output_rows
from innerloop.artifact.weights import Weights
from innerloop.compiler.certify.plan import Plan
from innerloop.compiler.certify.trace_bounds import Bounds
from innerloop.compiler.compile import plan_of
from innerloop.compiler.emit.layout import holdings
from innerloop.compiler.finish import emitted_of
from innerloop.compiler.interpreter.chunks import some_of
from numpy.typing import ArrayLike, NDArray

from ..attention_maps import maps_on
from .doings import doings, field_lines
from .encoded import Json, encoded
from .live import columns, live
from .slots import Components, owners
from .variables import outputs, variables

READABLE = 25
"""Tokens of a task that fits a screen."""
MAPS = 2**23
"""Bytes of attention maps that a page holds."""


class InspectedModel(Protocol):
    """What is asked of a transformer."""

    @property
    def weights(self) -> Weights: ...

    def sublayers_of(self, data: TokenData) -> NDArray[Any]: ...


def collected(
    model: InspectedModel, data: TokenData | None, calibration: Mapping[str, ArrayLike] | None, task: int
) -> Json:
    """Raises DataError for a task that there is not, and where the weights cannot be compiled again (`plan_of`)."""
    weights = model.weights
    plan = plan_of(weights, calibration)
    given = _readable(plan) if data is None else data
    if not 0 <= task < given.batch:
        raise DataError(f"there is no task {task}: the data hold {counted(given.batch, 'task')}, from 0")
    one = some_of(given, slice(task, task + 1))
    held, emitted = holdings(plan.schedule, plan.allocation), emitted_of(plan)
    instructions = plan.schedule.instructions
    of = owners(emitted, plan.allocation, instructions)
    bounds = Bounds(plan, one, held)
    stream = model.sublayers_of(one)
    kinds = one.sequence.kinds
    stored = doings(weights, plan, emitted, held, Components(of))
    rows = output_rows(one.sequence, weights.output.kinds)
    runs = live(weights, one)
    return {
        "name": weights.signature.name,
        "about": _about(weights, given, task, drawn=data is None),
        "text": weights.signature.text,
        "field_lines": field_lines(plan),
        "tokens": _tokens(kinds),
        "run": _run(weights, plan),
        "stored": stored,
        "variables": variables(weights, plan.graph, held, bounds, stream[:, 1:], kinds),
        "output": outputs(weights, bounds, stream[-1, 1:], rows),
        "owners": [owner.json() for owner in of],
        "width": weights.config.d_model,
        "linear": weights.config.attention == "linear",
        "inputs": _inputs(weights, one),
        "live": runs,
        "maps": _maps(weights, stream) if runs is None else None,
    }


def _readable(plan: Plan) -> TokenData:
    """Of the tasks that the error was measured on, the longest that fit a screen, or else the shortest."""
    by_length = sorted(plan.fresh, key=lambda data: len(data.sequence))
    fit = [data for data in by_length if len(data.sequence) <= READABLE]
    return (fit or by_length[:1])[-1]


def _about(weights: Weights, data: TokenData, task: int, drawn: bool) -> list[list[str]]:
    config, report = weights.config, weights.report
    parameters = ", ".join(
        f"{name} = {value:g}" if isinstance(value, int | float) else name
        for name, value in weights.signature.parameters.items()
    )
    whose = "one of those that the error was measured on" if drawn else f"number {task} of {data.batch} that were given"
    return [
        ["parameters", parameters or "none"],
        ["target", f"{config.target}, {config.dtype}"],
        ["layers", f"{config.n_layer} of width {config.d_model}, {counted(config.n_head, 'head')} each"],
        ["neurons", f"{report.neurons:,}"],
        ["measured error", f"{report.measured_error:.1e} on {counted(report.tasks, 'task')}"],
        ["this task", whose],
    ]


def _tokens(kinds: tuple[str, ...]) -> list[Json]:
    seen: dict[str, int] = {}
    found: list[Json] = [{"kind": None, "label": "rest"}]
    for kind in kinds:
        seen[kind] = seen.get(kind, 0) + 1
        found.append({"kind": kind, "label": f"{kind}{seen[kind]}"})
    return found


def _run(weights: Weights, plan: Plan) -> list[Json]:
    sides = [sublayer.side for sublayer in plan.schedule.walk()]
    times: dict[int, int] = {}
    found = []
    numbers = [number for number, _ in weights.unrolled()]
    for number in numbers:
        times[number] = times.get(number, 0) + 1
        again = numbers.count(number)
        found.append({"stored": number, "side": sides[number], "pass": times[number] if again > 1 else None})
    return found


def _inputs(weights: Weights, data: TokenData) -> list[Json]:
    at = columns(weights)
    return [
        {
            "name": field.name,
            "shape": list(field.shape),
            "columns": list(at[field.name]),
            "tokens": output_rows(data.sequence, field.kinds).tolist(),
            "values": data.fields[field.name][0].tolist(),
            "low": next((r.low for r in weights.inputs if r.name == field.name), None),
            "high": next((r.high for r in weights.inputs if r.name == field.name), None),
        }
        for field in weights.signature.fields
    ]


def _maps(weights: Weights, stream: NDArray[Any]) -> Json | None:
    """Each head's shares over its largest, by their roots in steps of 1/127; equal maps once. None: more than a page
    holds."""
    known: dict[bytes, int] = {}
    kept: list[Json] = []
    at: list[list[Json]] = []
    size = 0
    for (_, part), before in zip(weights.unrolled(), stream, strict=False):
        heads = []
        if isinstance(part, Attention | LinearAttention):
            for number, shares in maps_on(weights, part, before.T[:, None]).items():
                most = float(np.abs(shares).max(initial=0.0)) or 1.0
                steps = np.rint(127 * np.sign(shares[0]) * np.sqrt(np.abs(shares[0]) / most)).astype(np.int8)
                key = steps.tobytes()
                if key not in known:
                    known[key] = len(kept)
                    kept.append(encoded(steps, "i1"))
                    size += steps.size
                heads.append({"number": number, "map": known[key], "most": most})
        at.append(heads)
        if size > MAPS:
            return None
    return {"kept": kept, "at": at}
