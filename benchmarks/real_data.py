"""Ten real data sets, straight from scikit-learn and statsmodels, each in one command, against scikit-learn.

    innerloop run sherman_morrison --data longley.csv --y TOTEMP --ignore Obs --standardise --leave-one-out --certify …

Predictions are held against those of scikit-learn's estimator of the same algorithm, fitted to the same rows with its
own scaler, each by its own bound; what is printed is the largest share of the bound that the difference takes. For
linear models the same command is asked for coefficients: at rows added to the file, the mean of every column and each
column one deviation further. Exit status 1 if one is beyond its bound.

    python -m benchmarks.real_data [--only NAME …]
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from innerloop.commands.cli import main as innerloop
from innerloop.runtime import Columns, TableTasks, read_table
from innerloop.runtime.tables import table
from numpy.typing import NDArray
from rich.console import Console
from sklearn import datasets
from sklearn.linear_model import Lasso, LinearRegression, LogisticRegression, Perceptron, Ridge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.preprocessing import StandardScaler

Floats = NDArray[np.float64]
Fit = Callable[[Floats, Floats, Floats], Floats]
"""Inputs [examples, d] and labels of the examples, the query's input [d] → the prediction."""


@dataclass(frozen=True)
class Case:
    """A data set, the program and what the command is given, scikit-learn's word for it, and whether it is linear."""

    name: str
    program: str
    arguments: tuple[str, ...]
    estimator: str
    fit: Fit
    linear: bool = True


def regression(make: Callable[[int], Any]) -> Fit:
    """An estimator, made for a number of examples, of a regression through the origin."""

    def fit(x: Floats, y: Floats, query: Floats) -> Floats:
        return np.asarray(make(len(x)).fit(x, y).predict(query[None])[0])

    return fit


def logistic(x: Floats, y: Floats, query: Floats) -> Floats:
    model = LogisticRegression(C=1 / (0.1 * len(x)), fit_intercept=False, tol=1e-10, max_iter=10000, solver="newton-cg")
    return np.asarray(model.fit(x, y).predict_proba(query[None])[0, 1])


def perceptron(x: Floats, y: Floats, query: Floats) -> Floats:
    model = Perceptron(max_iter=1, tol=None, shuffle=False, fit_intercept=False)
    return np.asarray(model.fit(x, y).decision_function(query[None])[0])


CASES = (
    Case("iris", "newton_logistic", ("--y", "target=2", "--classes", "0,1", "--intercept", "--splits", "20",
         "--examples", "40"), "LogisticRegression", logistic, linear=False),
    Case("wine", "nearest_neighbour", ("--y", "target=0", "--classes=-1,1", "--splits", "50", "--examples", "60"),
         "KNeighborsRegressor(1)", regression(lambda n: KNeighborsRegressor(1)), linear=False),
    Case("breast_cancer", "perceptron", ("--y", "target", "--splits", "20", "--examples", "40"),
         "Perceptron", perceptron, linear=False),
    Case("diabetes", "sherman_morrison", ("--y", "target", "--splits", "20", "--examples", "40", "-p", "ridge=1"),
         "Ridge(1)", regression(lambda n: Ridge(1.0, fit_intercept=False))),
    Case("linnerud", "ridge", ("--x", "Chins,Situps,Jumps", "--y", "Weight", "--leave-one-out"), "Ridge(0.1)",
         regression(lambda n: Ridge(0.1, fit_intercept=False))),
    Case("stackloss", "iterative_newton", ("--y", "STACKLOSS", "--leave-one-out", "-p", "steps=16"),
         "LinearRegression", regression(lambda n: LinearRegression(fit_intercept=False))),
    Case("copper", "lasso", ("--y", "WORLDCONSUMPTION", "--ignore", "YEAR,TIME", "--leave-one-out",
         "-p", "steps=250", "-p", "rate=0.1"), "Lasso(0.1)",
         regression(lambda n: Lasso(0.1, fit_intercept=False, tol=1e-12, max_iter=10**6))),
    Case("engel", "gradient_descent_dual", ("--y", "foodexp", "--leave-one-out", "-p", "steps=30", "-p", "rate=0.5"),
         "LinearRegression", regression(lambda n: LinearRegression(fit_intercept=False))),
    Case("statecrime", "recursive_least_squares", ("--y", "murder", "--leave-one-out", "-p", "forget=1"), "Ridge(0.1)",
         regression(lambda n: Ridge(0.1, fit_intercept=False))),
    Case("longley", "sherman_morrison", ("--y", "TOTEMP", "--ignore", "Obs", "--leave-one-out"), "Ridge(0.1)",
         regression(lambda n: Ridge(0.1, fit_intercept=False))),
)  # fmt: skip


def file_of(name: str, folder: Path) -> Path:
    """The file of statsmodels as it lies in the package; scikit-learn's frame, written as pandas writes it."""
    loader = getattr(datasets, f"load_{name}", None)
    if loader is None:
        import statsmodels

        return Path(statsmodels.__path__[0]) / "datasets" / name / f"{name}.csv"
    path = folder / f"{name}.csv"
    loader(as_frame=True).frame.to_csv(path, index=False)
    return path


def command(case: Case, data: Path, output: Path, *more: str) -> list[str]:
    return [
        "run",
        case.program,
        "--data",
        str(data),
        *case.arguments,
        "--standardise",
        *more,
        "--certify",
        "-o",
        str(output),
    ]


def ran(arguments: list[str]) -> tuple[Floats, Floats, list[int]]:
    """What the command writes: predictions, bounds and lines."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as said:
        status = innerloop(arguments)
    if status != 0:
        raise SystemExit(f"innerloop {' '.join(arguments)}\n{said.getvalue()}")
    rows = list(csv.reader(Path(arguments[-1]).read_text().splitlines()))
    held = [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]
    name = next(column for column in rows[0] if f"{column}_bound" in rows[0])
    values = np.array([[float(row[name]), float(row[f"{name}_bound"])] for row in held])
    return values[:, 0], values[:, 1], [int(row["line"]) for row in held]


def reference(case: Case, tasks: TableTasks) -> Floats:
    """scikit-learn's predictions, in the target's units, from the rows as the file has them."""
    found = []
    coded = [k for k in range(tasks.fields["x"].shape[2]) if len(np.unique(tasks.fields["x"][..., k])) == 1]
    measured = [k for k in range(tasks.fields["x"].shape[2]) if k not in coded]
    classes = len(np.unique(tasks.fields["y"])) == 2
    for x, y in zip(tasks.fields["x"], tasks.fields["y"], strict=True):
        known, query = x[:-1].copy(), x[-1:].copy()
        scaler = StandardScaler().fit(known[:, measured])
        known[:, measured], query[:, measured] = (
            scaler.transform(known[:, measured]),
            scaler.transform(query[:, measured]),
        )
        if classes:
            found.append(case.fit(known, y, query[0]))
            continue
        target = StandardScaler().fit(y[:, None])
        prediction = case.fit(known, target.transform(y[:, None])[:, 0], query[0])
        found.append(target.inverse_transform(np.reshape(prediction, (1, 1)))[0, 0])
    return np.array(found)


def raw_tasks(case: Case, data: Path) -> TableTasks:
    """The tasks of the command, not standardised: rows, splits and codes alone are taken over."""
    from innerloop.commands.own_data import columns_of
    from innerloop.commands.parser import parser
    from innerloop.programs import load

    chosen: Columns = columns_of(
        data, parser().parse_args([a for a in command(case, data, Path("out.csv")) if a != "--standardise"])
    )
    return read_table(data, load(case.program), chosen)


def with_probes(case: Case, data: Path, folder: Path) -> tuple[Path, Floats]:
    """The file with rows added at its end: the mean of every column, and each input one deviation further; and the
    deviations."""
    frame = pd.read_csv(data)
    target = case.arguments[case.arguments.index("--y") + 1]
    numbers = frame.select_dtypes("number")
    names = list(_inputs(case, numbers, target))
    rows = [numbers.mean()]
    for name in names:
        row = numbers.mean()
        row[name] += numbers[name].std(ddof=0)
        rows.append(row)
    probes = pd.DataFrame(rows).assign(**{target: np.nan})
    if words := [name for name in frame.columns if name not in numbers]:
        probes = probes.assign(**{name: [f"probe {k}" for k in range(len(rows))] for name in words})
    path = folder / f"{case.name}_probes.csv"
    pd.concat([frame, probes[list(frame.columns)]]).to_csv(path, index=False)
    return path, numbers[names].std(ddof=0).to_numpy()


def _inputs(case: Case, numbers: pd.DataFrame, target: str) -> Iterator[str]:
    given = dict(zip(case.arguments[::2], case.arguments[1::2], strict=False)) if "--x" in case.arguments else {}
    left = case.arguments[case.arguments.index("--ignore") + 1].split(",") if "--ignore" in case.arguments else []
    chosen = given["--x"].split(",") if given else [n for n in numbers if n != target and n not in left]
    yield from chosen


def coefficients(case: Case, data: Path, folder: Path) -> tuple[float, float]:
    """The largest difference from scikit-learn's coefficients on all rows, in units of the data, as a share of its
    bound, and relative to the largest coefficient."""
    path, steps = with_probes(case, data, folder)
    plain = Case(case.name, case.program, _without(case.arguments), case.estimator, case.fit)
    found, bounds, _ = ran(command(plain, path, folder / "probes.csv"))
    exact = reference(plain, raw_tasks(plain, path))
    ours, theirs = (found[1:] - found[0]) / steps, (exact[1:] - exact[0]) / steps
    return float((np.abs(ours - theirs) / ((bounds[1:] + bounds[0]) / steps)).max()), float(
        np.abs(ours - theirs).max() / np.abs(theirs).max()
    )


def _without(arguments: tuple[str, ...]) -> tuple[str, ...]:
    """The arguments without what draws tasks: the rows as they stand, and each probe a query."""
    kept: list[str] = []
    skip = False
    for argument in arguments:
        if skip or argument == "--leave-one-out":
            skip = False
        elif argument in ("--splits", "--examples"):
            skip = True
        else:
            kept.append(argument)
    return tuple(kept)


def measured(case: Case, folder: Path) -> tuple[list[str], float]:
    """A row of the table, and the largest share of its bound that any difference takes."""
    began = time.perf_counter()
    data = file_of(case.name, folder)
    found, bounds, _ = ran(command(case, data, folder / "out.csv"))
    tasks = raw_tasks(case, data)
    difference = np.abs(found - reference(case, tasks))
    share = float((difference / bounds).max())
    slopes = coefficients(case, data, folder) if case.linear else None
    count, length, d = tasks.fields["x"].shape
    row = [
        case.name,
        case.program,
        case.estimator,
        f"{count} × {length - 1}",
        f"{d}",
        f"{difference.max():.1e}",
        f"{np.abs(found).max():.3g}",
        f"{share:.2f}",
        "–" if slopes is None else f"{slopes[1]:.1e}",
        "–" if slopes is None else f"{slopes[0]:.2f}",
        f"{time.perf_counter() - began:.0f}",
    ]
    return row, max(share, 0.0 if slopes is None else slopes[0])


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--only", nargs="*", default=[case.name for case in CASES])
    chosen = options.parse_args().only
    found = []
    with tempfile.TemporaryDirectory() as place:
        for case in (case for case in CASES if case.name in chosen):
            print(f"innerloop {' '.join(command(case, Path(case.name + '.csv'), Path('out.csv')))}", flush=True)
            found.append(measured(case, Path(place)))
    columns = ["file", "program", "scikit-learn", "tasks × examples", "d", "difference", "largest", "of bound",
               "coefficients", "of bound", "s"]  # fmt: skip
    Console(width=150, highlight=False).print(table(columns, [row for row, _ in found], left=3))
    return int(any(share > 1 for _, share in found))


if __name__ == "__main__":
    raise SystemExit(main())
