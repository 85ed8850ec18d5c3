"""Every rewrite on and off, on every target: random programs give what the float64 oracle gives, or are refused."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
import pytest
from innerloop.artifact.errors import CompileError
from innerloop.artifact.tokens import TokenData, read_data
from innerloop.artifact.words import Optimize, TargetName
from innerloop.compiler.architectures.targets import TARGETS
from innerloop.compiler.certify import validate as validation
from innerloop.compiler.compile import plan_for
from innerloop.compiler.finish import finish
from innerloop.compiler.interpreter.default_tasks import draw
from innerloop.compiler.interpreter.oracle import evaluate
from innerloop.compiler.ir.build import graph_of
from innerloop.compiler.ir.graph import Block, BodyGraph, Graph, Loop, Read, Value
from innerloop.compiler.passes import optional
from innerloop.compiler.pipeline import optimise

from tests.reference import WALKED
from tests.reference.measured import numpy_run
from tests.reference.programs import random_linear_program, random_program
from tests.support.against_oracle import checked, magnitude

TASKS, REPETITIONS, TOLERANCE = 8, 3, 1e-5


def rewritten(graph: Graph, target: TargetName, optimize: Optimize, *without: str) -> Graph | None:
    """The graph as the target's best strategy writes it down; None if refused."""
    try:
        return optimise(graph, target, optimize, without)
    except CompileError:
        return None


def content(graph: Graph | BodyGraph) -> tuple[Any, ...]:
    """What a graph computes, whatever its values are called: equal for graphs that compile to the same weights."""
    every = graph.values() if isinstance(graph, Graph) else graph.block
    number = {value: k for k, value in enumerate(every)}

    def node(value: Value) -> tuple[Any, ...]:
        at = graph[value]
        op = (at.op.how, at.op.over, at.op.mine, content(at.op.body)) if isinstance(at.op, Read) else at.op
        return op, tuple(number[operand] for operand in at.operands), at.shape, at.kinds

    def block(items: Block) -> tuple[Any, ...]:
        return tuple(loop(item) if isinstance(item, Loop) else node(item) for item in items)

    def loop(item: Loop) -> tuple[Any, ...]:
        ends = [(c.phi, c.final, number[c.result], None if c.warm is None else number[c.warm]) for c in item.carried]
        carried = tuple((node(phi), node(final), result, warm) for phi, final, result, warm in ends)
        return item.kind, item.count, carried, block(item.body)

    return block(graph.block), tuple(number[value] for value in graph.results)


def compiled_error(graph: Graph, written: Graph, target: TargetName, data: TokenData) -> float | None:
    """The largest error of the weights in float64 over the largest number of the computation; None if refused.
    `written`: the graph as it was rewritten."""
    try:
        truth = evaluate(written, data)
        np.testing.assert_allclose(truth, evaluate(graph, data), rtol=1e-7, atol=1e-7)
        fields = draw(graph.signature, REPETITIONS, TASKS, 0) if graph.signature else {}
        weights = finish(plan_for(written, target, "float64", fields))
    except CompileError:
        return None
    return float(np.abs(numpy_run(weights, fields) - truth).max() / magnitude(graph, data))


def programs(generator: Callable[[Random], str], count: int, most: float) -> list[str]:
    """The first random texts that the checker accepts, whose numbers stay below `most`."""
    found: list[str] = []
    seed = 0
    while len(found) < count:
        seed += 1
        text = generator(Random(seed))
        graph = None if text in found else checked(text)
        if graph is None:
            continue
        if magnitude(graph, read_data(graph.signature, draw(graph.signature, REPETITIONS, TASKS, 0))) < most:
            found.append(text)
    return found


def differ(generator: Callable[[Random], str], target: TargetName, count: int) -> int:
    """Asserts that all compilations agree with the oracle, and returns how many programs the target took."""
    taken = 0
    for text in programs(generator, count, 100.0):
        graph = graph_of(text, {})
        data = read_data(graph.signature, draw(graph.signature, REPETITIONS, TASKS, 0))
        for optimize in ("depth", "width"):
            written = rewritten(graph, target, optimize)
            whole = None if written is None else compiled_error(graph, written, target, data)
            if written is None or whole is None:
                break
            assert whole < TOLERANCE, text
            taken += optimize == "depth"
            seen = {content(written)}
            for rewrite in optional():
                written = rewritten(graph, target, optimize, rewrite)
                if written is None or content(written) in seen:  # a rewrite that had nothing to do
                    continue
                seen.add(content(written))
                error = compiled_error(graph, written, target, data)
                assert error is None or error < TOLERANCE, f"without {rewrite}, {optimize}:\n{text}"
    return taken


@pytest.mark.slow
@pytest.mark.parametrize("target", WALKED)
def test_random_programs_with_every_rewrite_on_and_off(target: TargetName, monkeypatch: pytest.MonkeyPatch) -> None:
    """On every second target validation holds a scan's passes at the token whose turn it is."""
    monkeypatch.setattr(validation, "PASSES", 0 if WALKED.index(target) % 2 else validation.PASSES)
    generator = random_linear_program if TARGETS[target].linear else random_program
    assert differ(generator, target, 8) >= 4


def test_a_name_in_a_loop_that_nothing_needs_goes_with_it() -> None:
    text = """program kept()

tokens (x)*
    x : scalar

z = move x from first x
repeat 3
    r = z
output z
"""
    for without in ((), ("hoist",)):
        (result,) = optimise(graph_of(text, {}), "gpt2", "depth", without).results
        assert isinstance(result, int)
