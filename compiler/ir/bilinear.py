"""Bilinear maps of two operands as tables of terms: the same map written once, turned round, or taken inside another.

f(a, b) = Σ c · a_i b_j → out        canonical f    each (out, i, j) once, in order
                                     flipped f      f(b, a)
                                     after f, M     f(M a, b)
                                     composed f, g  f(g(a, c), b), term by term
                                     factored       outer(a, known(c, b)), where f(g(a, c), b) is that
"""

from __future__ import annotations

import numpy as np
from innerloop.artifact.bilinear import Bilinear
from innerloop.artifact.sparse import Matrix


def canonical(form: Bilinear) -> Bilinear:
    """Its entries in order, each once."""
    keys, place = np.unique(np.stack([form.out, form.left, form.right]), axis=1, return_inverse=True)
    coefficient = np.bincount(place.ravel(), form.coefficient, minlength=keys.shape[1])
    kept = coefficient != 0
    out, left, right = keys[:, kept]
    return Bilinear(out, left, right, coefficient[kept], form.size, form.sizes)


def flipped(form: Bilinear) -> Bilinear:
    """form(b, a) as a form of a and b."""
    return canonical(form.swapped)


def after(form: Bilinear, matrix: Matrix) -> Bilinear:
    """form(matrix a, b) as a form of a and b."""
    rows = matrix.csr[form.left].tocoo()
    coefficient = form.coefficient[rows.row] * rows.data
    sizes = (matrix.shape[1], form.sizes[1])
    return canonical(Bilinear(form.out[rows.row], rows.col, form.right[rows.row], coefficient, form.size, sizes))


def composed(form: Bilinear, inner: Bilinear) -> list[tuple[int, int, int, int, float]]:
    """form(inner(a, c), b) as entries (out, place in a, in c, in b, coefficient), each place once."""
    by_out: dict[int, list[int]] = {}
    for entry, out in enumerate(inner.out.tolist()):
        by_out.setdefault(out, []).append(entry)
    total: dict[tuple[int, int, int, int], float] = {}
    lefts, rights, numbers = inner.left.tolist(), inner.right.tolist(), inner.coefficient.tolist()
    for out, m, k, x in zip(
        form.out.tolist(), form.left.tolist(), form.right.tolist(), form.coefficient.tolist(), strict=True
    ):
        for entry in by_out.get(m, ()):
            key = (out, lefts[entry], rights[entry], k)
            total[key] = total.get(key, 0.0) + x * numbers[entry]
    return [(*key, x) for key, x in total.items() if x]


def factored(form: Bilinear, inner: Bilinear, known: Bilinear) -> Bilinear | None:
    """The `outer` with form(inner(a, c), b) = outer(a, known(c, b)), if there is one: (A C) B = A (C B).

    Found where no product of two components occurs in two components of `known`, as in products of matrices.
    """
    home = {
        (j, k): (q, x)
        for q, j, k, x in zip(
            known.out.tolist(), known.left.tolist(), known.right.tolist(), known.coefficient.tolist(), strict=True
        )
    }
    if len(home) != known.out.size:
        return None
    terms = np.bincount(known.out, minlength=known.size)
    found: dict[tuple[int, int, int], list[float]] = {}
    for out, i, j, k, x in composed(form, inner):
        if (j, k) not in home:
            return None
        q, unit = home[j, k]
        found.setdefault((out, i, q), []).append(x / unit)
    if any(len(xs) != terms[q] or np.ptp(xs) > 1e-12 * abs(xs[0]) for (_, _, q), xs in found.items()):
        return None
    if not found:
        return None
    outs, lefts, rights = zip(*found, strict=True)
    units = [xs[0] for xs in found.values()]
    return canonical(Bilinear(outs, lefts, rights, units, form.size, (inner.sizes[0], known.size)))
