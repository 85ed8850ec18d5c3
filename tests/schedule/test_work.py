"""Compiling takes work in proportion to what it writes: counted here in matrices and multiplications, not in time."""

from __future__ import annotations

from typing import Any

import pytest
from innerloop.artifact.parts import Attention, Mlp
from innerloop.artifact.reference.arithmetic import OWN
from innerloop.artifact.reference.sublayers import Heads, Neurons
from innerloop.artifact.sparse import Matrix
from innerloop.compiler import Weights, compile_program
from innerloop.programs import load

from tests.support.linear_tasks import linear_tasks

COUNTS = {"gradient_descent": "steps", "stochastic_gradient_descent": "examples", "sherman_morrison": "examples"}


def compiled(program: str, d: int, number: int) -> Weights:
    parameters: dict[str, Any] = {"d": d, COUNTS[program]: number}
    return compile_program(load(program), calibration=linear_tasks(20, number, d, scale=0.3), **parameters)


@pytest.mark.parametrize("program", COUNTS)
def test_the_sparse_matrices_that_are_made_do_not_grow_in_number(program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = 0
    of = Matrix.of

    def counted(*arguments: object) -> Matrix:
        nonlocal made
        made += 1
        return of(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Matrix, "of", staticmethod(counted))
    numbers = {}
    for d, number in ((3, 3), (12, 3), (3, 24)):
        made = 0
        compiled(program, d, number)
        numbers[d, number] = made
    assert numbers[12, 3] <= 1.1 * numbers[3, 3], numbers
    assert numbers[3, 24] <= 1.1 * numbers[3, 3], numbers


@pytest.mark.parametrize("program", COUNTS)
def test_the_forward_pass_multiplies_by_nonzeros_only(program: str) -> None:
    weights = compiled(program, 6, 4)
    for sublayer in weights.sublayers():
        if isinstance(sublayer, Mlp):
            blocks = Neurons.of(sublayer, OWN.activations[weights.config.activation], 400, weights.config.dtype).blocks
            multiplied = sum(block.up.nnz + block.down.nnz for block in blocks)
            assert multiplied == sublayer.up.nnz + sublayer.down.nnz
        elif isinstance(sublayer, Attention):
            heads = Heads.of(sublayer, weights.config, 400)
            sides = (sublayer.query, sublayer.key, sublayer.value, sublayer.output)
            assert heads.project.nnz + heads.output.nnz <= sum(side.nnz for side in sides)
