"""`diff`: the trace against the oracle, name by name and layer by layer, and what it finds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from innerloop.artifact.arrays import Dtype
from innerloop.artifact.parts import Attention, Idle, LinearAttention, Mlp, Repeated
from innerloop.artifact.sparse import Matrix
from innerloop.artifact.weights import Weights
from innerloop.artifact.words import TargetName
from innerloop.compiler import DataError
from innerloop.programs import load
from innerloop.runtime import Transformer

from tests.reference import CASES, REGRESSIONS, Case, case_of, targets
from tests.reference.measured import compiled
from tests.support.commands import Command, npz
from tests.support.shared import compiled_once

D, EXAMPLES = 3, 4
SETTINGS: dict[str, dict[str, Any]] = {
    "stochastic_gradient_descent": {"examples": EXAMPLES},
    "sherman_morrison": {"examples": EXAMPLES, "ridge": 0.1},
}


def data(name: str, tasks: int = 8) -> dict[str, Any]:
    fields = case_of(name).data(seed=5, tasks=tasks)
    if name in SETTINGS:
        fields = {"x": fields["x"][:, : EXAMPLES + 1], "y": fields["y"][:, :EXAMPLES]}
    return fields


def shipped(name: str, target: TargetName, **options: Any) -> Weights:
    return compiled_once(load(name), target=target, d=D, **SETTINGS.get(name, {}), **options)


DTYPES: dict[str, Dtype] = {"gpt2": "float32", "llama": "float32", "gelu": "float64", "lsa": "float64"}
"""Of the other, the outputs alone are held to what is predicted (test_certificates.py). Every compile holds every value
against the oracle (certify/validate.py); here that is asked of the pass that users run."""


def turns(k: int, program: str) -> list[TargetName]:
    """One target of each program, the next of the next program, and lsa where it holds it."""
    held = targets(program)
    return [t for t in held if t in (held[k % len(held)], "lsa")]


@pytest.mark.parametrize(
    ("name", "target"), [(name, target) for k, name in enumerate(REGRESSIONS) for target in turns(k, name)]
)
def test_every_value_of_the_shipped_programs_is_within_its_bound(name: str, target: TargetName) -> None:
    weights = shipped(name, target)
    found = Transformer(weights, guard="off").diff(**data(name))
    assert found.first is None, found.first
    ends = [number for number, _ in weights.unrolled()][1::2]
    held = {p.name for p in weights.layout if p.kinds and any(p.first <= end <= p.last for end in ends)}
    assert {d.name for d in found.differences} == held | {weights.output.name}
    assert max(d.layer for d in found.differences if d.layer is not None) == weights.config.n_layer - 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "target", "dtype"),
    [
        pytest.param(c, t, DTYPES[t], id=f"{c.program}-{t}-{DTYPES[t]}")
        for k, c in enumerate(CASES)
        for t in turns(k, c.program)
    ],
)
def test_every_value_of_every_program_is_within_its_bound(case: Case, target: TargetName, dtype: Dtype) -> None:
    weights = compiled(case, target, dtype)
    found = Transformer(weights, guard="off").diff(case.sample(), **case.data(seed=0, tasks=16))
    assert found.first is None, found.first


def corrupted(weights: Weights, name: str) -> tuple[Weights, int]:
    """A sublayer that writes `name` writes one entry a half too large; and the layer where that first happens."""
    stored = list(weights.sublayers())
    for placement in weights.layout:
        sublayer = stored[max(placement.first, 0)]
        slots = np.unique(placement.matrix.csr.tocoo().coords[0])
        if placement.name != name or isinstance(sublayer, Idle):
            continue
        csr = (sublayer.down if isinstance(sublayer, Mlp) else sublayer.output).csr
        entries = np.flatnonzero(np.isin(csr.indices, slots))
        if entries.size:
            entry = int(entries[np.abs(csr.data[entries]).argmax()])
            body, _ = _corrupted(weights.body, placement.first, entry, 0)
            order = [number for number, _ in weights.unrolled()]
            return replace(weights, body=body), order.index(placement.first) // 2
    raise AssertionError(f"no sublayer writes {name}")


def _corrupted(body: Any, number: int, entry: int, start: int) -> tuple[Any, int]:
    items = []
    for item in body:
        if isinstance(item, Repeated):
            inner, start = _corrupted(item.body, number, entry, start)
            items.append(replace(item, body=inner))
            continue
        if start == number:
            assert isinstance(item, Mlp | Attention | LinearAttention)
            csr = (item.down if isinstance(item, Mlp) else item.output).csr.copy()
            csr.data[entry] *= 1.5
            item = replace(item, down=Matrix(csr)) if isinstance(item, Mlp) else replace(item, output=Matrix(csr))
        items.append(item)
        start += 1
    return tuple(items), start


@pytest.mark.parametrize(
    ("program", "target", "name"),
    [
        ("gradient_descent_dual", "lsa", "r"),
        ("gradient_descent", "gpt2", "w"),
        ("sherman_morrison", "gpt2", "s"),
        ("sherman_morrison", "gpt2", "P"),
    ],
)
def test_a_corrupt_weight_is_found_where_it_is(program: str, target: TargetName, name: str) -> None:
    weights, layer = corrupted(shipped(program, target), name)
    first = Transformer(weights, guard="off").diff(**data(program)).first
    assert first is not None
    assert (first.layer, first.name) == (layer, name)
    assert first.error > first.bound


def test_weights_with_a_tolerance_and_of_the_narrowest_stream_are_compiled_again(tmp_path: Path) -> None:
    shipped("gradient_descent", "gpt2", tolerance=1e-2, optimize="width").save(tmp_path / "saved")
    weights = Weights.load(tmp_path / "saved")
    made = weights.report.certificate
    assert made is not None
    assert (made.optimize, made.tolerance) == ("width", 1e-2)
    assert Transformer(weights, guard="off").diff(**data("gradient_descent")).first is None


def test_the_callers_calibration_is_asked_for_and_must_be_the_same() -> None:
    sample = data("gradient_descent", 64)
    model = Transformer(shipped("gradient_descent", "gpt2", calibration=sample))
    assert model.diff(sample, **data("gradient_descent")).first is None
    with pytest.raises(DataError, match="give the same data again"):
        model.diff(**data("gradient_descent"))
    with pytest.raises(DataError, match="made from other calibration data"):
        model.diff({k: 2.0 * v for k, v in sample.items()}, **data("gradient_descent"))
    with pytest.raises(DataError, match="give none"):
        Transformer(shipped("gradient_descent", "gpt2")).diff(sample, **data("gradient_descent"))


def test_the_command(innerloop: Command, tmp_path: Path) -> None:
    weights = shipped("sherman_morrison", "gpt2")
    weights.save(tmp_path / "good")
    bad_weights, layer = corrupted(weights, "P")
    bad_weights.save(tmp_path / "bad")
    tasks = npz(tmp_path / "tasks.npz", **data("sherman_morrison"))
    good = innerloop("diff", tmp_path / "good", "--data", tasks)
    assert good.status == 0, good
    assert "every value is within its bound" in good.out
    bad = innerloop("diff", tmp_path / "bad", "--data", tasks, "--layers")
    assert bad.status == 1
    assert f"first beyond its bound: P after layer {layer}" in bad.out
    assert bad.err == "" or "warning" in bad.err
