"""The picture of a program's page: what its transformer's residual stream holds after each layer, in one task.

draw("gradient_descent", folder)   →   folder/gradient_descent.png, and what it shows
"""

from __future__ import annotations

import warnings
from contextlib import suppress
from pathlib import Path

import numpy as np
from innerloop.artifact.words import TargetName
from innerloop.compiler import CompileError, Weights
from innerloop.laboratory.plots import plot_stream
from innerloop.runtime import Trace, Transformer

from tests.reference import Case, case_of
from tests.reference.measured import compiled

PANELS = 4
TRIED: tuple[TargetName, ...] = ("gpt2", "llama", "lsa")
"""The first that holds the program is drawn, in float32."""


def draw(name: str, folder: Path) -> str:
    """Draws a shipped program's picture, and says in one sentence what can be seen on it."""
    warnings.simplefilter("ignore")
    case = case_of(name)
    target, weights = _weights(case)
    trace = Transformer(weights).trace(**case.data(seed=0, tasks=1))
    shown = _shown(trace, {field.name for field in weights.signature.fields})
    folder.mkdir(parents=True, exist_ok=True)
    # Without the version of what drew it, so that the same picture has the same bytes.
    plot_stream(trace, shown).savefig(folder / f"{name}.png", dpi=90, metadata={"Software": None})
    listed = " and ".join(filter(None, [", ".join(f"`{one}`" for one in shown[:-1]), f"`{shown[-1]}`"]))
    return (
        f"{listed} in the residual stream of `{target}` after each layer, at each token of one task, components beside "
        "each other; blank where the stream does not hold it"
    )


def _weights(case: Case) -> tuple[TargetName, Weights]:
    for target in TRIED[:-1]:
        with suppress(CompileError):
            return target, compiled(case, target)
    return TRIED[-1], compiled(case, TRIED[-1])


def _shown(trace: Trace, fields: set[str]) -> list[str]:
    """What the program computes, in order of appearance: where that is much, what changes in the most layers."""
    held = [name for name in trace if not np.isnan(trace[name]).all()]
    computed = [name for name in held if name not in fields] or held
    moves = {name: _moves(trace[name]) for name in computed}
    kept = sorted(computed, key=lambda name: -moves[name])[:PANELS]
    return [name for name in computed if name in kept]


def _moves(held: np.ndarray) -> int:
    """In how many layers a value [layers, tasks, tokens, …] is another than before, where both hold it."""
    before, after = held[:-1].reshape(len(held) - 1, -1), held[1:].reshape(len(held) - 1, -1)
    both = ~np.isnan(before) & ~np.isnan(after)
    return int((both & (np.abs(after - before) > 1e-4 * np.nanmax(np.abs(held), initial=0.0))).any(axis=1).sum())
