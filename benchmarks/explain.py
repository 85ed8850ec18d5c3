"""Does `innerloop explain` say what runs? Models whose answer is known, and models that are none of the programs.

    python -m benchmarks.explain [--set planted taught trained null] [--count 8] [-o FOLDER]

From the root of the repository. FOLDER holds results.json and the trained weights: a run that is killed goes on from
there. The sets, all of d = 3 and prompts of 10 examples:

    planted   compiled programs, their parameters drawn at random, on gpt2, llama and lsa; lsa also with 1 % noise
    taught    GPT-2s of 4 layers, width 32, trained on a program's answers
    trained   one layer of linear attention on skewed inputs; GPT-2s of 4 layers on linear and on noisy tasks
    null      untrained; trained on the labels of other tasks; a forest, nearest neighbours, a Gaussian process

A row is right where the program is named, first or as one that these tasks cannot tell from it; of a null model, where
none is named. `off` is the largest relative error of the real parameters.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from innerloop.explain.explain import explain
from innerloop.explain.verdict import verdict

from .support.known_models import SETS, Case, D, Floats, N
from .support.tables import show


def judged(case: Case, folder: Path) -> dict[str, Any]:
    """A row of the table."""
    start = time.process_time()
    model = case.make(folder)
    made = time.process_time()
    found = explain(model, case.on)
    said, best = verdict(found), found.choice.best
    match = next((f for f in said.named if f.candidate.name == case.truth and f.counts == case.counts), None)
    match = match or next((f for f in said.named if f.candidate.name == case.truth), None)
    return {
        "name": case.name,
        "verdict": said.kind,
        "sentence": said.sentence,
        "first": best.label,
        "unexplained": best.left,
        "margin": min(found.choice.margin, 1e99),
        "right": (said.status != 0) if case.truth is None else match is not None,
        "named": [f.label for f in said.named],
        "off": None if match is None else _off(case, {n: np.asarray(v) for n, v in match.values.items()}),
        "steps": None if not case.counts or match is None else case.counts == match.counts,
        "telling": [t.says for t in found.telling],
        "by_prefix": {n: v.tolist() for n, v in found.evidence.parameters.items()},
        "made_s": made - start,
        "explained_s": time.process_time() - made,
    }


def _off(case: Case, values: dict[str, Floats]) -> float:
    """Of the parameters that are known; of a matrix, its diagonal."""
    errors = [0.0]
    for name, wanted in case.parameters.items():
        whole, _, place = name.partition("[")
        value = values[whole][tuple(int(k) for k in place[:-1].split(","))] if place else values[whole]
        errors.append(abs(float(value) / wanted - 1))
    return max(errors)


def run(options: argparse.Namespace) -> None:
    folder = Path(options.output)
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / "results.json"
    done: dict[str, dict[str, Any]] = json.loads(kept.read_text()) if kept.is_file() else {}
    cases = [case for name in options.set for case in SETS[name](options.count)]
    for case in cases:
        if case.name not in done:
            done[case.name] = judged(case, folder)
            kept.write_text(json.dumps(done, indent=1, ensure_ascii=False))
            print(case.name, "→", done[case.name]["sentence"][:200], flush=True)
    rows = [done[case.name] for case in cases]
    show(
        f"d = {D}, n = {N}: {sum(r['right'] for r in rows)} of {len(rows)} right",
        ("model", "verdict", "first", "unexplained", "margin", "off", "right", "CPU s"),
        ("model", "verdict", "first"),
        [
            [
                r["name"], r["verdict"], r["first"], f"{r['unexplained']:.1e}", f"{r['margin']:.1e}",
                "–" if r["off"] is None else f"{r['off']:.1e}", "yes" if r["right"] else "NO",
                f"{r['explained_s']:.0f}",
            ]
            for r in rows
        ],
        190,
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", nargs="+", default=list(SETS), choices=list(SETS))
    parser.add_argument("--count", type=int, default=8, help="of planted and of taught models")
    parser.add_argument("-o", "--output", default="out/explain")
    run(parser.parse_args())


if __name__ == "__main__":
    main()
