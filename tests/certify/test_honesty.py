"""The honesty benchmark: its families keep to what a program declares, and its verdicts tell right from wrong."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from innerloop.artifact.signature import Signature
from innerloop.artifact.tokens import read_data
from innerloop.artifact.words import TargetName
from innerloop.compiler.ir.build import graph_of
from innerloop.runtime import Transformer

from benchmarks.honesty.cells import Cell, kept, wrong
from benchmarks.honesty.tasks import cells_of, count
from benchmarks.support.families import FAMILIES, Data, draw
from tests.reference import case_of, source
from tests.reference.measured import compiled

ENDS = {"x": (-4.0, 3.0), "y": (-8.0, 9.0)}


def signature_of(program: str) -> Signature:
    return graph_of(source(program), case_of(program).parameters).signature


@pytest.mark.parametrize(
    "program", ["gradient_descent", "fast_weights", "perceptron", "bigram", "mlp_gradient_descent"]
)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_is_data_of_the_program_within_its_declared_ranges(program: str, family: str) -> None:
    signature = signature_of(program)
    for groups in FAMILIES[family].groups or (8,):
        data = draw(FAMILIES[family], signature, ENDS, groups, 6, seed=3)
        if data is None:
            assert program == "bigram" or family not in ("scale 3", "cauchy", "corners")
            continue
        assert read_data(signature, data).batch == 6
        for spec in signature.fields:
            if spec.low is not None and spec.high is not None:
                assert data[spec.name].min() >= spec.low
                assert data[spec.name].max() <= spec.high
            if spec.onehot:
                assert set(np.unique(data[spec.name])) <= {0.0, 1.0}


def drawn(family: str, groups: int = 400, tasks: int = 3) -> Data:
    data = draw(FAMILIES[family], signature_of("gradient_descent"), ENDS, groups, tasks, seed=5)
    assert data is not None
    return data


def residual(data: Data) -> float:
    """Root mean square of what no linear function of x explains of y."""
    left = [np.linalg.lstsq(x[:-1], y, rcond=None)[1] / len(y) for x, y in zip(data["x"], data["y"], strict=True)]
    return float(np.sqrt(np.mean(left)))


def test_families_are_what_they_are_called() -> None:
    assert residual(drawn("default")) < 1e-12
    assert residual(drawn("noise 0.5")) == pytest.approx(0.5, rel=0.1)
    assert residual(drawn("noise 3")) == pytest.approx(3.0, rel=0.1)
    assert np.all(drawn("intercept")["x"][..., 0] == 1.0)
    assert set(np.unique(drawn("integers")["x"])) == set(range(6))
    assert np.corrcoef(drawn("corr 0.95")["x"][0].T)[0, 1] == pytest.approx(0.95, abs=0.02)
    assert drawn("scale 3")["x"].std() == pytest.approx(3.0, rel=0.1)
    assert drawn("scale 0.001")["y"].std() < 1e-2
    assert np.abs(drawn("uniform")["x"]).max() < 1.74
    assert np.abs(drawn("cauchy")["x"]).max() > 100
    corners = drawn("corners")
    assert set(np.unique(corners["x"])) == {-4.0, 3.0}
    assert set(np.unique(corners["y"])) == {-8.0, 9.0}
    assert np.sum(np.isin(drawn("outlier")["y"], [-8.0, 9.0]), axis=1).tolist() == [1, 1, 1]
    near = drawn("near ties", groups=8)
    apart = np.abs(near["x"][0, 0:8:2] - near["x"][0, 1:8:2]).max()
    assert 0 < apart < 0.5
    zeros = drawn("zeros", groups=8)
    assert not zeros["x"][0].any()
    assert np.all(zeros["x"][1] == zeros["x"][1, :1])


def test_label_noise_is_no_family_of_a_program_without_labels() -> None:
    assert draw(FAMILIES["noise 1"], signature_of("oja"), {}, 8, 4, seed=1) is None
    assert draw(FAMILIES["cauchy"], signature_of("bigram"), {}, 8, 4, seed=1) is None


def test_verdicts() -> None:
    """Tasks like the calibration's are right and too large ones are warned of; with a certificate that promises more
    than the weights hold, the same answers are silently wrong; data for too many tokens are refused."""
    case = case_of("averaging")
    weights = compiled(case, "lsa")
    model = Transformer(weights)
    data, promised = case.data(0, 3), weights.report.predicted_error

    def verdict(data: Data, certificate: float) -> Cell:
        cell = Cell("averaging", "lsa", "default", certificate)
        count(cell, [model], case, data)
        assert cell.tasks == len(data["x"])
        return cell

    assert verdict(data, promised).right == 3
    large = verdict({"x": 9 * data["x"], "y": data["y"]}, promised)
    assert (large.warned, large.silent) == (3, 0)
    assert large.said is not None
    assert "compiled for" in large.said
    assert not wrong([large])
    silent = verdict(data, 1e-12)
    assert (silent.right, silent.silent) == (0, 3)
    assert silent.worst > 1.0
    assert wrong([silent])
    assert verdict({"x": np.ones((1, 600, 3)), "y": np.ones((1, 600))}, promised).refused == 1


@pytest.mark.parametrize("program", ["kalman_filter", "sherman_morrison"])
def test_the_guard_says_nothing_of_the_calibration_itself(program: str) -> None:
    """What tokens hold before their turn in a scan comes is nobody's concern."""
    case = case_of(program)
    model = Transformer(compiled(case), guard="raise")
    assert len(model(**case.sample())) == 256


def test_a_refused_program_is_counted_as_refused() -> None:
    (cell,) = cells_of("gradient_descent", "lsa", ["default"], 4)
    assert (cell.refused, cell.tasks, cell.certificate) == (4, 4, None)
    assert cell.said


def test_a_run_that_was_stopped_goes_on(tmp_path: Path) -> None:
    file, cells = tmp_path / "cells.json", [Cell("averaging", target, "default", 1e-6, right=4) for target in TWO]
    assert kept(file, [("averaging", "gpt2")], ["default"]) == []
    file.write_text(json.dumps([asdict(cell) for cell in cells]), encoding="utf-8")
    assert kept(file, [("averaging", "gpt2"), ("oja", "gpt2")], ["default"]) == cells[:1]
    assert kept(file, [("averaging", "gpt2")], ["noise 1"]) == []


TWO: tuple[TargetName, ...] = ("gpt2", "llama")


@pytest.mark.slow
def test_a_program_on_default_tasks_and_on_too_large_ones() -> None:
    right, large = cells_of("averaging", "llama", ["default", "scale 3"], 4)
    assert (right.right, right.warned, right.silent) == (4, 0, 0)
    assert (large.warned, large.silent) == (4, 0)


@pytest.mark.slow
def test_a_named_value_that_rounding_alone_puts_out_of_its_range_is_no_alarm() -> None:
    """Where conjugate_gradient has converged a quotient of roundings is 5.99 of [0, 5.5], and the outputs are right."""
    (cell,) = cells_of("conjugate_gradient", "llama", ["calibration"], 64)
    assert (cell.right, cell.warned) == (64, 0)
