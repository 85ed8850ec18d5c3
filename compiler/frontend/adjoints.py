"""What comes from above, of parts and of what is put together: adjoints of linear functions that move components.

v[2:3] of 4 components      c   →   c @ identity(4)[2:3]
[1, x]                      c   →   x's is c[2:d + 1]
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..syntax import smart_constructors as s
from ..syntax.nodes import Call, Expr, Part, Place
from ..syntax.shapes import Dimension, Shape, add


def of_part(c: Expr, part: Part, whole: Shape) -> Expr:
    """`c`, in the shape of the part, where it belongs in a whole of zeros."""
    at = part.span
    rows, *columns = (
        (place, Part(at, Call(at, "identity", (s.size(n, at),)), (place,)))
        for place, n in zip(part.places, whole, strict=False)
    )
    row, of_row = rows
    if columns:
        (column, of_column) = columns[0]
        if column.high is not None:
            c = s.dot(c, of_column, at)
        else:
            c = s.times(c, of_column, at) if row.high is None else s.outer(c, of_column, at)
    if len(whole) == 1:
        return s.times(c, of_row, at) if row.high is None else s.dot(c, of_row, at)
    return s.outer(of_row, c, at) if row.high is None else s.dot(s.call("transpose", of_row), c, at)


def of_items(c: Expr, items: Sequence[Shape], stacked: bool) -> Iterator[Expr]:
    """What of `c` belongs to each item of an array (`stacked`: alike ones side by side) or of `concat`."""
    alike = stacked and all(item == items[0] for item in items)
    start: Dimension = 1
    for shape in items:
        low = s.size(start, c.span)
        if alike or not shape:
            place, start = Place(c.span, low, None), add(start, 1)
        else:
            start = add(start, shape[0])
            place = Place(c.span, low, s.size(add(start, 1, -1), c.span))
        yield Part(c.span, c, (place,))
