"""Little data runs without JAX: the same outputs within the certificate, the same words of the guard, no JAX loaded."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from innerloop.compiler.interpreter.default_tasks import draw
from innerloop.programs import load
from innerloop.runtime import Transformer
from innerloop.runtime.unjitted import Unjitted
from numpy.typing import NDArray

from tests.support.shared import compiled_once

CASES: list[tuple[str, Any, dict[str, Any]]] = [
    ("stochastic_gradient_descent", "gpt2", {"d": 1, "examples": 3}),
    ("gradient_descent", "llama", {"d": 1, "steps": 1}),
    ("gradient_descent_dual", "lsa", {"d": 2, "steps": 2}),
    ("nearest_neighbour", "gpt2", {"d": 2}),
]


def answered(
    model: Transformer | Unjitted, fields: dict[str, NDArray[np.float64]]
) -> tuple[NDArray[np.float64], list[str]]:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = model(**fields)
    assert found is not None
    assert {Path(each.filename).name for each in said} <= {Path(__file__).name}
    texts = [str(each.message) for each in said]
    return found, [text.split(" reached ")[0] for text in texts if " reached " in text]


@pytest.mark.parametrize(("name", "target", "parameters"), CASES)
def test_it_answers_and_warns_as_the_jitted_pass_does(name: str, target: Any, parameters: dict[str, Any]) -> None:
    weights = compiled_once(load(name), target=target, **parameters)
    fields = draw(weights.signature, 3, 4, 7)
    ours, jitted = (answered(model, fields)[0] for model in (Unjitted(weights), Transformer(weights)))
    np.testing.assert_allclose(ours, jitted, rtol=0, atol=2 * weights.report.predicted_error)
    wild = {field: 5.0 * values for field, values in fields.items()}
    said, told = (answered(model, wild)[1] for model in (Unjitted(weights), Transformer(weights)))
    assert len(said) > 1
    assert said == told


def test_much_data_is_left_to_jax() -> None:
    weights = compiled_once(load("averaging"), d=2)
    assert Unjitted(weights)(**draw(weights.signature, 40, 8, 7)) is not None
    assert Unjitted(weights)(**draw(weights.signature, 400, 8_000, 7)) is None


def test_the_command_loads_no_jax(tmp_path: Path) -> None:
    weights = compiled_once(load("averaging"), d=2)
    weights.save(tmp_path / "w")
    fields: dict[str, Any] = {**draw(weights.signature, 3, 2, 7)}
    np.savez(tmp_path / "data.npz", **fields)
    run = f"main(['run', {str(tmp_path / 'w')!r}, '--data', {str(tmp_path / 'data.npz')!r}])"
    code = f"import sys; from innerloop.commands.cli import main; {run}; sys.exit('jax' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
