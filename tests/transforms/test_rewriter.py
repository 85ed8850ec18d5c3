"""What a rewriter has written on trial can be taken back."""

from __future__ import annotations

import pytest
from innerloop.compiler.ir.bilinear import Bilinear
from innerloop.compiler.ir.build import graph_of
from innerloop.compiler.ir.graph import Loop, Node, Value
from innerloop.compiler.ir.printer import format_graph
from innerloop.compiler.ir.verify import verify
from innerloop.compiler.transforms.peel_repeat import peel
from innerloop.compiler.transforms.rewriter import Rewriter, copy_block, simplify

TEXT = """program p()

tokens (x)*
    x : scalar in [-1, 1]

w : scalar = 0.5
repeat 3
    s = w * x
    w = w - s * s + exp(x)
output w
"""
KINDS = frozenset({"x"})


def begun() -> tuple[Rewriter, dict[Value, Value]]:
    """A rewriter that has written what stands before the loop."""
    r, graph, names = Rewriter(), graph_of(TEXT, {}), dict[Value, Value]()
    copy_block(r, graph, tuple(item for item in graph.block[:2] if not isinstance(item, Loop)), names)
    return r, names


def ended(r: Rewriter, names: dict[Value, Value]) -> str:
    """The graph that comes out where the rest is written now."""
    graph = graph_of(TEXT, {})
    copy_block(r, graph, graph.block[2:], names)
    return format_graph(verify(r.finish(tuple(names[v] for v in graph.results), graph.signature)))


def test_what_is_undone_leaves_nothing() -> None:
    r, names = begun()
    (x,) = (v for v in names.values() if r[v].name == "x")
    nameless = r.affine([], (), KINDS, 7.0)
    mark = r.mark()
    product = r.product(Bilinear.mul(1), x, x, KINDS)
    again = r.node(Node(r[nameless].op, (), (), KINDS, "seven"))
    assert again == nameless
    assert r[nameless].name == "seven"
    assert r.since(mark) == (product,)
    r.undo(mark)
    assert r.since(mark) == ()
    assert r[nameless].name is None
    assert r.product(Bilinear.mul(1), x, x, KINDS) == product  # written anew, and not found


def test_a_trial_changes_nothing_of_what_comes_after() -> None:
    plain = ended(*begun())
    r, names = begun()
    mark = r.mark()
    copy_block(r, graph_of(TEXT, {}), graph_of(TEXT, {}).block, {})
    r.undo(mark)
    assert ended(r, names) == plain


def test_a_mark_is_of_one_body() -> None:
    r, _ = begun()
    mark = r.mark()
    r.open()
    with pytest.raises(ValueError, match="another loop"):
        r.undo(mark)


def test_a_first_pass_that_saves_nothing_is_not_left_in_front() -> None:
    graph = graph_of(TEXT.replace("0.5", "x"), {})
    assert format_graph(peel(graph)) == format_graph(simplify(graph))
