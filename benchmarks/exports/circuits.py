"""The circuits of the library, and how well attribution finds them.

    python -m benchmarks.exports.circuits [--target gpt2] [--program NAME …] [--checked 100]

From the root of the repository. Sizes are those of tests/reference, or smaller (circuit_sizes.py). Labels are
those of circuit.json, each by exact patching; `through norms`: edges in the circuit whose ends share no slot. Of each
program `checked` edges, half of them in the circuit where there are so many, and as many neurons are patched again in
TransformerLens (target gpt2): `contradicted` are those whose label is another there, and whose effect is further off
than its own rounding explains: `noise` is how far its outputs are from ours, over their root mean square, on the clean
prompts, and an effect is a difference of two.

The area under the ROC curve is that of |score| for the labels that are decided: edge attribution patching and its
integrated gradients over the inputs, five steps, in TransformerLens (attribution.py). `at 0`: edges in the
circuit whose attribution is below 1e-6 of the largest.

What is measured is kept in out/circuits-REVISION.jsonl, so that a run that was stopped goes on where it was. Exit
status 1 where a label is contradicted.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from innerloop.artifact.errors import InnerloopError
from innerloop.artifact.words import TargetName
from innerloop.compiler import Weights
from innerloop.programs import names
from innerloop.runtime.exports.circuits.circuit import FALSE, TRUE, features, prompts
from innerloop.runtime.exports.circuits.patching import Edge, Patching, edges, neurons
from innerloop.runtime.exports.export import export, prepared
from sklearn.metrics import roc_auc_score

from tests.reference import case_of
from tests.support.patched_lens import PatchedLens

from ..support.revision import kept_in, kept_lines
from ..support.tables import show
from .attribution import scores
from .circuit_sizes import small

STEPS, NONE = 5, 1e-6
NAN = float("nan")
Name = TypeVar("Name")


@dataclass(frozen=True)
class Line:
    """One program's circuit; `said` is a refusal."""

    program: str
    target: str
    smaller: str = ""
    layers: int = 0
    heads: int = 0
    edges: int = 0
    within: int = 0
    norms: int = 0
    undecided: int = 0
    neurons: int = 0
    neurons_within: int = 0
    checked: int = 0
    contradicted: int = 0
    eap: float = NAN
    at_zero: int = -1
    eap_ig: float = NAN
    seconds: float = 0.0
    said: str = ""
    noise: float = 0.0


def measured(program: str, target: TargetName, checked: int) -> Line:
    try:
        weights, smaller = small(case_of(program), target)
        weights = prepared(weights, "circuit")
    except InnerloopError as error:
        return Line(program, target, said=str(error).splitlines()[0])
    start, config = time.process_time(), weights.config
    one, other, rows = prompts(weights)
    given = features(weights, one), features(weights, other), rows
    found, active = edges(weights, *given), neurons(weights, *given)
    effect = np.array([edge.effect for edge in found])
    within, decided = effect > TRUE, (effect > TRUE) | (effect < FALSE)
    activity = np.array([score for some in active.values() for score in some])
    line = Line(
        program, target, smaller, config.n_layer, config.n_head, len(found), int(within.sum()),
        sum(not edge.wired for edge, at in zip(found, within, strict=True) if at), int((~decided).sum()),
        len(activity), int((activity > TRUE).sum()),
    )  # fmt: skip
    if target == "gpt2":
        lens = _lens(weights)
        clean = Patching(weights, *given).output
        noise = float(np.abs(lens.output.numpy() - clean).max() / np.sqrt(np.mean(clean**2)))
        tried, wrong = _again(lens, found, active, checked, 2 * noise)
        line = replace(line, checked=tried, contradicted=wrong, noise=noise)
        plain = scores(lens, [edge.name for edge in found], [0.0])
        steps = scores(lens, [edge.name for edge in found], [(k + 0.5) / STEPS for k in range(STEPS)])
        eap, eap_ig = (float(roc_auc_score(within[decided], some[decided])) for some in (plain, steps))
        line = replace(line, eap=eap, eap_ig=eap_ig, at_zero=int((plain[within] < NONE * plain.max()).sum()))
    return replace(line, seconds=time.process_time() - start)


def _lens(weights: Weights) -> PatchedLens:
    one, other, rows = prompts(weights)
    held = {"clean": features(weights, one), "corrupted": features(weights, other), "rows": rows}
    with tempfile.TemporaryDirectory() as folder:
        export(weights, Path(folder) / "lens", "transformerlens", accept_error=True)
        return PatchedLens(Path(folder) / "lens", {name: torch.tensor(array) for name, array in held.items()})


def _again(
    lens: PatchedLens, found: list[Edge], active: dict[str, list[float]], count: int, close: float
) -> tuple[int, int]:
    """How many edges and neurons were drawn and patched in TransformerLens, and how many have another label there,
    `close` aside."""
    rng = np.random.default_rng(0)
    scored = {edge.name: edge.effect for edge in found}
    every = [(mlp, number) for mlp, some in active.items() for number in range(len(some))]
    chosen = _drawn(scored, count, rng)
    pairs = [(scored[name], effect) for name, effect in lens.edges(chosen).items()]
    for mlp, number in _drawn({each: active[each[0]][each[1]] for each in every}, count, rng):
        pairs.append((active[mlp][number], lens.neuron(mlp, number)))
    wrong = sum(
        (ours > TRUE and not theirs > TRUE - close) or (ours < FALSE and not theirs < FALSE + close)
        for ours, theirs in pairs
    )
    return len(pairs), wrong


def _drawn(scored: dict[Name, float], count: int, rng: np.random.Generator) -> list[Name]:
    """Half of them in the circuit, where there are so many."""
    within = [name for name, effect in scored.items() if effect > TRUE]
    without = [name for name, effect in scored.items() if effect <= TRUE]
    first = [within[k] for k in rng.permutation(len(within))[: count // 2]]
    return first + [without[k] for k in rng.permutation(len(without))[: count - len(first)]]


HEADS = [
    "program", "smaller", "layers", "heads", "edges", "in", "through norms", "undecided", "neurons", "in", "checked",
    "contradicted", "noise", "EAP", "at 0", "EAP-IG", "s",
]  # fmt: skip


def cells(line: Line) -> list[str]:
    if line.said:
        return [line.program, line.said, *[""] * (len(HEADS) - 2)]
    counts = [line.layers, line.heads, line.edges, line.within, line.norms, line.undecided, line.neurons]
    counts += [line.neurons_within, line.checked, line.contradicted]
    scored = line.at_zero >= 0
    areas = [f"{line.eap:.3f}", str(line.at_zero), f"{line.eap_ig:.3f}"] if scored else ["–"] * 3
    told = f"{line.noise:.0e}" if line.checked else "–"
    return [line.program, line.smaller, *(f"{count:,}" for count in counts), told, *areas, f"{line.seconds:.0f}"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", choices=["gpt2", "llama"], default="gpt2")
    parser.add_argument("--program", nargs="+", choices=names(), default=names())
    parser.add_argument("--checked", type=int, default=100)
    parser.add_argument("--kept", type=Path, default=kept_lines("circuits"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    lines = {(line.program, line.target): line for line in kept_in(options.kept, Line)}
    with options.kept.open("a", encoding="utf-8") as file:
        for program in options.program:
            if (program, options.target) not in lines:
                line = measured(program, options.target, options.checked)
                lines[program, options.target] = line
                print(json.dumps(asdict(line)), file=file, flush=True)
                print(*cells(line), file=sys.stderr, flush=True)
    rows = [lines[program, options.target] for program in options.program]
    show(f"circuits, target {options.target}", HEADS, ["program", "smaller"], [cells(line) for line in rows])
    return 1 if any(line.contradicted for line in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
