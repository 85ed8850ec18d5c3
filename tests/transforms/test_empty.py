"""Divisors that are 0 where nothing has been read yet: the same outputs, and weights that divide."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from innerloop.artifact.signature import Pattern
from innerloop.artifact.tokens import read_data, sequence
from innerloop.compiler import CompileError, compile_program
from innerloop.compiler.architectures.learned_positions import counts
from innerloop.compiler.interpreter.default_tasks import samples
from innerloop.compiler.interpreter.oracle import evaluate
from innerloop.compiler.ir.build import graph_of
from innerloop.compiler.ir.graph import Divide
from innerloop.compiler.ir.positional import Count
from innerloop.compiler.ir.verify import verify
from innerloop.compiler.pipeline import optimise
from innerloop.compiler.transforms.guard_empty_divisors import fill_empty
from innerloop.programs import load

from tests.support.against_oracle import both

HEAD = "program p()\n\ntokens (x y)* x\n    x : scalar\n    y : scalar\n\n"
NEWTON = load("iterative_newton")

FILLED = {
    "a square": "s = mean[j in y](y[j] ^ 2)\nm = mean[j in y](y[j])\noutput m / s\n",
    "of negative sign": "s = mean[j in y](y[j] ^ 2)\noutput relu(s) / (-3 * s)\n",
    "carried": "s = mean[j in y](y[j] ^ 2)\nt = s\nrepeat 2\n    t = t + 0.5 * abs(s)\noutput s * 2 / t\n",
    "of several components": (
        "s = mean[j in y]([1, 2] * y[j] ^ 2 + [0, 1] * abs(y[j]))\nm = mean[j in y]([1, -1] * y[j])\n"
        "output sum(m / s)\n"
    ),
    "at some": "s = mean[j in y](y[j] ^ 2)\nat x\n    output s * x / s\n",
}
LEFT = {
    "by what is not 0": "s = mean[j in y](y[j] ^ 2)\noutput s / (1 + s)\n",
    "of several components, by what is not 0": "s = mean[j in y]([1, 2] * y[j] ^ 2)\noutput sum(s / ([1, 2] + s))\n",
    "where all have read": "s = mean[j in x](x[j] ^ 2)\noutput s / s\n",
}


def fields(tasks: int, scale: float = 1.0) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    return {"x": scale * rng.standard_normal((tasks, 7)), "y": scale * (1 + rng.random((tasks, 6)))}


@pytest.mark.parametrize("body", [*FILLED.values(), *LEFT.values()], ids=[*FILLED, *LEFT])
def test_what_is_filled_has_the_same_outputs(body: str) -> None:
    graph = optimise(graph_of(HEAD + body, {}), "gpt2")
    data = read_data(graph.signature, fields(8))
    filled = fill_empty(graph, [data])
    verify(filled)
    np.testing.assert_array_equal(evaluate(filled, data), evaluate(graph, data))
    marks = [v for v in filled.values() if filled[v].op == Count("y", none=True)]
    assert len(marks) == (body in FILLED.values())


@pytest.mark.parametrize("body", FILLED.values(), ids=FILLED)
def test_the_weights_divide_at_the_scale_of_the_data(body: str) -> None:
    for scale in (1.0, 100.0):
        found, truth = both(HEAD + body, fields(8, scale), sample=fields(256, scale))
        np.testing.assert_allclose(found, truth, rtol=0, atol=2e-5 * np.sqrt(np.mean(truth**2)))


def test_what_is_no_0_over_0_is_refused() -> None:
    text = HEAD + "s = mean[j in y](y[j] ^ 2)\nat x\n    output x / s\n"
    with pytest.raises(CompileError, match="not finite on the calibration data"):
        compile_program(text, calibration=fields(16))


def test_newtons_iteration_divides_by_the_square_of_what_it_has_seen() -> None:
    graph = optimise(graph_of(NEWTON, {"d": 3, "steps": 3}), "gpt2")
    data = samples(graph)[0].data
    filled = fill_empty(graph, data)
    np.testing.assert_array_equal(evaluate(filled, data[1]), evaluate(graph, data[1]))
    divisors = [filled[v].operands[1] for v in filled.values() if isinstance(filled[v].op, Divide)]
    seen = []
    evaluate(filled, data[1], lambda value, array: seen.append(array.min()) if value in divisors else None)
    assert min(seen) > 0


@pytest.mark.parametrize(
    "pattern",
    [Pattern((), ("x", "y"), ("x",)), Pattern(("t",), ("y",), ()), Pattern(("y",), ("x",), ("y", "z"))],
    ids=["x y x", "t y", "y x y z"],
)
def test_counts_are_what_a_token_sees(pattern: Pattern) -> None:
    for kind in pattern.kinds:
        for none in (False, True):
            rule = counts(pattern, kind, 32, none)
            if rule is None:
                continue
            table, corrections = rule
            for repetitions in (1, 2, 5):
                line = sequence(pattern, repetitions)
                for i, role in enumerate(line.roles):
                    seen = line.kinds[: i + 1].count(kind)
                    assert table[i + 1] + corrections[role] == (seen == 0 if none else seen)
