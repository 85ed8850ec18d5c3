"""The data's side of a token pattern: arrays by field become arrays by token.

    tokens (x y)* x        x [batch, 3, d], y [batch, 2]   →   tokens x y x y x,
                           fields x [batch, 5, d], y [batch, 5, 1], zero where a token does not hold them

A *role* is a place of the pattern (the x of the group and the last x are two roles of one kind). Role 0
is "rest", the extra first token that a compiled transformer has; the tokens of the data have the others.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .arrays import Floats, Indices, numeric, same_labels
from .errors import DataError, near
from .repetitions import told_by
from .signature import FieldSpec, Pattern, Signature


def roles(pattern: Pattern) -> tuple[str, ...]:
    """ "rest", then one name for each place of prefix, group and suffix: `group:x`, `group:x.2` for a second one."""
    names = ["rest"]
    for part, kinds in (("prefix", pattern.prefix), ("group", pattern.group), ("suffix", pattern.suffix)):
        for place, kind in enumerate(kinds):
            again = kinds[:place].count(kind)
            names.append(f"{part}:{kind}" if not again else f"{part}:{kind}.{again + 1}")
    return tuple(names)


def role_kinds(pattern: Pattern) -> tuple[str | None, ...]:
    """The kind of each role; the rest token has none."""
    return (None, *pattern.prefix, *pattern.group, *pattern.suffix)


@dataclass(frozen=True, slots=True)
class Sequence:
    """The tokens of one sequence: the role of each (an index into `roles`, so 1 or more) and its kind; and how often
    each group comes."""

    roles: tuple[int, ...]
    kinds: tuple[str, ...]
    repetitions: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.kinds)


def sequence(pattern: Pattern, repetitions: int | tuple[int, ...]) -> Sequence:
    """The tokens of `pattern` with each group so many times (0 or more); a single number holds for all of them."""
    times = (repetitions,) * len(pattern.groups) if isinstance(repetitions, int) else repetitions
    line = [*range(1, 1 + len(pattern.prefix))]
    first = 1 + len(pattern.prefix)
    for group, count in zip(pattern.groups, times, strict=True):
        line += [*range(first, first + len(group))] * count
        first += len(group)
    line += range(first, first + len(pattern.suffix))
    return Sequence(tuple(line), pattern.line(times), times)


def context(line: Sequence, pattern: Pattern) -> int:
    """How many tokens are those of prefix and groups."""
    return len(line) - len(pattern.suffix)


def visible(line: Sequence, pattern: Pattern) -> NDArray[np.bool_]:
    """[tokens, tokens]: whether the row's token sees the column's."""
    seen = np.tri(len(line), dtype=bool)
    if pattern.visible_context:
        seen[:, : context(line, pattern)] = True
    return seen


def output_rows(line: Sequence, kinds: Collection[str]) -> Indices:
    """The tokens of these kinds, in order: those that a value that lives on `kinds` has rows for."""
    return np.flatnonzero([kind in kinds for kind in line.kinds])


# Data --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TokenData:
    """`fields`: name → float64 [batch, tokens, size]. `batched` is False if the data had no batch dimension."""

    sequence: Sequence
    batch: int
    fields: dict[str, Floats]
    batched: bool = True


def read_data(signature: Signature, data: Mapping[str, ArrayLike]) -> TokenData:
    """`data`: field → [batch, rows, *shape], or [rows, *shape], a row for each token that holds the field.

    A onehot field may also be whole numbers, [batch, rows]. The rows say how often the group is repeated;
    one last row that has no token, such as the label of the query, is ignored. Values are paired by their rows
    alone; one that is missing (NaN, None, masked, pandas' NA) is refused wherever a token holds it.

    Raises DataError, naming field, shape and place, for anything that does not fit.
    """
    _same_names(signature, data)
    same_labels(data)
    read = {field.name: _numbers(field, data[field.name]) for field in signature.fields}
    sizes = {name: array.shape[0] for name, (array, batched) in read.items() if batched}
    bare = [name for name, (_, batched) in read.items() if not batched]
    if bare and sizes:
        other = next(iter(sizes))
        raise DataError(f"`{bare[0]}` has no batch dimension, and `{other}` has one: both must, or neither")
    for name, size in sizes.items():
        first = next(iter(sizes))
        if size != sizes[first]:
            swapped = read[name][0].shape[1::-1] == read[first][0].shape[:2]
            hint = ": are the axes of one swapped? The batch comes first, then the rows" if swapped else ""
            raise DataError(f"`{name}` has a batch of {size}, and `{first}` one of {sizes[first]}{hint}")
    arrays = {name: array for name, (array, _) in read.items()}
    batch = next(iter(arrays.values())).shape[0]
    if batch == 0:
        raise DataError(f"`{signature.fields[0].name}` is empty: a batch of 0")
    line = sequence_of(signature, {name: a.shape[1] for name, a in arrays.items()})
    fields = {}
    for field in signature.fields:
        at = output_rows(line, field.kinds)
        held = arrays[field.name][:, : at.size]
        _all_finite(field, held, batched=not bare)
        fields[field.name] = np.zeros((batch, len(line), held.shape[2]))
        fields[field.name][:, at] = held
    return TokenData(line, batch, fields, not bare)


def sequence_of(signature: Signature, rows: Mapping[str, int]) -> Sequence:
    """The tokens of data whose fields have so many rows. Raises DataError where they do not fit together."""
    line = sequence(signature.pattern, told_by(signature, rows))
    if not len(line):
        raise DataError(f"`{signature.fields[0].name}` is empty: 0 rows, and so no token at all")
    return line


def read_token(signature: Signature, batch: int, data: Mapping[str, ArrayLike]) -> tuple[dict[str, Floats], bool]:
    """One token's fields: field → [batch, *shape], or for a batch of 1 just *shape, as [batch, size]; and whether
    there was a batch dimension. A onehot field may also be whole numbers, [batch].

    Raises DataError, naming field, shape and place, for anything that does not fit."""
    known = {field.name: field for field in signature.fields}
    read = {name: _row(known[name], given, batch) for name, given in data.items()}
    if len({batched for _, batched in read.values()}) > 1:
        raise DataError("some fields have a batch dimension and some have none: all must, or none")
    return {name: array for name, (array, _) in read.items()}, all(batched for _, batched in read.values())


def _row(field: FieldSpec, given: ArrayLike, batch: int) -> tuple[Floats, bool]:
    array = numeric(field.name, given)
    symbols = field.onehot and (array.ndim == 0 or (array.ndim == 1 and (batch > 1 or array.shape != field.shape)))
    rank = array.ndim if symbols else array.ndim - len(field.shape)
    if rank not in (0, 1) or (not symbols and array.shape[rank:] != field.shape):
        shape = ", ".join((str(batch), *map(str, field.shape)))
        raise DataError(f"`{field.name}` has shape {array.shape}; wanted ({shape}) for one token")
    if not symbols and array.dtype.kind in "biu":
        array = array.astype(np.float64)
    numbers, batched = _numbers(field, np.expand_dims(array, rank))
    if len(numbers) != batch:
        have = f"a batch of {len(numbers)}" if batched else "no batch dimension"
        raise DataError(f"`{field.name}` has {have}; the stream has a batch of {batch}")
    _all_finite(field, numbers, batched)
    return numbers[:, 0], batched


def _same_names(signature: Signature, data: Mapping[str, ArrayLike]) -> None:
    known = [field.name for field in signature.fields]
    listed = ", ".join(f"`{name}`" for name in known)
    for name in data:
        if name not in known:
            hint = near(name, known) or f"its fields are {listed}"
            raise DataError(f"{signature.name} has no field `{name}`: {hint}")
    for name in known:
        if name not in data:
            raise DataError(f"the field `{name}` is missing: {signature.name} takes {listed}")


def _numbers(field: FieldSpec, given: ArrayLike) -> tuple[Floats, bool]:
    """[batch, rows, size] with a batch of one if there was no such dimension, and whether there was."""
    array = numeric(field.name, given)
    if field.onehot:
        array = _one_hot(field, array)
    rank = array.ndim - len(field.shape)
    if rank not in (1, 2) or array.shape[rank:] != field.shape:
        raise DataError(f"`{field.name}` has shape {array.shape}; wanted {_wanted(field)}")
    size = int(np.prod(field.shape, dtype=int))
    whole = array.astype(np.float64).reshape(*((1,) if rank == 1 else ()), *array.shape[:rank], size)
    return whole, rank == 2


def _wanted(field: FieldSpec) -> str:
    shape = ", ".join(("batch", "rows", *map(str, field.shape)))
    return f"({shape})" + (f", or (batch, rows) of whole numbers 0 to {field.shape[0] - 1}" if field.onehot else "")


def _one_hot(field: FieldSpec, array: NDArray[np.generic]) -> NDArray[np.generic]:
    """Symbols to one-hot vectors; one-hot vectors verified. Which of the two an array is follows from its rank, and
    for rank 2, [batch, rows] or [rows, size], from whether it holds one-hot rows."""
    (size,) = field.shape
    vectors = array.ndim >= 1 and array.shape[-1] == size
    if vectors:
        vectors = bool(np.all((array == 0) | (array == 1)) and np.all(array.sum(-1) == 1))
    if array.ndim == 2 and vectors and array.dtype.kind != "f":
        raise DataError(
            f"`{field.name}` with shape {array.shape} may be symbols (batch, rows) or one-hot vectors (rows, {size}): "
            f"give one-hot vectors a batch dimension, or symbols as (batch, rows, {size})"
        )
    if array.ndim == 3 or (array.ndim == 2 and vectors):
        if not vectors and array.shape[-1] == size:
            bad = np.argwhere(~(((array == 0) | (array == 1)).all(-1) & (array.sum(-1) == 1)))[0]
            raise DataError(f"`{field.name}` is not one-hot at task {bad[0]}, row {bad[1]}: wanted one 1 and else 0")
        return array
    if array.ndim not in (1, 2):
        return array
    symbols = array.astype(np.float64)
    missing = np.isnan(symbols)
    symbols[missing] = 0.0
    bad = np.argwhere(~((symbols >= 0) & (symbols < size) & (symbols == np.floor(symbols))))
    if bad.size:
        place = _place(bad[0] if array.ndim == 2 else (0, *bad[0]), array.ndim == 2)
        held = f"`{field.name}` holds {symbols[tuple(bad[0])]:g} at {place}"
        raise DataError(f"{held}; its symbols are the whole numbers 0 to {size - 1}")
    return np.where(missing[..., None], np.nan, np.eye(size)[symbols.astype(np.int64)])


def _all_finite(field: FieldSpec, held: Floats, batched: bool) -> None:
    bad = np.argwhere(~np.isfinite(held))
    if bad.size:
        task, row, component = bad[0]
        place = _place((task, row), batched) + (f", component {component}" if held.shape[2] > 1 else "")
        raise DataError(f"`{field.name}` holds {held[task, row, component]} at {place}: all numbers must be finite")


def _place(index: Collection[int], batched: bool) -> str:
    """Counted from 0, as NumPy does."""
    task, row = index
    return f"task {task}, row {row}" if batched else f"row {row}"


def verify_length(line: Sequence, signature: Signature, positions: int) -> None:
    """Raises DataError for more tokens than weights with so many positions, the rest token's included, take; and for
    more than a scan of theirs goes over."""
    pattern, limit = signature.pattern, positions - 1
    for scan in signature.scans:
        if (have := line.kinds.count(scan.kind)) > scan.most:
            raise DataError(
                f"the data has {have} `{scan.kind}` tokens; the program scans `{scan.kind}` up to {scan.most}: give "
                "fewer, or compile for more"
            )
    if len(line) > limit:
        most = (limit - len(pattern.prefix) - len(pattern.suffix)) // len(pattern.group)
        many = [f"`{' '.join(k)}` {times} times" for k, times in zip(pattern.groups, line.repetitions, strict=True)]
        most_times = f"{most} times, " if len(many) == 1 else ""
        raise DataError(
            f"the data has {' and '.join(many)}, {len(line)} tokens; the weights were "
            f"compiled for at most {most_times}{limit} tokens: give fewer, or compile for more: "
            "tokens=…, or a larger limit of the scan"
        )
