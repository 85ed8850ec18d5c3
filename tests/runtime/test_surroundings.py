"""The same numbers whatever surrounds a process, and one message where it cannot run."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import jax
import numpy as np
import pytest
from innerloop.artifact.errors import InnerloopError
from innerloop.compiler import compile_program
from innerloop.laboratory.training.model import Model
from innerloop.laboratory.training.tasks import task
from innerloop.laboratory.training.train import train
from innerloop.programs import load
from innerloop.runtime import Transformer
from innerloop.runtime.surroundings import key, settled

from tests.support.processes import command, python

TRAIN = ["train", "gradient_descent_dual", "-p", "d=2", "--target", "lsa", "--task", "linear", "-t", "n=4",
         "--steps", "6", "--batch", "4", "-o", "trained"]  # fmt: skip

SETTINGS = {
    "generator": {"JAX_DEFAULT_PRNG_IMPL": "rbg"},
    "another generator, and its keys": {"JAX_DEFAULT_PRNG_IMPL": "unsafe_rbg", "JAX_THREEFRY_PARTITIONABLE": "0",
                                        "JAX_RANDOM_SEED_OFFSET": "7"},
    "ranks and float64": {"JAX_NUMPY_RANK_PROMOTION": "raise", "JAX_NUMPY_DTYPE_PROMOTION": "strict",
                          "JAX_ENABLE_X64": "1"},
    "no jit": {"JAX_DISABLE_JIT": "1"},
    "debugging": {"JAX_DEBUG_NANS": "1", "JAX_DEBUG_INFS": "1", "JAX_ENABLE_CHECKS": "1",
                  "JAX_CHECK_TRACER_LEAKS": "1", "JAX_TRANSFER_GUARD": "disallow"},
    "low precision, and warnings are errors": {"JAX_DEFAULT_MATMUL_PRECISION": "bfloat16", "PYTHONWARNINGS": "error"},
    "locale, terminal and no home": {"LC_ALL": "C", "PYTHONIOENCODING": "ascii", "NO_COLOR": "1", "COLUMNS": "20",
                                     "TZ": "Asia/Tokyo", "HOME": "", "PYTHONHASHSEED": "3", "OMP_NUM_THREADS": "1",
                                     "TMPDIR": "/nowhere"},
}  # fmt: skip


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The weights that a process trains which nothing surrounds."""
    folder = tmp_path_factory.mktemp("bare")
    done = command(*TRAIN, cwd=folder)
    assert done.returncode == 0, done.stderr
    return (folder / "trained" / "model.safetensors").read_bytes()


@pytest.mark.parametrize(
    "settings",
    [pytest.param(name, marks=[pytest.mark.slow] if k > 1 else []) for k, name in enumerate(SETTINGS)],
)
def test_training_gives_the_same_bytes(bare: bytes, settings: str, tmp_path: Path) -> None:
    done = command(*TRAIN, cwd=tmp_path, **SETTINGS[settings])
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert (tmp_path / "trained" / "model.safetensors").read_bytes() == bare


@pytest.mark.parametrize("name", ["JAX_PLATFORMS", "JAX_PLATFORM_NAME"])
def test_a_backend_that_is_not_there_is_named(name: str, tmp_path: Path) -> None:
    done = command(
        *TRAIN, cwd=tmp_path, **{"JAX_PLATFORMS": "", name: "cuda" if name == "JAX_PLATFORMS" else "nothing"}
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert f"{name}=" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_calls_do_not_mind_settings() -> None:
    """Those that are switched within a process: the answers are the same to the bit, and the settings stay."""
    weights = compile_program(load("gradient_descent"), d=2, steps=1)
    points = task("linear", d=2, n=4)
    fields = {name: value / 4 for name, value in points.drawn(3, 0).items()}

    def answers() -> list[np.ndarray]:
        model = Transformer(weights)
        stream = model.stream()
        pushed = [stream.push(x=fields["x"][0, 0]), stream.push(y=fields["y"][0, 0]), stream.push(x=fields["x"][0, 1])]
        start = Model.fresh(weights, 0, n_layer=1, d_model=16, n_head=2)
        trained = train(start, points, steps=3, batch=4)
        applied = np.asarray(Model.of(weights).apply(Model.of(weights).parameters, fields))
        drawn = points.drawn(2, 1)["x"]
        return [model(**fields), *(p for p in pushed if p is not None), trained.losses, applied, drawn]

    plain = answers()
    with ExitStack() as stack:
        for setting in (
            jax.enable_x64(True), jax.numpy_rank_promotion("raise"), jax.numpy_dtype_promotion("strict"),
            jax.default_prng_impl("rbg"), jax.default_matmul_precision("bfloat16"), jax.debug_nans(True),
            jax.transfer_guard("disallow"), np.errstate(all="raise"),
        ):  # fmt: skip
            stack.enter_context(setting)
        for one, other in zip(plain, answers(), strict=True):
            np.testing.assert_array_equal(one, other)


def test_settled_gives_the_users_settings_back() -> None:
    with jax.enable_x64(True), np.errstate(all="raise"):
        with settled("float32"):
            assert jax.numpy.ones(1).dtype == np.float32
            assert np.geterr()["over"] == "ignore"
        assert jax.numpy.ones(1).dtype == np.float64
        assert np.geterr()["over"] == "raise"


def test_keys_are_jaxs_own() -> None:
    for seed in (0, 1, 2**31, 2**32 - 1):
        np.testing.assert_array_equal(jax.random.key_data(key(seed)), jax.random.key_data(jax.random.key(seed)))


@pytest.mark.parametrize("seed", [-1, 2**32, 1.5, True, "one"])
def test_seeds_are_verified(seed: object) -> None:
    weights = compile_program(load("gradient_descent_dual"), target="lsa", d=2)
    for use in (
        lambda: key(seed),  # type: ignore[arg-type]
        lambda: Model.fresh(weights, seed),  # type: ignore[arg-type]
        lambda: train(weights, task("linear", d=2, n=4), steps=1, seed=seed),  # type: ignore[arg-type]
    ):
        with pytest.raises(InnerloopError, match=r"seed=.*: must be a whole number from 0 to 4294967295"):
            use()


DEVICES = """
import numpy as np
from innerloop.compiler import compile_program
from innerloop.programs import load
from innerloop.runtime import Transformer
model = Transformer(compile_program(load("gradient_descent"), d=2, steps=1))
rng = np.random.default_rng(0)
np.save("out.npy", model(x=rng.uniform(-1, 1, (5, 4, 2)), y=rng.uniform(-1, 1, (5, 3))))
"""


@pytest.mark.slow
def test_several_devices_answer_as_one(tmp_path: Path) -> None:
    answers = []
    for flags in ("", "--xla_force_host_platform_device_count=3"):
        done = python(DEVICES, cwd=tmp_path, XLA_FLAGS=flags, JAX_PLATFORMS="cpu")
        assert done.returncode == 0, done.stderr
        answers.append(np.load(tmp_path / "out.npy"))
    np.testing.assert_allclose(answers[0], answers[1], atol=1e-6)
