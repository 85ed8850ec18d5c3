"""A model in other processes and threads, in functions that JAX traces, and with arrays of other libraries."""

from __future__ import annotations

import copy
import os
import pickle
import threading
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from innerloop.artifact.errors import CompileError, DataError
from innerloop.compiler import compile_program
from innerloop.laboratory.training.model import Model
from innerloop.programs import load
from innerloop.runtime import Transformer

from tests.support.processes import python

RNG = np.random.default_rng(0)
X, Y = RNG.uniform(-1, 1, (5, 4, 2)), RNG.uniform(-1, 1, (5, 3))


@pytest.fixture(scope="module")
def model() -> Transformer:
    return Transformer(compile_program(load("gradient_descent"), d=2, steps=1), guard="raise")


# Other processes ---------------------------------------------------------------------------------


@pytest.mark.parametrize("again", [lambda m: pickle.loads(pickle.dumps(m)), copy.deepcopy, copy.copy])
def test_a_model_is_copied(model: Transformer, again: Callable[[Transformer], Transformer]) -> None:
    other = again(model)
    assert repr(other) == repr(model)
    np.testing.assert_array_equal(other(x=X, y=Y), model(x=X, y=Y))


PROLOGUE = """
import multiprocessing, sys
import numpy as np
from innerloop.compiler import compile_program
from innerloop.programs import load
from innerloop.runtime import Transformer

def answer(model):
    return model(x=np.full((3, 2), 0.5), y=np.full(2, 0.5))

def tried(model, queue):
    try:
        queue.put(answer(model).tolist())
    except Exception as error:
        queue.put(f"{type(error).__name__}: {error}")

if __name__ == "__main__":
    model = Transformer(compile_program(load("gradient_descent"), d=2, steps=1))
"""
FORKED = """
    if sys.argv[1] == "after":
        answer(model)
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    child = context.Process(target=tried, args=(model, queue))
    child.start()
    print(queue.get())
    child.join()
    if sys.argv[1] == "after":
        with context.Pool(1) as pool:
            try:
                pool.apply_async(answer, (model,)).get(timeout=60)
            except Exception as error:
                print(f"pool: {type(error).__name__}")
    print((answer(model)).tolist())
"""
SPAWNED = """
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert (pool.apply(answer, (model,)) == answer(model)).all()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_that_was_forked_too_late_says_so(tmp_path: Path) -> None:
    done = python(PROLOGUE + FORKED, "after", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told, pool, answer = done.stdout.splitlines()
    assert told.startswith(
        "InnerloopError: this process was forked from one that had run JAX, where JAX waits for ever"
    )
    assert '"spawn" or "forkserver"' in told.replace('get_context("spawn")', '"spawn"')
    assert pool == "pool: InnerloopError"
    assert answer.startswith("[")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_that_was_forked_in_time_answers(tmp_path: Path) -> None:
    done = python(PROLOGUE + FORKED, "before", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    child, parent = done.stdout.splitlines()
    assert child == parent


@pytest.mark.slow
def test_spawned_processes_take_a_model(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(PROLOGUE + SPAWNED)
    done = python("import runpy, sys; runpy.run_path(sys.argv[1], run_name='__main__')", "main.py", cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_threads_share_a_model(model: Transformer) -> None:
    """Of several lengths: each has bounds of its own."""
    expected = {n: model(x=X[:, :n], y=Y[:, : n - 1]) for n in (2, 3, 4)}
    wrong: list[str] = []

    def work(n: int) -> None:
        try:
            for _ in range(10):
                np.testing.assert_array_equal(model(x=X[:, :n], y=Y[:, : n - 1]), expected[n])
        except BaseException as error:
            wrong.append(repr(error))

    threads = [threading.Thread(target=work, args=(n,)) for n in expected]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


# JAX's transformations ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "use",
    [
        lambda m: jax.jit(lambda x: m(x=x, y=Y))(X),
        lambda m: jax.grad(lambda x: m(x=x, y=Y[0]).sum())(X[0]),
        lambda m: jax.vmap(lambda x, y: m(x=x, y=y))(X, Y),
        lambda m: jax.jit(lambda x: m.trace(x=x, y=Y)["w"])(X),
        lambda m: jax.jit(lambda x: m.stream().push(x=x))(X[0, 0]),
        lambda m: jax.jit(lambda x: m(x=[[x, x]], y=[]))(0.5),
    ],
)
def test_what_is_traced_is_refused_with_what_to_take(model: Transformer, use: Callable[[Transformer], Any]) -> None:
    with pytest.raises(
        DataError, match=r"`x` is traced by JAX .* `apply` of innerloop\.laboratory\.training\.model\.Model"
    ):
        use(model)


def test_numbers_are_computed_within_a_traced_function(model: Transformer) -> None:
    fresh = pickle.loads(pickle.dumps(model))  # nothing of it is on a device yet
    found = jax.jit(lambda z: z + fresh(x=X, y=Y))(1.0)
    np.testing.assert_allclose(found, 1 + model(x=X, y=Y), rtol=1e-6)
    pushed = jax.jit(lambda z: z + fresh.stream().push(x=X[0, 0]))(0.0)
    expected = model.stream().push(x=X[0, 0])
    assert expected is not None
    np.testing.assert_allclose(pushed, expected, rtol=1e-6)


def test_what_the_message_names_is_differentiable(model: Transformer) -> None:
    pure = Model.of(model.weights)
    with pure.precision():
        slope = jax.jit(jax.grad(lambda x: pure.apply(pure.parameters, {"x": x, "y": jnp.asarray(Y)}).sum()))(
            jnp.asarray(X)
        )
    assert np.isfinite(slope).all()
    assert np.abs(slope).max() > 0


# Arrays of other libraries -----------------------------------------------------------------------


def test_arrays_of_any_kind(model: Transformer) -> None:
    torch, pandas = pytest.importorskip("torch"), pytest.importorskip("pandas")
    expected = model(x=X, y=Y)
    readonly = X.copy()
    readonly.flags.writeable = False
    kinds: dict[str, Any] = {
        "list": X.tolist(), "big-endian": X.astype(">f8"), "float16": X.astype("f2"), "long": X.astype("g"),
        "objects": X.astype(object), "read-only": readonly, "Fortran": np.asfortranarray(X), "masked": np.ma.array(X),
        "decimals": np.array([Decimal(str(v)) for v in X.flat]).reshape(X.shape),
        "fractions": np.array([Fraction(v) for v in X.flat]).reshape(X.shape),
        "jax": jnp.asarray(X), "bfloat16": jnp.asarray(X, jnp.bfloat16), "torch": torch.tensor(X),
        "views": X[:, ::-1][:, ::-1],
    }  # fmt: skip
    for name, given in kinds.items():
        np.testing.assert_allclose(model(x=given, y=Y), expected, atol=1e-2, err_msg=name)
    with jax.enable_x64(True):
        np.testing.assert_allclose(model(x=jnp.asarray(X), y=jnp.asarray(Y)), expected, atol=1e-6)
    frame = pandas.DataFrame(X[0], columns=["a", "b"])
    for table in (frame, frame.convert_dtypes()):
        np.testing.assert_allclose(model(x=table, y=Y[0]), expected[0], atol=1e-6)


class _Hostile:
    def __array__(self, *_: object, **__: object) -> Any:
        raise KeyError("not today")


def _nested() -> list[Any]:
    found: list[Any] = []
    for _ in range(5000):
        found = [found]
    return found


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (X + 1j, "holds complex128 values"), ("text", "holds 'text'"),
        (X.astype(str), r"holds '[-.0-9]+' at \[0, 0, 0\]"),
        (None, "has shape"), ({1: 2}, "wanted numbers"), (object(), "wanted numbers"), ([[10**400]], "wanted numbers"),
        ([[1.0, 2.0], [1.0]], "its rows differ in length"), (_nested(), "is no array"), (_Hostile(), "not today"),
        (np.zeros((5, 4, 2), "M8[s]"), "wanted numbers"), (np.zeros((5, 4), [("a", "f8")]), "wanted numbers"),
    ],
)  # fmt: skip
def test_what_is_no_array_is_refused(model: Transformer, given: Any, said: str) -> None:
    with pytest.raises(DataError, match=said) as caught:
        model(x=given, y=Y)
    assert "`x`" in str(caught.value)
    assert len(str(caught.value)) < 400
    with pytest.raises(DataError):
        model.stream().push(x=given)


def test_tensors_that_are_not_here_are_refused(model: Transformer) -> None:
    torch = pytest.importorskip("torch")
    for tensor, said in (
        (torch.tensor(X, requires_grad=True), "requires grad"),
        (torch.tensor(X, device="meta"), "meta device"),
        (torch.tensor(X).to_sparse(), "Sparse layout"),
    ):
        with pytest.raises(DataError, match=said):
            model(x=tensor, y=Y)


def test_parameters_of_any_kind() -> None:
    """The compiler's too: a number of any library, or one error."""
    for rate in (np.float32(0.1), np.array(0.1), jnp.asarray(0.1)):
        weights = compile_program(load("gradient_descent"), d=2, steps=1, rate=rate)
        assert weights.signature.parameters["rate"] == pytest.approx(0.1)
    for wrong in (_Hostile(), [[1.0], [1.0, 2.0]], None, "fast", 1j, 10**400):
        with pytest.raises(CompileError, match="parameter `rate`"):
            compile_program(load("gradient_descent"), d=2, steps=1, rate=wrong)
