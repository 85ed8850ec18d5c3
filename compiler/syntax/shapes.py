"""Shape rules: what shape an operation gives for the shapes of its operands.

    elementwise  (d,) (d,) → (d,)     () (d,) → (d,)      (d,) (m,) → None
    contract     (n, d) (d,) → (n,)   (d,) (d,) → ()      last axis with first
    outer        (n,) (m,) → (n, m)

A dimension is a whole number, or a polynomial in the program's parameters (`Size`) where these have
no value yet; both compare by value, so that the checker and the graph builder share one set of rules.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass

from .nodes import Binary, Expr, Name, Negate, Number, Power, Type


@dataclass(frozen=True, slots=True)
class Size:
    """A polynomial with whole coefficients: sorted ((parameters of the monomial), coefficient) pairs."""

    terms: tuple[tuple[tuple[str, ...], int], ...]

    def __str__(self) -> str:
        text = ""
        for names, coefficient in reversed(self.terms):
            factors = [str(abs(coefficient))] if abs(coefficient) != 1 or not names else []
            term = " * ".join(factors + list(names))
            sign = ("-" if coefficient < 0 else "") if not text else (" - " if coefficient < 0 else " + ")
            text += sign + term
        return text


Dimension = int | Size
Shape = tuple[Dimension, ...]


def symbol(parameter: str) -> Size:
    """The size that `parameter` will have."""
    return Size((((parameter,), 1),))


def _terms(dimension: Dimension) -> dict[tuple[str, ...], int]:
    return {(): dimension} if isinstance(dimension, int) else dict(dimension.terms)


def _collect(terms: Mapping[tuple[str, ...], int]) -> Dimension:
    kept = {names: coefficient for names, coefficient in terms.items() if coefficient}
    if not kept or set(kept) == {()}:
        return kept.get((), 0)
    return Size(tuple(sorted(kept.items(), key=lambda term: (len(term[0]), term[0]))))


def add(a: Dimension, b: Dimension, sign: int = 1) -> Dimension:
    """a + sign · b."""
    terms = _terms(a)
    for names, coefficient in _terms(b).items():
        terms[names] = terms.get(names, 0) + sign * coefficient
    return _collect(terms)


def multiply(a: Dimension, b: Dimension) -> Dimension:
    terms: dict[tuple[str, ...], int] = {}
    for left, c in _terms(a).items():
        for right, e in _terms(b).items():
            names = tuple(sorted(left + right))
            terms[names] = terms.get(names, 0) + c * e
    return _collect(terms)


def dimension(expr: Expr, sizes: Mapping[str, Dimension]) -> Dimension | None:
    """The size that `expr` says: whole numbers and the names in `sizes` under + - * ^; None for anything else."""
    match expr:
        case Number(value=value):
            return int(value) if value == int(value) else None
        case Name(name=name):
            return sizes.get(name)
        case Negate(operand=operand):
            size = dimension(operand, sizes)
            return None if size is None else multiply(-1, size)
        case Binary(operator="+" | "-" | "*" as operator, left=left, right=right):
            a, b = dimension(left, sizes), dimension(right, sizes)
            if a is None or b is None:
                return None
            return multiply(a, b) if operator == "*" else add(a, b, 1 if operator == "+" else -1)
        case Power(base=base, exponent=exponent):
            size = dimension(base, sizes)
            if size is None or exponent.value != int(exponent.value) or exponent.value > 8:
                return None
            result: Dimension = 1
            for _ in range(int(exponent.value)):
                result = multiply(result, size)
            return result
    return None


def mentions(dimension: Dimension, names: Container[str]) -> bool:
    return any(name in names for monomial in _terms(dimension) for name in monomial)


def linear(dimension: Dimension, names: Container[str]) -> bool:
    """Whether no two of these are multiplied."""
    return all(sum(name in names for name in monomial) <= 1 for monomial in _terms(dimension))


def ends(place: Dimension, turns: Mapping[str, Dimension | None]) -> list[Dimension]:
    """A place that is linear in the numbers of passes, where each of them is 1 and where it is the last: in no other
    pass is it less than the least, or more than the most."""
    found = [place]
    for turn, count in turns.items():
        if count != 0 and mentions(place, {turn}):
            found = [_where(p, turn, value) for p in found for value in (1, count) if value is not None]
    return found


def _where(place: Dimension, name: str, value: Dimension) -> Dimension:
    result: Dimension = 0
    for names, coefficient in _terms(place).items():
        term: Dimension = coefficient
        for other in names:
            term = multiply(term, value if other == name else symbol(other))
        result = add(result, term)
    return result


def of_type(type: Type, sizes: Mapping[str, Dimension]) -> Shape | None:
    """The shape of a type; None if one of its dimensions is no size."""
    shape = tuple(dimension(d, sizes) for d in type.dimensions)
    return None if None in shape else tuple(d for d in shape if d is not None)


def describe(shape: Shape) -> str:
    """`scalar`, `vector[d]`, `matrix[d, 2]`."""
    if not shape:
        return "scalar"
    return f"{('vector', 'matrix', 'tensor')[len(shape) - 1]}[{', '.join(map(str, shape))}]"


def elementwise(a: Shape, b: Shape) -> Shape | None:
    """Component by component: equal shapes, or a scalar stretched to the other's."""
    if a == b or not b:
        return a
    return b if not a else None


def contract(a: Shape, b: Shape) -> Shape | None:
    """dot and @: the last axis of `a` with the first of `b`."""
    if not a or not b or a[-1] != b[0]:
        return None
    return a[:-1] + b[1:]


def outer(a: Shape, b: Shape) -> Shape | None:
    """Two vectors to a matrix."""
    return a + b if len(a) == len(b) == 1 else None


def arranged(function: str, shape: Shape) -> Shape | None:
    """What transpose, diag, row_sums and column_sums make of one operand."""
    match function, shape:
        case "transpose", (rows, columns):
            return (columns, rows)
        case "diag", (size,):
            return (size, size)
        case "diag", (rows, columns) if rows == columns:
            return (rows,)
        case "row_sums", (rows, _):
            return (rows,)
        case "column_sums", (_, columns):
            return (columns,)
    return None


def part(shape: Shape, places: Sequence[tuple[Dimension, Dimension | None]]) -> Shape | None:
    """Of components and slices along the first axes; None for too many of them."""
    if len(places) > len(shape):
        return None
    kept = (add(add(high, low, -1), 1) for low, high in places if high is not None)
    return (*kept, *shape[len(places) :])


def stack(items: Sequence[Shape]) -> Shape | None:
    """An array literal: numbers to a vector, rows of one length to a matrix, numbers and vectors to one vector."""
    if items and len(items[0]) <= 1 and all(item == items[0] for item in items):
        return (len(items), *items[0])
    return join(items) if () in items else None


def join(items: Sequence[Shape]) -> Shape | None:
    """Numbers and vectors end to end, or matrices with rows of one length one below the other."""
    if any(len(item) == 2 for item in items):
        same = all(len(item) == 2 and item[1] == items[0][-1] for item in items)
        return (total([item[0] for item in items]), items[0][-1]) if same else None
    return (total([item[0] if item else 1 for item in items]),)


def total(sizes: Sequence[Dimension]) -> Dimension:
    result: Dimension = 0
    for size in sizes:
        result = add(result, size)
    return result
