"""The README of a circuit's folder: what the file says, of which model, and how to read it."""

from __future__ import annotations

from textwrap import fill

from innerloop.artifact.weights import Weights

from .patching import Edge

_README = """\
# The circuit of {name}

Which edges between attention heads and MLPs carry the program, of the transformer that innerloop compiles it to; the
program is in `program.icl`. The model is what `innerloop export … --to {to}` writes of the same weights: target
{target}, {layers} layers of {heads} heads; loops are unrolled.

`circuit.json` has every edge that there is, {count:,} of them, as EAP-IG and the Mechanistic Interpretability Benchmark
name them (`a0.h1->a2.h0<k>`: from the first layer's second head to the key of one of the third layer). Each was patched
by itself: its child read what its parent writes on the corrupted prompt, and all behind it was run again. `score` is
the largest change of an output over the outputs' root mean square.

| edges | |
|---|---|
| in the circuit: above {true:g} | {within} |
| not in it: below {false:g} | {without} |
| between, under `undecided`: leave them out when you score | {between} |

The largest that is out of it has {most_out:.1e}, the least that is in it {least_in:.1e}. `wired` says whether the
child's weights read what the parent's write; of those in the circuit {by_norm} are not: there a norm divides, which
reads all. The circuit is relative to its {pairs} pairs of prompts of {tokens} tokens: what both have alike, such as
a position or a role, no edge carries.

{neurons}

`prompts.safetensors` has `clean` and `corrupted`, features [pairs, tokens, features] with the rest token first, and
`rows`, the tokens that give output.{table}

```python
import json

circuit = json.load(open("circuit.json"))
for name, edge in circuit["edges"].items():
    if edge["in_graph"]:
        print(name, edge["score"])
```

With EAP-IG: `Graph.from_json("circuit.json")`.
"""


def readme(
    weights: Weights, edges: list[Edge], neurons: dict[str, list[float]], bounds: tuple[float, float], symbols: bool,
    pairs: int, tokens: int,
) -> str:  # fmt: skip
    """`neurons`: the effects of patching them, by MLP, of none where they are too many; `bounds`: above the first an
    edge is in the circuit, below the second it is not; `symbols`: whether it is a token model's."""
    true, false = bounds
    within = [edge for edge in edges if edge.effect > true]
    without = [edge for edge in edges if edge.effect < false]
    return _README.format(
        name=weights.signature.name,
        to="tokens" if symbols else "huggingface",
        target=weights.config.target,
        layers=weights.config.n_layer,
        heads=weights.config.n_head,
        count=len(edges),
        true=true,
        false=false,
        within=len(within),
        without=len(without),
        between=len(edges) - len(within) - len(without),
        most_out=max((edge.effect for edge in without), default=0.0),
        least_in=min((edge.effect for edge in within), default=0.0),
        by_norm=sum(not edge.wired for edge in within),
        neurons=_neurons(neurons, true, false),
        pairs=pairs,
        tokens=tokens + 1,
        table=" `prompts.csv` has them as texts." if symbols else "",
    )


def _neurons(by_mlp: dict[str, list[float]], true: float, false: float) -> str:
    scores = [score for some in by_mlp.values() for score in some]
    if not scores:
        text = "Neurons of MLPs were not patched one by one: they are too many here."
    else:
        text = (
            "`neurons` has those of each MLP, by number, each as active as on the corrupted prompt and the others as "
            f"they were: of {len(scores):,} {sum(score > true for score in scores):,} are in the circuit and "
            f"{sum(score < false for score in scores):,} are not. `Graph.from_json` does not look at them."
        )
    return fill(text, 120, break_long_words=False, break_on_hyphens=False)
