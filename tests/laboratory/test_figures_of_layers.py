"""The closed forms of figures on layers of linear attention, each against draws or written weights."""

from __future__ import annotations

import numpy as np
import pytest
from innerloop.artifact.errors import InnerloopError
from innerloop.compiler import interpret
from innerloop.laboratory.figures import von_oswald_1, von_oswald_2, von_oswald_sine, zhang_gamma, zheng_ar
from innerloop.laboratory.figures.shared.layers import curvature, preconditioner, random_layers, slots
from innerloop.laboratory.figures.shared.sine import FEATURES, SHAPES, TANHS, Features, meta_learnt, network, waves
from innerloop.laboratory.training.clipped import Clipped
from innerloop.laboratory.training.kinds import eigenvalues
from innerloop.laboratory.training.model import Model
from innerloop.laboratory.training.tasks import task
from innerloop.programs import load
from innerloop.runtime import Transformer

from tests.support.shared import compiled_once


def test_the_best_step_of_gradient_descent() -> None:
    """The formula of the loss against the oracle on tasks, at the best rate and beside it."""
    rate, loss = von_oswald_1.best_step()
    assert rate == pytest.approx(6.0606, abs=1e-4)
    assert loss == pytest.approx(0.20623, abs=1e-5)
    fields = von_oswald_1.TASKS.drawn(5_000, 20_000)
    text, truth = load("gradient_descent_dual"), fields["y"][:, -1]
    losses = [
        np.mean((np.asarray(interpret(text, d=10, steps=1, rate=r, **fields))[:, 0] - truth) ** 2) / 2
        for r in (rate - 1, rate, rate + 1)
    ]
    assert losses[1] == pytest.approx(loss, rel=0.06)
    assert losses[1] == min(losses)


def test_two_steps_of_gd_plus() -> None:
    fields = von_oswald_1.TASKS.drawn(5_000, 20_000)
    found = interpret(load("gd_plus"), d=10, steps=2, rate=13.5, curvature=0.176, **fields)
    loss = np.mean((np.asarray(found)[:, 0] - fields["y"][:, -1]) ** 2) / 2
    assert von_oswald_2.two_steps(von_oswald_2.covariances(5000), 13.5, 0.176) == pytest.approx(loss, rel=0.1)


def test_curvature_is_read_off_a_layer() -> None:
    """Layers of one head, written by hand, compute gd_plus, and γ is its curvature."""
    d, n, rate, gamma = 3, 5, 0.7, 0.04
    weights = compiled_once(load("gd_plus"), target="lsa", d=d, steps=2, rate=rate, curvature=gamma)
    model = random_layers(weights, seed=0, n_head=1, d_head=d + 1)
    x, y = slots(model.template, "x"), slots(model.template, "y")
    by_name = {name.rsplit(".", 1)[-1]: np.zeros(value.shape) for name, value in model.parameters.items()}
    by_name["query"][x, range(d)] = by_name["key"][x, range(d)] = 2.0
    by_name["value"][[*x, *y], range(d + 1)] = 1.0
    by_name["output"][range(d + 1), [*x, *y]] = [*[-gamma / 4] * d, -rate / n / 4]
    written = model.weights({name: by_name[name.rsplit(".", 1)[-1]] for name in model.parameters})
    fields = task("linear", d=d, n=n).drawn(50, seed=1)
    expected = interpret(load("gd_plus"), d=d, steps=2, rate=rate, curvature=gamma, **fields)
    np.testing.assert_allclose(Transformer(written)(**fields), expected, atol=1e-5)
    assert curvature(written) == pytest.approx((gamma, 0))


def test_the_step_of_least_loss_on_sequences() -> None:
    """The closed form against ab minimised directly, for complex W as the paper has it."""
    rng, d, length, tasks = np.random.default_rng(0), 3, 10, 100_000
    turns = np.exp(1j * rng.uniform(0, 2 * np.pi, (tasks, 1, d)) * np.arange(length)[:, None])
    x = 0.7 * rng.standard_normal((tasks, 1, d)) * turns
    pairs = np.cumsum(x[:, 1:, :, None] * x[:, :-1, None].conj(), 1)
    step = (pairs @ x[:, 1:, :, None])[..., 0] / np.arange(1, length)[:, None]
    found = (step[:, :-1].conj() * x[:, 2:]).real.sum() / (np.abs(step[:, :-1]) ** 2).sum()
    assert zheng_ar.closed_form("gaussian", d, length, 0.7) == pytest.approx(found, rel=0.02)
    assert zheng_ar.closed_form("sparse", d, length, 0.7) == pytest.approx(1 / 0.49)


def test_gamma_preconditions_best() -> None:
    """Γ⁻¹ = E[S] E[S²]⁻¹ on drawn tasks; and a compiled layer's matrix is the program's."""
    rng, values = np.random.default_rng(0), eigenvalues(zhang_gamma.TASKS.parameters)
    x = rng.standard_normal((30_000, zhang_gamma.N, zhang_gamma.D)) * np.sqrt(values)
    s = x.swapaxes(1, 2) @ x / zhang_gamma.N
    inverse = np.linalg.inv(zhang_gamma.gamma())
    best = s.mean(0) @ np.linalg.inv((s @ s).mean(0))
    assert np.linalg.norm(best - inverse) < 0.02 * np.linalg.norm(inverse)
    a = rng.standard_normal((3, 3))
    weights = compiled_once(zhang_gamma.PROGRAM, target="lsa", d=3, A=a)
    np.testing.assert_allclose(preconditioner(weights), a, atol=1e-6)


@pytest.mark.parametrize("untied", [False, True])
def test_tokens_are_cut_after_each_layer(untied: bool) -> None:
    """Where nothing comes to the bound nothing changes; where one layer's numbers do, it is as cut by hand."""
    weights = compiled_once(load("gd_plus"), target="lsa", d=3, steps=2, rate=0.7, curvature=0.04)
    whole = Model.of(weights, untied=untied)
    fields = {name: value.astype(np.float32) for name, value in task("linear", d=3, n=5).drawn(20, seed=1).items()}
    plain = np.asarray(whole.apply(whole.parameters, fields))
    loose, tight = Clipped.around(whole, 1e3), Clipped.around(whole, 0.5)
    np.testing.assert_allclose(loose.apply(loose.parameters, fields), plain, atol=1e-6)
    assert np.abs(np.asarray(tight.apply(tight.parameters, fields))).max() <= 0.5 < np.abs(plain).max()
    with pytest.raises(InnerloopError, match="bound=0"):
        Clipped.around(whole, 0)


def test_a_step_on_features() -> None:
    """The closed form against the oracle of the program; few iterations of learning lower its loss on other tasks."""
    rng = np.random.default_rng(0)
    drawn = Features(**{name: rng.standard_normal(shape) for name, shape in SHAPES.items()})
    fields = waves(30, von_oswald_sine.N, 1)
    expected = interpret(
        von_oswald_sine.PROGRAM, d=1, m=TANHS, r=FEATURES, A=drawn.A[:, None], c=drawn.c, B=drawn.B, start=drawn.start,
        x=fields["x"], y=fields["y"][:, :-1],
    )  # fmt: skip
    np.testing.assert_allclose(drawn.answers(fields["x"], fields["y"]), expected[:, -1], rtol=1e-3, atol=1e-3)
    learnt, other = meta_learnt(waves(500, von_oswald_sine.N, 2), 0, 30), waves(500, von_oswald_sine.N, 3)
    truth = other["y"][:, -1]
    assert ((learnt.answers(other["x"], other["y"]) - truth) ** 2).mean() < 0.6 * (truth**2).mean()


def test_waves_shift_as_they_say() -> None:
    usual = waves(4000, 3, 0)
    assert np.abs(waves(4000, 3, 0, inputs=2.0)["x"]).max() == pytest.approx(2 * np.abs(usual["x"]).max())
    np.testing.assert_allclose(waves(4000, 3, 0, amplitudes=2.0)["y"], 2 * usual["y"])
    np.testing.assert_allclose(waves(4000, 3, 0, phases=np.pi)["y"], -usual["y"], atol=1e-12)
    drawn = von_oswald_sine.TASKS.drawn(4000, 1)["y"]
    assert (usual["y"] ** 2).mean() == pytest.approx((drawn**2).mean(), rel=0.1)


def test_a_network_reads_all_examples_and_no_label_of_the_query() -> None:
    dual = compiled_once(load("gradient_descent_dual"), target="lsa", d=1, steps=1)
    model = network(dual, 0)
    fields = {name: value.astype(np.float32) for name, value in waves(4, 5, 0).items()}

    def answers(label: int) -> np.ndarray:
        y = fields["y"].copy()
        y[:, label] += 1
        return np.asarray(model.apply(model.parameters, {"x": fields["x"], "y": y}))[:, -1]

    unchanged = np.asarray(model.apply(model.parameters, fields))[:, -1]
    assert all((np.abs(answers(label) - unchanged) > 1e-4).all() for label in range(5))
    np.testing.assert_array_equal(answers(5), unchanged)
