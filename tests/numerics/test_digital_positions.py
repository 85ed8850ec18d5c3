"""Tables of positions: what every position reads in sequences of any lengths, or a refusal."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from innerloop.artifact.arrays import Dtype
from innerloop.artifact.errors import CompileError
from innerloop.artifact.signature import Pattern
from innerloop.artifact.tokens import role_kinds
from innerloop.compiler import compile_program, interpret
from innerloop.compiler.architectures.digital_positions import digital_rule
from innerloop.compiler.architectures.learned_positions import wanted
from innerloop.compiler.architectures.relation import Relation

from tests.reference.measured import numpy_run

POSITIONS = 11
PATTERNS = (
    Pattern(("s",), ("a", "b"), ("a",)),
    Pattern(("s", "a"), ("a", "b"), ("a", "q"), visible_context=True),
    Pattern((), ("a", "b", "c", "d"), ("q",), cuts=(1,)),
    Pattern((), ("a", "b", "c"), ("q", "b"), cuts=(1, 2)),
    Pattern(("s",), ("a", "b", "a"), ("q",), visible_context=True, cuts=(2,)),
)
RELATIONS = ("previous", "first", "last", "before", "after", "latest", "own_first", "own_last", "own_none")


def by_trial(pattern: Pattern, relation: Relation, reader: str) -> tuple[bool, list[int]]:
    """Whether each position reads one token in all sequences that there is room for, and which; 0 if nobody does."""
    room = POSITIONS - 1 - len(pattern.prefix) - len(pattern.suffix)
    reads = np.array([kind == reader for kind in role_kinds(pattern)])
    found: list[set[int]] = [set() for _ in range(POSITIONS)]
    for times in product(range(room + 1), repeat=len(pattern.groups)):
        if sum(len(group) * count for group, count in zip(pattern.groups, times, strict=True)) <= room:
            roles, targets = wanted(pattern, relation, times)
            for at in np.flatnonzero(reads[roles]):
                found[at + 1].add(int(targets[at]))
    return all(len(some) <= 1 for some in found), [max(some, default=0) for some in found]


@pytest.mark.parametrize("pattern", PATTERNS, ids=str)
def test_a_table_is_what_all_lengths_say(pattern: Pattern) -> None:
    outcomes = set()
    for name, kind, reader in product(RELATIONS, pattern.kinds, pattern.kinds):
        relation = Relation(name, kind)
        alike, targets = by_trial(pattern, relation, reader)
        rule = digital_rule(pattern, relation, frozenset({reader}), POSITIONS)
        assert (rule is not None) == alike, (relation, reader)
        if rule is not None:
            assert rule.table is not None
            assert rule.table.tolist() == targets, (relation, reader)
        outcomes.add(alike)
    assert True in outcomes
    assert (False in outcomes) == (len(pattern.groups) > 1 or pattern.visible_context)


TEXT = """program two_groups()

tokens (a)* (b)* q
    x : vector[2] on a, b, q in [-1, 1]
    y : scalar on a in [-1, 1]

at q
    z = move x from {}
    output dot(z, x) + mean[j in a](y[j])
"""


@pytest.mark.parametrize(("spread", "dtype"), [(1e4, "float32"), (None, "bfloat16")])
def test_two_groups_of_all_lengths_are_found_by_digits(spread: float | None, dtype: Dtype) -> None:
    text = TEXT.format("previous")
    weights = compile_program(text, target="gpt2", spread=spread, dtype=dtype, tokens=9)
    rng = np.random.default_rng(0)
    for a, b in [(a, b) for a, b in product(range(9), repeat=2) if a + b <= 8]:
        data = {"x": rng.uniform(-1, 1, (2, a + b + 1, 2)), "y": rng.uniform(-1, 1, (2, a))}
        error = np.abs(numpy_run(weights, data) - interpret(text, **data)).max()
        assert error <= weights.report.predicted_error, (a, b)


def test_what_no_position_says_is_refused_with_its_place() -> None:
    with pytest.raises(CompileError, match="finds no token by `first b` at q") as refused:
        compile_program(TEXT.format("first b"), target="gpt2", spread=1e4)
    assert "z = move x from first b" in str(refused.value)
    assert "let the group of what is found come first" in str(refused.value)
