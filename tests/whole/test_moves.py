"""Moves: from n before, from the last of a kind before me, from the first and the last of a kind that I see."""

from __future__ import annotations

import numpy as np
import pytest
from innerloop.artifact.tokens import sequence
from innerloop.artifact.words import TargetName
from innerloop.compiler.compile import compile_program
from innerloop.compiler.interpreter.interpret import interpret
from innerloop.compiler.ir.build import graph_of
from innerloop.runtime import Transformer

MOVES = ("previous", "previous 2", "previous 5", "previous y", "first y", "last x", "last y", "last q")


@pytest.mark.parametrize("visible", [False, True])
@pytest.mark.parametrize("target", ["gpt2", "llama"])
def test_moves_take_one_layer(target: TargetName, visible: bool) -> None:
    lines = [f"v{k} = move s from {move}" for k, move in enumerate(MOVES)]
    total = " + ".join(f"{10**-k} * v{k}" for k in range(len(MOVES)))
    head = f"tokens h (x y)* y q{'  visible context' if visible else ''}\n    s : scalar on h, x, y, q in [1, 9]"
    text = "\n".join(["program p()", "", head, "", *lines, f"output {total}", ""])
    signature = graph_of(text, {}).signature
    kinds = sequence(signature.pattern, 3).kinds
    s = np.random.default_rng(0).integers(1, 10, (8, len(kinds))).astype(float)
    context = len(kinds) - 2 if visible else 0

    def found(me: int, move: str) -> int | None:
        source, _, which = move.partition(" ")
        if not which or which.isdigit():
            back = int(which or 1)
            return me - back if me >= back else None
        seen = [t for t, kind in enumerate(kinds) if kind == which and (t <= me or t < context)]
        seen = [t for t in seen if t < me] if source == "previous" else seen
        return (seen[0] if source == "first" else seen[-1]) if seen else None

    wanted = np.zeros_like(s)
    for me in range(len(kinds)):
        for k, move in enumerate(MOVES):
            if (token := found(me, move)) is not None:
                wanted[:, me] += 10.0**-k * s[:, token]
    np.testing.assert_allclose(interpret(text, s=s), wanted, rtol=1e-12)
    weights = compile_program(text, target=target, dtype="float64")
    assert weights.config.n_layer == 1
    np.testing.assert_allclose(Transformer(weights)(s=s), wanted, rtol=1e-9)
