"""k-gram models from text that says counts: layers, heads and how far from the counts.

    python -m benchmarks.kgrams [--tasks 64]

From the root of the repository. The probability of each symbol is how often it followed the last k symbols so far over
how often these came, with and without a prior, on gpt2 and llama in float32, compiled with optimize="heads"; half of
the sequences of 100 symbols are drawn evenly, half have a period of 7. `heads`: of the layer that has most. `KL`: the
largest divergence of the model's probabilities, scaled to add up to 1, from the counts'. Published: two layers of one
head each (arXiv 2508.07208). Exit status 1 where KL is above 1e-6, an error above its certificate, a layer more than
two, or on gpt2 a head.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from dataclasses import dataclass

import numpy as np
from innerloop.artifact.arrays import Floats, Indices
from innerloop.artifact.parts import Attention
from innerloop.artifact.words import TargetName
from innerloop.compiler import Weights, compile_program

from tests.reference.measured import numpy_run

from .support.tables import show

TARGETS: tuple[TargetName, ...] = ("gpt2", "llama")
SYMBOLS, LENGTH, PERIOD = 4, 100, 7
BOUND = 1e-6


@dataclass(frozen=True)
class Outcome:
    layers: int
    heads: int
    error: float
    certificate: float
    divergence: float
    most: int
    """Heads that a layer may have."""

    @property
    def holds(self) -> bool:
        small = self.layers <= 2 and self.heads <= self.most
        return small and self.error <= self.certificate and self.divergence <= BOUND


def program(k: int, prior: int) -> str:
    """The text of the model of the next symbol after k symbols."""
    moves = [f"p{back} = move s from previous{f' {back}' if back > 1 else ''}" for back in range(1, k + 1)]
    context = ["s", *(f"p{back}" for back in range(1, k))]
    match = " * ".join(f"dot({mine}, p{back}[j])" for back, mine in enumerate(context, 1))
    count = f"n = sum[j in s]({match} * s[j])"
    output = f"output ({prior} + n) / sum({prior} + n)" if prior else f"output n / sum[j in s]({match})"
    head = ["program kgram(vocabulary)", "", "tokens (s)*", "    s : onehot[vocabulary]", ""]
    return "\n".join([*head, *moves, count, output, ""])


def counted(symbols: Indices, k: int, prior: int) -> Floats:
    """[tokens, SYMBOLS] of one sequence, by counting; 0 where the last k symbols never came before."""
    found, after = np.zeros((symbols.size, SYMBOLS)), dict[tuple[int, ...], Counter[int]]()
    for token in range(symbols.size):
        if token >= k:
            after.setdefault(tuple(symbols[token - k : token].tolist()), Counter())[int(symbols[token])] += 1
        known = after.get(tuple(symbols[max(token - k + 1, 0) : token + 1].tolist()), Counter[int]())
        numbers = np.array([known[symbol] for symbol in range(SYMBOLS)], np.float64) + prior
        found[token] = numbers / max(numbers.sum(), 1.0)
    return found


def sequences(tasks: int, seed: int = 0) -> Indices:
    """[tasks, LENGTH]."""
    rng = np.random.default_rng(seed)
    found = rng.integers(SYMBOLS, size=(tasks, LENGTH))
    for task in found[::2]:
        task[:] = np.resize(rng.integers(SYMBOLS, size=PERIOD), LENGTH)
    return found


def heads(weights: Weights) -> int:
    """Of the layer that has most; a head that writes nothing is none."""
    size = weights.config.d_head
    most = 0
    for layer in (item for item in weights.sublayers() if isinstance(item, Attention)):
        writes = np.diff(layer.output.csr.indptr).reshape(-1, size).any(axis=1)
        most = max(most, int(writes.sum()))
    return most


def measured(k: int, prior: int, target: TargetName, tasks: int) -> Outcome:
    symbols = sequences(tasks)
    weights = compile_program(program(k, prior), target=target, optimize="heads", vocabulary=SYMBOLS)
    truth = np.stack([counted(task, k, prior) for task in symbols])
    found = numpy_run(weights, {"s": np.eye(SYMBOLS)[symbols]})
    scaled = np.where(truth.sum(-1, keepdims=True) > 0.0, found / np.maximum(found.sum(-1, keepdims=True), 1e-12), 1.0)
    some = truth > 0.0
    divergence = np.where(some, truth * np.log(np.where(some, truth, 1.0) / np.where(some, scaled, 1.0)), 0.0).sum(-1)
    error = float(np.abs(found - truth).max())
    report = weights.report
    most = 2 if target == "gpt2" else max(2, k)
    return Outcome(report.layers, heads(weights), error, report.predicted_error, float(divergence.max()), most)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=64)
    options = parser.parse_args()
    rows, holds = [], True
    for k, prior in [(k, prior) for k in range(1, 5) for prior in (1, 0)]:
        for target in TARGETS:
            found = measured(k, prior, target, options.tasks)
            holds = holds and found.holds
            rows.append([str(k), str(prior), target, str(found.layers), str(found.heads), f"{found.error:.1e}",
                         f"{found.certificate:.1e}", f"{found.divergence:.1e}"])  # fmt: skip
    columns = ("k", "prior", "target", "layers", "heads", "error", "certificate", "KL")
    show(f"{options.tasks} sequences of {LENGTH} of {SYMBOLS} symbols, float32", columns, ("target",), rows)
    return int(not holds)


if __name__ == "__main__":
    sys.exit(main())
