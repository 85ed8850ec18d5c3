"""How large a page of `innerloop inspect` is, how long it loads, and what its interactions take, in a real browser.

    python -m benchmarks.inspector [--rounds 5]

Milliseconds, medians and the largest of so many interactions, each with the layout of the page that follows from it;
`load` is from the navigation's beginning until the page has drawn itself.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from innerloop.compiler import compile_program
from innerloop.programs import load
from innerloop.runtime.unjitted import Unjitted

from benchmarks.support.tables import show
from tests.support.browser import browser, used

PAGES: tuple[tuple[str, Any, dict[str, Any]], ...] = (
    ("gradient_descent", "gpt2", {"d": 1, "steps": 5}),
    ("gradient_descent", "llama", {"d": 2, "steps": 5}),
    ("sherman_morrison", "gpt2", {"d": 4, "examples": 10}),
    ("sherman_morrison", "llama", {"d": 4, "examples": 10}),
    ("sherman_morrison", "gpt2", {"d": 8, "examples": 40}),
)
TIME = """
const {page, setTime, choose, variables, net} = inspector;
const load = performance.now();
const took = (act) => {
  const start = performance.now();
  act();
  document.body.getBoundingClientRect();
  return performance.now() - start;
};
const times = Array.from({length: ROUNDS}, (_, k) => k);
const found = {load, step: times.map((k) => took(() => setTime(1 + (7 * k) % page.run.length)))};
found.cell = times.map((k) => took(() => choose({variable: variables[k % variables.length], component: 0, token: k})));
if (net) {
  const box = document.querySelector("#fields input");
  found.edit = times.map((k) => took(() => { box.value = String(k / 10); box.dispatchEvent(new Event("change")); }));
  setTime(1);
  found.cut = times.map(() => took(() => document.querySelector("#heads input").click()));
}
return found;
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, metavar="COUNT", help="interactions of each kind")
    arguments = parser.parse_args()
    if browser() is None:
        raise SystemExit("no browser: `make browser` installs one")
    rows = []
    for name, target, parameters in PAGES:
        weights = compile_program(load(name), target=target, **parameters)
        start = time.perf_counter()
        html = Unjitted(weights).inspect().html
        made = time.perf_counter() - start
        with tempfile.TemporaryDirectory() as folder:
            found, faults = used(html, TIME.replace("ROUNDS", str(arguments.rounds)), Path(folder))
        if faults:
            raise SystemExit(f"{name}: {faults}")
        of = ", ".join(f"{key} {value}" for key, value in parameters.items())
        cells = [_cell(found.get(what)) for what in ("step", "cell", "edit", "cut")]
        rows.append([name, target, of, f"{made:.1f}", f"{len(html) / 1e3:,.0f}", f"{found['load']:.0f}", *cells])
    columns = ["program", "target", "parameters", "made, s", "KB", "load", "a step", "a cell", "an input", "a head cut"]
    show("The inspector's page, ms in a browser: median (largest)", columns, columns[:3], rows)


def _cell(times: list[float] | None) -> str:
    return "–" if times is None else f"{np.median(times):.0f} ({max(times):.0f})"


if __name__ == "__main__":
    main()
