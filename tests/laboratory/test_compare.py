"""`innerloop compare`, from two folders of weights to a table, a page and pictures."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from innerloop.compiler import DataError
from innerloop.laboratory import drawn
from innerloop.laboratory.comparison import agree
from innerloop.laboratory.measures.nearest import Nearest
from innerloop.laboratory.training import tasks as known
from innerloop.laboratory.training.model import Model
from innerloop.programs import load
from matplotlib.patches import Rectangle

from tests.support.commands import Command, one_message
from tests.support.models import compiled, descent, dual
from tests.support.shared import compiled_once

PNG = b"\x89PNG\r\n"


class Page(HTMLParser):
    """The elements of a page, and what it would fetch."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.fetched: list[str] = []
        self.ids: list[str] = []
        self.used: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        given = [(name, value or "") for name, value in attributes]
        self.ids += [value for name, value in given if name == "id"]
        self.used |= {value[1:] for name, value in given if name.endswith("href") and value.startswith("#")}
        self.used |= {used for _, value in given for used in re.findall(r"url\(#([^)]*)\)", value)}
        self.fetched += [v or "" for name, v in attributes if name in ("src", "href") and not (v or "").startswith("#")]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """dual: compiled; trained: fresh, of the same architecture; gd and sgd: on GPT-2's."""
    root = tmp_path_factory.mktemp("compare")
    fresh = Model.fresh(dual(), 0)
    dual().save(root / "dual")
    fresh.weights({name: 8 * value for name, value in fresh.parameters.items()}).save(root / "trained")
    descent().save(root / "gd")
    compiled("stochastic_gradient_descent", examples=6).save(root / "sgd")
    return root


def test_compiled_against_trained(innerloop: Command, folders: Path) -> None:
    outcome = innerloop(
        "compare", folders / "dual", folders / "trained", "--task", "linear", "-t", "n=6", "--tasks", "60",
        "-o", "report.html", "--png", "figures",
    )  # fmt: skip
    assert (outcome.status, outcome.err) == (0, "")
    for measure in ("loss at the query", "SPD/d at the query", "ILWD", "sensitivities, cosine", "rise on the line",
                    "nearest algorithm", "off: noise = 1", "off: power = 2", "r, linear probe, R²", "control",
                    "compiled and trained: different: "):  # fmt: skip
        assert measure in outcome.out
    assert "left out: patching of r: it is whole only after the last layer" in outcome.out
    assert re.search(r"loss at the query +\S+ \[\S+, \S+\] +\S+ \[\S+, \S+\]", outcome.out)
    numbers = json.loads(Path("report.json").read_text())
    assert numbers["models"]["compiled"]["parameters"] == {"d": 2, "steps": 2, "rate": 0.3}
    assert numbers["asked"]["task"]["n"] == 6
    assert numbers["command"].startswith("innerloop compare ")
    lines = Path("report.csv").read_text().splitlines()
    assert lines[0] == "measure,at,model,other,value,low,high"
    assert len(lines) == 1 + len(numbers["measures"]) > 100
    loss = next(m for m in numbers["measures"] if m["measure"] == "loss" and m["model"] == "trained")
    assert loss["low"] < loss["value"] < loss["high"]
    assert innerloop("compare", "--from", "report.json", "-o", "again.html").status == 0
    again = Path("again.html").read_text(encoding="utf-8")
    assert _unsaid(again) == _unsaid(text := Path("report.html").read_text(encoding="utf-8"))
    assert json.loads(Path("again.json").read_text())["measures"] == numbers["measures"]
    one_message(innerloop("compare", "--from", "report.csv"), "report.csv is no JSON that")
    one_message(innerloop("compare", "a", "b", "--from", "report.json"), "leave COMPILED and TRAINED out")
    text = Path("report.html").read_text(encoding="utf-8")
    page = Page(text)
    figures = sorted(path.stem for path in Path("figures").iterdir())
    assert figures == ["algorithms", "everywhere", "line", "probes", "sensitivities", "shifts", "taken"]
    assert page.tags.count("figcaption") == len(figures)
    assert page.tags.count("svg") == text.count('role="img" aria-label=') > len(figures)  # one for each panel
    assert "<text" in text  # which a reader can search and copy
    assert not page.fetched
    assert len(page.ids) == len(set(page.ids)) > 100
    assert page.used <= set(page.ids)
    assert len(page.used) > 20
    assert not {"script", "link", "img"} & set(page.tags)
    assert "prefers-color-scheme: dark" in text
    assert "#222222" not in re.sub("<style>.*?</style>", "", text.split("<body>")[1], flags=re.DOTALL)
    assert all((Path("figures") / f"{name}.png").read_bytes().startswith(PNG) for name in figures)


def _unsaid(page: str) -> str:
    """A page without its command."""
    return re.sub(r"<tr><td>(command|folders)</td>.*?</tr>", "", page)


@pytest.mark.slow
def test_two_programs_on_gpt2(innerloop: Command, folders: Path) -> None:
    outcome = innerloop(
        "compare", folders / "gd", folders / "sgd", "--task", "noisy_linear", "-t", "n=6", "--tasks", "200", "--mlp",
        "-o", "report.html",
    )  # fmt: skip
    assert (outcome.status, outcome.err) == (0, "")
    assert re.search(r"w, linear probe, R² +1\.0000 \(2\)", outcome.out)
    assert re.search(r"w patched, explained +(0\.99\d\d|1\.0000) ", outcome.out)
    assert "w, MLP probe" in outcome.out
    assert "left out: the line between the weights, trained: n_layer is" in outcome.out


@pytest.mark.parametrize(
    ("given", "parts"),
    [
        (["dual", "missing", "--task", "linear"], ["missing does not exist"]),
        (["dual", "gd", "--task", "linear"], ["`(example)* query  visible context`", "`(x y)* x`"]),
        (["gd", "gd", "--task", "liner"], ["no task `liner`", "did you mean `linear`?"]),
        (["gd", "gd", "--task", "linear", "-t", "d=5"], ["task linear gives x [5], y", "takes x [2], y"]),
        (["gd", "gd", "--task", "linear", "-t", "q=5"], ["task linear has no parameter `q`"]),
        (["gd", "gd", "--task", "linear", "-t", "n=1", "-t", "n=2"], ["-t n: given twice"]),
        (["gd", "gd", "--task", "linear", "-t", "n=a b"], ["-t n=a b: not a finite number"]),
        (["gd", "gd", "--task", "sine"], ["task sine gives x [1], y"]),
        (["gd", "gd", "--task", "linear", "--probe", "v", "--tasks", "40"], ["the compiled stream holds no `v`"]),
        (["sgd", "sgd", "--task", "linear", "-t", "n=20"], ["at most 6 times"]),
        (["gd", "gd", "--task", "linear", "-o", "no/report.html"], ["there is no folder no"]),
        (["gd", "gd", "--task", "linear", "--png", "here"], ["here: exists already"]),
    ],
)
def test_what_does_not_fit_is_told(innerloop: Command, folders: Path, given: list[str], parts: list[str]) -> None:
    Path("here").mkdir()
    ours, theirs, *rest = given
    one_message(innerloop("compare", folders / ours, folders / theirs, *rest), *parts)
    assert [path.name for path in Path.cwd().iterdir()] == ["here"]


@pytest.mark.parametrize(("flag", "value"), [("--tasks", "3"), ("-o", "report.pdf"), ("-t", "n")])
def test_wrong_usage(innerloop: Command, flag: str, value: str) -> None:
    outcome = innerloop("compare", "a", "b", "--task", "linear", flag, value)
    assert outcome.status == 2
    assert value in outcome.err


def test_the_help_names_every_task(innerloop: Command) -> None:
    text = innerloop("compare", "--help").out
    assert all(name in text for name in known.names())


def test_models_of_other_fields_or_outputs_are_refused() -> None:
    wider = compiled_once(load("gradient_descent"), d=3, steps=1)
    with pytest.raises(DataError, match=r"the field `x` is of shape \(2,\) at x and of shape \(3,\) at x"):
        agree(descent(), wider)
    text = load("gradient_descent").replace("output dot(w, x)", "output w")
    vector = compiled_once(text, d=2, steps=1)
    with pytest.raises(DataError, match=r"the outputs are of shapes \(\) and \(2,\)"):
        agree(descent(), vector)


def test_programs_of_other_names_answer_alike_unless_their_several_outputs_are_of_other_names() -> None:
    other = load("gradient_descent").replace("program gradient_descent", "program descent")
    agree(descent(), compiled_once(other, d=2, steps=1))
    one, two = (
        compiled_once(other.replace("output dot(w, x)", f"output {name} = dot(w, x)\n    output w = w"), d=2, steps=1)
        for name in ("mean", "guess")
    )
    agree(one, one)
    with pytest.raises(DataError, match=r"\(mean\).*and \(\) \(guess\)"):
        agree(one, two)


def test_a_sweep_is_a_table_with_the_nearest_of_each_model_framed() -> None:
    spd = np.array([[1e-3, 1.0], [1e-2, 1e-4], [0.5, 0.0]])[..., None, None]
    figure = drawn.algorithms(Nearest(("1 layer", "2 layers", "4 layers"), ("GD", "ridge"), spd))
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.texts] == ["1e-03", "1e+00", "1e-02", "1e-04", "5e-01", "0e+00"]
    frames = [frame for frame in axes.patches if isinstance(frame, Rectangle)]
    assert [round(frame.get_x() + 0.48) for frame in frames] == [0, 1, 1]
