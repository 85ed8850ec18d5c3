"""Calibration: what is seen of parts of tasks that run side by side is what is seen of each alone."""

from __future__ import annotations

import numpy as np
import pytest
from innerloop.artifact.tokens import read_data
from innerloop.compiler.interpreter import calibrate, seen
from innerloop.compiler.interpreter.default_tasks import draw, samples
from innerloop.compiler.ir.build import graph_of

from tests.reference import source

PROGRAMS = {
    "sherman_morrison": {"d": 3, "examples": 6},
    "gradient_descent": {"d": 3},
    "conjugate_gradient": {"d": 3, "steps": 2},
}


def flat(found: seen.Seen) -> list[tuple[str, bytes]]:
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
    monkeypatch.setattr(seen, "room", lambda *_: 300)
    monkeypatch.setattr(calibrate, "room", lambda *_: 100)
    together = calibrate.observe_each(graph, groups, 1e-4)
    monkeypatch.setattr(seen, "room", lambda *_: 1)
    monkeypatch.setattr(seen, "STRETCH", 1000)
    alone = [calibrate.observe(graph, group, 1e-4) for group in groups]
    assert list(map(flat, together)) == list(map(flat, alone))
    kept = {name: np.delete(array, 77, axis=0) for name, array in drawn[0].items()}
    without = calibrate.observe(graph, [read_data(graph.signature, kept)])
    assert all(np.array_equal(without.low[v], together[0].low[v]) for v in without.low)
    assert all(np.array_equal(without.high[v], together[0].high[v]) for v in without.high)


def test_a_long_scan_is_seen_on_fewer_whole_tasks() -> None:
    """And on the usual ones, whose passes are its first."""
    for examples, expected in ((30, [(30, 1024), (2, 8192)]), (80, [(80, 512), (40, 1024), (2, 8192)])):
        core = samples(graph_of(source("sherman_morrison"), {"d": 2, "examples": examples}))[0]
        assert [(*data.sequence.repetitions, data.batch) for data in core.data] == expected
