"""Graphs: what is built, printed, and seen as unsound; and that they say what the program says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import assume, given, reject, settings
from hypothesis.strategies import integers
from innerloop.artifact.errors import CompileError, InternalError
from innerloop.artifact.tokens import output_rows, read_data, sequence
from innerloop.compiler.interpreter.oracle import evaluate
from innerloop.compiler.ir.build import graph_of
from innerloop.compiler.ir.graph import Gather, Graph, Loop, Merge, Node, Read
from innerloop.compiler.ir.printer import format_graph
from innerloop.compiler.ir.verify import verify
from innerloop.programs import load

from tests.reference.naive import Naive, Rounded
from tests.reference.programs import random_program

CASES = Path(__file__).parents[1] / "cases" / "graph"
SHIPPED: dict[str, dict[str, object]] = {
    "gradient_descent": {"d": 8, "steps": 10},
    "stochastic_gradient_descent": {"d": 8},
    "sherman_morrison": {"d": 8},
}
PROGRAMS = sorted(CASES.glob("*.icl"))


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_graph(name: str, golden: Callable[[Path, str], None]) -> None:
    golden(CASES / f"{name}.graph", format_graph(graph_of(load(name), SHIPPED[name])))


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_graph(path: Path, golden: Callable[[Path, str], None]) -> None:
    golden(path.with_suffix(".graph"), format_graph(graph_of(path.read_text(encoding="utf-8"), {})))


def draw(graph: Graph, repetitions: int, tasks: int = 2, seed: int = 0) -> dict[str, Any]:
    """Random fields for a sequence with its group so many times."""
    rng = np.random.default_rng(seed)
    line = sequence(graph.signature.pattern, repetitions)
    fields: dict[str, Any] = {}
    for spec in graph.signature.fields:
        rows = output_rows(line, spec.kinds).size
        drawn = rng.standard_normal((tasks, rows, *spec.shape))
        fields[spec.name] = (
            np.eye(spec.shape[0])[rng.integers(spec.shape[0], size=(tasks, rows))] if spec.onehot else drawn
        )
    return fields


@pytest.mark.parametrize("repetitions", [1, 4])
@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_graph_says_what_the_program_says(path: Path, repetitions: int) -> None:
    text = path.read_text(encoding="utf-8")
    graph = graph_of(text, {})
    fields = draw(graph, repetitions)
    found = evaluate(graph, read_data(graph.signature, fields))
    for task in range(2):
        wanted = Naive(text, {name: array[task] for name, array in fields.items()}, repetitions).outputs
        np.testing.assert_allclose(found[task], np.array(wanted), rtol=1e-11, atol=1e-11)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(integers(0, 2**32 - 1), integers(1, 3))
def test_random_graphs_say_what_their_programs_say(seed: int, repetitions: int) -> None:
    text = random_program(Random(seed))
    try:
        graph = graph_of(text, {})
    except CompileError:
        reject()
    fields = draw(graph, repetitions, tasks=1)
    with np.errstate(all="ignore"):
        task = {name: array[0] for name, array in fields.items()}
        wanted, again = (np.array(says(text, task, repetitions).outputs) for says in (Naive, Rounded))
    assume(bool(np.all(np.abs(wanted) < 1e6)) and np.allclose(wanted, again))
    found = evaluate(graph, read_data(graph.signature, fields))[0]
    np.testing.assert_allclose(found, wanted, rtol=1e-8, atol=1e-8, err_msg=text)


def head(body: str, fields: str = "x : scalar\n    y : scalar") -> str:
    return f"program p(n = 0)\n\ntokens (x y)* x\n    {fields}\n\n{body}\n"


def built(body: str, **parameters: object) -> Graph:
    return graph_of(head(body), parameters)


def test_a_read_of_theirs_alone_is_a_gather() -> None:
    graph = built("output mean[j in y](exp(y[j]))")
    assert [type(graph[v].op) for v in graph.values()][-1] is Gather


def test_a_read_keeps_only_what_mixes() -> None:
    graph = built("at x\n    output mean[j in y](exp(x) * exp(y[j]))")
    read = next(graph[v].op for v in graph.values() if isinstance(graph[v].op, Read))
    assert isinstance(read, Read)
    assert read.mine == 1
    assert len(read.body.block) == 3  # mine, theirs, their product


def test_a_constant_expression_is_one_constant() -> None:
    assert len(list(built("k = 2 * sqrt(4) + 1\noutput k ^ 2").values())) == 4  # x, y, k, and k² for the output


def test_an_output_at_one_kind_lives_there() -> None:
    graph = built("w : scalar = 1\nat x\n    output w")
    assert graph[graph.results[0]].kinds == {"x"}


def test_an_unassigned_name_after_repeat_0_is_refused() -> None:
    with pytest.raises(CompileError, match="`t` is used before it is assigned"):
        built("repeat n\n    t = 1\noutput t")
    assert built("repeat n\n    t = 1\noutput t", n=1).results


def test_repeat_0_leaves_no_loop() -> None:
    assert not list(built("w : scalar = 1\nrepeat n\n    w = 2 * w\noutput w").loops())


def test_printing_is_deterministic() -> None:
    text = head("output mean[j in y](y[j])")
    assert format_graph(graph_of(text, {})) == format_graph(graph_of(text, {}))


# Verification ------------------------------------------------------------------------------------


def sound() -> Graph:
    return built("w : scalar = 1\nat x\n    w = x\nrepeat 2\n    w = w + mean[j in y](y[j] * w)\noutput w")


def damaged(graph: Graph, value: int, node: Node) -> Graph:
    return replace(graph, data={**graph.data, value: node})


def find(graph: Graph, op: type) -> int:
    return next(v for v in graph.values() if isinstance(graph[v].op, op))


def test_a_sound_graph_passes() -> None:
    graph = sound()
    assert verify(graph) is graph


def test_a_use_before_the_definition_is_seen() -> None:
    graph = sound()
    with pytest.raises(InternalError, match="is not known there"):
        verify(replace(graph, block=tuple(reversed(graph.block))))


def test_a_value_out_of_its_loop_is_seen() -> None:
    graph = sound()
    loop = next(graph.loops())
    inside = next(v for v in loop.body if not isinstance(v, Loop))
    with pytest.raises(InternalError):
        verify(replace(graph, results=(inside,), block=(*graph.block, inside)))


def test_a_wrong_shape_is_seen() -> None:
    graph = sound()
    value = find(graph, Read)
    with pytest.raises(InternalError, match="does not fit operands of sizes"):
        verify(damaged(graph, value, replace(graph[value], shape=(7,))))


def test_overlapping_kinds_are_seen() -> None:
    graph = sound()
    value = find(graph, Merge)
    both = Merge((frozenset({"x"}), frozenset({"x", "y"})))
    with pytest.raises(InternalError, match="merges kinds that overlap"):
        verify(damaged(graph, value, replace(graph[value], op=both)))


def test_a_read_where_nothing_lives_is_seen() -> None:
    graph = sound()
    value = find(graph, Read)
    read = graph[value].op
    assert isinstance(read, Read)
    with pytest.raises(InternalError, match="reads at x what lives at"):
        verify(damaged(graph, value, replace(graph[value], op=replace(read, over="x"))))


def test_a_circle_is_seen() -> None:
    graph = sound()
    value = find(graph, Merge)
    node = graph[value]
    with pytest.raises(InternalError, match=f"uses value {value}, which is not known there"):
        verify(damaged(graph, value, replace(node, operands=(value, *node.operands[1:]))))


def test_the_graph_as_networkx_has_it() -> None:
    graph = sound()
    found = graph.digraph()
    assert nx.is_directed_acyclic_graph(found)
    assert {value: found.nodes[value]["node"] for value in found} == graph.data
    assert all(set(found.predecessors(value)) == set(node.operands) for value, node in graph.data.items())
    assert set(graph.results) <= set(found)
