"""The inspector's page: what it says equals the trace and the oracle, its weights run as JAX runs them, a reader's
changes do what they should; in a real browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from innerloop.artifact.errors import DataError
from innerloop.artifact.weights import Weights
from innerloop.compiler import interpret
from innerloop.programs import load
from innerloop.runtime import Transformer
from innerloop.runtime.inspector.inspection import Inspection
from innerloop.runtime.unjitted import Unjitted

from tests.support.browser import needs_browser, used
from tests.support.commands import Command, npz, one_message, tasks
from tests.support.linear_tasks import linear_tasks
from tests.support.shared import compiled_once

SMALL: dict[str, Any] = {"d": 2, "steps": 2}
CASES = [
    pytest.param("gradient_descent", "llama", SMALL, 5, id="llama"),
    pytest.param("gradient_descent_dual", "lsa", {"d": 2}, 5, id="lsa"),
    pytest.param("sherman_morrison", "gpt2", {"d": 4, "examples": 10}, 10, id="division", marks=pytest.mark.slow),
    pytest.param("sherman_morrison", "llama", {"d": 2, "examples": 4}, 4, id="rotary", marks=pytest.mark.slow),
]
READ = """
const all = (variable, of) => inspector.page.run.map((_, k) => Array.from({length: inspector.page.tokens.length - 1},
  (_, token) => Array.from({length: variable.size}, (_, c) => of(variable, c, token, k + 1))));
const {variables, value, exact} = inspector;
const shown = variables.map((v) => [v.name, all(v, value), all(v, exact), v.bound.slice(1)]);
inspector.state.run = inspector.net && inspector.forward(inspector.net, inspector.net.features, new Set());
const live = variables.map((v) => all(v, value));
return {shown, live, output: inspector.state.run?.output};
"""


def fields(weights: Weights, examples: int, d: int) -> dict[str, Any]:
    drawn = linear_tasks(1, examples, d, seed=5)
    if weights.signature.name != "gradient_descent_dual":
        return drawn
    inner, label = drawn["x"], np.append(drawn["y"], 0.0 * drawn["y"][:, :1], axis=1)
    return {"x": inner, "y": label}


def numbers(values: Any) -> Any:
    """null is NaN."""
    return np.array(values, dtype=float)


@needs_browser
@pytest.mark.parametrize(("name", "target", "parameters", "examples"), CASES)
def test_values_are_the_traces_and_the_weights_run(
    name: str, target: Any, parameters: dict[str, Any], examples: int, tmp_path: Path
) -> None:
    weights = compiled_once(load(name), target=target, **parameters)
    model, given = Transformer(weights), fields(weights, examples, parameters["d"])
    inspection = model.inspect(**given)
    found, faults = used(inspection.html, READ, tmp_path)
    assert faults == []
    trace = model.trace(**given)
    assert {variable[0] for variable in found["shown"]} == set(trace)
    for (variable, shown, exact, bound), live in zip(found["shown"], found["live"], strict=True):
        wanted = trace[variable][:, 0]
        most = max(1.0, float(np.nanmax(np.abs(wanted), initial=0.0)))
        whole = numbers(shown)
        np.testing.assert_allclose(whole[1::2], wanted.reshape(whole[1::2].shape), rtol=0, atol=1e-6 * most)
        np.testing.assert_allclose(numbers(live), whole, rtol=0, atol=1e-5 * most)
        for run in (whole, numbers(live)):
            off = np.nanmax(np.abs(run - numbers(exact)), axis=(1, 2), initial=0.0)
            assert not (off > np.nan_to_num(numbers(bound), nan=np.inf)).any()
    said = inspection.collected["output"]
    live = np.array(found["output"])[1:][said["tokens"]]
    np.testing.assert_allclose(live, said["found"], rtol=0, atol=1e-5 * max(1.0, np.abs(live).max()))
    exact = interpret(load(name), **given, **parameters)[0]
    np.testing.assert_allclose(np.ravel(said["exact"]), np.ravel(exact), rtol=0, atol=1e-9)


USE = """
const text = (id) => document.getElementById(id).textContent;
const press = (key, at = document.body) => at.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true}));
const answers = () => inspector.state.run ? inspector.state.run.output.slice(1) : null;
const said = {};
press("Home");
said.start = text("where");
press("."); press(".");
said.place = text("where");
said.lit = [...document.querySelectorAll("#lines li.lit .number")].map((n) => Number(n.textContent));
said.heads = [...document.querySelectorAll("#heads figcaption")].map((f) => f.textContent);
press("End");
const cell = document.querySelectorAll("#grid tbody")[3].querySelectorAll("td")[4];
cell.focus();
said.readout = text("readout");
said.name = inspector.state.cell.variable.name;
said.moved = (press("ArrowRight", cell), inspector.state.cell.token);
inspector.setTime(1);
document.querySelector("#heads input").click();
said.cut = answers();
said.beyond = (inspector.setTime(inspector.page.run.length), document.querySelectorAll("#grid td.beyond").length);
inspector.undo();
said.undone = inspector.state.run;
const box = document.querySelector("#fields input");
box.value = "0.25";
box.dispatchEvent(new Event("change"));
said.edited = answers();
said.mode = text("mode");
const circle = document.querySelector("#scatter-box circle");
press("ArrowUp", circle);
said.dragged = answers();
box.value = "1000";
box.dispatchEvent(new Event("change"));
said.far = text("mode");
said.wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
const named = (e) => e.textContent.trim() || e.ariaLabel || e.labels?.length;
said.unnamed = [...document.querySelectorAll("button, input, select, canvas, [role=img], [role=group]")]
  .filter((e) => !named(e)).map((e) => e.outerHTML);
return said;
"""


@needs_browser
@pytest.mark.parametrize("target", ["llama", "gelu"])
def test_a_reader_goes_through_it_and_changes_it(target: Any, tmp_path: Path) -> None:
    weights = compiled_once(load("gradient_descent"), target=target, **SMALL)
    given: dict[str, Any] = linear_tasks(1, 5, 2, seed=6)
    said, faults = used(Unjitted(weights).inspect(**given).html, USE, tmp_path, width=500)
    assert faults == []
    assert said["start"] == "the embedding"
    assert said["place"].startswith("after sublayer 1 (MLP of layer 0")
    assert 15 in said["lit"]  # w = w - rate * mean[…]
    assert said["heads"][0].startswith("0: copies x from previous, into u")
    assert all(word in said["readout"] for word in (said["name"], "value", "oracle", "error", "bound"))
    assert said["moved"] == 5
    rows = [2 * k for k in range(6)]
    before = Unjitted(weights)(**given)
    assert before is not None
    assert np.abs(np.array(said["cut"])[rows, 0] - before[0]).max() > 0.01
    assert said["beyond"] > 0
    assert said["undone"] is None
    given["x"][0, 0, 0] = 0.25
    exact = interpret(load("gradient_descent"), **given, **SMALL)[0]
    np.testing.assert_allclose(np.array(said["edited"])[rows, 0], exact, rtol=0, atol=1e-5)
    assert said["dragged"] != said["edited"]
    assert "oracle's values are not known" in said["mode"]
    assert "x[0] at x1 is outside of what the weights were compiled for" in said["far"]
    assert said["wide"] <= 0
    assert said["unnamed"] == []


@needs_browser
def test_a_page_without_its_weights_says_so(tmp_path: Path) -> None:
    weights = compiled_once(load("gradient_descent"), d=4, steps=10)
    given: dict[str, Any] = linear_tasks(1, 200, 4, seed=7)
    page = Unjitted(weights).inspect(**given)
    assert page.collected["live"] is None
    script = """
    inspector.setTime(3);
    return [document.getElementById("mode").textContent, document.getElementById("try").hidden,
            inspector.mapsAt(3).map(({shares}) => shares.reduce((a, b) => a + b, 0))]
    """
    (mode, hidden, shares), faults = used(page.html, script, tmp_path)
    assert faults == []
    assert "These weights do not run in the page" in mode
    assert hidden
    np.testing.assert_allclose(shares, 401 + 1, rtol=0.02)


def test_the_command_writes_a_page_of_the_data_or_says_what_is_wrong(innerloop: Command, compiled: Path) -> None:
    data = npz(Path("t.npz"), **tasks())
    told = innerloop("inspect", compiled, "--data", data, "--number", "1", "-o", "page.html")
    assert (told.status, told.err) == (0, "")
    assert told.out.startswith("page.html: ")
    assert "its weights run in the page" in told.out
    assert "number 1 of" in Path("page.html").read_text("utf-8")
    one_message(innerloop("inspect", compiled, "-o", "page.png"), "page.png: a page is written as .html")
    one_message(innerloop("inspect", compiled, "--number", "1", "-o", "p.html"), "are for --data, which is not given")
    one_message(innerloop("inspect", compiled, "--data", data, "--number", "99", "-o", "p.html"), "there is no task 99")
    assert not Path("p.html").exists()


def test_what_does_not_fit_is_said_and_the_rest_is_shown_in_a_notebook(tmp_path: Path) -> None:
    model = Unjitted(compiled_once(load("gradient_descent"), target="llama", **SMALL))
    given: dict[str, Any] = linear_tasks(2, 3, 2, seed=1)
    with pytest.raises(DataError, match="there is no task 3: the data hold 2 tasks"):
        model.inspect(task=3, **given)
    page: Inspection = model.inspect()
    assert page._repr_html_().startswith('<iframe sandbox="allow-scripts"')
    assert "http://" not in page.html.replace("http://www.w3.org/2000/svg", "")
    page.save(tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text("utf-8") == page.html
