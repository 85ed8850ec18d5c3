"""Does `innerloop explain` say what runs? Models whose answer is known, and models that are none of the programs.

    python -m benchmarks.explain [--set known taught …] [--count 8] [--part 0/4] [-o FOLDER]

From the root of the repository. FOLDER holds a file for each model that was asked, and the trained weights: a run that
is killed goes on from there, and several share the work, --part 0/4, 1/4, 2/4 and 3/4 side by side. The sets:

    planted   compiled programs, their parameters drawn at random, on every target and dtype, heads and neurons
              permuted; on lsa every other time with 1 % noise
    broken    softmax models with relative noise of 1e-3 on their weights
    taught    GPT-2s of 4 layers, width 32, trained on a program's answers
    edited    programs of the library with one change of their texts, and GPT-2s trained on their answers
    known     von Oswald et al. of 1 and 2 layers, Zhang et al., Zheng et al., as `innerloop reproduce` trains them;
              GPT-2s on noisy labels
    open      GPT-2s of 1, 2 and 4 layers trained on the task, three seeds each
    null      untrained, half-trained, trained on the labels of other tasks; trees, neighbours, a Gaussian process

A row is right where the program is named, first or as one that these tasks cannot tell from it; where none is to be
named, if none is; of what is broken, and of neighbours and the process, either is right. `off` is the largest relative
error of the real parameters, of a matrix in Frobenius' norm, and `close` says whether it is as small as is asked. An
edit can be said in several ways: right is the one that answers as the program does, and `off` is how far it is from
that, in root mean squares over those from the trivial predictor.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

from ..support.tables import show
from .judged import judged
from .known_models import broken, planted
from .learnt_models import SETS as LEARNT

SETS = {"planted": planted, "broken": broken, **LEARNT}
SAID = {True: "yes", False: "NO", None: "–"}


def run(options: argparse.Namespace) -> None:
    folder = Path(options.output)
    (folder / "rows").mkdir(parents=True, exist_ok=True)
    cases = [case for name in options.set for case in SETS[name](options.count)]
    part, parts = (int(number) for number in options.part.split("/"))
    rows = []
    for case in cases[part::parts]:
        kept = folder / "rows" / f"{hashlib.sha256(case.name.encode()).hexdigest()[:16]}.json"
        if not kept.is_file():
            row = judged(case, folder)
            kept.write_text(json.dumps(row, indent=1, ensure_ascii=False))
            print(case.name, "→", row["sentence"][:200], flush=True)
        rows.append(json.loads(kept.read_text()))
    close = [row["close"] for row in rows if row["close"] is not None]
    steps = [row["steps"] for row in rows if row["steps"] is not None]
    show(
        f"{sum(r['right'] for r in rows)} of {len(rows)} right; real parameters close in {sum(close)} of {len(close)}; "
        f"steps first in {sum(steps)} of {len(steps)}",
        ("model", "verdict", "first", "unexplained", "margin", "off", "close", "right", "CPU s"),
        ("model", "verdict", "first"),
        [
            [
                r["name"], r["verdict"], r["first"], f"{r['unexplained']:.1e}", f"{r['margin']:.1e}",
                "–" if r["off"] is None else f"{r['off']:.1e}", SAID[r["close"]], SAID[r["right"]],
                f"{r['explained_s']:.0f}",
            ]
            for r in rows
        ],
        200,
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", nargs="+", default=list(SETS), choices=list(SETS))
    parser.add_argument("--count", type=int, default=8, help="of planted, of broken and of taught models")
    parser.add_argument("--part", default="0/1", help="which part of the models, for several processes side by side")
    parser.add_argument("-o", "--output", default="out/explain")
    run(parser.parse_args())


if __name__ == "__main__":
    main()
