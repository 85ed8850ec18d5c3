"""The circuits of the library, and how well edge attribution patching finds them.

    python -m benchmarks.circuits [--target gpt2] [--program NAME …] [--most 100000] [--scored 1500]

From the root of the repository. The programs are compiled at the sizes of tests/reference; those of more than `most`
edges are named and left out. Labels are those of circuit.json, each by exact patching; `through norms`: edges in the
circuit whose ends share no slot. Of programs of up to `scored` edges the area under the ROC curve is that of |score|
for the labels that are decided: edge attribution patching (Syed et al. 2023, arXiv 2310.10348) and its integrated
gradients over the inputs (Hanna et al. 2024, arXiv 2403.17806), five steps. The metric is the mean square distance of
the outputs from those of the corrupted prompts; slopes are differences of 1e-6 in float64. `at 0`: edges in the circuit
whose attribution is below 1e-6 of the largest.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator

import numpy as np
from innerloop.artifact.arrays import Floats
from innerloop.artifact.words import TargetName
from innerloop.compiler import CompileError, Weights
from innerloop.programs import names
from innerloop.runtime.exports.circuits.circuit import FALSE, TRUE, features, prompts
from innerloop.runtime.exports.circuits.patching import Patching, count, edges
from innerloop.runtime.exports.export import prepared
from sklearn.metrics import roc_auc_score

from tests.reference import CASES
from tests.reference.measured import compiled

from .support.tables import show

STEP, STEPS, NONE = 1e-6, 5, 1e-6
HEADS = ["program", "layers", "heads", "edges", "in", "through norms", "undecided", "s", "EAP", "at 0", "EAP-IG"]


class Slopes(Patching):
    """By edge, how fast the metric changes as its child reads more of what the parent writes on the corrupted prompt,
    at a prompt a share of the way from clean to corrupted."""

    def __init__(self, weights: Weights, share: float) -> None:
        one, other, rows = prompts(weights)
        clean, corrupted = features(weights, one), features(weights, other)
        whole = Patching(weights, clean, corrupted, rows)
        super().__init__(weights, clean + share * (corrupted - clean), corrupted, rows)
        self.apart = {node: STEP * change for node, change in whole.apart.items()}
        self.goal = Patching(weights, corrupted, clean, rows).output

    def _moved(self, last: Floats) -> list[float]:
        there = np.square(self._read(last) - self.goal)
        slope = (there - np.square(self.output - self.goal)) / STEP
        return [float(mean) for mean in slope.reshape(len(last), -1).mean(1)]


def scores(weights: Weights, shares: list[float]) -> Floats:
    """|mean slope| of every edge."""
    return np.asarray(
        np.abs(np.mean([[edge.effect for edge in Slopes(weights, share).edges()] for share in shares], axis=0))
    )


def measured(target: TargetName, only: list[str], most: int, scored: int) -> Iterator[list[str]]:
    for case in CASES:
        if case.program not in (only or names()):
            continue
        try:
            weights = prepared(compiled(case, target), "circuit")
        except CompileError as error:
            yield [case.program, "refused", str(error).splitlines()[0][:40], *[""] * (len(HEADS) - 3)]
            continue
        config = weights.config
        row = [case.program, str(config.n_layer), str(config.n_head), f"{count(weights):,}"]
        if count(weights) > most:
            yield [*row, *["–"] * (len(HEADS) - len(row))]
            continue
        start = time.process_time()
        one, other, rows = prompts(weights)
        found = edges(weights, features(weights, one), features(weights, other), rows)
        seconds = time.process_time() - start
        effect = np.array([edge.effect for edge in found])
        within, decided = effect > TRUE, (effect > TRUE) | (effect < FALSE)
        norms = sum(not edge.wired for edge, at in zip(found, within, strict=True) if at)
        row += [str(within.sum()), str(norms), str((~decided).sum()), f"{seconds:.1f}"]
        if len(found) > scored:
            yield [*row, *["–"] * (len(HEADS) - len(row))]
            continue
        plain = scores(weights, [0.0])
        steps = scores(weights, [(k + 0.5) / STEPS for k in range(STEPS)])
        areas = [f"{roc_auc_score(within[decided], some[decided]):.3f}" for some in (plain, steps)]
        yield [*row, areas[0], str((plain[within] < NONE * plain.max()).sum()), areas[1]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", choices=["gpt2", "llama"], default="gpt2")
    parser.add_argument("--program", nargs="+", default=[])
    parser.add_argument("--most", type=int, default=100_000)
    parser.add_argument("--scored", type=int, default=1500)
    options = parser.parse_args()
    rows = []
    for row in measured(options.target, options.program, options.most, options.scored):
        print(*row, file=sys.stderr, flush=True)
        rows.append(row)
    show(f"circuits, target {options.target}", HEADS, ["program"], rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
