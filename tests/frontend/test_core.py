"""The core of a program: what it prints, that it is a program, and that it is its own core."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from innerloop.artifact.tokens import sequence
from innerloop.compiler.frontend.check import check
from innerloop.compiler.frontend.constants import evaluate
from innerloop.compiler.frontend.core import core
from innerloop.compiler.frontend.desugar import expand
from innerloop.compiler.interpreter.interpret import interpret
from innerloop.compiler.syntax.nodes import Assign, Define, Grad, Output, Type
from innerloop.compiler.syntax.parse import parse
from innerloop.compiler.syntax.traversal import statements, walk
from numpy.typing import ArrayLike

from tests.reference import PROGRAMS, packed

CASES = Path(__file__).parents[1] / "cases"


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_core(path: Path, golden: Callable[[Path, str], None]) -> None:
    printed = core(parse(path.read_text(encoding="utf-8"), path.name))
    golden(CASES / "core" / path.name, printed)
    again = parse(printed, path.name)
    assert check(again) == []
    assert core(again) == printed


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_expanded_has_no_def_and_no_grad(path: Path) -> None:
    expanded = expand(parse(path.read_text(encoding="utf-8"), path.name))
    for statement in statements(expanded.body):
        assert not isinstance(statement, Define)
        if isinstance(statement, Assign | Output):
            assert not any(isinstance(node, Grad) for node in walk(statement.value))


HEAD = "program p(d, A : matrix[d, d])\n\ntokens (x y)* x\n    x : vector[d]\n    y : scalar\n\n"


@pytest.mark.parametrize(
    ("statement", "lines"),
    [
        ("v = x", ["v = x"]),
        ("v = -2 * x + A @ x / 3", ["v = affine(-2 * x + A @ x / 3)"]),
        ("v = sum(x * x)", ["v_1 = mul(x, x)", "v = affine(sum(v_1))"]),
        ("v = x ^ 3", ["v_1 = mul(x, x)", "v = mul(x, v_1)"]),
        ("v = x ^ 1", ["v = x"]),
        ("v = x ^ 7", ["v_1 = mul(x, x)", "v_2 = mul(x, v_1)", "v_3 = mul(v_1, v_1)", "v = mul(v_2, v_3)"]),
        ("v = (x + 1) * (x + 1)", ["v_1 = affine(x + 1)", "v = mul(v_1, v_1)"]),
        ("v = tanh(relu(x) - 1)", ["v_1 = relu(x)", "v_2 = affine(v_1 - 1)", "v = tanh(v_2)"]),
        ("v = x * (x < 0)", ["v_1 = x < 0", "v = mul(x, v_1)"]),
        ("v = 2 * move x from first x", ["v = rtw(2 * move x from first x)"]),
        ("v = sum[j in x](x[j] ^ 2)", ["v = rtw(sum[j in x](mul(x[j], x[j])))"]),
        (
            "v = sum[j in x](x[j]) - mean[j in x](x[j])",
            ["v_1 = rtw(sum[j in x](x[j]))", "v_2 = rtw(mean[j in x](x[j]))", "v = affine(v_1 - v_2)"],
        ),
        ("v = x * mean[j in x](x[j])", ["v_1 = rtw(mean[j in x](x[j]))", "v = mul(x, v_1)"]),
        ("v_1 = x * x + x", ["v_1_1 = mul(x, x)", "v_1 = affine(v_1_1 + x)"]),
    ],
)
def test_one_operation_a_line(statement: str, lines: list[str]) -> None:
    printed = core(parse(f"{HEAD}at x\n    {statement}\n    output 1\n"))
    block = printed.split("at x\n")[1].splitlines()
    assert [line.strip() for line in block[:-1]] == lines


SIZES = {"d": 3, "m": 4, "k": 2, "hidden": 4, "ramps": 3, "vocabulary": 5, "steps": 4, "inner": 3}
SIZES |= {"states": 2, "symbols": 3, "edges": 6, "actions": 2, "arms": 3, "classes": 3}
REPETITIONS = 4


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_core_computes_the_same(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    program = parse(text, path.name)
    random = np.random.default_rng(1)
    names = {parameter.name for parameter in program.parameters}
    given: dict[str, ArrayLike] = {name: size for name, size in SIZES.items() if name in names}
    for parameter in program.parameters:
        if parameter.type is not None and parameter.default is None:
            given[parameter.name] = random.normal(size=_sizes(parameter.type, given))
    pattern = program.tokens.pattern
    kinds = sequence(pattern, REPETITIONS).kinds
    for field in program.fields:
        shape = _sizes(field.type, given)
        rows = sum(kind in field.kinds for kind in kinds)
        given[field.name] = random.normal(size=(2, rows, *shape))
        if field.type.base == "onehot":
            given[field.name] = np.eye(shape[0])[random.integers(0, shape[0], size=(2, rows))]
    found, wanted = (packed(interpret(form, **given)) for form in (core(program), text))
    np.testing.assert_allclose(found, wanted, rtol=1e-12)  # sums may be added up in another order


def _sizes(type: Type, given: Mapping[str, object]) -> list[int]:
    return [int(evaluate(dimension, given)) for dimension in type.dimensions]
