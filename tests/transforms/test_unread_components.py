"""Components that nothing reads go, and no output changes."""

from __future__ import annotations

import numpy as np
import pytest
from innerloop.artifact.tokens import read_data
from innerloop.compiler.interpreter.default_tasks import draw
from innerloop.compiler.interpreter.oracle import evaluate
from innerloop.compiler.ir.build import graph_of
from innerloop.compiler.ir.graph import Graph, Product
from innerloop.compiler.ir.verify import verify
from innerloop.compiler.pipeline import optimise
from innerloop.compiler.transforms.unread_components import without_unread
from innerloop.programs import load


def terms(graph: Graph) -> int:
    """Of all products."""
    return sum(node.op.form.out.size for node in graph.data.values() if isinstance(node.op, Product))


def test_one_step_gathers_what_it_reads() -> None:
    graph = graph_of(load("gradient_descent"), {"d": 5, "steps": 1})
    whole, narrow = optimise(graph, without=("unread",)), verify(optimise(graph))
    assert (terms(whole), terms(narrow)) == (20 + 5, 5 + 5)
    data = read_data(graph.signature, draw(graph.signature, 5, 4, 0))
    np.testing.assert_allclose(evaluate(narrow, data), evaluate(graph, data), rtol=1e-12, atol=1e-12)


HEAD = "program p()\n\ntokens (t)*\n    a : vector[4] on t\n\n"


def test_what_gathers_a_product_gets_narrower_too() -> None:
    graph = graph_of(f"{HEAD}m = mean[j in t](a[j] * a[j])[1:2]\noutput sum(m)\n", {})
    narrow = verify(optimise(graph))
    assert terms(narrow) < terms(optimise(graph, without=("unread",)))
    data = read_data(graph.signature, draw(graph.signature, 5, 4, 0))
    np.testing.assert_allclose(evaluate(narrow, data), evaluate(graph, data), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "body",
    [
        "at t\n    b = a * a\nm = mean[j in t](b[j])[1:2]\n",
        "m = mean[j in t](a[j] * a[j])[1:2] + sum[j in t](a[j] * a[j])[2:3]\n",
        "at t\n    b = a * a\nat t\n    c = move b from previous\nm = mean[j in t](c[j])[1:2]\n",
    ],
)
def test_what_gathers_a_value_that_stays_wider_does_too(body: str) -> None:
    """A second read makes a product narrower, so that the pass has what to do."""
    graph = graph_of(f"{HEAD}{body}n = mean[j in t](a[j] * exp(a[j]))[3:4]\noutput sum(m) + 2 * sum(n)\n", {})
    whole, narrow = optimise(graph, without=("unread",)), verify(optimise(graph))
    assert terms(narrow) < terms(whole)
    data = read_data(graph.signature, draw(graph.signature, 5, 4, 0))
    np.testing.assert_allclose(evaluate(narrow, data), evaluate(graph, data), rtol=1e-12, atol=1e-12)


def test_what_has_a_name_stays_whole() -> None:
    """A trace shows it."""
    assert terms(optimise(graph_of(f"{HEAD}b = a * a\noutput sum(b[1:2])\n", {}))) == 4


def test_where_no_product_gets_narrower_the_graph_is_the_same() -> None:
    graph = optimise(graph_of(load("gradient_descent"), {"d": 3, "steps": 4}))
    assert without_unread(graph) is graph
