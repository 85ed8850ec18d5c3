"""What every token holds after every layer, and what the prediction takes from there.

    read     R² of a linear probe at each token after each layer: [1 + layers, tokens]
    taken    the stream of one token after one layer is replaced by another task's, and the prediction moves by Δŷ:
             1 − Σ (Δŷ − Δ*)² / Σ Δ*², Δ* = the other task's prediction − this one's: 1 where all that the prediction
             depends on is there, 0 where nothing is

`taken` asks nothing of a model but its stream: it is there for every model, with a layout or without. Large models are
looked at after some of their layers, and long prompts at some of their tokens. Source: Meng et al. 2022 (causal
tracing); Alain and Bengio 2016.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from innerloop.artifact.errors import DataError
from numpy.typing import NDArray

from .distance import Fields, Floats
from .patching import followed, others
from .probes import ProbeTarget, fit, learnt_from, r_squared, targets
from .subject import Subject

MOST_LAYERS, MOST_TOKENS = 9, 12
TASKS = 64
"""That streams are replaced in."""


@dataclass(frozen=True)
class Everywhere:
    """`variable` is "" of what was taken; `values` [layers, tokens]: R², or the share that followed."""

    model: str
    variable: str
    layers: NDArray[np.int64]
    tokens: NDArray[np.int64]
    values: Floats


def some(count: int, most: int) -> NDArray[np.int64]:
    """So many places from 0 to count − 1, evenly, the first and the last among them."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64))


def taken(model: Subject, fields: Fields, row: int = -1, seed: int = 0) -> Everywhere:
    """What the prediction at `row` of the output takes from each token after each layer, before the last."""
    few = {name: np.asarray(value)[:TASKS] for name, value in fields.items()}
    answers = np.asarray(model(few), np.float64)[:, row]
    order = others(np.arange(len(answers))[:, None].astype(np.float64), seed)[:, 0].astype(np.int64)
    wanted = answers[order] - answers
    layers, tokens = some(model.layers, MOST_LAYERS), some(len(model.tokens(few).sequence), MOST_TOKENS)
    streams = model.stream(few, list(tokens))  # [1 + layers, batch, tokens, d_model]
    found = np.zeros((layers.size, tokens.size))
    for i, layer in enumerate(layers):
        for j, token in enumerate(tokens):
            here = streams[layer, :, j]
            moved = model.patched(few, int(layer), int(token), here[order] - here)[:, row] - answers
            found[i, j] = followed(moved, wanted)[0]
    return Everywhere(model.name, "", layers, tokens, found)


def read(
    compiled: Subject, models: Sequence[Subject], fields: Fields, name: str, token: int | None = None
) -> tuple[Everywhere, ...]:
    """R² of probes for the variable `name` in each model's stream. At a token that holds it in the compiled stream it
    is that token's own value, as a scan has one for each; at others that of `token` (None: the last that holds it).

    Raises DataError as `target` does."""
    at = targets(compiled, fields, name)
    wanted = at(token)
    tokens = some(len(compiled.tokens(fields).sequence), MOST_TOKENS)
    values = [_own(at, int(each), wanted.values) for each in tokens]
    cut = learnt_from(len(wanted.values))
    found = []
    for model in models:
        layers = some(1 + model.layers, MOST_LAYERS)
        streams = model.stream(fields, list(tokens))
        scores = [
            [
                r_squared(fit(streams[layer, :cut, j], values[j][:cut])(streams[layer, cut:, j]), values[j][cut:])
                for j in range(tokens.size)
            ]
            for layer in layers
        ]
        found.append(Everywhere(model.name, name, layers, tokens, np.array(scores)))
    return tuple(found)


def _own(at: Callable[[int | None], ProbeTarget], token: int, usual: Floats) -> Floats:
    try:
        return at(token).values
    except DataError:  # it holds none of its own, or the same in every task
        return usual
