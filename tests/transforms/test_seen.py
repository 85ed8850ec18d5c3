"""Calibration: what is seen of parts of a scan's tasks that run side by side is what is seen of each alone."""

from __future__ import annotations

import numpy as np
import pytest
from innerloop.artifact.tokens import TokenData, read_data
from innerloop.compiler.interpreter import calibrate, seen
from innerloop.compiler.ir.build import graph_of

from tests.reference import source


def flat(found: seen.Seen) -> list[tuple[str, bytes]]:
    """All of it, in order."""
    arrays = {"low": found.low, "high": found.high, "peaks": found.peaks}
    numbers = [(f"{name} {v}", array.tobytes()) for name, each in arrays.items() for v, array in each.items()]
    rows = [(f"rows {v}", row.tobytes()) for v, some in found.rows.items() for row in some]
    return [*numbers, *rows, (str(sorted(found.ties)), str(found.scores).encode())]


@pytest.mark.parametrize(("program", "groups"), [("sherman_morrison", [3, 2]), ("gradient_descent", [1] * 5)])
def test_parts_are_seen_as_if_alone(program: str, groups: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    graph = graph_of(source(program), {"d": 3} | ({"examples": 6} if program == "sherman_morrison" else {}))
    draw = np.random.default_rng(0)
    x, y = draw.standard_normal((470, 6, 3)), draw.standard_normal((470, 5))
    x[77] *= 1e4  # one task far out, which is left out
    data = read_data(graph.signature, {"x": x, "y": y})
    ran: list[int] = []
    side_by_side = seen.side_by_side

    def told(*given: object) -> list[list[TokenData]]:
        found = [list(some) for some in side_by_side(*given)]  # type: ignore[arg-type]
        ran.extend(map(len, found))
        return found

    monkeypatch.setattr(calibrate, "together", lambda *_: 100)
    monkeypatch.setattr(calibrate, "side_by_side", told)
    monkeypatch.setattr(seen, "scanned_together", lambda *_: 300)
    grouped = calibrate.observe(graph, [data], 1e-4)
    assert ran == groups
    monkeypatch.setattr(seen, "scanned_together", lambda *_: 1)
    assert flat(grouped) == flat(calibrate.observe(graph, [data], 1e-4))
