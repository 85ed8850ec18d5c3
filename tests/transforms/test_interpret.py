"""The oracle: every program against an independent implementation, and every fault of data."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from innerloop.artifact.errors import CompileError, DataError
from innerloop.artifact.signature import Pattern
from innerloop.artifact.tokens import output_rows, read_data, role_kinds, roles, sequence, visible
from innerloop.compiler.interpreter.interpret import interpret
from innerloop.compiler.interpreter.oracle import evaluate
from innerloop.compiler.interpreter.reads import scores
from innerloop.compiler.ir.build import graph_of
from numpy.typing import NDArray
from sklearn.linear_model import Lasso

from tests.reference import CASES, PROGRAMS, Case, source


def test_every_program_has_a_reference() -> None:
    assert sorted(case.program for case in CASES) == sorted(path.stem for path in PROGRAMS)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.program)
def test_program_agrees_with_its_reference(case: Case) -> None:
    data = case.data(seed=0, tasks=3)
    answers = case.answers(data)
    found = case.truth(data)
    assert found.shape == answers.shape
    np.testing.assert_allclose(found, answers, rtol=0, atol=case.tolerance * max(1.0, np.abs(answers).max()))


@pytest.mark.parametrize(("name", "steps"), [("lasso", 400), ("fista", 200)])
def test_lasso_converges_to_scikit_learn(name: str, steps: int) -> None:
    rng = np.random.default_rng(3)
    x = rng.standard_normal((21, 3))
    y = x[:20] @ [1.0, -0.05, 2.0] + 0.1 * rng.standard_normal(20)
    found = interpret(source(name), x=x, y=y, d=3, steps=steps, rate=0.3)
    model = Lasso(alpha=0.1, fit_intercept=False, tol=1e-14, max_iter=100_000).fit(x[:20], y)
    assert model.coef_[1] == 0
    assert abs(found[-1] - x[20] @ model.coef_) < 1e-9


# Data --------------------------------------------------------------------------------------------

GD = source("gradient_descent")
X = np.random.default_rng(0).standard_normal((2, 5, 3))
Y = np.random.default_rng(1).standard_normal((2, 5))


def test_a_last_label_without_a_token_is_ignored() -> None:
    missing = Y.copy()
    missing[:, -1] = np.nan
    np.testing.assert_array_equal(interpret(GD, x=X, y=missing, d=3), interpret(GD, x=X, y=Y[:, :4], d=3))


def test_data_without_a_batch_dimension() -> None:
    np.testing.assert_array_equal(interpret(GD, x=X[1], y=Y[1], d=3), interpret(GD, x=X, y=Y, d=3)[1])


def test_a_query_without_examples() -> None:
    np.testing.assert_array_equal(interpret(GD, x=X[:, :1], y=Y[:, :0], d=3), np.zeros((2, 1)))


def test_a_field_on_several_kinds_says_the_length() -> None:
    text = source("algorithm_selection")
    assert interpret(text, x=X, y=Y[:, :4], d=3).shape == interpret(text, x=X, y=Y, d=3).shape == (2, 1)


def test_symbols_and_one_hot_vectors_are_the_same() -> None:
    text, symbols = source("bigram"), np.array([[0, 2, 1, 2], [1, 1, 0, 2]])
    expected = interpret(text, s=symbols, vocabulary=3)
    np.testing.assert_array_equal(interpret(text, s=np.eye(3)[symbols], vocabulary=3), expected)
    np.testing.assert_array_equal(interpret(text, s=symbols[0], vocabulary=3), expected[0])
    np.testing.assert_array_equal(interpret(text, s=np.eye(3)[symbols[0]], vocabulary=3), expected[0])


def changed(array: NDArray[Any], place: tuple[int, ...], value: float) -> NDArray[Any]:
    copy = array.copy()
    copy[place] = value
    return copy


FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "missing": ({"x": X}, "the field `y` is missing: gradient_descent takes `x`, `y`"),
    "unknown": (
        {"x": X, "y": Y, "labels": Y},
        "gradient_descent takes no `labels`: its fields are `x`, `y`; its parameters `d`, `steps`, `rate`",
    ),
    "near": ({"x": X, "y": Y, "stepz": 3}, "gradient_descent takes no `stepz`: did you mean `steps`?"),
    "size": ({"x": X[..., :2], "y": Y}, "`x` has shape (2, 5, 2); wanted (batch, rows, 3)"),
    "rank": ({"x": X, "y": Y[..., None, None]}, "`y` has shape (2, 5, 1, 1); wanted (batch, rows)"),
    "length": (
        {"x": X, "y": Y[:, :3]},
        "`y` has 3 rows, and `x` has 5: `(x y)* x` then needs 4, or 5 of which the last is ignored",
    ),
    "batch": ({"x": X, "y": Y[:1]}, "`y` has a batch of 1, and `x` one of 2"),
    "batches": ({"x": X, "y": Y[0]}, "`y` has no batch dimension, and `x` has one: both must, or neither"),
    "nan": (
        {"x": changed(X, (1, 2, 0), np.nan), "y": Y},
        "`x` holds nan at task 1, row 2, component 0: all numbers must be finite",
    ),
    "infinity": (
        {"x": X, "y": changed(Y, (0, 3), -np.inf)},
        "`y` holds -inf at task 0, row 3: all numbers must be finite",
    ),
    "nan unbatched": (
        {"x": X[0], "y": changed(Y[0], (3,), np.nan)},
        "`y` holds nan at row 3: all numbers must be finite",
    ),
    "text": ({"x": X.astype(str), "y": Y}, f"`x` holds {str(X[0, 0, 0])!r} at [0, 0, 0]; wanted numbers"),
    "ragged": ({"x": [[1.0, 2.0], [3.0]], "y": Y}, "`x` is no array: its rows differ in length"),
    "no tasks": ({"x": X[:0], "y": Y[:0]}, "`x` is empty: a batch of 0"),
    "no rows": ({"x": X[:, :0], "y": Y[:, :0]}, "`x` has 0 rows; `(x y)* x` needs at least 1"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faulty_data(name: str) -> None:
    arguments, message = FAULTS[name]
    with pytest.raises(DataError) as error:
        interpret(GD, d=3, **arguments)
    assert str(error.value) == message


SYMBOLS: dict[str, tuple[Any, str]] = {
    "beyond": ([[0, 3, 1]], "`s` holds 3 at task 0, row 1; its symbols are the whole numbers 0 to 2"),
    "fraction": ([[0, 0.5]], "`s` holds 0.5 at task 0, row 1; its symbols are the whole numbers 0 to 2"),
    "not one-hot": ([[[1, 0, 0], [1, 1, 0]]], "`s` is not one-hot at task 0, row 1: wanted one 1 and else 0"),
    "size": (
        np.zeros((1, 2, 4)),
        "`s` has shape (1, 2, 4); wanted (batch, rows, 3), or (batch, rows) of whole numbers 0 to 2",
    ),
    "either": (
        np.eye(3, dtype=int),
        "`s` with shape (3, 3) may be symbols (batch, rows) or one-hot vectors (rows, 3): "
        "give one-hot vectors a batch dimension, or symbols as (batch, rows, 3)",
    ),
    "none": (np.zeros((2, 0, 3)), "`s` is empty: 0 rows, and so no token at all"),
}


@pytest.mark.parametrize("name", SYMBOLS)
def test_faulty_symbols(name: str) -> None:
    data, message = SYMBOLS[name]
    with pytest.raises(DataError) as error:
        interpret(source("bigram"), s=data, vocabulary=3)
    assert str(error.value) == message


def test_more_tokens_than_a_scan_takes() -> None:
    with pytest.raises(DataError, match="4 `y` tokens given; this program scans `y` up to 3"):
        interpret(source("sherman_morrison"), x=X, y=Y, d=3, examples=3)


def test_faulty_programs_and_parameters() -> None:
    with pytest.raises(CompileError, match="parameter `d` has no value"):
        interpret(GD, x=X, y=Y)
    with pytest.raises(CompileError, match="is not known"):
        interpret(GD.replace("dot(w, x)", "dot(v, x)"), x=X, y=Y, d=3)


# Tokens ------------------------------------------------------------------------------------------


def test_visibility() -> None:
    causal, line = Pattern(("h",), ("a",), ("q", "q")), sequence(Pattern(("h",), ("a",), ("q", "q")), 2)
    assert line.kinds == ("h", "a", "a", "q", "q")
    np.testing.assert_array_equal(visible(line, causal), np.tri(5))
    context = visible(line, replace(causal, visible_context=True))
    np.testing.assert_array_equal(context.astype(int), [[1, 1, 1, 0, 0]] * 3 + [[1, 1, 1, 1, 0], [1] * 5])


def test_roles_have_names_of_their_own() -> None:
    pattern = Pattern(("h",), ("x", "y", "x"), ("x",))
    assert roles(pattern) == ("rest", "prefix:h", "group:x", "group:y", "group:x.2", "suffix:x")
    assert role_kinds(pattern) == (None, "h", "x", "y", "x", "x")
    assert sequence(pattern, 2).roles == (1, 2, 3, 4, 2, 3, 4, 5)
    assert output_rows(sequence(pattern, 1), {"x"}).tolist() == [1, 3, 4]


# Evaluation --------------------------------------------------------------------------------------


def test_chunks_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = interpret(GD, x=X, y=Y, d=3, steps=3)
    monkeypatch.setattr("innerloop.compiler.interpreter.chunks.CHUNK_BYTES", 1)
    monkeypatch.setattr("innerloop.compiler.interpreter.reads.BLOCK_BYTES", 1)
    np.testing.assert_allclose(interpret(GD, x=X, y=Y, d=3, steps=3), whole, rtol=1e-12, atol=1e-15)


def test_observe_sees_every_value_where_it_lives() -> None:
    graph = graph_of(source("sherman_morrison"), {"d": 3})
    seen: dict[int, int] = {}

    def observe(value: int, array: NDArray[Any]) -> None:
        assert array.shape[0] == 2
        assert array.shape[2] == graph[value].size
        seen[value] = seen.get(value, 0) + array.shape[1]

    evaluate(graph, read_data(graph.signature, {"x": X, "y": Y}), observe)
    assert set(seen) == set(graph.values())
    live = {"x": 5, "y": 4}
    assert all(count == sum(live[kind] for kind in graph[value].kinds) for value, count in seen.items())


def test_scores_of_tokens_that_are_not_seen_are_none() -> None:
    """They are what a head has to hold: its reach is taken of them."""
    query, key = np.ones((2, 3, 1)), np.full((2, 4, 1), 5.0)
    seen = np.tri(3, 4, dtype=bool)
    found = scores(query, key, seen)
    assert (found[:, seen] == 5.0).all()
    assert (found[:, ~seen] == 0.0).all()


DEFINED = """program repeated(k = 2)

tokens (x)* q
    x : scalar on x, q

def doubled(a, p)
    v = a
    repeat p
        v = 2 * v
    output v

def more(a, m)
    u = doubled(a, m + 1)
    output u

n = 3 * k
at q
    output {0}
"""


@pytest.mark.parametrize(("call", "passes"), [("doubled(x, k + 1)", 3), ("doubled(x, n + 1)", 7), ("more(x, k)", 3)])
def test_what_counts_passes_of_a_definition_is_any_constant(call: str, passes: int) -> None:
    assert interpret(DEFINED.format(call), x=[0.0, 1.0]).tolist() == [2.0**passes]


def test_a_repeat_in_a_repeat_reads_what_this_pass_of_the_outer_one_made() -> None:
    text = (
        "program nested(d)\n\ntokens (x)*\n    x : vector[d]\n\nat x\n    w : vector[d] = x\n    repeat 3\n"
        "        v = 0.5 * w\n        repeat 2\n            w = w - 0.1 * dot(v, x) * (0.5 * v + w)\n"
        "    output dot(w, x)\n"
    )
    w = X
    for _ in range(3):
        v = 0.5 * w
        for _ in range(2):
            w = w - 0.1 * (v * X).sum(-1, keepdims=True) * (0.5 * v + w)
    np.testing.assert_allclose(interpret(text, x=X, d=3), (w * X).sum(-1), rtol=1e-13)


TERMS = """program terms(steps = 3)

tokens s (x y)* x
    s : scalar
    x : scalar
    y : scalar

c = move s from first s
w = 0
repeat steps
    at y
        z = c + y - w
    w = w + 0.1 * mean[j in y](z[j])
at x
    output w * x
"""


def test_terms_that_no_pass_changes_may_stand_at_other_tokens() -> None:
    """c at all tokens, y at those of y."""
    s, x, y = np.ones((2, 1)), np.arange(1.0, 9.0).reshape(2, 4), np.arange(6.0).reshape(2, 3)
    at_y, at_x = np.zeros((2, 3)), np.zeros((2, 4))
    for _ in range(3):
        sums = np.cumsum(1.0 + y - at_y, 1)
        means = sums / np.arange(1, 4)
        at_y, at_x = at_y + 0.1 * means, at_x + 0.1 * np.column_stack([np.zeros(2), means])
    np.testing.assert_allclose(interpret(TERMS, s=s, x=x, y=y), at_x * x, rtol=1e-12, atol=1e-15)
