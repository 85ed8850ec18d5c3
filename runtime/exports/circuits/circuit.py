"""Circuits: which edges between heads and MLPs carry the program, as a file that benchmarks of circuit finding read.

    before   Weights
    after    circuit.json, as EAP-IG's `Graph.from_json` and the Mechanistic Interpretability Benchmark (Mueller et al.
             2025, arXiv 2504.13151) have it: `cfg`, `nodes`, `edges` with `score` and `in_graph`; beside that,
             `neurons` of each MLP; and the prompts, clean and corrupted, that it holds for

An edge is in it if patching it alone moves an output by more than 1e-3 of their root mean square (patching.py), and out
of it below 1e-6. The few between are out of it, too, and named under `undecided`: a score of finding should leave
them out. It is relative to the prompts, as every circuit is: what both prompts of a pair have alike, such as a
position, no edge carries.
"""

from __future__ import annotations

import csv
import io
import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from innerloop.artifact.arrays import Floats, Indices
from innerloop.artifact.errors import InnerloopError
from innerloop.artifact.features import FeatureLayout
from innerloop.artifact.tokens import TokenData, output_rows, read_data
from innerloop.artifact.weights import Weights

from ..drawn import drawn
from ..folder import Folder, Sample
from ..symbols.vocabulary import Vocabulary
from ..tensors import Tensor, write_tensors
from .patching import Edge, count, count_neurons, edges, neurons
from .readme import readme

TRUE, FALSE = 1e-3, 1e-6
"""Of the outputs' root mean square: above the one an edge is in the circuit, below the other it is not."""
PAIRS, GROUPS = 4, 10
"""Pairs of prompts, and how often they have the program's group at most."""
EDGES = 100_000
"""Edges at most, each of which is a run of its own; of more with the neurons these are left out."""


def tensors(weights: Weights) -> list[Tensor]:
    """The prompts: features and the tokens that give output. Raises InnerloopError for more than EDGES edges."""
    if count(weights) > EDGES:
        raise InnerloopError(
            f"{weights.signature.name} has {count(weights):,} edges in {weights.config.n_layer} layers of "
            f"{weights.config.n_head} heads; each is patched by itself, up to {EDGES:,}: compile it for fewer steps or "
            "examples"
        )
    clean, corrupted, rows = prompts(weights)
    held: dict[str, Floats] = {
        "clean": features(weights, clean),
        "corrupted": features(weights, corrupted),
        "rows": np.asarray(rows, np.float64),
    }
    return [Tensor(name, array.shape, partial(np.asarray, array)) for name, array in held.items()]


def folder(weights: Weights, sample: Sample) -> Folder:
    """What stands in the folder."""
    clean, corrupted, rows = prompts(weights)
    found = edges(weights, features(weights, clean), features(weights, corrupted), rows)
    active = (
        neurons(weights, features(weights, clean), features(weights, corrupted), rows)
        if count(weights) + count_neurons(weights) <= EDGES
        else {}
    )
    texts = {"circuit.json": json.dumps(_graph(weights, found, active), indent=0) + "\n"}
    symbols = all(field.onehot for field in weights.signature.fields)
    if symbols:
        texts["prompts.csv"] = _table(weights, clean, corrupted)
    texts["README.md"] = readme(weights, found, active, (TRUE, FALSE), symbols, PAIRS, len(clean.sequence))
    held = tensors(weights)
    files = {"prompts.safetensors": partial(_write, tensors=held, weights=weights)}
    return Folder(texts, files=files)


def _write(path: Path, tensors: list[Tensor], weights: Weights) -> None:
    write_tensors(path, tensors, weights.config.dtype)


def prompts(weights: Weights) -> tuple[TokenData, TokenData, Indices]:
    """PAIRS tasks, as many others of the same length, and the tokens that give output, the rest token counted."""
    fields = drawn(weights, GROUPS, 2 * PAIRS, seed=5)
    clean, corrupted = (
        read_data(weights.signature, {name: array[some] for name, array in fields.items()})
        for some in (slice(PAIRS), slice(PAIRS, None))
    )
    return clean, corrupted, 1 + output_rows(clean.sequence, weights.output.kinds)


def features(weights: Weights, data: TokenData) -> Floats:
    """[tasks, tokens, features], the rest token first."""
    return np.asarray(FeatureLayout.of(weights.signature).tokens(data, slice(None), np.float64))


def _graph(weights: Weights, found: list[Edge], active: dict[str, list[float]]) -> dict[str, Any]:
    of = weights.config
    within = {end for edge in found if edge.effect > TRUE for end in (edge.parent, edge.child)}
    nodes = dict.fromkeys(end for edge in found for end in (edge.parent, edge.child))
    return {
        "cfg": {"n_layers": of.n_layer, "n_heads": of.n_head, "parallel_attn_mlp": False, "d_model": of.d_model},
        "nodes": {node: {"in_graph": node in within} for node in nodes},
        "edges": {
            edge.name: {"score": edge.effect, "in_graph": edge.effect > TRUE, "wired": edge.wired} for edge in found
        },
        "neurons": {
            mlp: {"scores": scores, "in_graph": [score > TRUE for score in scores]} for mlp, scores in active.items()
        },
        "undecided": [edge.name for edge in found if FALSE <= edge.effect <= TRUE],
        "program": weights.signature.text,
    }


def _table(weights: Weights, clean: TokenData, corrupted: TokenData) -> str:
    """The prompts of a token model as text, a pair a row."""
    vocabulary, text = Vocabulary.of(weights.signature), io.StringIO()
    pairs = zip(*(vocabulary.texts(data, weights.signature) for data in (clean, corrupted)), strict=True)
    csv.writer(text, lineterminator="\n").writerows([("clean", "corrupted"), *pairs])
    return text.getvalue()
