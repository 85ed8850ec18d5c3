"""Baselines: what they compute, that they read nothing to come, and that they train as transformers do."""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from innerloop.artifact.errors import DataError, InnerloopError
from innerloop.artifact.memory import MemoryLimitError
from innerloop.artifact.words import BaselineName
from innerloop.laboratory.at_hand import compare
from innerloop.laboratory.figures.chains import automata, edelman
from innerloop.laboratory.figures.shared.streams import Stream, cross_entropy
from innerloop.laboratory.figures.wang_td import STREAM
from innerloop.laboratory.network import Network, known, subject
from innerloop.laboratory.setting import Settings
from innerloop.laboratory.training.baselines import FACTS, KINDS, NUMBERS, Baseline
from innerloop.laboratory.training.model import Model
from innerloop.laboratory.training.networks import linear_attention
from innerloop.laboratory.training.provenance import provenance
from innerloop.laboratory.training.tasks import task
from innerloop.laboratory.training.train import train
from innerloop.programs import load
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from tests.support.shared import compiled_once

TASKS = Stream("automata", {}, draw=automata.drawn, score=cross_entropy("next"))


def drawn(kind: BaselineName, seed: int = 0) -> Baseline:
    return Baseline.drawn(kind, compiled_once(load("bigram"), vocabulary=automata.SYMBOLS), seed, width=6)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_to_come_is_read(kind: BaselineName) -> None:
    model = drawn(kind)
    s = np.eye(automata.SYMBOLS, dtype=np.float32)[np.random.default_rng(0).integers(0, 4, (2, 7))]
    changed = s.copy()
    changed[:, 4] = s[:, 4, ::-1]
    before, after = (np.asarray(model.apply(model.parameters, {"s": given})) for given in (s, changed))
    assert before.shape == (2, 7, automata.SYMBOLS)
    np.testing.assert_array_equal(before[:, :4], after[:, :4])
    assert (np.abs(before - after)[:, 5:].max(-1) > 1e-6).all()  # and what was, is
    other = drawn(kind, seed=1)
    assert all((np.asarray(other.parameters[n]) != np.asarray(v)).any() for n, v in model.parameters.items()
               if "norm" not in n)  # fmt: skip


def test_linear_attention_is_its_formula() -> None:
    rng = np.random.default_rng(0)
    query, key, value = (rng.standard_normal((5, 3)).astype(np.float32) for _ in range(3))

    def phi(z: np.ndarray) -> np.ndarray:
        return np.where(z > 0, z + 1, np.exp(z))

    expected = []
    for t in range(5):
        shares = np.array([phi(query[t]) @ phi(key[j]) for j in range(t + 1)])
        expected.append(shares @ value[: t + 1] / shares.sum())
    np.testing.assert_allclose(np.asarray(linear_attention(query, key, value)), expected, rtol=1e-5)


def test_what_there_is_not_is_refused() -> None:
    like = compiled_once(load("bigram"), vocabulary=automata.SYMBOLS)
    with pytest.raises(InnerloopError, match="rnn: no such baseline; there are lstm, gru, linear_attention"):
        Baseline.drawn("rnn", like, 0, width=4)  # type: ignore[arg-type]
    with pytest.raises(InnerloopError, match="width=0"):
        Baseline.drawn("gru", like, 0, width=0)
    model = drawn("gru")
    with pytest.raises(InnerloopError, match="no transformer"):
        model.weights(model.parameters)


@pytest.mark.slow
def test_they_train_and_a_run_goes_on(tmp_path: Path) -> None:
    """The loss falls, and a run that is lengthened ends as one that was as long from the beginning."""
    model = drawn("gru")
    how: dict[str, Any] = {
        "batch": 16,
        "rate": 1e-2,
        "schedule": "constant",
        "folder": tmp_path / "run",
        "resume": True,
    }
    train(model, TASKS, steps=20, **how)
    longer = train(model, TASKS, steps=40, **how)
    whole = train(model, TASKS, steps=40, batch=16, rate=1e-2, schedule="constant")
    assert longer.losses[-5:].mean() < longer.losses[:5].mean() - 0.05
    for name, value in jax.tree.map(np.asarray, whole.parameters).items():
        np.testing.assert_array_equal(value, longer.parameters[name])


def test_automata_give_only_what_they_can() -> None:
    fields = TASKS.drawn(50, 3)
    truth, came = fields["truth"], fields["next"]
    np.testing.assert_allclose(truth.sum(-1), 1)
    assert set(np.unique((truth > 0).sum(-1))) == {automata.EDGES}
    assert (truth[came > 0] == 1 / automata.EDGES).all()
    exact = {str(order): automata.counted(fields, order) for order in (1, 2, 3)}
    scores = [automata.scored(found, exact, fields) for found in exact.values()]
    assert [score.nearest for score in scores] == ["1", "2", "3"]
    assert scores[0].divergence > scores[1].divergence > scores[2].divergence
    best = automata.scored(0.999 * truth + 0.00025, exact, fields)
    assert best.accuracy == 1
    assert best.divergence == pytest.approx(0, abs=1e-3)


def test_n_grams_are_counted() -> None:
    """Against counts by hand, of one short string: 0 1 0 1 0 2 0."""
    fields = {"s": np.eye(4)[[[0, 1, 0, 1, 0, 2, 0]]]}
    np.testing.assert_allclose(automata.counted(fields, 1)[0, -1] * 11, [5, 3, 2, 1])
    np.testing.assert_allclose(automata.counted(fields, 2)[0, -1] * 7, [1, 3, 2, 1])
    back = np.array([1, 3, 1, 1]) / 6  # after 0 1 0 1 0
    np.testing.assert_allclose(automata.counted(fields, 3)[0, 4] * 2, back + np.eye(4)[1])


def test_the_order_of_the_models_is_what_is_checked() -> None:
    def score(away: float, nearest: str) -> automata.Score:
        return automata.Score(away, 1.0, 1.0, {"unigram": float(nearest != "unigram"), "bigram": 0.5})

    grams = {"unigram": score(0.4, "unigram"), "bigram": score(0.3, "bigram")}
    good = {"gpt2": [score(0.2, "bigram")], "lstm": [score(0.3, "bigram")]}
    assert all(check.holds for check in automata.checks(good, grams, 0.0))
    turned = {"gpt2": [score(0.5, "unigram")], "lstm": [score(0.3, "bigram")]}
    assert not any(check.holds for check in automata.checks(turned, grams, 1.0))


def test_a_baseline_is_kept(tmp_path: Path) -> None:
    """What is loaded answers as what was saved; its slopes are those of differences."""
    like = compiled_once(load("gradient_descent"), d=2)
    model, tasks = Baseline.drawn("gru", like, 0, width=6), task("linear", d=2, n=5)
    model.save(model.parameters, "3 steps of it", tmp_path / "kept")
    found = known(tmp_path / "kept")
    assert isinstance(found, Network)
    assert (found.trained, found.model.variant) == ("3 steps of it", "gru of 2 layers of width 6")
    fields, ours = tasks.drawn(40, 1), subject(found, "ours")
    narrow = {name: value.astype(np.float32) for name, value in fields.items()}
    answers = np.asarray(ours(fields))
    np.testing.assert_array_equal(answers, np.asarray(jax.jit(model.apply)(model.parameters, narrow)))
    nudged = fields["x"].copy()
    nudged[:, -1, 0] += 1e-2
    slopes = (np.asarray(ours({**fields, "x": nudged}))[:, -1] - answers[:, -1]) / 1e-2
    np.testing.assert_allclose(ours.sensitivities(fields)[:, 0], slopes, atol=2e-3)
    (tmp_path / "kept" / "numbers.safetensors").write_bytes(b"")
    with pytest.raises(DataError, match="train it again"):
        known(tmp_path / "kept")


@pytest.mark.slow
def test_a_baseline_is_held_against_compiled_weights() -> None:
    """Both losses are what their answers say, and what needs an inside is left out in words."""
    like, tasks = compiled_once(load("gradient_descent"), d=2), task("linear", d=2, n=5)
    found = Network(Baseline.drawn("lstm", like, 0, width=4), "nothing")
    compared = compare(like, found, tasks, Settings(40, 40))
    assert compared.left_out[0].endswith("it is a baseline, lstm of 2 layers of width 4")
    error = (compared.answers["trained"][:, -1] - compared.fields["y"][:, -1]) ** 2
    assert float(compared.losses["trained"].value[-1]) == pytest.approx(error.mean())
    assert not compared.inside.curves
    assert compared.sensitivities["trained"].cosine.shape == (40,)


def test_a_folder_that_is_damaged_is_refused(tmp_path: Path) -> None:
    model, place = drawn("lstm"), tmp_path / "kept"
    model.save(model.parameters, "nothing", place)
    whole = {path: path.read_bytes() for path in place.glob("*.*")}
    facts, numbers = json.loads(whole[place / FACTS]), load_tensors(whole[place / NUMBERS])
    for change in ({"width": "6"}, {"width": 6.0}, {"layers": None}, {"layers": True}, {"kind": "rnn"}, {"kind": [1]}):
        (place / FACTS).write_text(json.dumps({**facts, **change}))
        with pytest.raises(DataError, match="holds no whole baseline"):
            known(place)
    (place / FACTS).write_bytes(whole[place / FACTS])
    name = next(iter(numbers))
    (place / NUMBERS).write_bytes(save_tensors({**numbers, name: numbers[name] * np.float32(1.01)}))
    with pytest.raises(DataError, match=r"numbers\.safetensors is not what was saved \(its checksum differs\)"):
        known(place)
    for value in (numbers[name] * np.float32("nan"), numbers[name].astype(np.float64), numbers[name][:1]):
        content = save_tensors({**numbers, name: value})
        (place / NUMBERS).write_bytes(content)
        (place / FACTS).write_text(json.dumps({**facts, "checksum": hashlib.sha256(content).hexdigest()}))
        with pytest.raises(DataError, match="other numbers than lstm of 2 layers of width 6 has"):
            known(place)


def test_parameters_are_named_as_a_transformers_are() -> None:
    """So that `--freeze body.0` is of a layer; and what a step runs through has a version that is kept."""
    model = drawn("lstm")
    assert {"embedding.weight", "body.0.cell.weight_ih", "body.1.cell.bias", "readout.bias"} <= model.parameters.keys()
    points = task("linear", d=2, n=5)
    assert provenance(model, points)["equinox"] == version("equinox")
    assert "equinox" not in provenance(Model.of(model.template), points)


def test_what_does_not_fit_into_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INNERLOOP_MEMORY", "1MB")
    with pytest.raises(MemoryLimitError, match="training 1 layer of width 10,000"):
        Baseline.drawn("gru", compiled_once(load("bigram"), vocabulary=4), 0, width=10_000, layers=1)


def test_a_run_of_another_size_is_told_which_it_was(tmp_path: Path) -> None:
    points = task("linear", d=2, n=5)
    start = Model.fresh(compiled_once(load("gradient_descent_dual"), target="lsa", d=2), 0)
    run: dict[str, Any] = {"steps": 2, "batch": 4, "folder": tmp_path, "resume": True}
    train(start, points, **run)
    other = Baseline.drawn("gru", start.template, 0, width=4)
    with pytest.raises(DataError, match=r"with model='lsa, 1 layer of width .*', not 'gru of 2 layers of width 4'"):
        train(other, points, **run)


def test_the_code_is_that_of_the_classes_of_model_and_task_and_of_their_parts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start = Model.fresh(compiled_once(load("gradient_descent_dual"), target="lsa", d=2), 0)
    drawn = Baseline.drawn("lstm", start.template, 0, width=4)
    read: list[str] = []

    def seen(path: Path) -> bytes:
        read.append(path.stem)
        return b""

    monkeypatch.setattr(Path, "read_bytes", seen)
    points = task("linear", d=2, n=4)
    provenance(start, points)
    own = set(read)
    assert {"model", "build_steps", "steps", "pack", "turns"} <= own
    provenance(drawn, points)
    assert set(read) - own == {"baselines", "networks"}
    for stream, figure in ((STREAM, "wang_td"), (edelman.stream(), "edelman")):  # whose `draw` is a partial one
        read.clear()
        provenance(start, stream)
        assert set(read) - own == {"streams", figure}


def test_baselines_of_other_kinds_are_no_seeds_of_one_training() -> None:
    like, tasks = compiled_once(load("gradient_descent"), d=2), task("linear", d=2, n=5)
    networks = [Network(Baseline.drawn(kind, like, 0, width=4, layers=1), "") for kind in KINDS[:2]]
    with pytest.raises(DataError, match=r"gru of 1 layer of width 4 and lstm of .* are no seeds of one training"):
        compare(like, networks, tasks, Settings(40, 40))
    with pytest.raises(DataError, match="lstm of 1 layer of width 4 and transformers are no seeds"):
        compare(like, [networks[0], like], tasks, Settings(40, 40))
