"""A scan's first pass in front of it: what it makes, where it is worth a layer, and that the answers stay."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from innerloop.artifact.arrays import Floats
from innerloop.artifact.errors import InternalError
from innerloop.artifact.tokens import read_data
from innerloop.compiler import compile_program
from innerloop.compiler.interpreter.default_tasks import draw
from innerloop.compiler.interpreter.interpret import interpret
from innerloop.compiler.interpreter.oracle import evaluate
from innerloop.compiler.ir.build import graph_of
from innerloop.compiler.ir.graph import Graph, Loop
from innerloop.compiler.ir.verify import verify
from innerloop.compiler.pipeline import optimise
from innerloop.compiler.transforms.peel_scan import head_start
from innerloop.compiler.transforms.rewriter import simplify
from innerloop.programs import load

from tests.reference.measured import numpy_run

HEAD = "program p()\n\ntokens (x y)* x\n    x : vector[2]\n    y : scalar\n\nat y\n    u = move x from previous\n\n"
UPDATE = "w = w - 0.1 * (dot(w, u) - y) * u"
WARM: dict[str, tuple[str, dict[str, Any]]] = {
    "sgd": (load("stochastic_gradient_descent"), {"d": 3, "examples": 5}),
    "sgd that forgets": (load("stochastic_gradient_descent"), {"d": 3, "examples": 5, "decay": 0.5}),
    "sherman_morrison": (load("sherman_morrison"), {"d": 3, "examples": 5}),
    "from other numbers": (
        HEAD + f"w : vector[2] = 0.5\nscan y up to 5\n    {UPDATE}\nat x\n    output dot(w, x)\n",
        {},
    ),
    "divides": (HEAD + "w : scalar = 0\nscan y up to 5\n    w = (w + y) / (3 + w ^ 2)\noutput w\n", {}),
    "with a clip": (
        HEAD + f"w : vector[2] = 0.5\nscan y up to 5\n    {UPDATE}\n    w = clip(w, -0.7, 0.6)\noutput w\n",
        {},
    ),
}
COLD = {
    "one pass": f"w : vector[2] = 0\nscan y up to 1\n    {UPDATE}\nat x\n    output dot(w, x)\n",
    "nothing saved": "w : scalar = 0.5\nscan y up to 5\n    w = clip(w + y, 0, 1)\noutput w\n",
    "starts from data": f"at y\n    w = u\nat x\n    w = x\nscan y up to 5\n    {UPDATE}\nat x\n    output dot(w, x)\n",
}


def warm(graph: Graph) -> list[Loop]:
    return [loop for loop in graph.loops() if any(c.warm is not None for c in loop.carried)]


@pytest.mark.parametrize("name", WARM)
def test_the_first_pass_is_what_the_first_token_does(name: str) -> None:
    text, parameters = WARM[name]
    graph = simplify(graph_of(text, parameters))
    begun = verify(head_start(graph))
    (loop,) = warm(begun)
    assert loop.passes == loop.count - 1
    data = read_data(begun.signature, draw(begun.signature, 5, 4, 0))
    found: dict[int, list[Floats]] = {}
    np.testing.assert_array_equal(
        evaluate(begun, data, lambda value, array: found.setdefault(value, []).append(array)), evaluate(graph, data)
    )
    for c in loop.carried:
        assert c.warm is not None
        np.testing.assert_allclose(found[c.warm][0][:, :1], found[c.result][0], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", WARM)
def test_the_weights_give_the_oracles_answers(name: str) -> None:
    text, parameters = WARM[name]
    weights = compile_program(text, **parameters)
    for groups in (1, 2, 5):
        fields = draw(weights.signature, groups, 16, 1)
        found, truth = numpy_run(weights, fields), interpret(text, **fields, **parameters)
        np.testing.assert_allclose(found, truth, rtol=0, atol=1e-4 * max(1.0, float(np.abs(truth).max())))


@pytest.mark.parametrize("body", COLD.values(), ids=COLD)
def test_a_scan_that_gains_nothing_keeps_its_first_pass(body: str) -> None:
    assert not warm(optimise(graph_of(HEAD + body, {}), "gpt2"))


def test_a_first_pass_that_is_not_there_yet_is_a_fault() -> None:
    graph = head_start(simplify(graph_of(*WARM["sgd"])))
    (place,) = [i for i, item in enumerate(graph.block) if isinstance(item, Loop)]
    block = list(graph.block)
    block.insert(0, block.pop(place))
    with pytest.raises(InternalError):
        verify(Graph(graph.data, tuple(block), graph.results, graph.signature))
