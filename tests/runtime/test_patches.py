"""`Transformer(…)(…, patch={"w": Patch(…)})` is the interpreter with that variable changed, or says that it is not."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from innerloop.artifact.appearances import appearances
from innerloop.artifact.errors import DataError
from innerloop.artifact.tokens import read_data
from innerloop.artifact.words import TargetName
from innerloop.compiler import Weights
from innerloop.compiler.interpreter.counterfactual import Moment, changed
from innerloop.compiler.interpreter.default_tasks import draw
from innerloop.compiler.ir.build import graph_of
from innerloop.programs import load
from innerloop.runtime import Patch, RangeWarning, Transformer
from innerloop.runtime.patching.following import apart, error

from tests.support.shared import compiled_once


def weights_of(name: str, target: TargetName = "llama", **parameters: Any) -> Weights:
    return compiled_once(load(name), target=target, **parameters)


@pytest.mark.parametrize(
    ("name", "parameters", "patched", "token", "layer", "moment"),
    [
        ("sherman_morrison", {"d": 2, "examples": 4}, "w", 1, None, Moment("w", "ended", None, 1)),
        ("gradient_descent", {"d": 2, "steps": 4}, "w", -1, 2, Moment("w", "ended", 1, 8)),
        ("gradient_descent", {"d": 2, "steps": 1}, "w", -1, None, Moment("w", "ended", 0, 8)),
        ("fista", {"d": 2, "steps": 3}, "z", -1, 3, Moment("z", "ended", 1, 8)),
    ],
)
def test_all_that_reads_it_later_follows(
    name: str, parameters: dict[str, Any], patched: str, token: int, layer: int | None, moment: Moment
) -> None:
    weights = weights_of(name, **parameters)
    fields = draw(weights.signature, 4, 5, 3)
    data, graph = read_data(weights.signature, fields), graph_of(load(name), weights.signature.parameters)
    values: list[Any] = []

    def another(value: Any) -> Any:
        values.append(np.roll(value, 1, axis=0))
        return values[0]

    wanted = changed(graph, data, moment, another)
    assert wanted is not None
    model = Transformer(weights)
    shape = weights.layout[patched][0].shape  # type: ignore[call-overload]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = model(patch={patched: Patch(values[0].reshape(-1, *shape), token, layer)}, **fields)
    assert np.abs(found - wanted).max() < 1e-4
    assert np.abs(found - model(**fields)).max() > 0.05


def test_what_is_computed_beside_it_is_told() -> None:
    """s = 1 + u · q is made of P and u, not of q."""
    weights = weights_of("sherman_morrison", d=2, examples=4)
    with pytest.warns(RangeWarning, match="with q changed at token 5 the outputs of task .* does not follow"):
        Transformer(weights)(patch={"q": Patch(np.ones(2), 5)}, **draw(weights.signature, 4, 2, 3))


def test_what_is_not_followed_in_a_trial_is_refused() -> None:
    """After a first pass w and z are the same sum, and only w is read on."""
    weights = weights_of("fista", d=2, steps=3)
    with pytest.raises(DataError, match=r"token 8, a `x`: it shares its slots with other values there\. To be changed"):
        Transformer(weights, guard="off")(patch={"z": Patch(np.ones(2), 8, 1)}, **draw(weights.signature, 4, 2, 3))


def test_what_cannot_be_patched_is_refused_by_name() -> None:
    weights = weights_of("gradient_descent", d=2, steps=4)
    model, fields = Transformer(weights), draw(weights.signature, 4, 2, 3)
    wrong: tuple[tuple[Any, str], ...] = (
        ({"w": Patch(np.ones(2))}, r"give one after which it is held: \[1, 2, 3, 4\]"),
        ({"w": Patch(np.ones(3), layer=1)}, r"value has shape \(3,\); wanted \(2, 2\) or \(2,\)"),
        ({"z": Patch(np.ones(2))}, "these weights hold no such variable; they hold: .*u, w"),
        ({"w": np.ones(2)}, r"is of type ndarray: give Patch\(value, token\)"),
        ({"w": Patch(np.ones(2), 1.5, 1)}, "token is 1.5, not a whole number"),  # type: ignore[arg-type]
        ({"w": Patch([1.0, np.nan], 1, 1)}, "value has a NaN or an infinity"),
        ({"w": Patch("abc", 1, 1)}, "patch of w` holds"),
        ({"w": Patch(np.ones(2), 99, 1)}, "token is 99; the tasks have 9 tokens"),
        ({}, "patch has 0 names: give one"),
    )
    for patch, message in wrong:
        with pytest.raises(DataError, match=message):
            model(patch=patch, **fields)


@pytest.mark.parametrize("name", ["a", "p", "next"])
@pytest.mark.parametrize(("back", "there"), [(0, True), (2, True), (3, False)])
def test_what_a_program_never_computes_cannot_be_changed(name: str, back: int, there: bool) -> None:
    """In three passes of a repeat there is none after which three others come."""
    graph = graph_of(load("kernel_ridge"), {"d": 1, "examples": 2, "steps": 3})
    data, calls = read_data(graph.signature, draw(graph.signature, 2, 2, 0)), list[Any]()

    def more(value: Any) -> Any:
        calls.append(value)
        return value + 1.0

    assert (changed(graph, data, Moment(name, "ended", back, 0), more) is not None) == there == bool(calls)


def test_what_is_too_large_to_square_is_not_followed() -> None:
    """Of outputs of 1e200 a root mean square is infinite, and a difference over it would be 0."""
    exact = np.array([[[1.0]], [[1e200]]])
    assert apart(exact, exact + 0.5) == 0.5
    assert np.isnan(apart(exact[1:], 2 * exact[1:]))


INVERSE = """program inverse_square()

tokens (x)*
    x : scalar in [1, 2]

v = x * x
output 1 / v
"""


def test_nothing_is_said_of_a_change_whose_outputs_are_infinite() -> None:
    weights, graph = compiled_once(INVERSE), graph_of(INVERSE, {})
    data, every = read_data(graph.signature, {"x": np.full((2, 3), 1.5)}), appearances(weights)
    held = next(one for one in every if one.placement.name == "v")

    def off(factor: float) -> float | None:
        return error(weights, graph, data, every, held, held.placement.writes[0], 1, lambda value: factor * value)

    assert off(0.0) is None
    assert off(0.9) is not None
