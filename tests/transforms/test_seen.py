"""Calibration: what is seen of parts of tasks that run side by side is what is seen of each alone."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from innerloop.artifact.tokens import read_data
from innerloop.compiler.certify.predict import Same
from innerloop.compiler.interpreter import calibrate, seen, stretched
from innerloop.compiler.interpreter.default_tasks import draw, samples
from innerloop.compiler.interpreter.gathered import Seen
from innerloop.compiler.interpreter.oracle import evaluate
from innerloop.compiler.ir.build import graph_of
from innerloop.compiler.ir.graph import Field, Move, Value
from innerloop.compiler.passes import optional

from tests.reference import source
from tests.reference.programs import random_program
from tests.support.against_oracle import checked
from tests.transforms.test_rewrites import rewritten

PROGRAMS = {
    "sherman_morrison": {"d": 3, "examples": 6},
    "gradient_descent": {"d": 3},
    "conjugate_gradient": {"d": 3, "steps": 2},
}


def flat(found: Seen) -> list[tuple[str, bytes]]:
    """All of it, in order."""
    arrays = {"low": found.low, "high": found.high}
    numbers = [(f"{name} {v}", array.tobytes()) for name, each in arrays.items() for v, array in each.items()]
    rows = [(f"rows {v}", row.tobytes()) for v, some in found.rows.items() for row in some]
    return [*numbers, *rows, (str(sorted(found.ties)), str(found.scores).encode())]


@pytest.mark.parametrize("name", PROGRAMS)
def test_parts_are_seen_as_if_alone(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two groups, in one of which a task is far out, and left out."""
    graph = graph_of(source(name), PROGRAMS[name])
    drawn = [draw(graph.signature, 6, tasks, tasks) for tasks in (470, 30)]
    drawn[0]["x"][77] *= 1e4
    groups = [[read_data(graph.signature, fields)] for fields in drawn]
    monkeypatch.setattr(seen, "scanned_together", lambda *_: 300)
    monkeypatch.setattr(calibrate, "together", lambda *_: 100)
    together = calibrate.observe_each(graph, groups, 1e-4)
    monkeypatch.setattr(seen, "scanned_together", lambda *_: 1)
    alone = [calibrate.observe(graph, group, 1e-4) for group in groups]
    assert list(map(flat, together)) == list(map(flat, alone))
    kept = {name: np.delete(array, 77, axis=0) for name, array in drawn[0].items()}
    without = calibrate.observe(graph, [read_data(graph.signature, kept)])
    monkeypatch.setattr(seen, "PASSES", 3)  # its scan is a long one, seen stretch by stretch
    for found in (together[0], calibrate.observe(graph, groups[0], 1e-4)):
        assert all(np.array_equal(without.low[v], found.low[v]) for v in without.low)
        assert all(np.array_equal(without.high[v], found.high[v]) for v in without.high)


def test_on_rewritten_programs_what_is_seen_at_once_is_what_is_seen_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random ones, each with a rewrite left out; ends against those of a plain run of the oracle."""
    monkeypatch.setattr(calibrate, "together", lambda *_: 3)
    seed = ran = 0
    while ran < 8:
        seed += 1
        graph = checked(random_program(Random(seed)))
        if graph is None:
            continue
        written = rewritten(graph, "gpt2", "depth", Random(seed).choice(optional()))
        if written is None:
            continue
        groups = [[read_data(graph.signature, draw(graph.signature, 3, tasks, tasks))] for tasks in (5, 4)]
        monkeypatch.setattr(seen, "scanned_together", lambda *_: 100)
        together = calibrate.observe_each(written, groups)
        monkeypatch.setattr(seen, "scanned_together", lambda *_: 1)
        assert list(map(flat, together)) == [flat(calibrate.observe(written, group)) for group in groups]
        for (data,), found in zip(groups, together, strict=True):
            least: dict[Value, np.ndarray] = {}

            def see(value: Value, array: np.ndarray, least: dict[Value, np.ndarray] = least) -> None:
                if array.size:
                    low = array.min(axis=(0, 1))
                    least[value] = np.minimum(least[value], low) if value in least else low

            evaluate(written, data, see)
            own = {v for v in least if not isinstance(written[v].op, Field | Move)}
            assert all(np.array_equal(least[v], found.low[v], equal_nan=True) for v in own)
        ran += 1


def test_what_is_drawn_for_several_predictions_is_what_is_drawn_for_each() -> None:
    """Whatever is asked for, in whatever order, and however much is kept."""
    asked = [[("n", 5), ("r", 3), ("n", 7)], [("n", 5), ("r", 3), ("n", 7), ("n", 2)], [("n", 4), ("n", 7)], [("n", 5)]]
    for room in (0, 50, 10**6):
        same = Same(room)
        for some in [*asked, *asked[::-1]]:
            fresh, same = np.random.default_rng(0), same.anew()
            for how, size in some:
                drawn = [rng.standard_normal((size,)) if how == "n" else rng.random((size,)) for rng in (fresh, same)]
                assert np.array_equal(drawn[0], drawn[1])


def test_a_long_scan_is_seen_on_fewer_whole_tasks() -> None:
    """And on the usual ones, whose passes are its first."""
    for examples, expected in ((30, [(30, 1024), (2, 8192)]), (80, [(80, 512), (40, 1024), (2, 8192)])):
        core = samples(graph_of(source("sherman_morrison"), {"d": 2, "examples": examples}))[0]
        assert [(*data.sequence.repetitions, data.batch) for data in core.data] == expected


@pytest.mark.parametrize(("stretches", "room"), [(32, 2**24), (32, 2**12), (2, 2**24), (2, 2**16)])
def test_without_a_scan_the_furthest_task_is_left_out_wherever_it_is(
    stretches: int, room: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a stretch of many tasks or alone, of one run or of many: what is seen is what is seen of the others alone, the
    rows as drawn of them, too."""
    graph = graph_of(source("gradient_descent"), {"d": 3})
    fields = draw(graph.signature, 6, 300, 0)
    fields["x"][77, -2] *= 1e4
    kept = read_data(graph.signature, {k: np.delete(v, 77, 0) for k, v in fields.items()})
    without = calibrate.observe(graph, [kept])
    monkeypatch.setattr(stretched, "STRETCHES", stretches)
    monkeypatch.setattr(stretched, "NEAR_BYTES", room)
    found = calibrate.observe(graph, [read_data(graph.signature, fields)], 1e-4)
    for ends, others in ((found.low, without.low), (found.high, without.high)):
        assert ends.keys() == others.keys()
        assert all(np.array_equal(ends[v], others[v]) for v in ends)
    for value, rows in without.rows.items():
        drawn = [np.sort(np.concatenate(some), axis=0) for some in (rows, found.rows[value])]
        assert rows
        assert np.array_equal(drawn[0], drawn[1])


def test_where_tasks_are_parts_the_wildest_is_a_part_that_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Large programs run task by task; of one task alone none is left out."""
    graph = graph_of(source("gradient_descent"), {"d": 3})
    fields = draw(graph.signature, 6, 300, 0)
    fields["x"][77, -1] *= 1e4
    data = read_data(graph.signature, fields)
    without = calibrate.observe(
        graph, [read_data(graph.signature, {k: np.delete(v, 77, 0) for k, v in fields.items()})]
    )
    monkeypatch.setattr(calibrate, "together", lambda *_: 1)
    found = calibrate.observe(graph, [data], 1e-4)
    assert all(np.array_equal(without.high[v], found.high[v]) for v in without.high)
    one = read_data(graph.signature, {k: v[77:78] for k, v in fields.items()})
    assert calibrate.observe(graph, [one], 1e-4).rows.keys() == found.rows.keys()
