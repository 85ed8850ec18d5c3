"""What it costs to begin: commands on a small program, first calls, first streams, and folders. In fresh processes, CPU
seconds of all their threads beside the clock's, medians of rounds in which all rows take turns; of calls and streams
also what they take alone, behind imports and loading. Python keeps its bytecode between them, as it does of what is
installed, whatever PYTHONDONTWRITEBYTECODE says here.

    python -m benchmarks.startup [--rounds 3] [--beside PYTHON] [--d 16]

`--beside`: the Python of another environment with another version of innerloop, which takes turns with this one. `--d`:
of the program whose folder is weighed, gradient_descent of one step; with `--rounds 0` nothing else is done. Rows that
are kept run behind one that filled the cache (INNERLOOP_CACHE); versions that have none compile again.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from .support.tables import show

SMALL = "gradient_descent -p d=2 -p steps=2"
DRAW = """
import numpy as np
r = np.random.default_rng(0)
def draw(tasks):
    x = r.uniform(-1, 1, (tasks, 41, 2))
    return {"x": x, "y": x[:, :40] @ r.uniform(-1, 1, 2)}
"""
LOAD = f"""{DRAW}
import time
from innerloop.artifact.weights import Weights
from innerloop.runtime import Transformer
model, few, one = Transformer(Weights.load("small"), guard="off"), draw(4), draw(1)
loaded = time.process_time()
"""
ALONE = "print(time.process_time() - loaded)"
CALL = f"{LOAD}\nmodel(**few)\n{ALONE}"
LENGTHS = f"""{LOAD}
for k in range(1, 41):
    model(x=few["x"][:, : k + 1], y=few["y"][:, :k])
{ALONE}
"""
STREAM = f"""{LOAD}
stream = model.stream()
for k in range(40):
    stream.push(x=one["x"][0, k])
    stream.push(y=one["y"][0, k])
{ALONE}
"""
FOLDER = """
import numpy as np
from pathlib import Path
from innerloop.artifact.sparse import Matrix
from innerloop.artifact.weights import Weights
from innerloop.compiler import compile_program
from innerloop.programs import load
weights = compile_program(load("gradient_descent"), d=%d, steps=1)
start = time.process_time()
weights.save("folder")
saved = time.process_time()
Weights.load("folder")
loaded = time.process_time()
def nonzeros(part):
    if isinstance(part, Matrix):
        return part.nnz
    if isinstance(part, np.ndarray):
        return int(np.count_nonzero(part))
    return sum(map(nonzeros, vars(part).values())) if hasattr(part, "__dict__") else 0
ends = weights.embedding, weights.positions, weights.final_norm, weights.readout, weights.readout_bias
numbers = sum(map(nonzeros, [*ends, *weights.sublayers()]))
count = sum(path.stat().st_size for path in Path("folder").iterdir())
print(f"{numbers} {count} {saved - start} {loaded - saved}")
"""
MAIN = "import sys; from innerloop.commands import main; sys.argv[0] = 'innerloop'; sys.exit(main())"

ROWS: list[tuple[str, str, str, bool]] = [
    ("check a program", "command", "check gradient_descent", False),
    ("check a program, kept", "command", "check gradient_descent", True),
    ("compile, d = 2, 2 steps", "command", f"compile {SMALL} -o new", False),
    ("compile, d = 2, 2 steps, kept", "command", f"compile {SMALL} -o new", True),
    ("run on 4 tasks", "command", "run small --data few.npz -o out.npz", False),
    ("run on 2,000 tasks", "command", "run small --data many.npz -o out.npz", False),
    ("run on 2,000 tasks, kept", "command", "run small --data many.npz -o out.npz", True),
    ("model(…), 4 tasks", "code", CALL, False),
    ("model(…), 4 tasks, kept", "code", CALL, True),
    ("4 tasks of 1 to 40 examples", "code", LENGTHS, False),
    ("stream of 80 pushes", "code", STREAM, False),
    ("stream of 80 pushes, kept", "code", STREAM, True),
]
"""Name, what kind of thing it is, the thing, and whether executables and the parser's tables are kept."""


def timed(python: str, code: str, arguments: list[str], folder: Path, kept: bool) -> tuple[float, float, str]:
    """CPU seconds and the clock's of one process, and what it prints."""
    kept_there = {
        "INNERLOOP_CACHE": str(folder / "cache") if kept else "0",
        "PYTHONPYCACHEPREFIX": str(folder / "code"),
    }
    environment = {n: text for n, text in os.environ.items() if n != "PYTHONDONTWRITEBYTECODE"} | kept_there
    start = time.perf_counter()
    with tempfile.TemporaryFile("w+") as printed:
        process = subprocess.Popen([python, "-c", code, *arguments], cwd=folder, env=environment, stdout=printed)
        _, status, used = os.wait4(process.pid, 0)
        took = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{python}: {arguments or code}: exit status {process.returncode}")
        printed.seek(0)
        return used.ru_utime + used.ru_stime, took, printed.read()


def prepare(python: str, folder: Path) -> None:
    """Weights and data, as this version writes them."""
    code = f'{DRAW}\nnp.savez("few.npz", **draw(4))\nnp.savez("many.npz", **draw(2_000))'
    subprocess.run([python, "-c", code], cwd=folder, check=True)
    arguments = ["compile", *SMALL.split(), "-o", "small"]
    subprocess.run([python, "-c", MAIN, *arguments], cwd=folder, check=True, stdout=subprocess.DEVNULL)


def weigh(python: str, folder: Path, d: int) -> list[str]:
    """A folder's row: nonzeros, bytes, bytes a nonzero in units of its own four, CPU seconds of saving and loading."""
    command = [python, "-c", f"import time\n{FOLDER % d}"]
    found = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout
    numbers, count, saved, loaded = map(float, found.split())
    return [f"{numbers:,.0f}", f"{count:,.0f}", f"{count / (4 * numbers):.2f}", f"{saved:.2f}", f"{loaded:.2f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--beside", metavar="PYTHON")
    parser.add_argument("--d", type=int, default=16)
    given = parser.parse_args()
    sides = {"here": sys.executable} | ({"beside": given.beside} if given.beside else {})
    with tempfile.TemporaryDirectory() as scratch:
        folders = {side: Path(scratch) / side for side in sides}
        for side, folder in folders.items():
            folder.mkdir()
            prepare(sides[side], folder)
        weighed = [[side, *weigh(sides[side], folders[side], given.d)] for side in sides]
        heads = ["", "nonzeros", "bytes", "bytes / (4 × nonzeros)", "save CPU s", "load CPU s"]
        show(f"the folder of gradient_descent, d = {given.d}, one step", heads, [""], weighed)
        found: dict[tuple[str, str], list[tuple[float, float, float]]] = {}
        if not given.rounds:
            return
        for turn in range(given.rounds + 1):
            for name, kind, thing, kept in ROWS:
                for side, python in sides.items():
                    command = kind == "command"
                    code, arguments = (MAIN, thing.split()) if command else (thing, [])
                    if "new" in arguments:
                        arguments = [*arguments[:-1], f"new{turn}{'kept' * kept}"]
                    cpu, clock, printed = timed(python, code, arguments, folders[side], kept)
                    if turn:  # the first fills caches
                        alone = float("nan") if command else float(printed)
                        found.setdefault((name, side), []).append((cpu, clock, alone))
        heads = ["", *(f"{side}: {what}" for side in sides for what in ("CPU s", "clock s", "alone, CPU s"))]

        def medians(name: str) -> list[str]:
            each = [statistics.median(one) for side in sides for one in zip(*found[name, side], strict=True)]
            return ["–" if math.isnan(one) else f"{one:.2f}" for one in each]

        rows = [[name, *medians(name)] for name, *_ in ROWS]
        show(f"fresh processes, {given.rounds} rounds", heads, [""], rows)


if __name__ == "__main__":
    main()
