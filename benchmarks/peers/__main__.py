"""The nearest programs of Tracr (Lindner et al. 2023), ALTA (Shaw et al. 2024) and torchwright and ours, compiled, run
and compared in one command.

    python -m benchmarks.peers [--length 16 64 256] [--tracr SOURCE] [--alta SOURCE] [--only NAME …]
                                [--folder out/peers]

From the root of the repository. Each peer has an environment of its own, made where it is missing, and runs there in a
process of its own: Tracr from SOURCE (its repository, or a folder that holds it), torchwright from its package, ALTA,
which is no package, by a clone of SOURCE. The truth is worked out in NumPy. 64 sequences each:

    share               which part of the symbols so far is symbol 0                                (Tracr, torchwright)
    induction           the symbol that followed the last times that mine came, in periodic sequences, where it came
                        before                                                                                 (all)
    gradient_descent    four steps, d = 4, after each of 16 examples, at the next input                  (torchwright)

Sides are causal, but for ALTA, which sees the whole of a periodic sequence. Symbols are 8. Parameters and nonzeros are
those of the stored arrays, positions and embeddings included; of torchwright they are its layers' matrices, at the
least width at which all three have the fewest layers. Seconds are of CPU time on one core; of a forward pass, the least
of the rounds. Ours and Tracr's are jitted by XLA, torchwright runs in PyTorch and ALTA in NumPy, a sequence at a time,
as they do it themselves. Ours is an unmodified GPT-2 (gradient descent: Llama, whose products are exact like
torchwright's), norms and all, in float32, and says its own error beforehand; Tracr's has ReLU and no norm, ALTA's
clipped ReLU and no norm, torchwright's SwiGLU, here without its norm.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from innerloop.artifact.folders.storage import tensors_of
from innerloop.compiler import Weights, compile_program
from innerloop.programs import load
from innerloop.runtime import Transformer

from ..support.tables import show

SYMBOLS, SEQUENCES, PERIOD = 8, 64, 5
D, EXAMPLES, STEPS, RATE = 4, 16, 4, 0.1
SHARE = """program share(vocabulary)

tokens (s)*
    s : onehot[vocabulary]

output mean[j in s](s[j])
"""


def symbols(program: str, length: int) -> np.ndarray:
    """Whole numbers, (sequences, length)."""
    rng = np.random.default_rng(0)
    if program == "share":
        return rng.integers(0, SYMBOLS, (SEQUENCES, length))
    return np.array([np.resize(rng.permutation(SYMBOLS)[:PERIOD], length) for _ in range(SEQUENCES)])


def examples() -> tuple[np.ndarray, np.ndarray]:
    """x (sequences, examples + 1, d) and y (sequences, examples)."""
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((SEQUENCES, EXAMPLES + 1, D)), rng.standard_normal((SEQUENCES, D))
    return x, np.einsum("bnd,bd->bn", x[:, :-1], w)


def descended(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Predictions of gradient descent on the first k examples at the next input, (sequences, examples)."""
    found = np.empty(y.shape)
    for k in range(1, EXAMPLES + 1):
        w = np.zeros((len(x), D))
        for _ in range(STEPS):
            w -= RATE * np.einsum("bn,bnd->bd", np.einsum("bnd,bd->bn", x[:, :k], w) - y[:, :k], x[:, :k]) / k
        found[:, k - 1] = np.einsum("bd,bd->b", w, x[:, k])
    return found


def truth(program: str, rows: np.ndarray) -> np.ndarray:
    """What all are to answer of symbols, (sequences, length); NaN where there is no answer."""
    if program == "share":
        return np.cumsum(rows == 0, 1) / np.arange(1, rows.shape[1] + 1)
    follows = np.roll(rows, -1, 1).astype(float)
    follows[:, -1] = rows[:, rows.shape[1] % PERIOD]
    follows[:, :PERIOD] = np.nan
    return follows


@dataclass(frozen=True)
class Problem:
    program: str
    tokens: int
    asked: dict[str, Any]
    """What a peer is told of it."""
    wanted: np.ndarray

    @staticmethod
    def all(lengths: list[int]) -> Iterator[Problem]:
        for program in ("share", "induction"):
            for length in lengths:
                rows = symbols(program, length)
                yield Problem(program, length, {"sequences": rows.tolist()}, truth(program, rows))
        x, y = examples()
        asked = {"x": x.tolist(), "y": y.tolist(), "steps": STEPS, "rate": RATE}
        yield Problem("gradient_descent", 2 * EXAMPLES + 1, asked, descended(x, y))


def compiled(problem: Problem) -> tuple[Weights, dict[str, np.ndarray]]:
    """Ours, and the fields of its call."""
    if problem.program == "gradient_descent":
        fields = {name: np.array(problem.asked[name]) for name in ("x", "y")}
        return compile_program(load("gradient_descent"), target="llama", d=D, steps=STEPS, rate=RATE), fields
    text = SHARE if problem.program == "share" else load("induction_head")
    weights = compile_program(text, target="gpt2", vocabulary=SYMBOLS, tokens=problem.tokens)
    return weights, {"s": np.eye(SYMBOLS)[np.array(problem.asked["sequences"])]}


ANSWER = {
    "share": lambda found: found[..., 0],
    "induction": lambda found: found.argmax(-1),
    "gradient_descent": lambda found: found[:, 1:],  # the first input has no example before it
}


def ours(problem: Problem, rounds: int) -> dict[str, Any]:
    started = time.process_time()
    weights, fields = compiled(problem)
    took = time.process_time() - started
    model = Transformer(weights, guard="off")
    found = np.asarray(model(**fields))
    seconds = []
    for _ in range(rounds):
        started = time.process_time()
        np.asarray(model(**fields))
        seconds.append(time.process_time() - started)
    arrays = list(tensors_of(weights).values())
    return {
        "layers": weights.report.layers,
        "width": weights.report.width,
        "parameters": sum(a.size for a in arrays),
        "nonzeros": sum(np.count_nonzero(a) for a in arrays),
        "compile_s": took,
        "forward_s": min(seconds),
        "found": ANSWER[problem.program](found),
        "predicted": weights.report.predicted_error,
    }


@dataclass(frozen=True)
class Peer:
    """`install`: what pip installs into its environment; `clone`: a repository that is no package, its path beside."""

    name: str
    programs: tuple[str, ...]
    install: tuple[str, ...]
    clone: str | None = None

    def ready(self, root: Path) -> None:
        """Makes its environment where it is missing; one that could not be made is not left behind."""
        folder = root / self.name
        if folder.exists():
            return
        made = root / f".{self.name}"
        shutil.rmtree(made, ignore_errors=True)
        venv.create(made, with_pip=True)
        pip = [str(made / "bin" / "python"), "-m", "pip", "install", "--quiet", "--constraint", "constraints.txt"]
        subprocess.run([*pip, *self.install], check=True)
        if self.clone:
            subprocess.run(["git", "clone", "--quiet", "--depth", "1", self.clone, made / "source"], check=True)
        made.rename(folder)

    def run(self, problem: Problem, rounds: int, root: Path) -> dict[str, Any]:
        side = Path(__file__).parent / f"{self.name}_side.py"
        asked = {"program": problem.program, "symbols": SYMBOLS, "rounds": rounds, **problem.asked}
        ran = subprocess.run(
            [root / self.name / "bin" / "python", side], input=json.dumps(asked), stdout=subprocess.PIPE, text=True,
            check=True, env={**os.environ, "PYTHONPATH": str(root / self.name / "source")},
        )  # fmt: skip
        return dict(json.loads(ran.stdout.splitlines()[-1]))


def peers(tracr: str, alta: str) -> tuple[Peer, ...]:
    return (
        Peer("tracr", ("share", "induction"), (tracr,)),
        Peer("alta", ("induction",), ("absl-py", "jax", "numpy", "scipy"), alta),
        Peer("torchwright", ("share", "induction", "gradient_descent"), ("torchwright==0.2.0",)),
    )


def row(name: str, problem: Problem, found: dict[str, Any]) -> list[str]:
    error = np.nanmax(np.abs(np.asarray(found["found"], float) - problem.wanted))
    said = f"{found['predicted']:.0e}" if "predicted" in found else "–"
    return [
        problem.program, str(problem.tokens), name, str(found["layers"]), str(found["width"]),
        f"{found['parameters']:,}", f"{found['nonzeros']:,}", f"{found['compile_s']:.2f}",
        f"{1e6 * found['forward_s'] / SEQUENCES:.0f}", f"{error:.0e}", said,
    ]  # fmt: skip


HEADS = (
    "program", "tokens", "compiler", "layers", "width", "parameters", "nonzeros", "compile s", "µs a sequence",
    "error", "predicted",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--length", type=int, nargs="+", default=[16, 64, 256])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=[peer.name for peer in peers("", "")], help="these peers alone")
    parser.add_argument("--tracr", default="git+https://github.com/google-deepmind/tracr", help="what pip installs")
    parser.add_argument("--alta", default="https://github.com/google-deepmind/alta", help="what git clones")
    parser.add_argument("--folder", type=Path, default=Path("out/peers"), help="of the environments")
    options = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
    asked = [peer for peer in peers(options.tracr, options.alta) if not options.only or peer.name in options.only]
    for peer in asked:
        try:
            peer.ready(options.folder)
        except subprocess.CalledProcessError as error:
            sys.exit(
                f"{peer.name} could not be installed ({error}): name a folder that holds it, or leave it out by --only"
            )
    rows = []
    for problem in Problem.all(options.length):
        rows.append(row("innerloop", problem, ours(problem, options.rounds)))
        for peer in asked:
            if problem.program in peer.programs:
                rows.append(row(peer.name, problem, peer.run(problem, options.rounds, options.folder)))
    show(f"{SYMBOLS} symbols, {SEQUENCES} sequences, one core", HEADS, HEADS[:1] + HEADS[2:3], rows)


if __name__ == "__main__":
    main()
