"""Devices that share the weights: each holds a part, and together they give what one gives."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from innerloop.artifact.errors import InnerloopError
from innerloop.runtime import Transformer

from tests.support.random_weights import tree

EIGHT = """
import jax, numpy as np
from innerloop.compiler import compile_program
from innerloop.programs import load
from innerloop.runtime import Transformer
from tests.support.random_weights import tree
assert len(jax.devices()) == 8
g = np.random.default_rng(0)
cases = [tree(3)]
cases.append(compile_program(load("nesterov"), d=3, steps=2))
cases.append(compile_program(load("stochastic_gradient_descent"), target="deltanet", d=3))
for weights in cases:
    x = g.uniform(-1, 1, (3, 6, 3))
    data = {"x": x, "y": x[:, :5] @ g.uniform(-1, 1, 3)}
    shared = Transformer(weights, share="weights")
    here, bytes_of = shared(**data), lambda leaf, k: leaf.addressable_shards[k].data.nbytes
    with jax.default_device(jax.devices()[0]):
        whole = Transformer(weights)
        alone = whole(**data)
    scale = max(e.predicted_error for e in weights.report.each)
    assert np.abs(here - alone).max() <= max(scale, 1e-6), (np.abs(here - alone).max(), scale)
    ours, theirs = shared.trace(**data), whole.trace(**data)
    assert all(np.allclose(ours[name], theirs[name], atol=1e-4, equal_nan=True) for name in theirs.names)
    steps = jax.tree.leaves(shared.parameters.steps)
    each = [sum(bytes_of(leaf, k) for leaf in steps) for k in range(8)]
    print(max(each) / sum(leaf.nbytes for leaf in jax.tree.leaves(whole.parameters.steps)))
"""


@pytest.mark.slow
def test_eight_devices_hold_what_one_does() -> None:
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    environment = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=8", "JAX_PLATFORMS": "cpu"}
    run = subprocess.run([sys.executable, "-c", EIGHT], cwd=root, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    shares = [float(line) for line in run.stdout.split()]
    assert len(shares) == 3
    assert shares[1] < 0.2 < 1.0 > max(shares), shares  # lists of slots, biases and norms are whole on each


def test_one_device_has_all_of_it() -> None:
    weights = tree(2)
    data = {"x": np.ones((2, 4, 3)), "y": np.ones((2, 3))}
    assert np.array_equal(Transformer(weights, share="weights")(**data), Transformer(weights)(**data))


def test_what_is_not_shared() -> None:
    with pytest.raises(InnerloopError, match="share is 'layers'; it must be 'tasks' or 'weights'"):
        Transformer(tree(1), share="layers")  # type: ignore[arg-type]
