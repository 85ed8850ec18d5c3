"""Programs in JAX: equal to the oracle, and differentiable in parameters and data."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from innerloop.artifact.errors import CompileError
from innerloop.artifact.sparse import Matrix
from innerloop.artifact.tokens import read_data
from innerloop.compiler import interpret
from innerloop.compiler.ir.graph import Value
from innerloop.compiler.numerics.functions import POINTWISE
from innerloop.compiler.syntax.parse import parse
from innerloop.programs import load, names
from innerloop.runtime.differentiable.function import Differentiable
from innerloop.runtime.differentiable.needed import apart
from innerloop.runtime.differentiable.opened import counting_parameters, real_parameters
from innerloop.runtime.differentiable.operations import FUNCTIONS, MOST_PARTS, ONE_LOOP, affine, summed
from innerloop.runtime.differentiable.places import rows
from innerloop.runtime.executables import LEVEL
from innerloop.runtime.surroundings import settled

from tests.reference import case_of, packed

QUICK = ("ar_mesa_optimizer", "gradient_descent", "kernel_regression")
EVERY = [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in names()]
STEEP = (
    "nearest_neighbour",
    "k_nearest_neighbours",
    "k_means",
    "finite_automaton",
    "perceptron",
    "induction_head",
    "bigram",
)
"""Nearly steps, or of whole numbers: a finite difference says nothing of their slope."""
SLOPES = {*QUICK, *names()[1::3]}
"""Every third program has slopes compiled, which takes longer than all else here: they are JAX's own of what is held
against the oracle, and no rule of them is a program's."""


def drawn(name: str, seed: int, tasks: int) -> dict[str, Any]:
    return dict(case_of(name).data(seed, tasks))


@pytest.mark.parametrize("count", [0, 1, ONE_LOOP, ONE_LOOP + 1, 3 * ONE_LOOP - 1, ONE_LOOP * MOST_PARTS + 1])
def test_sums_are_of_all_parts(count: int) -> None:
    array = np.random.default_rng(count).normal(size=(3, count, 2))
    with settled("float64"):
        assert np.allclose(summed(jnp.asarray(array), 1), array.sum(1, keepdims=True), rtol=0, atol=1e-13)


@pytest.mark.parametrize("name", EVERY)
def test_equals_the_oracle_and_its_slopes_are_those_of_finite_differences(name: str) -> None:
    """To 1e-12 of the largest output; of every third program slopes of a random combination of the outputs, forward
    and in reverse."""
    f = Differentiable(load(name), real_parameters(parse(load(name))), **case_of(name).parameters)
    data = drawn(name, 5, 60)
    wanted = case_of(name).truth(data)
    assert np.abs(packed(f(**data)) - wanted).max() <= 1e-12 * max(1.0, np.abs(wanted).max())
    if name in STEEP or name not in SLOPES:
        return
    tokens = read_data(f.program.signature, data)
    fields = {n: rows[0] for n, rows in f.rows(tokens).items()}
    mix = np.random.default_rng(0).standard_normal(wanted.shape[1:])
    with settled("float64"):

        def along(t: Any) -> Any:
            moved = [{n: v + t * w for (n, v), w in zip(side.items(), ways, strict=True)} for side, ways in sides]
            return (jnp.asarray(mix) * f.one(tokens.sequence)(*moved)).sum()

        rng = np.random.default_rng(1)
        sides = [
            (side, [0.1 * v * rng.standard_normal(np.shape(v)) for v in side.values()]) for side in (f.start, fields)
        ]
        jit = partial(jax.jit, compiler_options={LEVEL: 0})
        forward = float(jit(lambda t: jax.jvp(along, (t,), (jnp.ones_like(t),))[1])(0.0))
        reverse = float(jit(jax.grad(along))(0.0))
        value = jit(along)
        h = 1e-5
        numbers = [float(value(k * h)) for k in (-2, -1, 1, 2)]
    finite = (numbers[0] - 8 * numbers[1] + 8 * numbers[2] - numbers[3]) / (12 * h)
    assert np.isfinite(numbers).all()
    assert forward == pytest.approx(finite, rel=1e-5, abs=1e-6 * max(1.0, abs(numbers[0])))
    assert reverse == pytest.approx(forward, rel=1e-9, abs=1e-12)


def test_counts_may_be_free() -> None:
    f = Differentiable(load("heavy_ball"), ("rate", "momentum"), ("steps",), d=3)
    data = drawn("heavy_ball", 2, 4)
    for steps in (0, 1, 4):
        wanted = interpret(load("heavy_ball"), d=3, steps=steps, rate=0.2, momentum=0.5, **data)
        found = f(parameters={"rate": 0.2, "momentum": 0.5}, counts={"steps": steps}, **data)
        assert np.abs(found - wanted).max() <= 1e-12
    assert counting_parameters(parse(load("heavy_ball"))) == ("steps",)
    assert counting_parameters(parse(load("k_nearest_neighbours"))) == ()  # k divides, too


def test_clip_may_have_a_free_bound() -> None:
    text = "program clipped(a)\n\ntokens (s)*\n    s : scalar\n\nb = 2 * a\noutput clip(s, -b, b)\n"
    f = Differentiable(text, ("a",), a=1.0)
    s = [[-3.0, -0.5, 2.5]]
    assert f(s=s, parameters={"a": 0.6}).tolist() == pytest.approx(interpret(text, s=s, a=0.6))


def test_a_visible_context_may_be_shortened_by_what_is_seen() -> None:
    """The query of the first k examples alone: what it would answer to them."""
    f = Differentiable(load("gd_plus"), d=3, steps=2, rate=0.2, curvature=0.05)
    data = drawn("gd_plus", 3, 2)
    tokens = read_data(f.program.signature, data)
    n, k = data["y"].shape[1], 4
    seen = np.zeros((n + 1, n + 1), bool)
    seen[:, :k] = True
    seen |= np.eye(n + 1, dtype=bool)
    with settled("float64"):
        fields = {name: rows[0] for name, rows in f.rows(tokens).items()}
        found = jax.jit(f.one(tokens.sequence))({}, fields, {}, seen)
    short = {"x": np.concatenate([data["x"][:1, :k], data["x"][:1, -1:]], 1), "y": data["y"][:1, :k]}
    assert np.asarray(found)[-1] == pytest.approx(f(**short)[0, -1])


def test_what_cannot_be_free_is_said() -> None:
    with pytest.raises(CompileError, match="`steps` is no real parameter of gradient_descent"):
        Differentiable(load("gradient_descent"), ("steps",), d=3)
    with pytest.raises(CompileError, match="`rate` is no counting parameter"):
        Differentiable(load("gradient_descent"), (), ("rate",), d=3)


def test_every_function_of_the_language_is_there() -> None:
    assert FUNCTIONS.keys() == POINTWISE.keys()


@pytest.mark.parametrize("columns", [[0, 3, 6], [4, 5, 6, 7, -1, -1], [-1, 2, 1, 0], [8, 3, 5, 0, 7, 1], [2, 2, 2]])
def test_a_matrix_that_takes_parts_is_its_product(columns: list[int]) -> None:
    """Of runs of components, of zeros among them, and of an order that is no few runs; entries of 1 and of others."""
    rng, rows = np.random.default_rng(0), np.flatnonzero(np.array(columns) >= 0)
    for entry in (1.0, -0.5):
        matrix = Matrix.of(rows, np.array(columns)[rows], entry, (len(columns), 9))
        x = rng.standard_normal((2, 9, 5))
        np.testing.assert_allclose(affine(matrix, jnp.asarray(x)), matrix.csr.toarray() @ x, rtol=1e-6, atol=1e-6)


def test_what_is_the_same_in_every_task_is_computed_once() -> None:
    """k_nearest_neighbours counts in a loop of unit vectors; what it takes comes of the data."""
    program = Differentiable(load("k_nearest_neighbours"), **case_of("k_nearest_neighbours").parameters).program
    numbers, taken = program.graph.loops()
    assert {c.phi in program.varying for c in numbers.carried} == {False}
    assert {c.phi in program.varying for c in taken.carried} == {True}


def test_what_is_the_same_at_every_token_is_computed_once() -> None:
    """adaboost: every token sees all examples, so that all hold one w; each example has a margin of its own."""
    program = Differentiable(load("adaboost"), **case_of("adaboost").parameters).program
    graph = program.graph
    (rounds,) = (loop for loop in graph.loops() if "w" in str(graph[loop.carried[0].phi].name))
    (margin,) = (v for v in graph.values() if graph[v].name == "margin")
    for alike in (True, False):
        differ = apart(graph, program.needed, program.free, lambda *_, alike=alike: alike, lambda _: False)
        assert {c.phi in differ for c in rounds.carried} == {not alike}
        assert margin in differ


def test_what_all_tokens_move_from_one_is_computed_once() -> None:
    """mlp_gradient_descent: W and a come of the first `network`, and all tokens train them alike."""
    program = Differentiable(load("mlp_gradient_descent"), **case_of("mlp_gradient_descent").parameters).program
    graph = program.graph
    (steps,) = graph.loops()
    for one in (True, False):

        def from_one(_: Value, said: bool = one) -> bool:
            return said

        differ = apart(graph, program.needed, program.free, lambda *_: True, from_one)
        assert {c.phi in differ for c in steps.carried} == {not one}


@pytest.mark.parametrize("place", [[0, 1, 2, 3], [1, 3], [2, 2, 2], [0, 0, 1], [3, 1], [2], []])
def test_rows_are_those_of_an_index(place: list[int]) -> None:
    """A slice where it is one, and one row where it is the same for all."""
    array = jnp.arange(8.0).reshape(4, 2, 1)
    found = rows(array, np.array(place, int))
    assert (np.asarray(found) == np.asarray(array)[np.array(place, int)]).all()
    assert found.shape[0] == (1 if set(place) == {2} else len(place))
    assert "gather" not in str(jax.make_jaxpr(lambda a: rows(a, np.array(place, int)))(array)) or place in (
        [0, 0, 1],
        [3, 1],
        [],
    )
