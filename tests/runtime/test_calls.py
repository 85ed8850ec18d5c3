"""What stands around a forward pass: precisions, chunks, devices, batches, and settings that are refused."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from dataclasses import replace
from typing import Any

import jax
import numpy as np
import pytest
from innerloop.artifact.errors import DataError, InnerloopError
from innerloop.compiler.interpreter.chunks import chunk_size
from innerloop.runtime import Transformer
from innerloop.runtime.forward import forward

from tests.support.by_the_book import tasks
from tests.support.random_weights import tree


def test_float64_beside_float32_leaves_the_users_setting_alone() -> None:
    weights = tree(2)
    data = tasks(3)
    before = jax.numpy.ones(1).dtype
    double, single = Transformer(weights, "float64"), Transformer(weights, "float32")
    exact, rounded = double(**data), single(**data)
    assert exact.dtype == np.float64
    assert rounded.dtype == np.float32
    assert 0 < np.abs(exact - rounded).max() < 1e-5
    assert np.array_equal(double(**data), exact)
    assert jax.numpy.ones(1).dtype == before


def test_a_large_batch_in_chunks_of_one_size_is_compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = tree(3)
    data = tasks(50)
    whole = Transformer(weights)(**data)
    monkeypatch.setattr("innerloop.runtime.calls.afford.CACHED_BYTES", 8 * 12 * 24 * 4)
    done: list[tuple[int, int]] = []
    model = Transformer(weights, on_chunk=lambda *progress: done.append(progress))
    model(**data)
    compiled = forward.traces
    assert np.abs(model(**data) - whole).max() < 1e-6
    assert forward.traces == compiled
    assert done[-1] == (50, 50)
    assert len(done) // 2 > 3


def test_devices_share_a_batch() -> None:
    """Two devices of the host's: the same outputs, in a process of its own since devices are set once. One that JAX is
    told to use by default is used alone."""
    code = (
        "import jax, numpy as np; from tests.support import random_weights as r;"
        "from innerloop.runtime import Transformer; assert len(jax.devices()) == 2;"
        "g = np.random.default_rng(0); x, y = g.standard_normal((7, 6, 3)), g.standard_normal((7, 5));"
        "m = Transformer(r.tree(3)); m.trace(x=x, y=y); print(m(x=x, y=y).astype(float).tobytes().hex())\n"
        "for chosen in (jax.devices()[1], 'cpu'):\n"
        "    with jax.default_device(chosen):\n"
        "        m = Transformer(r.tree(3)); m(x=x, y=y)\n"
        "    assert m.parameters.embedding.devices() == {jax.devices()[int(chosen != 'cpu')]}"
    )
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    environment = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=2", "JAX_PLATFORMS": "cpu"}
    run = subprocess.run([sys.executable, "-c", code], cwd=root, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    output = np.frombuffer(bytes.fromhex(run.stdout.strip())).reshape(7, 6)
    assert np.abs(output - Transformer(tree(3))(**tasks(7))).max() < 1e-6


HOST = """
import sys, jax, numpy as np
jax.distributed.initialize(sys.argv[1], 2, int(sys.argv[2]))
from tests.support import random_weights as r
from innerloop.runtime import Transformer
assert len(jax.devices()) == 2 and len(jax.local_devices()) == 1
g, mine = np.random.default_rng(0), slice(4 * int(sys.argv[2]), None if sys.argv[2] == "1" else 4)
x, y = g.standard_normal((7, 6, 3)), g.standard_normal((7, 5))
print(Transformer(r.tree(3))(x=x[mine], y=y[mine]).astype(float).tobytes().hex())
"""


@pytest.mark.slow
def test_processes_of_jax_distributed_run_their_own_tasks_on_their_own_devices() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    both = [
        subprocess.Popen(
            [sys.executable, "-c", HOST, address, rank], cwd=root, env={**os.environ, "JAX_PLATFORMS": "cpu"},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for rank in "01"
    ]  # fmt: skip
    told = [host.communicate(timeout=300) for host in both]
    assert [host.returncode for host in both] == [0, 0], told
    output = np.frombuffer(bytes.fromhex("".join(out.split()[-1] for out, _ in told))).reshape(7, 6)
    assert np.abs(output - Transformer(tree(3))(**tasks(7))).max() < 1e-6


def test_data_without_a_batch_gives_an_output_without_one() -> None:
    model = Transformer(tree(1))
    data = tasks(1)
    assert np.array_equal(model(**{name: values[0] for name, values in data.items()}), model(**data)[0])


def test_a_sequence_longer_than_the_weights_is_refused() -> None:
    with pytest.raises(DataError, match=r"`x y` 40 times, 81 tokens; .* at most 31 times, 63 tokens"):
        Transformer(tree(1))(**tasks(1, examples=40))


@pytest.mark.parametrize(("dtype", "guard"), [("float8", "warn"), (None, "loud")])
def test_unknown_settings_are_refused(dtype: Any, guard: Any) -> None:
    with pytest.raises(InnerloopError, match="must be"):
        Transformer(tree(1), dtype, guard)


@pytest.mark.parametrize(
    ("name", "value", "known"),
    [
        ("attention", "local", "'softmax' or 'linear' or 'delta'"),
        ("activation", "relu", "'gelu_tanh' or 'silu' or 'gelu_erf' or 'none'"),
        ("norm", "batchnorm", "'layernorm' or 'rmsnorm' or 'dividing' or 'none'"),
        ("positions", "relative", "'learned' or 'rotary'"),
    ],
)
def test_another_architecture_is_refused(name: str, value: str, known: str) -> None:
    weights = tree(1)
    other: Any = {name: value}
    with pytest.raises(InnerloopError, match=f"the weights have {name} '{value}'; this runtime runs {known}$"):
        Transformer(replace(weights, config=replace(weights.config, **other)))


@pytest.mark.parametrize(
    ("tasks", "most", "size"),
    [(1, 50, 1), (3, 50, 4), (9, 50, 10), (12, 12, 12), (13, 12, 8), (33, 50, 40), (99, 12, 12)],
)
def test_chunks_are_even_and_of_few_sizes(tasks: int, most: int, size: int) -> None:
    assert chunk_size(tasks, most) == size
    assert -(-tasks // size) == -(-tasks // most)
