"""What `innerloop compile` says of the weights that it wrote."""

from __future__ import annotations

from math import isfinite
from pathlib import Path

from innerloop.artifact.errors import counted
from innerloop.artifact.precisions import SHORT
from innerloop.artifact.weights import Weights
from innerloop.compiler.schedule.printer import certificate_rows
from innerloop.runtime.tables import table

LOUD = 0.01
"""From this share of the output's root mean square on, the error that is to be expected is said aloud."""


def loud(weights: Weights) -> str | None:
    """What is to be said aloud of the error, if it is no small share of the output."""
    report = weights.report  # of several outputs it says the worst
    share = report.predicted_error / report.output_rms if report.output_rms > 0.0 else 0.0
    if not share > LOUD:
        return None
    finer = "float32" if weights.config.dtype in SHORT else "float64"
    return (
        f"errors of up to {report.predicted_error:.2g} are to be expected, {100 * share:,.0f} % of the output's rms of "
        f"{report.output_rms:.3g}; {finer}, or data of one scale, make it less"
    )


def summary(weights: Weights, folder: Path) -> object:
    """The table of sizes, errors and what they were measured on."""
    config, report = weights.config, weights.report
    rows = [
        ["layers", f"{config.n_layer} (critical path {report.critical_path})"],
        ["width", f"{config.d_model}, {counted(config.n_head, 'head')} a layer"],
        ["neurons", f"{report.neurons:,}; up to {config.d_mlp:,} in an MLP"],
        ["parameters", f"{report.parameters:,}, of which {report.nonzeros:,} are not zero"],
    ]
    for one in report.each:
        of = f" of {one.name}" if one.name else ""
        if isfinite(one.predicted_error):
            rows.append([f"error{of}, predicted", f"{one.predicted_error:.1e}"])
        on = f"{one.measured_error:.1e} on {counted(report.tasks, 'task')}"
        rows.append([f"error{of}, measured", f"{on}; the output's rms is {one.output_rms:.3g}"])
    rows += [list(row) for row in certificate_rows(weights)]
    return table([weights.signature.name, f"{config.target}, {config.dtype} → {folder}"], rows, left=2)
