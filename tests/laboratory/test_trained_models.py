"""What is learnt, and the model that learns it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from innerloop.artifact.errors import InnerloopError
from innerloop.artifact.parts import Repeated
from innerloop.artifact.words import TargetName
from innerloop.compiler import Weights
from innerloop.laboratory.training.model import Model
from innerloop.laboratory.training.tasks import TaskDistribution, task
from innerloop.laboratory.training.train import train
from innerloop.programs import load
from innerloop.runtime import Transformer
from innerloop.runtime.forward import forward

from tests.support.linear_tasks import linear_tasks
from tests.support.shared import compiled_once


@pytest.mark.slow
def test_one_linear_layer_learns_a_step_of_gradient_descent(dual: Weights) -> None:
    """Zhang et al. 2023: the best one-step predictor is x_qᵀ Γ⁻¹ Σ yx/n, Γ = (1 + 1/n) I + (d/n) I for normal x."""
    stream = task("linear", d=3, n=12)
    rate = 1 / (1 + 1 / 12 + 3 / 12)
    compiled = compiled_once(load("gradient_descent_dual"), target="lsa", d=3, rate=rate)
    found = train(Model.fresh(dual, 0), stream, steps=2500, batch=256, rate=0.02).weights
    fields = {name: np.asarray(value) for name, value in stream.sample(jax.random.key(5), 4000).items()}

    def error(of: Weights) -> float:
        return float(np.square(Transformer(of, guard="off")(**fields)[:, 0] - fields["y"][:, -1]).mean())

    assert error(found) < 1.03 * error(compiled)
    assert error(compiled) < 1.03 * error(found)


@pytest.mark.slow
def test_compiled_weights_can_be_tuned() -> None:
    """From a step size that is too large, training finds a better one."""
    stream = task("linear", d=3, n=6)
    compiled = compiled_once(load("gradient_descent_dual"), target="lsa", d=3, rate=2.0)
    losses = train(compiled, stream, steps=300, batch=256, rate=0.02).losses
    assert losses[-20:].mean() < 0.5 * losses[:5].mean()


@pytest.mark.slow
def test_a_fresh_transformer_learns(small: Model, points: TaskDistribution) -> None:
    losses = train(small, points, steps=1500, batch=64, rate=5e-3).losses
    assert losses[-100:].mean() < 0.9 * losses[:50].mean()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("program", "target", "untied"),
    [("gd_plus", "lsa", True), ("gradient_descent_alternating", "lsa", False), ("gradient_descent", "gpt2", True),
     ("gradient_descent", "gpt2", False), ("gradient_descent", "llama", True), ("gradient_descent", "gelu", False),
     ("gradient_descent", "qwen2", False)],
)  # fmt: skip
def test_the_model_runs_as_the_compiled_weights_do(program: str, target: TargetName, untied: bool) -> None:
    compiled = compiled_once(load(program), target=target, d=2, steps=2)
    model = Model.of(compiled, untied=untied)
    fields = {name: np.asarray(v) / 4 for name, v in task("linear", d=2, n=4).sample(jax.random.key(0), 3).items()}
    expected = Transformer(compiled, guard="off")(**fields)
    np.testing.assert_allclose(model.apply(model.parameters, fields), expected, atol=1e-5)
    back = model.weights(model.parameters)
    np.testing.assert_array_equal(Transformer(back)(**fields), expected)
    kept = model.streams(model.parameters, fields)
    assert kept.shape[0] == compiled.config.n_layer
    assert kept.shape[3] == compiled.config.d_model
    gradient = jax.grad(lambda p: jnp.square(model.apply(p, fields)).sum())(model.parameters)
    assert all(np.isfinite(value).all() for value in gradient.values())


@pytest.mark.parametrize("target", ["lsa", "gpt2", "llama"])
def test_gradients_are_those_of_finite_differences(target: TargetName) -> None:
    """In float64, along a random direction of parameters and fields together."""
    name = "gradient_descent_dual" if target == "lsa" else "gradient_descent"
    compiled = compiled_once(load(name), target=target, d=2, dtype="float64")
    model = Model.fresh(compiled, 1)
    rng = np.random.default_rng(0)
    with model.precision():
        fields = {"x": jnp.asarray(rng.standard_normal((3, 5, 2))), "y": jnp.asarray(rng.standard_normal((3, 4)))}
        # Of the scale at which no gradient is small.
        at = jax.tree.map(lambda a: a + 0.3 * rng.standard_normal(a.shape), model.parameters), fields
        along = jax.tree.map(lambda a: jnp.asarray(rng.standard_normal(a.shape)), at)

        @jax.jit
        def loss(parameters: Any, fields: Any) -> Any:
            return jnp.square(model.apply(parameters, fields)).sum()

        gradients = jax.grad(loss, argnums=(0, 1))(*at)
        slope = sum(jax.tree.leaves(jax.tree.map(lambda g, t: float((g * t).sum()), gradients, along)))
        h = 1e-5
        ends = [float(loss(*jax.tree.map(lambda a, t, s=s: a + s * t, at, along))) for s in (h, -h)]
    difference = (ends[0] - ends[1]) / (2 * h)
    assert slope == pytest.approx(difference, rel=1e-6)
    assert abs(slope) > 1e-3


def _operations(compiled: Any) -> float:
    return float(compiled.cost_analysis()["flops"])


@pytest.mark.parametrize("target", ["gpt2", *(pytest.param(t, marks=pytest.mark.slow) for t in ("llama", "neox"))])
def test_behind_the_last_attention_the_tokens_that_answer_run_alone(target: TargetName) -> None:
    """Which takes less arithmetic, and changes neither outputs nor gradients."""
    compiled = compiled_once(load("gradient_descent"), target=target, d=2, steps=1, dtype="float64")
    model = Model.fresh(compiled, 1, n_layer=2)
    with model.precision():
        fields = {
            name: jnp.asarray(v, float) for name, v in task("linear", d=2, n=20).sample(jax.random.key(0), 3).items()
        }
        rows, features = model._features(fields)
        assert len(rows) < features.shape[1]

        def everywhere(parameters: Any) -> Any:
            return jnp.square(forward(model.packed(parameters), features, rows, {})[0]).sum()

        def there(parameters: Any) -> Any:
            return jnp.square(model.apply(parameters, fields)).sum()

        whole, part = (jax.jit(jax.value_and_grad(f)).lower(model.parameters).compile() for f in (everywhere, there))
        assert _operations(part) < 0.9 * _operations(whole)
        (loss, gradient), (expected, other) = part(model.parameters), whole(model.parameters)
        largest = max(float(jnp.abs(value).max()) for value in other.values())
    assert float(loss) == pytest.approx(float(expected), rel=1e-12)
    for name, value in gradient.items():
        np.testing.assert_allclose(value, other[name], rtol=1e-9, atol=1e-12 * largest)


def test_passes_of_a_loop_share_their_gradient(dual: Weights) -> None:
    looped = compiled_once(load("gradient_descent_dual"), target="lsa", d=2, steps=3)
    tied, own = Model.of(looped), Model.of(looped, untied=True)
    fields = task("linear", d=2, n=4).sample(jax.random.key(0), 3)

    def gradient(of: Model) -> Any:
        return jax.grad(lambda p: jnp.square(of.apply(p, fields)).sum())(of.parameters)

    whole, parts = gradient(tied), gradient(own)
    assert len(parts) == 3 * len(whole)
    for name, value in whole.items():
        last = name.rsplit(".", 1)[-1]
        np.testing.assert_allclose(
            value, sum(v for k, v in parts.items() if k.endswith(f".{last}")), rtol=1e-4, atol=1e-6
        )


def test_fresh_models(weights: Weights, dual: Weights, tmp_path: Path) -> None:
    model = Model.fresh(weights, 3, n_layer=2, d_model=24, n_head=3, n_positions=12)
    assert (model.config.n_layer, model.config.d_head, model.config.d_mlp) == (2, 8, 96)
    again = Model.fresh(weights, 3, n_layer=2, d_model=24, n_head=3, n_positions=12).parameters
    assert model.parameters.keys() == again.keys()
    assert all(np.array_equal(model.parameters[name], again[name]) for name in again)
    up, output = model.parameters["body.1.mlp.up"], model.parameters["body.2.attention.output"]
    assert float(up.std()) == pytest.approx(0.02, rel=0.1)
    assert float(output.std()) == pytest.approx(0.02 / 2, rel=0.2)
    saved = model.weights(model.parameters)
    saved.save(tmp_path / "model")
    fields = task("linear", d=2, n=4).sample(jax.random.key(0), 3)
    loaded = Transformer(Weights.load(tmp_path / "model"))(**fields)
    np.testing.assert_allclose(model.apply(model.parameters, fields), loaded, atol=1e-6)
    assert set(Model.fresh(dual, 0).parameters) == set(Model.of(dual).parameters)
    refused: list[tuple[dict[str, Any], str]] = [
        ({"depth": 3}, "can differ in n_layer"),
        ({"n_layer": 0}, "at least 1"),
        ({"d_model": 10, "n_head": 3}, "does not divide d_model=10"),
    ]
    for change, said in refused:
        with pytest.raises(InnerloopError, match=said):
            Model.fresh(weights, 0, **change)
    with pytest.raises(InnerloopError, match="d_model=2: linear attention works on the tokens as compiled"):
        Model.fresh(dual, 0, d_model=2)


def test_a_trained_scan_runs_at_all_tokens() -> None:
    """Compiled, its passes read the token before alone; once trained, they may read any."""
    weights = compiled_once(load("stochastic_gradient_descent"), d=2, examples=4)
    assert any(isinstance(item, Repeated) and item.turn == "y" for item in weights.body)
    for model in (Model.of(weights), Model.fresh(weights, 0)):
        trained = model.weights(model.parameters)
        assert not any(isinstance(item, Repeated) and item.turn for item in trained.body)
    data = linear_tasks(3, 4, 2)
    tuned = Model.of(weights)
    outputs = Transformer(tuned.weights(tuned.parameters), guard="off")(**data)
    assert np.abs(outputs - Transformer(weights)(**data)).max() < 2 * weights.report.predicted_error
