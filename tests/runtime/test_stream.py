"""Streaming against whole-sequence calls, for every kind of attention, and its refusals."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pytest
from innerloop.artifact.arrays import Floats
from innerloop.artifact.errors import DataError, InnerloopError
from innerloop.artifact.signature import FieldSpec, Pattern
from innerloop.artifact.tokens import roles
from innerloop.artifact.weights import Weights
from innerloop.programs import load, names
from innerloop.runtime import RangeError, RangeWarning, Transformer
from innerloop.runtime.advance import advance

from tests.support.by_the_book import tasks
from tests.support.linear_tasks import linear_tasks
from tests.support.random_weights import linear_tree, llama_tree, normless_tree, tree
from tests.support.shared import compiled_once


def streamed(model: Transformer, x: Floats, y: Floats) -> Floats:
    """The predictions of `(x y)* x` at every x, token by token."""
    stream = model.stream(len(x))
    found = []
    for k in range(x.shape[1]):
        output = stream.push(x=x[:, k])
        assert output is not None
        found.append(output)
        if k < y.shape[1]:
            assert stream.push(y=y[:, k]) is None
    assert len(stream) == x.shape[1] + y.shape[1]
    return np.stack(found, 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    "weights",
    [
        tree(1, dtype="float32"),
        linear_tree(1, dtype="float64"),
        normless_tree(1, "dividing", dtype="float32"),
        llama_tree(1, "float64", activation="silu", norm="rmsnorm", positions="rotary", n_kv_head=2),
    ],
    ids=["softmax", "linear", "dividing", "llama"],
)
def test_random_weights_give_the_same_token_by_token(weights: Weights) -> None:
    """Beyond the 32 tokens that there is room for at first; at group and suffix tokens whose roles read alike."""
    dtype, model = weights.config.dtype, Transformer(alike(weights), guard="off")
    data = tasks(2, examples=20)
    whole = model(**data)
    found = streamed(model, **data)
    assert found.dtype == dtype
    assert found.shape == whole.shape
    assert np.abs(found - whole).max() < {"float32": 5e-6, "float64": 1e-14}[dtype] * max(1.0, np.abs(whole).max())


def alike(weights: Weights) -> Weights:
    """The same with one embedding for the x of the group and the last one, as no program can tell them apart."""
    embedding = weights.embedding.csr.toarray()
    embedding[weights.roles.index("suffix:x")] = embedding[weights.roles.index("group:x")]
    return replace(weights, embedding=type(weights.embedding)(embedding))


STREAMABLE = ["gradient_descent", "sherman_morrison", "stochastic_gradient_descent"]


@pytest.mark.slow
@pytest.mark.parametrize("name", STREAMABLE)
def test_a_shipped_program_learns_online_as_it_does_in_context(name: str) -> None:
    data = linear_tasks(4, 12, 3)
    parameters = {} if name == "gradient_descent" else {"examples": 12}
    model = Transformer(compiled_once(load(name), d=3, **parameters), guard="raise")
    whole = model(**data)
    error = max(model.weights.report.measured_error, 1e-6)
    assert np.abs(streamed(model, **data) - whole).max() < 2 * error


@pytest.mark.parametrize("guard", ["off", "warn"])
@pytest.mark.parametrize(("name", "more"), [("gradient_descent", {"steps": 2}), ("sherman_morrison", {"examples": 4})])
def test_a_step_is_compiled_once(name: str, more: dict[str, int], guard: Literal["off", "warn"]) -> None:
    """For the rest token and tokens of all kinds, and for the streams that come after."""
    data = linear_tasks(2, 4, 2)
    model = Transformer(compiled_once(load(name), d=2, **more), guard=guard)
    before = advance.traces
    first, again = (streamed(model, **data) for _ in range(2))
    assert advance.traces == before + 1
    np.testing.assert_array_equal(first, again)


def test_the_other_shipped_programs_read_later_tokens_and_say_so() -> None:
    visible = [name for name in names() if "visible context" in load(name)]
    assert "gd_plus" in visible
    model = Transformer(compiled_once(load("gradient_descent_dual"), d=2))
    with pytest.raises(InnerloopError, match=r"cannot be streamed: in `.* visible context` tokens read later ones"):
        model.stream()


def test_unread_tokens_cannot_be_streamed() -> None:
    with pytest.raises(InnerloopError, match="which these are is known at the end"):
        Transformer(linear_tree(1, unread=1)).stream()


def test_without_a_batch_dimension_the_output_has_none() -> None:
    stream = Transformer(tree(1), guard="off").stream()
    output = stream.push(x=np.ones(3))
    assert output is not None
    assert output.shape == ()
    assert stream.push(y=1) is None
    output = stream.push(x=np.ones((1, 3)))
    assert output is not None
    assert output.shape == (1,)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"y": 1.0}, "token 0 of `\\(x y\\)\\* x` is `x` with `x`; it was given `y`"),
        ({}, "it was given no fields"),
        ({"z": 1.0}, "random has no field `z`: its fields are `x`, `y`"),
        ({"x": np.ones(4)}, "`x` has shape \\(4,\\); wanted \\(2, 3\\) for one token"),
        ({"x": np.ones(3)}, "`x` has no batch dimension; the stream has a batch of 2"),
        ({"x": np.ones((3, 3))}, "`x` has a batch of 3; the stream has a batch of 2"),
        ({"x": [[1.0, 2.0, np.nan]] * 2}, "`x` holds nan at task 0, row 0, component 2"),
        ({"x": [[1.0], [2.0, 3.0]]}, "its rows differ in length"),
        ({"x": [["a"] * 3] * 2}, "wanted numbers"),
    ],
)
def test_a_token_that_does_not_fit_is_refused_and_not_taken(given: Any, message: str) -> None:
    stream = Transformer(tree(1), guard="off").stream(2)
    with pytest.raises(DataError, match=message):
        stream.push(**given)
    assert len(stream) == 0
    with pytest.raises(DataError, match="it was given `y` with `x`"):
        stream.push("y", x=np.ones((2, 3)))
    stream.push("x", x=np.ones((2, 3)))


def test_a_stream_ends_where_the_weights_do() -> None:
    weights = tree(1)
    short = replace(
        weights, config=replace(weights.config, n_positions=5), positions=weights.positions[:5]
    )  # fmt: skip
    stream = Transformer(short, guard="off").stream()
    for _ in range(2):
        stream.push(x=np.zeros(3))
        stream.push(y=0.0)
    with pytest.raises(DataError, match="the stream is full: the weights were compiled for 4 tokens"):
        stream.push(x=np.zeros(3))
    with pytest.raises(DataError, match="at least 1, not 0"):
        Transformer(short).stream(0)


def patterned(pattern: Pattern, *fields: FieldSpec) -> Transformer:
    """Random weights of another signature."""
    weights = tree(1)
    signature = replace(weights.signature, pattern=pattern, fields=fields)
    features = len(roles(pattern)) + sum(int(np.prod(f.shape, dtype=int)) for f in fields)
    embedding = type(weights.embedding)(np.random.default_rng(0).standard_normal((features, 16)))
    changed = replace(weights, signature=signature, roles=roles(pattern), embedding=embedding, inputs=())
    return Transformer(changed, guard="off")


@pytest.mark.slow
def test_the_fields_say_where_the_suffix_begins_and_the_kind_where_they_do_not() -> None:
    held = FieldSpec("x", (2,), ("a", "b", "c"))
    more = FieldSpec("y", (), ("a",))
    stream = patterned(Pattern(("s",), ("a",), ("b", "c")), held, more).stream()
    stream.push()
    stream.push(x=np.ones(2), y=1.0)
    stream.push(x=np.ones(2), y=1.0)
    stream.push(x=np.ones(2))
    with pytest.raises(DataError, match=r"token 4 .* is `c` with `x`; it was given `x`, `y`"):
        stream.push(x=np.ones(2), y=1.0)
    stream.push("c", x=np.ones(2))
    with pytest.raises(DataError, match="the sequence is complete"):
        stream.push(x=np.ones(2))
    ambiguous = patterned(Pattern((), ("a",), ("b",)), FieldSpec("x", (2,), ("a", "b"))).stream()
    with pytest.raises(DataError, match="token 0 may be `a` or `b`: say which, as in push\\('a', …\\)"):
        ambiguous.push(x=np.ones(2))
    ambiguous.push("a", x=np.ones(2))
    ambiguous.push("b", x=np.ones(2))


def test_symbols_are_pushed_as_numbers_or_one_hot() -> None:
    model = patterned(Pattern((), ("x",), ()), FieldSpec("s", (3,), ("x",), onehot=True))
    outputs = [
        model.stream(batch).push(s=given)
        for batch, given in ((1, 2), (1, [0, 0, 1]), (1, [2]), (1, [[0, 0, 1]]), (3, [2, 2, 2]), (2, [[0, 0, 1.0]] * 2))
    ]
    for output in outputs:
        assert output is not None
        np.testing.assert_allclose(output, np.broadcast_to(outputs[0], output.shape), rtol=1e-6)
    with pytest.raises(DataError, match="`s` holds 3"):
        model.stream().push(s=3)


def test_the_guard_names_layer_and_token_and_a_refused_token_is_not_taken() -> None:
    rng = np.random.default_rng(0)
    weights = compiled_once(load("stochastic_gradient_descent"), d=3, examples=6, rate=0.1)
    strict, warned = (Transformer(weights, guard=mode).stream() for mode in ("raise", "warn"))
    x = rng.standard_normal((3, 3))
    for stream in (strict, warned):
        stream.push(x=x[0])
        stream.push(y=1.0)
    with pytest.raises(RangeError, match=r"x reached .* at token 2 \(task 0, component 0\)"):
        strict.push(x=[1e6, 0.0, 0.0])
    assert len(strict) == 2
    warned.push(x=x[1])
    with pytest.warns(RangeWarning, match=r"token 3") as caught:
        warned.push(y=1e5)
    assert any("layer" in str(warning.message) for warning in caught)
    assert {warning.filename for warning in caught} == {__file__}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        strict.push(x=x[1])
