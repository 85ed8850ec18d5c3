"""The line between two models' weights, after one is brought into the gauge of the other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from innerloop.artifact.parts import Attention, LinearAttention, Mlp
from innerloop.artifact.sparse import Matrix
from innerloop.compiler import InnerloopError, Weights
from innerloop.laboratory.measures.gauge import comparable, matched
from innerloop.laboratory.measures.interpolate import Line, between, interpolation
from innerloop.laboratory.measures.subject import Subject
from innerloop.laboratory.training.model import Model

from tests.support.models import descent, dual, tasks


def rescaled(weights: Weights, factor: float) -> Weights:
    """Linear attention with S times the factor and V over it."""
    body = tuple(
        replace(item, query=item.query * factor, output=item.output * (1 / factor))
        if isinstance(item, LinearAttention)
        else item
        for _, item in weights.unrolled()
    )
    return replace(weights, body=body, layout=())


@pytest.fixture(scope="module")
def random() -> Weights:
    """A small GPT-2 with weights large enough that its layers are not linear."""
    model = Model.fresh(descent(), 0, d_model=16, n_head=2, n_layer=2)
    return model.weights({name: 6 * value if value.ndim == 2 else value for name, value in model.parameters.items()})


def scrambled(weights: Weights) -> Weights:
    """The same function: heads and neurons in another order, turned, and in another scale."""
    rng, heads, size = np.random.default_rng(0), weights.config.n_head, weights.config.d_head

    def attention(item: Attention) -> Attention:
        turns = [np.linalg.qr(rng.standard_normal((size, size)))[0] for _ in range(2)]
        parts: dict[str, Any] = {}
        for side, turn, scale in (("query", 0, 3.0), ("key", 0, 1 / 3.0), ("value", 1, -0.5)):
            for name in (side, f"{side}_bias"):
                held = getattr(item, name)
                dense = held.csr.toarray() if isinstance(held, Matrix) else held
                split = dense.reshape(*dense.shape[:-1], heads, size)[..., ::-1, :] @ turns[turn] * scale
                new = split.reshape(dense.shape)
                parts[name] = Matrix(new) if isinstance(held, Matrix) else new
        out = item.output.csr.toarray().reshape(heads, size, -1)[::-1]
        back = np.linalg.inv(turns[1]) @ out / -0.5
        return replace(item, output=Matrix(back.reshape(heads * size, -1)), **parts)

    def mlp(item: Mlp) -> Mlp:
        order = rng.permutation(item.up.shape[1])
        up, down = item.up.csr.toarray()[:, order], item.down.csr.toarray()[order]
        return replace(item, up=Matrix(up), up_bias=item.up_bias[order], down=Matrix(down))

    body = [
        attention(s) if isinstance(s, Attention) else mlp(s)
        for s in weights.sublayers()
        if isinstance(s, Attention | Mlp)
    ]
    return replace(weights, body=tuple(body))


@pytest.mark.parametrize("factor", [1.0, 5.0, -0.2])
def test_the_scale_of_linear_attention_is_no_difference(factor: float) -> None:
    fields, labels = tasks()
    other = rescaled(dual(), factor)
    found = interpolation(dual(), other, fields, labels[:, -1:], points=3)
    np.testing.assert_allclose(found.losses, found.losses[0], rtol=1e-5)
    assert found.rise < 1e-5


def test_without_matching_the_scale_is_a_difference() -> None:
    fields, labels = tasks()
    plain, other = rescaled(dual(), 1.0), rescaled(dual(), -0.2)
    losses = [((Subject(between(plain, other, a), "")(fields) - labels[:, -1:]) ** 2).mean() for a in (0.0, 0.5, 1.0)]
    assert losses[0] == pytest.approx(losses[2], rel=1e-5)
    assert losses[1] != pytest.approx(losses[0], rel=0.01)


def test_order_and_turn_of_softmax_heads_are_no_difference(random: Weights) -> None:
    fields, labels = tasks()
    other = scrambled(random)
    np.testing.assert_allclose(Subject(other, "")(fields), Subject(random, "")(fields), atol=1e-4)
    ours, _ = matched(other, random)
    np.testing.assert_allclose(Subject(ours, "")(fields), Subject(random, "")(fields), atol=1e-4)
    found = interpolation(random, other, fields, labels, points=3)
    np.testing.assert_allclose(found.losses, found.losses[0], rtol=1e-4)
    apart = Subject(between(random, other, 0.5), "")(fields) - Subject(random, "")(fields)
    assert np.abs(apart).max() > 0.05


def test_equal_compiled_weights_have_a_flat_line() -> None:
    fields, labels = tasks()
    found = interpolation(descent(), descent(), fields, labels, points=3)
    np.testing.assert_allclose(found.losses, found.losses[0], rtol=1e-6)


def test_a_line_of_two_rates_has_the_ends_losses() -> None:
    fields, labels = tasks()
    found = interpolation(dual(1, 0.1), dual(1, 0.5), fields, labels[:, -1:], points=5)
    for end, rate in ((0, 0.1), (-1, 0.5)):
        loss = ((Subject(dual(1, rate), "")(fields) - labels[:, -1:]) ** 2).mean()
        assert found.losses[end] == pytest.approx(loss, rel=1e-5)


def test_the_rise_is_above_the_larger_end() -> None:
    alphas = np.linspace(0, 1, 3)
    assert Line(alphas, np.array([1.0, 3.0, 2.0])[None]).rise == pytest.approx(0.5)
    assert Line(alphas, np.array([1.0, 1.5, 2.0])[None]).rise == 0
    assert Line(alphas, np.array([1.0, np.inf, 2.0])[None]).rise == np.inf


def test_two_architectures_have_no_line() -> None:
    assert comparable(dual(), dual(rate=0.1)) is None
    assert comparable(dual(1), dual(2)) == "n_layer is 1 and 2"
    fields, labels = tasks(4)
    with pytest.raises(InnerloopError, match="no line leads between the two: d_model is"):
        interpolation(descent(), dual(), fields, labels)
