"""What becomes of a program's tasks on a target, family by family; of many, in processes of their own.

program, target, families   →   compiled once, run under the guard, held against the interpreter   →   a Cell a family
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from innerloop.artifact.errors import InnerloopError
from innerloop.artifact.tokens import TokenData, output_rows
from innerloop.artifact.words import TargetName
from innerloop.compiler import CompileError, Weights, compile_program, interpret
from innerloop.compiler.interpreter.default_tasks import repetitions, samples
from innerloop.compiler.ir.build import graph_of
from innerloop.compiler.ir.graph import Graph
from innerloop.compiler.pipeline import optimise
from innerloop.programs import load
from innerloop.runtime import RangeWarning, Transformer
from innerloop.runtime.unjitted import Unjitted
from numpy.typing import NDArray

from tests.reference import Case, case_of

from ..support.families import FAMILIES, Data, draw
from ..support.workers import results
from .cells import CALIBRATION, Cell

Model = Transformer | Unjitted
SEED = 11
RESTART = 4
"""Programs after which a process is replaced: each leaves compiled functions behind."""
DEFAULTS: dict[str, tuple[str, ...]] = {"conjugate_gradient": ("floor",)}
"""Parameters that are the program's own here: the table's ask for calibration data."""


def cells_of(program: str, target: TargetName, families: Iterable[str], tasks: int, certify: int = 0) -> list[Cell]:
    """A cell for each family that is no default in disguise; so many tasks of each are certified."""
    case, found = _case(program), []
    try:
        weights = compile_program(load(program), target=target, **case.parameters)
    except CompileError as refusal:
        said = refusal.diagnostics[0].message
        return [Cell(program, target, family, refused=tasks, said=said) for family in families]
    unjitted, jitted = Unjitted(weights, most=np.inf), Transformer(weights)
    graph = optimise(graph_of(load(program), case.parameters), target, "depth")
    calibration = list(samples(graph)[0].data)
    for family in families:
        cell = Cell(program, target, family, weights.report.predicted_error)
        for data in batches(weights, graph, calibration, family, tasks):
            count(cell, [unjitted, jitted] if family == "default" else [unjitted], case, data)
            if cell.certified < certify:
                hold(cell, jitted, case, {name: array[: certify - cell.certified] for name, array in data.items()})
        if cell.tasks:
            found.append(cell)
    return found


def _case(program: str) -> Case:
    case = case_of(program)
    own = DEFAULTS.get(program, ())
    return replace(case, parameters={name: value for name, value in case.parameters.items() if name not in own})


def batches(weights: Weights, graph: Graph, calibration: list[TokenData], family: str, tasks: int) -> Iterator[Data]:
    """The family's tasks, those of one length together: as long as the calibration's, or as the family says."""
    fields = weights.signature.fields
    if family == CALIBRATION:
        for sample in calibration:
            rows = {f.name: sample.fields[f.name][: tasks // 2, output_rows(sample.sequence, f.kinds)] for f in fields}
            yield {f.name: rows[f.name].reshape(*rows[f.name].shape[:2], *f.shape) for f in fields}
        return
    longest = min(repetitions(graph))
    ends = {bound.name: (bound.low, bound.high) for bound in weights.inputs}
    lengths = [n for n in FAMILIES[family].groups or (longest,) if n <= longest]
    for number, groups in enumerate(lengths):
        share = len(range(number, tasks, len(lengths)))
        data = draw(FAMILIES[family], weights.signature, ends, groups, share, SEED + number)
        if data is not None:
            yield data


def count(cell: Cell, models: Sequence[Model], case: Case, data: Data) -> None:
    """Runs the tasks in one call of each model, and adds what becomes of each to the cell: the worst that any made of
    it. Tasks that are refused together are run one by one."""
    tasks = len(next(iter(data.values())))
    with np.errstate(all="ignore"):
        truth = interpret(load(case.program), **data, **case.parameters)
    try:
        runs = [_run(model, data, truth, cell.certificate) for model in models]
    except InnerloopError as refusal:
        if tasks == 1:
            cell.refused += 1
            cell.said = str(refusal)
            return
        for task in range(tasks):
            count(cell, models, case, {name: array[task : task + 1] for name, array in data.items()})
        return
    for task in range(tasks):
        number = cell.tasks
        over, told, vague = max(
            (run[task] for run in runs), key=lambda r: (not r.told and not r.over <= 1, bool(r.told))
        )
        if told:
            cell.warned += 1
            if cell.said is None or (over <= 1 and not cell.false_alarms):
                cell.said = told
            cell.false_alarms += over <= 1
        elif over <= 1:
            cell.right += 1
            cell.vague += vague
        else:
            cell.silent += 1
            if over >= cell.worst:
                cell.worst, cell.worst_task = over, number


class _Task(NamedTuple):
    """The largest error over the certificate's, what the guard said first, and whether the error is above the answer's
    root mean square."""

    over: float
    told: str
    vague: bool


def _run(model: Model, data: Data, truth: Any, certificate: float | None) -> list[_Task]:
    """What the model makes of each task in one call. `certificate`: of a single output, in place of the report's."""
    with warnings.catch_warnings(record=True) as heard, np.errstate(all="ignore"):
        warnings.simplefilter("always")
        found = _each(model.weights, model(**data))
    alarms = [w.message for w in heard if isinstance(w.message, RangeWarning)]
    each = [error.predicted_error for error in model.weights.report.each]
    certificates = each if len(each) > 1 or certificate is None else [certificate]
    with np.errstate(all="ignore"):
        wanted = _each(model.weights, truth)
        errors = np.stack([np.abs(f - t).max(1, initial=0.0) for f, t in zip(found, wanted, strict=True)], 1)
        sizes = np.stack([np.sqrt(np.mean(t**2, axis=1)) for t in wanted], 1)
        over = np.where(errors <= certificates, 0.5, np.nan_to_num(errors / certificates, nan=np.inf)).max(1)
    vague = [bool(one) for one in np.any((errors > sizes) & (sizes > 0.0), axis=1)]
    told = [next((str(alarm) for alarm in alarms if task in alarm.tasks), "") for task in range(len(over))]
    return [_Task(float(o), t, v) for o, t, v in zip(over, told, vague, strict=True)]


def hold(cell: Cell, model: Transformer, case: Case, data: Data) -> None:
    """Certifies the tasks, and adds to the cell how many have an error above its bound."""
    with np.errstate(all="ignore"):
        truth = interpret(load(case.program), **data, **case.parameters)
        found = model.certify(**data)
    parts = [_each(model.weights, part) for part in (found.prediction, truth, found.bound)]
    with np.errstate(all="ignore"):
        sound = np.all([(np.abs(p - t) <= bound).all(1) for p, t, bound in zip(*parts, strict=True)], axis=0)
    cell.certified += sound.size
    cell.unsound += int(np.sum(~sound))


def _each(weights: Weights, answer: Any) -> list[NDArray[Any]]:
    """Every output of an answer, [tasks, numbers]."""
    parts = answer.values() if weights.output.answers else [answer]
    return [np.asarray(part).reshape(len(part), -1) for part in parts]


# All of them -------------------------------------------------------------------------------------


def cells_of_job(job: tuple[str, TargetName, tuple[str, ...], int, int]) -> list[Cell]:
    program, target, families, tasks, _ = job
    try:
        return cells_of(*job)
    except Exception as fault:  # the others go on, and this counts
        said = f"{type(fault).__name__}: {fault}"
        return [Cell(program, target, family, silent=tasks, worst=np.inf, said=said) for family in families]


def measured(
    jobs: list[tuple[str, TargetName]], families: list[str], tasks: int, certify: int, workers: int
) -> Iterator[list[Cell]]:
    """The cells of every (program, target), as they are done."""
    every = [(program, target, tuple(families), tasks, certify) for program, target in jobs]
    for (program, target, *_), cells in results(cells_of_job, every, workers, RESTART):
        died = "the process died"
        yield cells if cells is not None else [Cell(program, target, f, silent=tasks, said=died) for f in families]
