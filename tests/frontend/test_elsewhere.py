"""Lines as NumPy, PyTorch, MATLAB and mathematics write them: each is refused with how it is written here."""

from __future__ import annotations

import re

import pytest
from innerloop.compiler import CompileError
from innerloop.compiler.ir.build import graph_of

HEAD = """program p(d = 2)
tokens (x y)* x
    x : vector[d]
    y : scalar
w : vector[d] = 1
A : matrix[d, d] = identity(d)
"""
LINES = {
    "z = mean(w, axis=0)": "over tokens it is `mean[j in K](v[j])`",
    "z = np.linalg.inv(A)": "`inverse(A)` and `solve(A, b)`",
    "z = np.zeros(d)": "`w : vector[d] = 0`",
    "z = F.relu(w)": "functions stand alone: `relu(…)`",
    "z = A.T @ w": "`transpose(A)`",
    "z = A'": "`transpose(A)`",
    "z = A^-1": "`inverse(A)`",
    "z = w[1:]": "both ends of a slice",
    "z = A[:, 1]": "both ends of a slice",
    "z = w if w[1] > 0 else 0": "`(a > b) * e + (a <= b) * f`",
    "z = w[1] > 0 ? 1 : 0": "`(a > b) * e + (a <= b) * f`",
    "repeat 3:\n    w = w / 2": "no colon",
    "repeat until w[1] < 1\n    w = w / 2": "known when compiling",
    "repeat 2\n    break": "every pass runs whole",
    "z = 2w": "`2 * w`",
    "z = w w": "`a * b`",
    "z = 1.": "both sides of a point",
    "z = .5": "both sides of a point",
    "z := 3": "`name = e`",
    "z, v = w, w": "one name",
    "z = [1 2]": "commas",
    "z = [w[1] w[2]]": "commas",
    "move x from previous": "has a name",
    "z = [w; w]": "end to end",
    "z : float = 0": "`scalar`",
    "z : vector = 0": "`w : vector[d] = 0`",
    "f = lambda v: v": "`def f(v) = e`",
    "def f(v): return v": "`output e`",
    "// twice": "begins with `#`",
    "z = sum(y[j] for j in y)": "`mean[j in y](v[j])`",
    "z = sum[j=1](y[j])": "`mean[j in y](v[j])`",
    "z = mean[j in y] y[j]": "in parentheses",
    "at x, y\n    z = 1": "of one kind",
    "z = previous x": "`move x from previous`",
    "z = the x before last": "`move x from previous 2`",
    "z = w from previous": "`move x from previous`",
    "z = cumsum(w)": "`scan y up to 40`",
    "z = sort(w)": "argmax",
    "z = randn(d)": "draws nothing",
    "z = floor(w)": "`(v >= 1) + (v >= 2)`",
    "z = pi * w": "3.141592653589793",
    "z = True": "true is 1",
}


@pytest.mark.parametrize("line", LINES)
def test_how_it_is_written_here(line: str) -> None:
    with pytest.raises(CompileError) as refusal:
        graph_of(f"{HEAD}{line}\noutput w\n", {})
    assert any(LINES[line] in (told.hint or "") for told in refusal.value.diagnostics), refusal.value


WRITTEN = """
z = (w[1] > 0) * w + (w[1] <= 0) * A[1]
z = w[2:d]
z = A[1:d, 1]
z = log(w) / log(2)
z = concat(w[1] * w, w[2] * w)
z = [w[1] == 1, w[2] == 2]
z = (w >= 1) + (w >= 2)
z = w - (w > 0) * w
z = w * sigmoid(1.702 * w)
z = transpose(A) @ w
z = exp(1) * w
z = sum[j in y](y[j]) * w
"""


def test_what_hints_say_is_of_the_language() -> None:
    for line in re.findall(".+", WRITTEN):
        graph_of(f"{HEAD}{line}\noutput w\n", {})
