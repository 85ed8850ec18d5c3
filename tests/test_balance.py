"""Balancing: narrower MLPs from the same depth and no more slots, and the same numbers."""

from __future__ import annotations

import pytest
from innerloop.compiler.allocate import allocate
from innerloop.compiler.balance import balance
from innerloop.compiler.build import graph_of
from innerloop.compiler.choose import optimise
from innerloop.compiler.compile import plan_for
from innerloop.compiler.lower import lower
from innerloop.compiler.schedule import Schedule, schedule
from innerloop.compiler.tasks import Multiply

from .reference import CASES, source


def widest(placed: Schedule) -> int:
    """Products of the widest sublayer."""
    return max(
        sum(p.task.op.form.out.size for p in s.placed if isinstance(p.task.op, Multiply)) for s in placed.walk()
    )


@pytest.mark.parametrize("name", ["support_vector", "retargetable_loss_table", "gradient_descent", "sherman_morrison"])
def test_balancing_keeps_layers_and_slots(name: str) -> None:
    (case,) = [c for c in CASES if c.program == name]
    graph = optimise(graph_of(source(name), case.parameters))
    plan = plan_for(graph, "gpt2", "float32", case.data(seed=1, tasks=64))
    before = schedule(lower(plan.graph, plan.ranges, plan.target))
    after = balance(before)
    assert after.length == before.length
    assert allocate(after).used <= allocate(before).used
    narrower = name in ("support_vector", "retargetable_loss_table")
    assert (widest(after) < widest(before)) is narrower
