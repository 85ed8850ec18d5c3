"""Who reads whom: the relations between tokens that a copying head can follow."""

from __future__ import annotations

from dataclasses import dataclass

MOVES = ("previous", "before", "first", "last")
"""What a program's moves are."""


@dataclass(frozen=True)
class Relation:
    """Which token a copying head reads, a function of the reader's position and role.

    previous    the token `back` before me
    first       the first `kind` token that I see
    last        the last `kind` token that I see
    before      the last `kind` token before me
    after       the first `kind` token after me, of the context
    latest      the last `kind` token at or before me
    own_first   myself if I am the first `kind` token, else the rest token
    own_last    myself if I am the last `kind` token of the context, else the rest token
    own_none    myself if no `kind` token is at or before me, else the rest token
    own         myself
    The rest token, whose values are zero, where there is none.
    """

    name: str
    kind: str | None = None
    back: int = 1
