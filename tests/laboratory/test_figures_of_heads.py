"""The figures of softmax heads, of deep and looped layers, of moments and of shifts: their own mathematics."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from innerloop.artifact.parts import Attention
from innerloop.artifact.sparse import Matrix
from innerloop.artifact.weights import Weights
from innerloop.compiler import compile_program
from innerloop.laboratory.figures import (
    akyurek_moments,
    fu_newton,
    garg_shift,
    gatmiry_loop,
    von_oswald_1,
    von_oswald_deep,
    von_oswald_softmax,
    zhang_gamma,
)
from innerloop.laboratory.figures.shared import regression
from innerloop.laboratory.figures.shared.attention import marked, products, softmax_layer, without_mlps
from innerloop.laboratory.figures.shared.layers import slots
from innerloop.laboratory.figures.shared.small import fresh
from innerloop.laboratory.figures.shared.streams import answers
from innerloop.laboratory.measures.references import reference, ridge_regression
from innerloop.laboratory.measures.subject import Subject
from innerloop.programs import load


@pytest.fixture(scope="module")
def step() -> Weights:
    """One step of gradient descent on tokens (x, y) of d = 10."""
    return compile_program(load("gradient_descent_dual"), target="lsa", d=von_oswald_1.D, steps=1, rate=6.0)


def test_heads_as_built_by_hand(step: Weights) -> None:
    """A layer whose heads have scores ± β x·xⱼ and opposite labels answers with the built difference, factor apart."""
    beta, fields = 0.7, von_oswald_1.TASKS.drawn(30, 3)
    model, _ = softmax_layer(step, 0, 2, 0.0)
    template = model.weights(model.parameters)
    layer = template.body[0]
    assert isinstance(layer, Attention)
    x, (y,) = slots(template, "x"), slots(template, "y")
    size, width = template.config.d_head, template.config.d_model
    read, key, value = (np.zeros((width, 2 * size)) for _ in range(3))
    output = np.zeros((2 * size, width))
    for head, sign in enumerate((1.0, -1.0)):
        read[x, head * size + np.arange(len(x))] = sign * beta * size**0.5
        key[x, head * size + np.arange(len(x))] = 1
        value[y, head * size] = 1
        output[head * size, y] = sign / float(template.readout.csr.toarray()[y, 0])
    built = replace(
        layer, query=Matrix(read), key=Matrix(key), value=Matrix(value), output=Matrix(output)
    )  # fmt: skip
    weights = replace(template, body=(built, *template.body[1:]))
    scores, written = products(weights)
    np.testing.assert_allclose(scores, beta * np.array([np.eye(len(x)), -np.eye(len(x))]), atol=1e-6)
    np.testing.assert_allclose(written, [1, -1], atol=1e-6)
    factor, expected = von_oswald_softmax.built(fields, beta)
    np.testing.assert_allclose(factor * answers(weights, fields)[:, 0], expected, atol=1e-5)


def test_two_small_heads_are_a_step_from_the_mean() -> None:
    """To first order in β the built heads are 2β/m Σ (x·xⱼ − mean) yⱼ, over the examples, the query and the rest."""
    fields = von_oswald_1.TASKS.drawn(50, 3)
    x, y = fields["x"], fields["y"][:, :-1]
    scores = np.einsum("bd,bnd->bn", x[:, -1], x)
    m = x.shape[1] + 1
    step = np.einsum("bn,bn->b", scores[:, :-1] - scores.sum(1, keepdims=True) / m, y)
    factor, found = von_oswald_softmax.built(fields, 1e-4)
    np.testing.assert_allclose(found / factor, 2e-4 / m * step, rtol=1e-2, atol=1e-8)


def test_a_model_without_mlps_is_its_attention() -> None:
    like = compile_program(load("bigram"), target="llama", vocabulary=3)
    whole = fresh(like, 2, 6, 0, heads=1)
    model = without_mlps(whole)
    silent = {n: 0 * v if ".mlp.down" in n else v for n, v in whole.parameters.items()}
    s = np.eye(3)[np.random.default_rng(0).integers(0, 3, (5, 9))]
    found = answers(model.weights(model.parameters), {"s": s})
    np.testing.assert_allclose(found, answers(whole.weights(silent), {"s": s}), atol=1e-6)


def test_the_best_matrix_of_a_loop() -> None:
    """Its gradient is that of differences, the least beats all diagonal ones, and signs leave the loss as it is."""
    covariance = gatmiry_loop.covariances(300)
    a = gatmiry_loop.best(covariance)
    loss = gatmiry_loop.after(a, covariance, gatmiry_loop.LOOPS)
    straight = gatmiry_loop.best(covariance, diagonal=True)
    assert np.count_nonzero(straight) == gatmiry_loop.D
    assert loss < gatmiry_loop.after(straight, covariance, gatmiry_loop.LOOPS)
    rng = np.random.default_rng(0)
    for _ in range(5):
        nudged = a + 0.02 * rng.standard_normal(a.shape)
        assert gatmiry_loop.after(nudged, covariance, gatmiry_loop.LOOPS) > loss
    again = gatmiry_loop.signed(gatmiry_loop.best(covariance, seed=1), a)
    np.testing.assert_allclose(again, a, atol=1e-3)  # the least is one, up to signs
    signs = np.array([1.0, -1, 1, -1, -1])
    turned = signs[:, None] * a * signs
    np.testing.assert_allclose(gatmiry_loop.signed(turned, a), a)


def test_marked_positions_have_slots_of_their_own() -> None:
    model = marked(fresh(compile_program(load("bigram"), vocabulary=3), 2, 6, 0))
    embedding, positions = (np.asarray(model.parameters[name]) for name in ("embedding", "positions"))
    count = len(positions)
    np.testing.assert_array_equal(positions[:, -count:], np.eye(count))
    assert not positions[:, :-count].any()
    assert not embedding[:, -count:].any()
    assert embedding[:, :-count].all()


@pytest.mark.slow
def test_steps_of_gd_plus_with_tokens_that_are_cut() -> None:
    """Five compiled steps answer as those in NumPy, which stay within their bound."""
    rates, curvatures = np.linspace(3, 8, von_oswald_deep.K), np.linspace(0.02, 0.1, von_oswald_deep.K)
    weights = von_oswald_deep.compiled(rates, curvatures)
    fields = von_oswald_1.TASKS.drawn(400, 3)
    found = von_oswald_deep.answered(weights, fields, np.inf)[0]
    np.testing.assert_allclose(found, answers(weights, fields)[:, 0], atol=1e-5)
    np.testing.assert_allclose(found, von_oswald_deep.steps(fields, rates, curvatures, np.inf), atol=1e-4)
    assert np.abs(von_oswald_deep.steps(fields, rates, curvatures, 0.5)).max() <= 0.5 < np.abs(found).max()


def test_moments_that_are_sought() -> None:
    """Xᵀy and w of noiseless tasks; the compiled program predicts with that w."""
    fields = regression.TASKS.drawn(20, 3)
    wanted = akyurek_moments.sought(fields)
    np.testing.assert_allclose(
        np.einsum("bd,bd->b", fields["x"][:, -1], wanted["w"]), fields["y"][:, -1], rtol=1e-3, atol=1e-3
    )
    x = fields["x"][:, :-1]
    np.testing.assert_allclose(np.einsum("bnd,bne,be->bd", x, x, wanted["w"]), wanted["Xᵀy"], rtol=1e-3, atol=1e-3)
    one = akyurek_moments.CONTROLS.drawn(20, 3)
    np.testing.assert_allclose(akyurek_moments.sought(one)["w"], 1, atol=1e-3)


def test_moments_are_judged_as_published() -> None:
    """A model that holds w as late as it should passes; one that holds it first, or linearly, does not."""

    def made(moments: list[float], w: list[float], line: float, most: float = 1.0) -> akyurek_moments.Read:
        curves = {"Xᵀy": np.array(moments), "w": np.array(w)}
        scores = {(target, readout): share * most * curve for target, curve in curves.items()
                  for readout, share in (("linear", line), ("network", 1.0), ("products", 1.0))}  # fmt: skip
        return akyurek_moments.Read(scores)

    early, late = [0.1, 0.95, 0.9], [0.1, 0.6, 0.95]
    known, held = made([0.0, 1.0, 1.0], [0.0, 0.7, 1.0], 1.0), {"Xᵀy": 1, "w": 2}
    why = {seed: akyurek_moments.Why(0.999, 0.9) for seed in akyurek_moments.SEEDS}

    def failed(one: akyurek_moments.Read) -> list[str]:
        control = made(early, late, 1.0, 0.5)
        found = {("trained", seed): one for seed in why} | {("control", seed): control for seed in why}
        assert akyurek_moments.by_layer(found).rows[1] == [
            "trained, seed 0: Xᵀy, network", *(f"{value:.2f}" for value in one.scores["Xᵀy", "network"])
        ]  # fmt: skip
        assert akyurek_moments.of_compiled(known, held).rows[1] == ["1", "1.0000", "0.7000"]
        assert akyurek_moments.reasons(found, why, 0.7, 400).rows[-1][1] == "0.700"
        assert akyurek_moments.picture(found, known, held).axes
        return [check.name for check in akyurek_moments.checks(found, why, known, held) if not check.holds]

    assert failed(made(early, late, 0.8)) == []
    assert failed(made(early, late, 1.0)) == [
        f"trained: R² of {name}, network − linear, least" for name in ("Xᵀy", "w")
    ]
    assert all("does not come before w" in name for name in failed(made(late, early, 0.8)))


def test_the_products_of_the_labels_are_read() -> None:
    """Of a stream whose labels hold rⱼ and xⱼ, their sum of products is read; after the embedding not."""
    stream = np.random.default_rng(3).standard_normal((2, 800, 7, 4))
    wanted = {"Xᵀy": (stream[1, :, 1::2, :1] * stream[1, :, 1::2, 1:]).mean(1)}
    curve = akyurek_moments.read_labels(stream, wanted).scores["Xᵀy", "products"]
    assert curve[0] < 0.1
    assert curve[1] > 0.999


@pytest.mark.parametrize("name", garg_shift.SHIFTS)
def test_shifted_tasks_are_what_they_say(name: str) -> None:
    fields = garg_shift.shifted(name, 4000, 3)
    x, truth, d = fields["x"], fields["truth"], regression.D
    second = {"x × 3": 9.0, "w × 3": 9.0}.get(name, 1.0)
    assert (truth[:, -1] ** 2).mean() == pytest.approx(d * second, rel=0.15)
    assert ((fields["y"] - truth) ** 2).mean() == pytest.approx(1.0 if name == "noisy" else 0.0, abs=0.03)
    signs = np.sign(x[:, :-1])
    assert (signs == signs[:, :1]).all() == (name == "quadrants")
    assert np.linalg.matrix_rank(x[0, :-1]) == (garg_shift.HALF if name == "subspace" else d)
    closed = reference(ridge_regression, ridge=1e-9)(garg_shift.given(fields))
    if name not in ("noisy", "subspace"):
        assert garg_shift.error(np.asarray(closed), fields)[-1] < 1e-6
    assert garg_shift.error(np.zeros_like(truth), fields) == pytest.approx(1)


def test_what_a_loop_longer_than_compiled_answers() -> None:
    """A compiled loop errs by x_qᵀ (I − A S)ᴸ w, at the loops it has and at more; their mean square is the loss."""
    d = gatmiry_loop.D
    a = np.diag(np.full(d, 0.4)) + 0.05
    loop = compile_program(zhang_gamma.PROGRAM, target="lsa", d=d, steps=2, A=a)
    fields = gatmiry_loop.TASKS.drawn(100, 3)
    x, query = fields["x"][:, :-1], fields["x"][:, -1]
    w = np.linalg.lstsq(x[0], fields["y"][0, :-1], rcond=None)[0]
    left = np.eye(d) - a @ (x[0].T @ x[0] / gatmiry_loop.N)
    for loops in (2, 5):
        longer = gatmiry_loop.looped(loop, loops)
        found = np.asarray(Subject(longer, "")(fields))[0, 0]
        assert query[0] @ w - found == pytest.approx(query[0] @ np.linalg.matrix_power(left, loops) @ w, abs=1e-5)


def test_iterations_on_the_moments_so_far() -> None:
    """Predictions of both are those of their updates, step by step, and end at least squares."""
    fields = fu_newton.TASKS.drawn(3, 3)
    s, b = fu_newton.moments(fields)
    query = fields["x"][:, 1:]
    place = (1, fu_newton.N - 1)  # a task, and after how many examples but one
    x, y = fields["x"][1, : fu_newton.N], fields["y"][1, : fu_newton.N]
    np.testing.assert_allclose(s[place], x.T @ x / fu_newton.N, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(b[place], x.T @ y / fu_newton.N, rtol=1e-5, atol=1e-6)
    m, w = s[place] / (s[place] ** 2).sum(), np.zeros(fu_newton.D)
    for _ in range(2):
        m = 2 * m - m @ s[place] @ m
        w = w - (s[place] @ w - b[place]) / np.linalg.eigvalsh(s[place])[-1]
    assert fu_newton.newton(fields, np.array([2]))[0][place] == pytest.approx(query[place] @ m @ b[place])
    assert fu_newton.descent(fields, np.array([2]))[0][place] == pytest.approx(query[place] @ w)
    truth = fields["y"][:, 1:]
    for many in (fu_newton.newton(fields, np.array([30])), fu_newton.descent(fields, np.array([20_000]))):
        np.testing.assert_allclose(many[0][:, fu_newton.D :], truth[:, fu_newton.D :], atol=1e-3)
    few = fu_newton.newton(fields, np.arange(4))
    alike = fu_newton.likeness(few, few, truth)
    np.testing.assert_allclose(np.diag(alike), 1)
    assert alike[0, 3] < alike[0, 1] < 1
