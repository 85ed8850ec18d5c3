"""Memory is asked for before it is spent, with the figure and the mend."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from innerloop.artifact import memory
from innerloop.artifact.errors import CompileError, DataError, InnerloopError
from innerloop.artifact.folders.compact import most
from innerloop.artifact.folders.storage import parts_of
from innerloop.artifact.memory import MemoryLimitError, free, spend
from innerloop.compiler import Weights, compile_program
from innerloop.compiler.compile import plan_of
from innerloop.compiler.finish import emitted_of
from innerloop.compiler.transforms.algebra.outer_products import outer_products
from innerloop.laboratory.training.architecture import blank
from innerloop.programs import load
from innerloop.runtime import Transformer


@pytest.mark.parametrize(
    ("given", "bytes"),
    [("8GB", 8e9), ("500 mb", 5e8), ("2GiB", 2.0**31), ("1024", 1024.0), ("1.5T", 1.5e12), ("0", None)],
)
def test_the_variable_takes_the_place_of_what_is_free(
    monkeypatch: pytest.MonkeyPatch, given: str, bytes: float | None
) -> None:
    monkeypatch.setenv(memory.VARIABLE, given)
    assert free() == bytes


def test_a_variable_that_is_no_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(memory.VARIABLE, "much")
    with pytest.raises(InnerloopError, match="INNERLOOP_MEMORY is 'much'; it is a number of bytes, as 8GB"):
        free()


def test_what_does_not_fit_is_refused_with_the_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(memory.VARIABLE, "22GB")
    spend(21e9, "the weights", "take less")
    with pytest.raises(MemoryLimitError, match=r"the weights need about 31.0 GB of memory, 22.0 GB are free: take"):
        spend(31e9, "the weights", "take less")


def test_a_cgroup_bounds_what_is_free(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(memory.VARIABLE, raising=False)
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    before = free()
    assert before is not None
    assert before > 2000
    (tmp_path / "memory.max").write_text("3000\n")
    (tmp_path / "memory.current").write_text("2500\n")
    (tmp_path / "memory.stat").write_text("anon 2000\ninactive_file 400\n")
    assert free() == 900
    (tmp_path / "memory.max").write_text("max\n")
    after = free()
    assert after is not None
    assert after > 2000


# What asks ---------------------------------------------------------------------------------------

QUICK = {"d": 2, "examples": 3, "rate": 0.05}


@pytest.fixture(scope="module")
def weights() -> Weights:
    return compile_program(load("stochastic_gradient_descent"), **QUICK)  # type: ignore[arg-type]


def test_compiling_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(memory.VARIABLE, "5kB")
    with pytest.raises(MemoryLimitError, match=r"the values of stochastic_gradient_descent on sample tasks need about"):
        compile_program(load("stochastic_gradient_descent"), **QUICK)  # type: ignore[arg-type]


def test_a_large_program_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """16 tasks of 40 matrices of a million numbers, however much of them is drawn."""
    monkeypatch.setenv(memory.VARIABLE, "12GB")
    text = "program p()\n\ntokens (s)*\n    s : matrix[1024, 1024]\n\noutput sum(s)\n"
    with pytest.raises(MemoryLimitError, match=r"need about \d\d\.\d GB of memory, 12.0 GB are free: compile p with"):
        compile_program(text)


@pytest.mark.slow
def test_gradient_descent_of_128_components_takes_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its read has 16,770 by 16,770 products, of which as many are there; a matrix of all took 7 GB, or was refused."""
    monkeypatch.setenv(memory.VARIABLE, "2GB")
    weights = compile_program(load("gradient_descent"), d=128, steps=2, rate=0.001)
    assert weights.report.measured_error < 1e-3


def test_what_the_rewritten_program_takes_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its products are not in the text: it takes 1 MB of sample data."""
    monkeypatch.setenv(memory.VARIABLE, "20MB")
    with pytest.raises(MemoryLimitError, match=r"the values of gradient_descent on sample tasks need about 0\.\d GB"):
        compile_program(load("gradient_descent"), d=32, steps=2)


def test_the_embedding_of_all_positions_is_asked_for(weights: Weights, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_of(weights)
    monkeypatch.setenv(memory.VARIABLE, "5kB")
    with pytest.raises(MemoryLimitError, match=r"the embeddings of 8 positions \d+ wide need about"):
        emitted_of(plan)


def test_products_of_a_read_that_all_meet_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    entries = {(row, column): float(rng.standard_normal()) for row in range(100) for column in range(120)}
    monkeypatch.setenv(memory.VARIABLE, "300kB")
    with pytest.raises(MemoryLimitError, match=r"the products of a read, 100 by 120 of them, need about 0.4 MB"):
        outer_products(entries)
    assert len(outer_products({(row, row): 1.0 for row in range(1_000)})) == 1_000


def test_writing_asks(weights: Weights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(memory.VARIABLE, "100kB")
    with pytest.raises(MemoryLimitError, match="as they are written to"):
        weights.save(tmp_path / "saved")
    assert list(tmp_path.iterdir()) == []
    monkeypatch.delenv(memory.VARIABLE)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(DataError, match=r"the weights take 0.\d MB, 0.0 MB of disk are free"):
        weights.save(tmp_path / "saved")
    assert list(tmp_path.iterdir()) == []


def test_what_writing_asks_for_is_what_is_written(weights: Weights, tmp_path: Path) -> None:
    weights.save(tmp_path / "saved")
    size = (tmp_path / "saved" / "model.safetensors").stat().st_size
    asked = sum(most(part, np.dtype(np.float32)) for part in parts_of(weights).values())
    assert asked / 2 < size < asked + 20_000


def test_running_asks(weights: Weights, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Transformer(weights)
    x, y = np.zeros((50, 4, 2)), np.zeros((50, 3))
    monkeypatch.setenv(memory.VARIABLE, "2kB")
    with pytest.raises(MemoryLimitError, match="packed to run, need about"):
        Transformer(weights)
    with pytest.raises(MemoryLimitError, match=r"the activations of .* on .* tasks of 7 tokens need"):
        model(x=x, y=y)
    with pytest.raises(MemoryLimitError, match="the traces of 50 tasks need about"):
        model.trace(x=x, y=y)


def test_training_asks(weights: Weights, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(memory.VARIABLE, "8GB")
    with pytest.raises(MemoryLimitError, match=r"training 4 layers of width 40,000: .* need about \d+,?\d*.\d GB"):
        blank(weights, n_layer=4, d_model=40_000, n_head=4)


def test_loops_inside_each_other_without_end_are_refused() -> None:
    text = "program p()\n\ntokens (s)*\n    s : scalar in [-1, 1]\n\nw : scalar = 0\nrepeat 100000\n    repeat 100000\n"
    with pytest.raises(CompileError, match=r"the loops of this program make 10,000,000,000 passes"):
        compile_program(f"{text}        w = w + s\noutput w\n")
