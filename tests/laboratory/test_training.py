"""Training: runs that resume, diverge, freeze and grow, and what they learn."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from innerloop.artifact.errors import DataError, InnerloopError
from innerloop.compiler import Weights
from innerloop.laboratory.training import checkpoint, pace, steps
from innerloop.laboratory.training.curriculum import Curriculum
from innerloop.laboratory.training.model import Model
from innerloop.laboratory.training.tasks import TaskDistribution, task
from innerloop.laboratory.training.train import DivergenceError, train
from innerloop.runtime.arrays import halved
from innerloop.runtime.surroundings import key

SETTINGS: dict[str, Any] = {"steps": 12, "batch": 8, "rate": 1e-3, "warmup": 3, "interval": 4}


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


@pytest.mark.slow
def test_a_curriculum_grows_and_resumes(
    small: Model, points: TaskDistribution, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, written = checkpoint.write, list[int]()

    def noted(folder: Path, kept: checkpoint.Checkpoint) -> Path:
        written.append(kept.step)
        return write(folder, kept)

    monkeypatch.setattr(checkpoint, "write", noted)
    grows = Curriculum(dimensions=1, points=1, more_points=1, every=3)
    assert [grows.at(step, points) for step in (0, 2, 3, 5, 6, 9, 99)] == [
        (1, 1), (1, 1), (2, 2), (2, 2), (3, 2), (4, 2), (4, 2),
    ]  # fmt: skip
    whole = train(small, points, **SETTINGS, curriculum=grows, folder=tmp_path)
    assert written == [3, 4, 6, 8, 9, 12]  # before what XLA compiles, and at the intervals; at none twice
    assert not same(whole.parameters, train(small, points, **SETTINGS).parameters)
    last = checkpoint.found(tmp_path)[-1]
    for path in last.iterdir():
        path.unlink()
    last.rmdir()
    again = train(small, points, **SETTINGS, curriculum=grows, folder=tmp_path, resume=True)
    assert same(whole.parameters, again.parameters)
    written.clear()
    train(small, points, **{**SETTINGS, "interval": 3}, curriculum=grows, folder=tmp_path / "other")
    assert written == [3, 6, 9, 12]
    with pytest.raises(InnerloopError, match="one dimension"):
        Curriculum().verify(task("sine"))


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


def test_decay_shrinks_matrices_alone(small: Model, points: TaskDistribution) -> None:
    """Each step takes rate · decay = 1/20 of a matrix, besides what Adam does."""
    settings = {**SETTINGS, "rate": 1e-3, "warmup": 0, "schedule": "constant"}
    plain, decayed = (train(small, points, **settings, decay=decay) for decay in (0.0, 50.0))
    for name, before in small.parameters.items():
        a, b = (float(np.linalg.norm(found.parameters[name])) for found in (plain, decayed))
        if before.ndim > 1:
            assert b < 0.9 * a, name
        elif name.endswith("gain"):
            assert b == pytest.approx(a, rel=0.02), name
    with pytest.raises(InnerloopError, match=r"decay=-1: must be a number of at least 0"):
        train(small, points, **SETTINGS, decay=-1)


def test_factors_are_rounded_in_the_pass_and_its_gradient_where_it_is_asked_for(
    small: Model, points: TaskDistribution
) -> None:
    fields = points.sample(key(0), 4)

    def products() -> list[str]:
        slope = jax.grad(lambda moving: points.loss(small.apply(moving, fields), fields))
        return re.findall(r"dot_general\[.*?precision=(\S+)", str(jax.make_jaxpr(slope)(small.parameters)), re.DOTALL)

    with halved():
        rounded = products()
    assert len(rounded) == len(products())
    assert len(rounded) > 20
    assert all("BF16_BF16_F32" in each for each in rounded)
    assert not any("BF16" in each for each in products())
    with pytest.raises(InnerloopError, match="products=bfloat16: a CPU multiplies in float32"):
        train(small, points, **SETTINGS, products="bfloat16")


def test_patience_ends_a_run_that_learns_nothing_and_it_resumes_to_the_same(
    small: Model, points: TaskDistribution, tmp_path: Path
) -> None:
    settings = {**SETTINGS, "rate": 1e-30, "steps": 60, "schedule": "constant"}
    found = train(small, points, **settings, patience=2, folder=tmp_path)
    means = found.losses.reshape(-1, 4).mean(1)
    assert found.losses.size < 60
    assert means.size - 1 - means.argmin() == 2
    assert found.norms is not None
    assert found.norms.shape == found.losses.shape
    again = train(small, points, **settings, patience=2, folder=tmp_path, resume=True)
    np.testing.assert_array_equal(again.losses, found.losses)
    with pytest.raises(InnerloopError, match="patience=0"):
        train(small, points, **settings, patience=0)


def test_a_call_lasts_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("innerloop.laboratory.training.pace.time.monotonic", lambda: now[0])
    found = pace.Pace(100)
    for seconds, wanted in ((9.0, 1), (0.01, 4), (0.02, 16), (0.1, 64), (0.5, 51), (0.01, 100), (60.0, 1)):
        with found.counting(found.steps):
            now[0] += seconds
        assert found.steps == wanted
