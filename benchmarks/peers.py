"""The nearest programs of Tracr (Lindner et al. 2023) and ours, compiled, run and compared in one command.

    python -m benchmarks.peers [--length 16 64 256] [--tracr SOURCE] [--environment out/peers]

From the root of the repository. Tracr is installed from SOURCE (its repository, or a folder that holds it) into an
environment of its own, and runs there in a process of its own. Both sides are causal, have 8 symbols, and answer 64
random sequences; the truth is counted in plain Python:

    share        which part of the symbols so far is symbol 0
    induction    the symbol that followed the last times that mine came, in periodic sequences, where it came before

Parameters and nonzeros are those of the stored arrays, positions and embeddings included. Seconds are of CPU time; of a
forward pass, the least of the rounds, on one core, already compiled by XLA on both sides. Ours runs in float32 in an
unmodified GPT-2, LayerNorm and all, and says its own error beforehand; Tracr's has ReLU and no norm.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
import venv
from pathlib import Path
from typing import Any

import numpy as np
from innerloop.artifact.folders.storage import tensors_of
from innerloop.compiler import compile_program
from innerloop.programs import load
from innerloop.runtime import Transformer

from .support.tables import show

SYMBOLS, SEQUENCES, PERIOD = 8, 64, 5
TRACR = "git+https://github.com/google-deepmind/tracr"
SHARE = """program share(vocabulary)

tokens (s)*
    s : onehot[vocabulary]

output mean[j in s](s[j])
"""


def sequences(program: str, length: int) -> np.ndarray:
    """Whole numbers, (sequences, length)."""
    rng = np.random.default_rng(0)
    if program == "share":
        return rng.integers(0, SYMBOLS, (SEQUENCES, length))
    return np.array([np.resize(rng.permutation(SYMBOLS)[:PERIOD], length) for _ in range(SEQUENCES)])


def truth(program: str, rows: np.ndarray) -> np.ndarray:
    """What both are to answer, (sequences, length); NaN where there is no answer."""
    if program == "share":
        return np.cumsum(rows == 0, 1) / np.arange(1, rows.shape[1] + 1)
    follows = np.roll(rows, -1, 1).astype(float)
    follows[:, -1] = rows[:, rows.shape[1] % PERIOD]
    follows[:, :PERIOD] = np.nan
    return follows


def ours(program: str, rows: np.ndarray, rounds: int) -> dict[str, Any]:
    started = time.process_time()
    text = SHARE if program == "share" else load("induction_head")
    weights = compile_program(text, target="gpt2", vocabulary=SYMBOLS, tokens=rows.shape[1])
    compiled = time.process_time() - started
    model, fields = Transformer(weights, guard="off"), {"s": np.eye(SYMBOLS)[rows]}
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
        "compile_s": compiled,
        "forward_s": min(seconds),
        "found": found[..., 0] if program == "share" else found.argmax(-1),
        "predicted": weights.report.predicted_error,
    }


def tracr(python: Path, program: str, rows: np.ndarray, rounds: int) -> dict[str, Any]:
    asked = {"program": program, "symbols": SYMBOLS, "length": rows.shape[1], "rounds": rounds}
    side = Path(__file__).parent / "support" / "peer_tracr.py"
    ran = subprocess.run(
        [python, side], input=json.dumps(asked | {"sequences": rows.tolist()}), stdout=subprocess.PIPE, text=True,
        check=True,
    )  # fmt: skip
    return dict(json.loads(ran.stdout))


def environment(folder: Path, source: str) -> Path:
    """The Python of an environment with Tracr; made where it is missing."""
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", source], check=True)
    return python


def row(name: str, program: str, length: int, found: dict[str, Any], wanted: np.ndarray) -> list[str]:
    error = np.nanmax(np.abs(np.asarray(found["found"], float) - wanted))
    said = f"{found['predicted']:.0e}" if "predicted" in found else "–"
    return [
        program, str(length), name, str(found["layers"]), str(found["width"]), f"{found['parameters']:,}",
        f"{found['nonzeros']:,}", f"{found['compile_s']:.2f}", f"{1e6 * found['forward_s'] / len(wanted):.0f}",
        f"{error:.0e}", said,
    ]  # fmt: skip


HEADS = (
    "program", "tokens", "compiler", "layers", "width", "parameters", "nonzeros", "compile s", "µs a sequence",
    "error", "predicted",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--length", type=int, nargs="+", default=[16, 64, 256])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tracr", default=TRACR, help="what pip installs Tracr from")
    parser.add_argument("--environment", type=Path, default=Path("out/peers"))
    options = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
    try:
        python = environment(options.environment, options.tracr)
    except subprocess.CalledProcessError:
        sys.exit(f"Tracr could not be installed from {options.tracr}: name a folder that holds it with --tracr")
    rows = []
    for program in ("share", "induction"):
        for length in options.length:
            asked = sequences(program, length)
            wanted = truth(program, asked)
            for name, found in (
                ("innerloop", ours(program, asked, options.rounds)),
                ("Tracr", tracr(python, program, asked, options.rounds)),
            ):
                rows.append(row(name, program, length, found, wanted))
    show(f"{SYMBOLS} symbols, {SEQUENCES} sequences, one core", HEADS, HEADS[:1] + HEADS[2:3], rows)


if __name__ == "__main__":
    main()
