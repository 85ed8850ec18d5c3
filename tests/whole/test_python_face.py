"""What a notebook shows: a screen for everything that is large, the names that are public, three lines for an error."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version

import numpy as np
import pytest
from innerloop.artifact.displayed import LINES, WIDTH, Displayed
from innerloop.artifact.errors import CompileError, DataError
from innerloop.artifact.tokens import read_data
from innerloop.artifact.weights import Weights
from innerloop.compiler import compile_program
from innerloop.laboratory import patch, plot_attention, plot_errors, plot_stream, probe
from innerloop.programs import load
from innerloop.runtime import Transformer
from innerloop.runtime.attention_maps import attention_maps
from matplotlib.figure import Figure

from tests.support.commands import tasks


@pytest.fixture(scope="module")
def weights() -> Weights:
    return compile_program(load("gradient_descent"), target="llama", d=2, certify=8)


@pytest.fixture(scope="module")
def model(weights: Weights) -> Transformer:
    return Transformer(weights, guard="off")


def test_whatever_is_large_takes_a_screen_at_most(weights: Weights, model: Transformer) -> None:
    data = tasks()
    for each in (weights, weights.report, weights.layout, model.trace(**data), model.diff(**data)):
        assert isinstance(each, Displayed)
        lines = repr(each).splitlines()
        assert len(lines) <= LINES
        assert max(map(len, lines)) <= WIDTH
        assert each._repr_html_().startswith("<div")
    assert repr(weights).startswith("Weights of gradient_descent\n  tokens")
    assert "w" in repr(weights.layout).split()
    assert tuple(weights.layout) == weights.layout


@pytest.mark.parametrize("package", ["compiler", "runtime", "laboratory", "programs"])
def test_a_package_offers_its_public_names_and_no_modules(package: str) -> None:
    module = import_module(f"innerloop.{package}")
    offered = [name for name in dir(module) if name != "__version__"]
    assert offered == sorted(module.__all__)
    for name in offered:
        assert getattr(module, name).__class__.__name__ != "module", name


def test_the_version_is_the_one_that_is_installed() -> None:
    assert import_module("innerloop.compiler").__version__ == version("innerloop")


def test_a_wrong_program_shows_itself_and_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("INNERLOOP_TRACEBACK", raising=False)
    with pytest.raises(CompileError) as raised:
        compile_program("program p()\ntokens (s)*\n    s : scalar\noutput t\n")
    lines = raised.value._render_traceback_()
    assert lines[:3] == ["program:4:8: error: `t` is not known", "    4 | output t", "      |        ^"]
    assert len(lines) <= 4
    monkeypatch.setenv("INNERLOOP_TRACEBACK", "1")
    assert raised.value._render_traceback_()[0].startswith("Traceback")


@pytest.mark.parametrize("layer", range(2))
def test_attention_maps_are_what_the_sublayer_reads_by(weights: Weights, layer: int) -> None:
    """Every row of softmax shares sums to 1, and no token sees a later one; in the first layer y looks at the x before
    it, which is the move that the program says."""
    data = read_data(weights.signature, tasks())
    maps = attention_maps(weights, data, layer)
    assert maps
    for shares in maps.values():
        np.testing.assert_allclose(shares.sum(-1), 1.0, atol=1e-5)
        assert not np.triu(shares, 1).any()
    if layer == 0:
        places = [k for k, kind in enumerate(data.sequence.kinds, 1) if kind == "y"]
        assert any((shares[:, places, [k - 1 for k in places]] > 0.99).all() for shares in maps.values())


def test_plots_are_figures_of_the_data(weights: Weights, model: Transformer) -> None:
    data = tasks()
    targets = np.concatenate([data["y"], np.full((2, 1), np.nan)], 1)
    drawn = [
        plot_stream(model.trace(**data), "w"),
        plot_attention(weights, 1, task=1, **data),
        plot_errors({"compiled": model(**data)}, targets),
    ]
    assert all(isinstance(figure, Figure) for figure in drawn)
    line = drawn[2].axes[0].lines[0]
    wanted = ((model(**data)[:, :3] - data["y"]) ** 2).mean(0)
    np.testing.assert_allclose(np.asarray(line.get_ydata(), float), wanted)
    with pytest.raises(DataError, match="there is no task 2: the data has 2"):
        plot_stream(model.trace(**data), "w", task=2)


def test_probe_and_patch_are_at_hand(weights: Weights) -> None:
    """w is read off the compiled stream once it is there, and its control is not; a patch too late is refused."""
    data = tasks(count=60, examples=6)
    curve = probe(weights, "w", data)
    assert curve.score[-1] > 0.999 > curve.control.max()
    with pytest.raises(DataError, match="`w` is whole only after the last layer"):
        patch(weights, "w", data)
    with pytest.raises(DataError, match="probes need 40 tasks or more, and there are 2"):
        probe(weights, "w", tasks())
