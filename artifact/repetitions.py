"""How often each group of a pattern comes, as the rows of the fields say.

tokens (x y)* x        x 3 rows, y 2 or 3      →   2: the label of the query has no token
tokens (a)* (b)* q     x on a, b, q 9 rows,    →   5, 3: as many unknowns as groups, an equation for each field
                       y on a 5 rows
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Mapping

from .errors import DataError, counted
from .signature import FieldSpec, Pattern, ScanLimit, Signature


def told_by(signature: Signature, rows: Mapping[str, int]) -> tuple[int, ...]:
    """How often each group comes. Raises DataError, naming fields and their rows, where these do not say."""
    if len(signature.pattern.groups) == 1:
        return (_of_one_group(signature, rows),)
    return _of_several(signature, rows)


def at_most(
    pattern: Pattern, scans: Collection[ScanLimit], otherwise: int, tokens: int | None = None
) -> tuple[int, ...]:
    """How often each group may come: as often as the scans over it allow, `otherwise` where none goes over it. Where
    these do not fit into `tokens`, those that come most often are cut to one number, the largest that fits."""

    def limit(group: tuple[str, ...]) -> int:
        fixed = pattern.prefix + pattern.suffix
        limits = [(s.most - fixed.count(s.kind)) // group.count(s.kind) for s in scans if s.kind in group]
        return max(0, min(limits, default=otherwise))

    limits = [limit(group) for group in pattern.groups]
    if tokens is None:
        return tuple(limits)

    def length(most: int) -> int:
        repeated = sum(len(group) * min(most, each) for group, each in zip(pattern.groups, limits, strict=True))
        return len(pattern.prefix) + repeated + len(pattern.suffix)

    most = bisect_right(range(1, 1 + max(limits)), tokens, key=length)
    return tuple(min(most, each) for each in limits)


def independent(fields: Mapping[str, tuple[int, ...]]) -> list[str]:
    """Of fields, name → how many tokens of each group hold it, the first whose rows say as much as those of all."""
    if all(len(row) == 1 for row in fields.values()):  # one group: `check` loads no NumPy for it
        return [name for name, row in fields.items() if any(row)][:1]
    import numpy as np

    found: list[str] = []
    for name, row in fields.items():
        held = [fields[other] for other in found] + [row]
        if np.linalg.matrix_rank(np.array(held, dtype=np.float64)) == len(held):
            found.append(name)
    return found


def each(kinds: Collection[str], pattern: Pattern) -> tuple[int, ...]:
    """How many tokens of these kinds each repetition of each group has."""
    return tuple(sum(kind in kinds for kind in group) for group in pattern.groups)


def _of_one_group(signature: Signature, rows: Mapping[str, int]) -> int:
    """The most often that the rows of every field allow."""
    pattern = signature.pattern
    told: tuple[str, set[int]] | None = None
    for field in sorted(signature.fields, key=lambda f: _may_exceed(f, pattern)):
        fixed, (repeated,) = _fixed(field, pattern), each(field.kinds, pattern)
        have = rows[field.name]
        if not repeated:
            _verify_fixed(field, pattern, have)
            continue
        surplus = (0, 1) if _may_exceed(field, pattern) else (0,)
        fits = {times for extra in surplus for times in _exactly(have - extra, fixed, repeated)}
        if not fits:
            more = "" if repeated == 1 else f"{repeated} for each repetition"
            least = f"{fixed} and {more}" if more and fixed else more or f"at least {fixed}"
            raise DataError(f"`{field.name}` has {counted(have, 'row')}; `{pattern}` needs {least}")
        if told is None:
            told = (field.name, fits)
            continue
        if not told[1] & fits:
            times = max(told[1])
            wanted = str(fixed + repeated * times)
            if _may_exceed(field, pattern):
                wanted += f", or {fixed + repeated * times + 1} of which the last is ignored"
            raise DataError(
                f"`{field.name}` has {counted(have, 'row')}, and `{told[0]}` has {rows[told[0]]}: "
                f"`{pattern}` then needs {wanted}"
            )
        told = (told[0], told[1] & fits)
    if told is None:
        group = " ".join(pattern.group)
        raise DataError(f"no field lives on `{group}`, so the data cannot say how often it is repeated")
    return max(told[1])


def _of_several(signature: Signature, rows: Mapping[str, int]) -> tuple[int, ...]:
    """The solution of one equation a field; a field has no row without a token."""
    import numpy as np

    pattern, fields = signature.pattern, {field.name: field for field in signature.fields}
    held = {name: each(field.kinds, pattern) for name, field in fields.items()}
    chosen = independent(held)
    if len(chosen) < len(pattern.groups):
        raise DataError(f"the fields do not say how often each group of `{pattern}` is repeated")
    left = [rows[name] - _fixed(fields[name], pattern) for name in chosen]
    solved = np.linalg.solve(np.array([held[name] for name in chosen], np.float64), np.array(left, np.float64))
    times = tuple(int(count) for count in np.rint(solved))
    told = " and ".join(f"`{name}` has {counted(rows[name], 'row')}" for name in chosen)
    if min(times) < 0 or np.abs(solved - times).max() > 1e-6:
        raise DataError(f"{told}: no `{pattern}` has so many")
    for name, field in fields.items():
        if not any(held[name]):
            _verify_fixed(field, pattern, rows[name])
            continue
        wanted = _fixed(field, pattern) + sum(a * b for a, b in zip(held[name], times, strict=True))
        if rows[name] != wanted:
            raise DataError(f"`{name}` has {counted(rows[name], 'row')}; {told}: `{pattern}` then needs {wanted}")
    return times


def _verify_fixed(field: FieldSpec, pattern: Pattern, have: int) -> None:
    if have != (fixed := _fixed(field, pattern)):
        raise DataError(f"`{field.name}` has {counted(have, 'row')}; `{pattern}` holds it at {fixed}")


def _fixed(field: FieldSpec, pattern: Pattern) -> int:
    """How many tokens outside the groups hold the field."""
    return sum(kind in field.kinds for kind in pattern.prefix + pattern.suffix)


def _may_exceed(field: FieldSpec, pattern: Pattern) -> bool:
    """Whether the field may have one last row without a token: the sequence goes on after the last that holds it."""
    return bool(pattern.suffix) and any(each(field.kinds, pattern)) and not set(field.kinds) & set(pattern.suffix)


def _exactly(have: int, fixed: int, repeated: int) -> set[int]:
    times, left = divmod(have - fixed, repeated)
    return {times} if left == 0 and times >= 0 else set()
