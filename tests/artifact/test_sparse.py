"""Linear and bilinear maps give the same bits however they are summed and however their operands lie in memory."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from innerloop.artifact.sparse import Matrix, columns
from innerloop.compiler.ir.bilinear import Bilinear

ROWS = 500
SYMMETRIC = Bilinear(np.repeat(range(3), 3), np.tile(range(3), 3), [0, 1, 2, 1, 3, 4, 2, 4, 5], 1.0, 3, (3, 6))
FORMS = {
    "product by product": Bilinear.mul(5),
    "outer": Bilinear.outer(3, 4),
    "matrices": Bilinear.dot(3, 2, 4),
    "symmetric matrix by vector": SYMMETRIC,
    "not as many products everywhere": Bilinear([0, 0, 1], [0, 1, 2], [1, 1, 1], 1.0, 2, (3, 3)),
    "scaled": Bilinear([1, 0, 1, 0], [0, 1, 2, 0], [1, 1, 0, 2], [0.1, 0.3, -0.7, 1.0], 2, (3, 3)),
    "nothing": Bilinear([], [], [], 1.0, 3, (3, 3)),
}


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("layout", ["C", "F"])
def test_bilinear_sums_entry_by_entry(name: str, layout: str) -> None:
    form = FORMS[name]
    draw = np.random.default_rng(0)
    a, b = (np.array(draw.standard_normal((ROWS, size)), order=layout) for size in form.sizes)  # type: ignore[call-overload]
    expected = np.zeros((ROWS, form.size))
    for out, i, j, c in zip(form.out, form.left, form.right, form.coefficient, strict=True):
        expected[:, out] += c * (a[:, i] * b[:, j])
    assert np.array_equal(form.apply(a, b), expected)


@pytest.mark.parametrize(
    ("name", "side"), [("symmetric matrix by vector", 1), ("matrices", 0), ("product by product", 0)]
)
def test_an_operand_that_stays_gives_the_same_bits(name: str, side: int) -> None:
    form = FORMS[name] if name != "matrices" else Bilinear.dot(3, 40, 1)
    draw = np.random.default_rng(0)
    given = [draw.standard_normal((5, ROWS, size)) for size in form.sizes]
    taken = form.taken(side, given[side])
    assert taken is not None
    for _ in range(2):
        given[1 - side] = draw.standard_normal(given[1 - side].shape)
        assert np.array_equal(form.apply_taken(side, taken, given[1 - side]), form.apply(given[0], given[1]))


def test_an_operand_that_would_take_much_room_is_not_kept() -> None:
    assert Bilinear.dot(3, 2, 40).taken(0, np.ones((ROWS, 6))) is None
    assert FORMS["scaled"].taken(0, np.ones((ROWS, 3))) is None


@pytest.mark.parametrize("used", [[3], [1, 6], list(range(8)), []])
def test_matrix_reads_only_what_it_uses(used: list[int]) -> None:
    draw = np.random.default_rng(0)
    dense = np.zeros((4, 8))
    dense[:, used] = draw.standard_normal((4, len(used)))
    x = draw.standard_normal((6, 5, 8))
    expected = np.zeros((6, 5, 4))
    for k in used:
        expected += x[..., k, None] * dense[:, k]
    for operand in (x, columns(x)):
        assert np.array_equal(operand, x)
        assert np.array_equal(Matrix(dense).apply(operand), expected)


def test_what_is_made_of_a_matrix_leaves_it_as_it_was() -> None:
    """The square of 1e-200 is 0, and is not stored."""
    small = Matrix.of([0, 0, 1], [0, 1, 2], [1e-200, 2.0, 3.0], (2, 3))
    assert np.array_equal(small.squared.csr.toarray(), [[0.0, 4.0, 0.0], [0.0, 0.0, 9.0]])
    assert np.array_equal((small * 1e-200).csr.toarray(), [[0.0, 2e-200, 0.0], [0.0, 0.0, 3e-200]])
    given = sp.csr_array(np.array([[1.0, 2.0]]))
    given.data[0] = 0.0
    assert Matrix(given).nnz == 1
    assert given.nnz == 2
    assert np.array_equal(small.csr.toarray(), [[1e-200, 2.0, 0.0], [0.0, 0.0, 3.0]])
