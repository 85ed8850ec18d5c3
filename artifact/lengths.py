"""How long a sequence may be: as long as the table of positions that the weights were compiled with."""

from __future__ import annotations

from .errors import DataError
from .signature import Signature
from .tokens import Sequence


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
