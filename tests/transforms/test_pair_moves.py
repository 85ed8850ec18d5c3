"""Moves of a code that share heads say what each said by itself (compiler/transforms/pair_moves.py)."""

from __future__ import annotations

import numpy as np
import pytest
from innerloop.artifact.arrays import Dtype, Indices
from innerloop.artifact.errors import DataError
from innerloop.artifact.tokens import read_data
from innerloop.artifact.words import TargetName
from innerloop.compiler import CompileError, compile_program
from innerloop.compiler.architectures.targets import TARGETS
from innerloop.compiler.interpreter.oracle import evaluate
from innerloop.compiler.ir.build import graph_of
from innerloop.compiler.ir.graph import Attend, Graph, Move
from innerloop.compiler.numerics.position_angles import angles, angles_for, beside
from innerloop.compiler.transforms.pair_moves import pair_moves

from tests.reference.measured import numpy_run

LENGTH, POSITIONS = 300, 1025


def text(*backs: int, field: str = "onehot[v]", tokens: str = "(s)*", more: str = "") -> str:
    """What stood so far back, each at its place of a number."""
    moves = [f"p{back} = move s from previous {back}" for back in backs]
    output = " + ".join(f"{8**place} * p{back}" for place, back in enumerate(backs))
    return "\n".join(["program moved(v)", f"tokens {tokens}", f"    s : {field}", *moves, f"output {output}{more}", ""])


def paired(source: str, target: TargetName = "gpt2", dtype: Dtype = "float32") -> Graph | None:
    """None where nothing shares a head."""
    graph = graph_of(source, {"v": 3})
    made = pair_moves(graph, TARGETS[target], POSITIONS, dtype=dtype)
    return None if made is graph else made


def symbols() -> Indices:
    """One symbol alone, two by turns, runs, and drawn ones, in one of which a symbol never comes."""
    place, rng = np.arange(LENGTH), np.random.default_rng(0)
    fixed = [0 * place, 0 * place + 2, place % 2, place // 2 % 3, place // 7 % 3]
    return np.stack([*fixed, rng.integers(3, size=LENGTH), rng.integers(2, size=LENGTH)])


@pytest.mark.parametrize("length", [1, 2, 3, 4, LENGTH])
@pytest.mark.parametrize("backs", [(1, 2, 3), (1, 2, 3, 4), (1, 3, 4, 9, 10)])
def test_what_is_moved_is_the_same(backs: tuple[int, ...], length: int) -> None:
    made = paired(text(*backs))
    assert made is not None
    data = read_data(made.signature, {"s": symbols()[:, :length]})
    np.testing.assert_allclose(evaluate(made, data), evaluate(graph_of(text(*backs), {"v": 3}), data), atol=1e-12)


def test_two_that_stand_side_by_side_are_one_head() -> None:
    for backs, shared, moves in (((1, 2, 3), 1, 1), ((1, 2, 3, 4), 2, 0), ((1, 3, 4, 9, 10), 2, 1)):
        made = paired(text(*backs))
        assert made is not None
        ops = [made[v].op for v in made.values()]
        assert sum(isinstance(op, Attend) for op in ops) == shared
        assert sum(isinstance(op, Move) for op in ops) == moves


def test_the_weights_say_it_too() -> None:
    """float32, to the last bit but rounding: the fourth symbol back counts 512."""
    weights = compile_program(text(1, 2, 3, 4), optimize="heads", v=3)
    assert weights.report.layers == 1
    truth = evaluate(graph_of(text(1, 2, 3, 4), {"v": 3}), read_data(weights.signature, {"s": symbols()}))
    np.testing.assert_allclose(numpy_run(weights, {"s": symbols()}), truth, atol=2e-3)


@pytest.mark.parametrize(
    "source",
    [
        text(1, 2),  # two heads do no harm
        text(1, 3, 5),  # none beside another
        text(1, 2, 3, field="vector[v]"),  # no code
        text(1, 2, 3, tokens="(s q)*", field="onehot[v] on s, q"),  # codes of two kinds
        text(1, 2, 3, more=" + p1 * p2"),  # neurons multiply what neurons would make
    ],
)
def test_what_needs_heads_of_its_own_stays(source: str) -> None:
    assert paired(source) is None


def test_where_no_position_is_learned_or_is_too_coarse() -> None:
    assert paired(text(1, 2, 3), target="llama") is None
    assert paired(text(1, 2, 3), dtype="bfloat16") is None
    assert paired(text(1, 2, 3), target="gelu") is not None


def test_heads_are_shared_where_that_is_asked_for() -> None:
    """No gradient passes, and nothing of what was moved can be patched: who does not ask has a head each."""
    names = [[p.name for p in compile_program(text(1, 2, 3), v=3, optimize=by).layout] for by in ("depth", "heads")]
    assert "s" in names[0]
    assert "s" not in names[1]
    with pytest.raises(CompileError, match="leave the option spread out, or the option optimize"):
        compile_program(text(1, 2, 3), v=3, optimize="heads", spread=1e4)


def test_what_is_no_code_is_refused() -> None:
    with pytest.raises(DataError, match="whole numbers"):
        read_data(graph_of(text(1, 2, 3), {"v": 3}).signature, {"s": [[0.5, 0.5, 0.0]] * 4})


@pytest.mark.parametrize("back", [1, 3, 9])
def test_the_logits_of_two_are_log_2_and_0(back: int) -> None:
    """And of all others as far as tokens stand apart below −17."""
    positions = np.arange(1, 4098)
    count = angles_for(positions.size + back)
    matrix, constant = beside(back, count)
    turned = angles(positions, count)
    for place in (0, back, back + 1, 700, 4096):
        logits = (matrix @ turned[place]) @ turned.T + constant
        apart = place - np.arange(positions.size)
        np.testing.assert_allclose(logits[apart == back], np.log(2.0), atol=1e-11)
        np.testing.assert_allclose(logits[apart == back + 1], 0.0, atol=1e-11)
        assert logits[(apart != back) & (apart != back + 1)].max() < -17.0
