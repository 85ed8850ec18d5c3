"""How long a sequence may be: as long as the table of positions that the weights were compiled with."""

from __future__ import annotations

from .errors import DataError
from .signature import Pattern
from .tokens import Sequence


def verify_length(line: Sequence, pattern: Pattern, positions: int) -> None:
    """Raises DataError for more tokens than weights with so many positions, the rest token's included, take."""
    limit = positions - 1
    if len(line) > limit:
        most = (limit - len(pattern.prefix) - len(pattern.suffix)) // len(pattern.group)
        raise DataError(
            f"the data has `{' '.join(pattern.group)}` {line.repetitions} times, {len(line)} tokens; the weights were "
            f"compiled for at most {most} times, {limit} tokens: give fewer, or compile for more: "
            "tokens=…, or a larger limit of the scan"
        )
