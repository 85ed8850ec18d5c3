"""Figures on Markov chains: their draws, what the known predictors say of them, and what the measures make of that."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from innerloop.compiler import compile_program
from innerloop.laboratory.figures.chains import edelman, park_mixture
from innerloop.laboratory.figures.chains.measures import UNIGRAM, divergence, looked, loss, walked
from innerloop.laboratory.figures.shared.stages import halfway
from innerloop.laboratory.figures.shared.streams import answers
from innerloop.programs import load


def test_walks_go_along_their_matrix() -> None:
    """Over long walks pairs come as often as the rows say, and `next` is the symbol after."""
    matrix = np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8], [0.3, 0.3, 0.4]])
    found = walked(jax.random.key(0), np.broadcast_to(matrix, (40, 3, 3)), 500)
    s, after = (np.asarray(found[name]) for name in ("s", "next"))
    np.testing.assert_array_equal(s[:, 1:], after[:, :-1])
    pairs = np.einsum("btp,btn->pn", s, after)
    np.testing.assert_allclose(pairs / pairs.sum(1, keepdims=True), matrix, atol=0.02)


@pytest.mark.slow
def test_compiled_counts_are_the_counts() -> None:
    """The programs say what NumPy counts, and no predictor of the same sequences has less loss than the bigrams."""
    fields = edelman.stream(12).drawn(300, 3)
    exact = edelman.counts(fields)
    for name, program in (("unigram", UNIGRAM), ("bigram", load("bigram"))):
        weights = compile_program(program, target="llama", vocabulary=edelman.SYMBOLS, calibration={"s": fields["s"]})
        np.testing.assert_allclose(answers(weights, fields), exact[name], atol=1e-5)
    assert loss(exact["bigram"], fields) < loss(exact["unigram"], fields)
    assert divergence(exact["bigram"], exact["bigram"]) == pytest.approx(0, abs=1e-12)
    even = np.full_like(exact["bigram"], 1 / edelman.SYMBOLS)
    assert loss(even, fields) == pytest.approx(np.log(edelman.SYMBOLS))


def test_an_induction_head_is_seen() -> None:
    """Of a head at the token before, and one at what came after like symbols; and not of heads that look evenly."""
    symbols = np.random.default_rng(0).integers(0, 3, (8, 12))
    at_the_one_before = np.broadcast_to(np.eye(12, k=-1), (8, 12, 12))
    after = np.zeros((8, 12, 12))
    after[:, :, 1:] = (symbols[:, :, None] == symbols[:, None, :-1]) * np.tri(12)[:, 1:]
    found = looked(at_the_one_before, after / np.maximum(after.sum(-1, keepdims=True), 1), symbols)
    assert found[0] == 1
    assert found[1] > 2
    evenly = np.broadcast_to(np.tri(12) / np.arange(2, 14)[:, None], (8, 12, 12))
    assert looked(evenly, evenly, symbols)[1] == pytest.approx(1)


def test_halfway_is_between_the_stages_around_it() -> None:
    assert halfway(np.array([0.0, 10, 20, 40]), np.array([1.0, 1, 0.8, 0])) == pytest.approx(27.5)


@pytest.mark.filterwarnings("error")
def test_a_run_that_never_rises_has_no_half_way() -> None:
    assert np.isnan(halfway(np.arange(3.0), np.array([0.2, 0.5, 0.2])))


@pytest.mark.slow
def test_retrieval_is_the_posterior_over_known_chains() -> None:
    """The compiled posterior means are NumPy's; after many symbols of a pool's chain they know its row."""
    count = 3
    fields = park_mixture.stream(count).drawn(60, 3)
    matrices = np.asarray(park_mixture.pool(count), np.float64)
    exact = park_mixture.retrieved(matrices, fields)
    found = park_mixture.compiled(count, fields)
    for name, expected in exact.items():
        np.testing.assert_allclose(answers(found[name], fields), expected, atol=1e-4)
    each = park_mixture.stationary(matrices)
    np.testing.assert_allclose(np.einsum("cp,cpn->cn", each, matrices), each, atol=1e-9)
    even = np.full_like(exact["bigram retrieval"], 1 / park_mixture.SYMBOLS)
    assert loss(exact["bigram retrieval"], fields) < loss(exact["unigram retrieval"], fields) < loss(even, fields)


def test_a_mixture_is_found_again() -> None:
    rng = np.random.default_rng(0)
    known = rng.dirichlet(np.ones(4), (3, 50, 6))
    shares, fit = park_mixture.mixture(known, 0.2 * known[0] + 0.8 * known[2])
    np.testing.assert_allclose(shares, [0.2, 0, 0.8], atol=1e-6)
    assert fit == pytest.approx(1)
    outside, poor = park_mixture.mixture(known, rng.dirichlet(np.ones(4), (50, 6)))
    assert outside.sum() == pytest.approx(1, abs=1e-4)
    assert outside.min() >= 0
    assert poor < 0.9
