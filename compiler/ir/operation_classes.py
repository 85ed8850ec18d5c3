"""Classes of operations: what most passes ask of an operation, and no more.

    Source        has no operands: the data, a number, what the position says (Positional: a column of a table)
    Local         makes of operands what stands at the same token
    Reads         brings what stands at other tokens
    Structural    is another value: of other tokens, of another pass of a loop, outside of a read's body

A match over operations names those that it treats by themselves, and the others by class; `assert_never` holds it
complete. What is new is so treated as others of its class are, wherever no pass has more to say.
"""

from __future__ import annotations


class Source:
    """No operands."""

    __slots__ = ()


class Positional(Source):
    """A function of the position alone (causal) or of the length: each has its columns in a table of positions."""

    __slots__ = ()

    @property
    def label(self) -> str:
        """What its slots are called."""
        return type(self).__name__.lower()

    @property
    def text(self) -> str:
        """What a printed graph says of it."""
        return self.label

    @property
    def shape(self) -> tuple[int, ...]:
        return ()

    @property
    def bounds(self) -> tuple[float, float] | None:
        """Between what its components are at every position; None where the data say."""
        return None


class Local:
    """A function of operands at the same token. Unless a pass knows better: of one operand, component by component or
    of its size, and an MLP sublayer's work."""

    __slots__ = ()


class Reads:
    """Of operands that some other token holds: an attention sublayer's work."""

    __slots__ = ()


class Structural:
    """No work of its own."""

    __slots__ = ()
