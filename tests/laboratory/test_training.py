"""Training: runs that resume, diverge, freeze and grow, and what they learn."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from innerloop.artifact.errors import DataError, InnerloopError
from innerloop.artifact.parts import Repeated
from innerloop.artifact.words import TargetName
from innerloop.compiler import Weights, compile_program
from innerloop.laboratory.training import checkpoint, steps
from innerloop.laboratory.training.curriculum import Curriculum
from innerloop.laboratory.training.model import Model
from innerloop.laboratory.training.tasks import TaskDistribution, task
from innerloop.laboratory.training.train import DivergenceError, train
from innerloop.programs import load
from innerloop.runtime import Transformer

from tests.support.linear_tasks import linear_tasks

SETTINGS: dict[str, Any] = {"steps": 12, "batch": 8, "rate": 1e-3, "warmup": 3, "interval": 4}


@pytest.fixture(scope="module")
def weights() -> Weights:
    return compile_program(load("gradient_descent"), target="gpt2", d=2, steps=1)


@pytest.fixture(scope="module")
def dual() -> Weights:
    return compile_program(load("gradient_descent_dual"), target="lsa", d=3, rate=1.0)


@pytest.fixture(scope="module")
def small(weights: Weights) -> Model:
    return Model.fresh(weights, 0, n_layer=1, d_model=16, n_head=2, n_positions=16)


@pytest.fixture(scope="module")
def points() -> TaskDistribution:
    return task("linear", d=2, n=4)


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


# Runs --------------------------------------------------------------------------------------------


def test_a_seed_says_all(small: Model, points: TaskDistribution) -> None:
    one, again, other = (train(small, points, **SETTINGS, seed=seed) for seed in (1, 1, 2))
    assert same(one.parameters, again.parameters)
    np.testing.assert_array_equal(one.losses, again.losses)
    assert one.losses.shape == (12,)
    assert not same(one.parameters, other.parameters)


KILLED = """
import os, signal, sys
from innerloop.compiler import Weights
from innerloop.laboratory.training.model import Model
from innerloop.laboratory.training.tasks import task
from innerloop.laboratory.training.train import train
folder, start, resume = sys.argv[1:4]
def dies(step, loss):
    if step > 8 and resume == "no":
        os.kill(os.getpid(), signal.SIGKILL)
train(Model.of(Weights.load(start)), task("linear", d=2, n=4), steps=12, batch=8, rate=1e-3, warmup=3, interval=4,
      folder=folder, resume=resume == "yes", on_step=dies).weights.save(folder + "-done")
"""


def test_a_killed_run_ends_as_one_that_was_not(small: Model, points: TaskDistribution, tmp_path: Path) -> None:
    small.weights(small.parameters).save(tmp_path / "start")

    def run(folder: str, resume: str) -> int:
        command = [sys.executable, "-c", KILLED, str(tmp_path / folder), str(tmp_path / "start"), resume]
        return subprocess.run(command, capture_output=True, timeout=300).returncode

    assert run("run", "no") == -signal.SIGKILL
    assert [path.name for path in checkpoint.found(tmp_path / "run")] == ["step-00000004", "step-00000008"]
    assert not (tmp_path / "run-done").exists()
    assert run("run", "yes") == 0
    whole = train(small, points, **SETTINGS).weights
    whole.save(tmp_path / "whole")
    killed, undisturbed = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("run-done", "whole"))
    assert killed == undisturbed


def test_checkpoints_come_back_as_they_were(tmp_path: Path) -> None:
    """Shapes too: a step count of shape [1] is another program to XLA, which may round otherwise."""
    arrays = {"count": np.array(3, np.int32), "w": np.arange(6, dtype=np.float32).reshape(2, 3).T}
    for step in (1, 2, 10):
        checkpoint.write(tmp_path, checkpoint.Checkpoint(step, arrays, {"rate": 0.1}))
    assert [path.name for path in tmp_path.iterdir()] in (
        ["step-00000002", "step-00000010"], ["step-00000010", "step-00000002"]
    )  # fmt: skip
    back = checkpoint.read(tmp_path)
    assert back is not None
    assert (back.step, back.settings) == (10, {"rate": 0.1})
    for name, array in arrays.items():
        assert (back.arrays[name].shape, back.arrays[name].dtype) == (array.shape, array.dtype)
        np.testing.assert_array_equal(back.arrays[name], array)


def test_a_resumed_run_has_the_losses_of_before(small: Model, points: TaskDistribution, tmp_path: Path) -> None:
    whole = train(small, points, **SETTINGS, folder=tmp_path / "run")
    again = train(small, points, **SETTINGS, folder=tmp_path / "run", resume=True)
    np.testing.assert_array_equal(whole.losses, again.losses)
    assert same(whole.parameters, again.parameters)


def test_folders_of_other_runs_are_refused(small: Model, points: TaskDistribution, tmp_path: Path) -> None:
    train(small, points, **SETTINGS, folder=tmp_path)
    with pytest.raises(InnerloopError, match="holds checkpoints of a run: resume it, or remove it"):
        train(small, points, **SETTINGS, folder=tmp_path)
    with pytest.raises(DataError, match=r"a run with rate=0\.001, not 0\.5"):
        train(small, points, **{**SETTINGS, "rate": 0.5}, folder=tmp_path, resume=True)
    last = checkpoint.found(tmp_path)[-1] / "state.safetensors"
    content = bytearray(last.read_bytes())
    content[-1] ^= 1
    last.write_bytes(content)
    with pytest.raises(DataError, match=r"step-00000012 is damaged .*checksum.*: remove it"):
        train(small, points, **SETTINGS, folder=tmp_path, resume=True)


def test_divergence_names_the_step_and_the_last_good_checkpoint(dual: Weights, tmp_path: Path) -> None:
    blown = Model.of(dual)
    settings = SETTINGS | {"rate": 1e12, "clip": None, "warmup": 8, "interval": 1}
    with pytest.raises(DivergenceError, match=r"the loss is (inf|nan) at step (\d+) of 12") as caught:
        train(blown, task("linear", d=3, n=6), **settings, folder=tmp_path)
    last = checkpoint.read(tmp_path)
    assert last is not None
    assert all(np.isfinite(array).all() for array in last.arrays.values())
    assert f"the last good checkpoint is {tmp_path / f'step-{last.step:08}'}" in str(caught.value)
    assert f"at step {last.step + 1} of" in str(caught.value)
    assert "Take a rate below 1e+12" in str(caught.value)


def test_what_is_frozen_stays(small: Model, points: TaskDistribution) -> None:
    found = train(small, points, **SETTINGS, freeze=("embedding", "body.0"))
    for name, before in small.parameters.items():
        stays = name == "embedding" or name.startswith("body.0.")
        assert np.array_equal(before, found.parameters[name]) == stays, name
    with pytest.raises(InnerloopError, match=r"no parameter is called body\.7"):
        train(small, points, **SETTINGS, freeze=("body.7",))
    with pytest.raises(InnerloopError, match="nothing is left to train"):
        train(small, points, **SETTINGS, freeze=tuple(small.parameters))


def test_settings_are_refused_with_name_and_value(small: Model, points: TaskDistribution, dual: Weights) -> None:
    for name, value in {"steps": 0, "batch": -1, "rate": float("nan"), "warmup": -1, "schedule": "step"}.items():
        with pytest.raises(InnerloopError, match=f"{name}={value!r}"):
            train(small, points, **{**SETTINGS, name: value})
    with pytest.raises(InnerloopError, match=r"task linear gives x \[2\], y; gradient_descent_dual takes x \[3\], y"):
        train(dual, points, **SETTINGS)


def test_a_curriculum_grows(small: Model, points: TaskDistribution) -> None:
    grows = Curriculum(dimensions=1, points=1, more_points=1, every=3)
    assert [grows.at(step, points) for step in (0, 2, 3, 5, 6, 9, 99)] == [
        (1, 1), (1, 1), (2, 2), (2, 2), (3, 2), (4, 2), (4, 2),
    ]  # fmt: skip
    one = train(small, points, **SETTINGS, curriculum=grows)
    assert not same(one.parameters, train(small, points, **SETTINGS).parameters)
    with pytest.raises(InnerloopError, match="one dimension"):
        Curriculum().verify(task("sine"))


def test_a_curriculum_resumes_too(small: Model, points: TaskDistribution, tmp_path: Path) -> None:
    grows = Curriculum(dimensions=1, points=1, more_points=1, every=3)
    whole = train(small, points, **SETTINGS, curriculum=grows, folder=tmp_path)
    last = checkpoint.found(tmp_path)[-1]
    for path in last.iterdir():
        path.unlink()
    last.rmdir()
    again = train(small, points, **SETTINGS, curriculum=grows, folder=tmp_path, resume=True)
    assert same(whole.parameters, again.parameters)


@pytest.mark.parametrize(
    ("batch", "devices", "most", "parts"),
    [(64, 1, 12, 8), (64, 1, 64, 1), (64, 4, 12, 8), (64, 16, 12, 4), (61, 1, 12, 1), (60, 1, 12, 5), (8, 1, 100, 1)],
)
def test_a_batch_goes_into_equal_parts(batch: int, devices: int, most: int, parts: int) -> None:
    assert steps._parts(batch, devices, most) == parts


def test_parts_of_a_batch_make_the_step_of_the_whole(
    small: Model, points: TaskDistribution, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(small, points, **SETTINGS)
    monkeypatch.setattr(steps, "CACHED_BYTES", 2 * steps.widest_bytes(small.config, 9))  # four examples and a query
    steps.stepper_of.cache_clear()
    assert steps.Stepper(small, points, 8, frozenset(), steps.Rule(None, 1e-3, 3, None)).parts == 4
    parts = train(small, points, **SETTINGS)
    steps.stepper_of.cache_clear()
    np.testing.assert_allclose(parts.losses, whole.losses, rtol=1e-5)
    for name, value in whole.parameters.items():
        np.testing.assert_allclose(parts.parameters[name], value, atol=2e-5, err_msg=name)


SHARDED = """
import sys, jax
from innerloop.laboratory.training import steps
steps.CACHED_BYTES = 1  # two parts of four tasks, one on each device
from innerloop.compiler import Weights
from innerloop.laboratory.training.model import Model
from innerloop.laboratory.training.tasks import task
from innerloop.laboratory.training.train import train
assert len(jax.devices()) == 4
found = train(Model.of(Weights.load(sys.argv[1])), task("linear", d=2, n=4), steps=12, batch=8, rate=1e-3, warmup=3)
found.weights.save(sys.argv[2])
try:
    train(found.weights, task("linear", d=2, n=4), steps=1, batch=6)
except Exception as error:
    print(error)
"""


@pytest.mark.slow
def test_the_batch_is_sharded(small: Model, points: TaskDistribution, tmp_path: Path) -> None:
    small.weights(small.parameters).save(tmp_path / "start")
    run = subprocess.run(
        [sys.executable, "-c", SHARDED, str(tmp_path / "start"), str(tmp_path / "done")],
        env={**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=4", "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr
    assert "batch=6: must be a multiple of 4" in run.stdout
    sharded = Model.of(Weights.load(tmp_path / "done")).parameters
    whole = train(small, points, **SETTINGS | {"interval": 1000}).parameters
    for name, value in whole.items():
        np.testing.assert_allclose(sharded[name], value, atol=2e-5, err_msg=name)


# What is learnt ----------------------------------------------------------------------------------


@pytest.mark.slow
def test_one_linear_layer_learns_a_step_of_gradient_descent(dual: Weights) -> None:
    """Zhang et al. 2023: the best one-step predictor is x_qᵀ Γ⁻¹ Σ yx/n, Γ = (1 + 1/n) I + (d/n) I for normal x."""
    stream = task("linear", d=3, n=12)
    rate = 1 / (1 + 1 / 12 + 3 / 12)
    compiled = compile_program(load("gradient_descent_dual"), target="lsa", d=3, rate=rate)
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
    compiled = compile_program(load("gradient_descent_dual"), target="lsa", d=3, rate=2.0)
    losses = train(compiled, stream, steps=300, batch=256, rate=0.02).losses
    assert losses[-20:].mean() < 0.5 * losses[:5].mean()


@pytest.mark.slow
def test_a_fresh_transformer_learns(small: Model, points: TaskDistribution) -> None:
    losses = train(small, points, steps=1500, batch=64, rate=5e-3).losses
    assert losses[-100:].mean() < 0.9 * losses[:50].mean()


# The model ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("untied", [False, True])
@pytest.mark.parametrize(
    ("program", "target"),
    [("gd_plus", "lsa"), ("gradient_descent_alternating", "lsa"), ("gradient_descent", "gpt2"),
     ("gradient_descent", "llama"), ("gradient_descent", "gelu"), ("gradient_descent", "qwen2")],
)  # fmt: skip
def test_the_model_runs_as_the_compiled_weights_do(program: str, target: TargetName, untied: bool) -> None:
    compiled = compile_program(load(program), target=target, d=2, steps=2)
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
    compiled = compile_program(load(name), target=target, d=2, dtype="float64")
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


def test_passes_of_a_loop_share_their_gradient(dual: Weights) -> None:
    looped = compile_program(load("gradient_descent_dual"), target="lsa", d=2, steps=3)
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
    assert same(model.parameters, Model.fresh(weights, 3, n_layer=2, d_model=24, n_head=3, n_positions=12).parameters)
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
    weights = compile_program(load("stochastic_gradient_descent"), d=2, examples=4)
    assert any(isinstance(item, Repeated) and item.turn == "y" for item in weights.body)
    for model in (Model.of(weights), Model.fresh(weights, 0)):
        trained = model.weights(model.parameters)
        assert not any(isinstance(item, Repeated) and item.turn for item in trained.body)
    data = linear_tasks(3, 4, 2)
    tuned = Model.of(weights)
    outputs = Transformer(tuned.weights(tuned.parameters), guard="off")(**data)
    assert np.abs(outputs - Transformer(weights)(**data)).max() < 2 * weights.report.predicted_error
