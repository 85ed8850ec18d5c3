"""Hugging Face folders of GPT-2 and Llama as the project's weights, run by its own forward pass.

    a folder of config.json and .safetensors files, and an Adapter   →   Subject
    a folder that `innerloop export --to huggingface` wrote          →   the same, by its interface.safetensors

The blocks are read as transformers has them: GPT2's c_attn = [query | key | value] as [in, out], Llama's matrices as
[out, in]; Qwen2 is a Llama with biases of queries, keys and values. What is not modelled here (other activations,
scaled rotary positions, sliding windows …) is refused, and named. Everything is computed in float32, and as the folder
says where that is float64.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from innerloop.artifact.arrays import Floats
from innerloop.artifact.errors import InnerloopError
from innerloop.artifact.outputs import OutputSpec
from innerloop.artifact.sparse import Matrix
from innerloop.artifact.tokens import roles
from innerloop.artifact.weights import Weights
from innerloop.compiler.ir.build import graph_of
from innerloop.laboratory.measures.subject import Subject
from innerloop.laboratory.training.architecture import untried

from . import adapter as adapters
from .adapter import Adapter, Read
from .stock_blocks import Family, family_of
from .tensors import Tensors

TEXTS = {
    "(x y)* x": "tokens (x y)* x\n    x : vector[d]\n    y : scalar\n\nat x\n    output x[1]\n",
    "(example)* query": "tokens (example)* query\n    x : vector[d] on example, query\n    y : scalar on example\n\n"
    "at query\n    output x[1]\n",
}
"""Programs of these tokens: of another's weights only what they take is known."""
VISIBLE = "(example)* query  visible context"


def is_stock(folder: Path) -> bool:
    """Whether it is a folder of transformers, and not one of this project's weights."""
    return (folder / "config.json").is_file() and "model_type" in _json(folder / "config.json")


def load(folder: Path, adapter: Path | None = None) -> Subject:
    """`adapter`: the file, if it does not stand in the folder. Raises InnerloopError for what cannot be run here."""
    config = _json(folder / "config.json")
    family = family_of(folder, config)
    tensors = Tensors(folder)
    given = adapter or next((folder / name for name in adapters.NAMES if (folder / name).is_file()), None)
    if given is None and "embedding" in tensors and (folder / "layout.json").is_file():
        return _exported(folder, family, tensors)
    if given is None:
        raise InnerloopError(
            f"{folder}: does not say how x and y become tokens; write {adapters.NAMES[0]} beside its weights, or give "
            f"one by --adapter (docs/explain.md has an example)"
        )
    return _adapted(folder, family, tensors, adapters.read(given))


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InnerloopError(f"{path}: is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise InnerloopError(f"{path}: is no table of entries")
    return found


def _exported(folder: Path, family: Family, tensors: Tensors) -> Subject:
    """Features, embedding and readout as innerloop has them, a rest token first."""
    said = tuple(_json(folder / "layout.json").get("roles", ()))
    embedding = tensors.get("embedding", (None, family.width))
    for tokens, text in TEXTS.items():
        d = len(embedding) - len(said) - 1
        if d > 0 and roles(graph_of(text_of(tokens, text, family), {"d": d}).signature.pattern) == said:
            return _subject(
                folder.name, family, tensors, tokens, d,
                embedding=embedding,
                readout=tensors.get("readout", (family.width, 1)),
                bias=tensors.get("readout_bias", (1,)),
                prefix="",
                rest=True,
            )  # fmt: skip
    raise InnerloopError(f"{folder}: has tokens {', '.join(said)}; explain takes {' and '.join(TEXTS)}")


def _adapted(folder: Path, family: Family, tensors: Tensors, by: Adapter) -> Subject:
    x, y = _read(tensors, by, by.x, family.width), _read(tensors, by, by.y, family.width)
    if len(y[0]) != 1:
        raise InnerloopError(f"{by.source}: y goes to {len(y[0])} inputs of `{by.y.weight}`, and is one number: "
                             f"write columns = [0]")  # fmt: skip
    begin = None if by.begin is None else tensors.get(by.begin, (family.width,))
    bias = {"x": x[1], "y": y[1], "example": x[1] + y[1], "query": x[1]}
    pattern = graph_of(text_of(by.tokens, TEXTS[by.tokens], family), {"d": len(x[0])}).signature.pattern
    kinds = (*pattern.prefix, *pattern.group, *pattern.suffix)
    rest = np.zeros(family.width) if begin is None else begin
    readout, offset = _answer(tensors, by, family.width)
    return _subject(
        folder.name, family, tensors, by.tokens, len(x[0]),
        embedding=np.concatenate([rest[None], np.stack([bias[kind] for kind in kinds]), x[0], y[0]]),
        readout=readout,
        bias=offset,
        prefix=by.prefix,
        rest=begin is not None,
    )  # fmt: skip


def _read(tensors: Tensors, by: Adapter, read: Read, width: int) -> tuple[Floats, Floats]:
    """What a field becomes: [inputs, width], and a bias [width]."""
    array = tensors.get(read.weight, (None, None))
    rows = array.T if array.shape[0] == width else array
    _fits(rows, width, read.weight, by)
    if read.columns is not None:
        if max(read.columns) >= len(rows):
            raise InnerloopError(f"{by.source}: columns has {max(read.columns)}; `{read.weight}` has {len(rows)} "
                                 "inputs, from 0 on")  # fmt: skip
        rows = rows[list(read.columns)]
    return rows, np.zeros(width) if read.bias is None else tensors.get(read.bias, (width,))


def _answer(tensors: Tensors, by: Adapter, width: int) -> tuple[Floats, Floats]:
    """The readout [width, 1], and its bias [1]."""
    of = by.answer
    array = tensors.get(of.weight, (None, None))
    rows = array if array.shape[1] == width else array.T
    _fits(rows, width, of.weight, by)
    if of.row >= len(rows):
        raise InnerloopError(f"{by.source}: answer.row is {of.row}; `{of.weight}` has {len(rows)} outputs, from 0 on")
    bias = 0.0 if of.bias is None else tensors.get(of.bias, (len(rows),))[of.row]
    return rows[of.row][:, None], np.array([bias])


def _fits(rows: Floats, width: int, name: str, by: Adapter) -> None:
    if rows.shape[1] != width:
        raise InnerloopError(f"{by.source}: `{name}` has sides {rows.shape[0]} and {rows.shape[1]}; one has to be the "
                             f"width, {width}")  # fmt: skip


def text_of(tokens: str, text: str, family: Family) -> str:
    """Of a model that sees all of its context, too, one that says so."""
    shown = text if family.causal else text.replace(tokens, VISIBLE if tokens.endswith("query") else tokens)
    return f"program {family.kind}(d)\n\n{shown}"


def _subject(
    name: str, family: Family, tensors: Tensors, tokens: str, d: int, *,
    embedding: Floats, readout: Floats, bias: Floats, prefix: str | None, rest: bool,
) -> Subject:  # fmt: skip
    graph = graph_of(text_of(tokens, TEXTS[tokens], family), {"d": d})
    signature = graph.signature
    prefix = tensors.prefix(family.first) if prefix is None else prefix
    output = OutputSpec(name, (), graph.output.kinds)
    positions = family.positions(tensors, prefix)
    if not rest:  # nobody stands there: lengths count the rest token
        positions = np.concatenate([positions, np.zeros((1, family.width))])
    weights = Weights(
        config=family.config(len(positions)),
        signature=signature,
        roles=roles(signature.pattern),
        embedding=Matrix(embedding),
        positions=positions,
        body=family.body(tensors, prefix),
        final_norm=family.norm(tensors, f"{prefix}{family.last}"),
        readout=Matrix(readout),
        readout_bias=bias,
        output=output,
        layout=(),
        inputs=(),
        report=untried(output),
    )
    return Subject(weights, name, rest)
