"""What a compiled program takes and gives: its tokens, fields and outputs, its bound parameters and its text."""

from __future__ import annotations

from dataclasses import dataclass

from .errors import CompileError, Diagnostic
from .span import Span

Kinds = frozenset[str]
"""Kinds of token, by name."""


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """A field as the data must bring it; `low`, `high` its declared range, `onehot` if it is one."""

    name: str
    shape: tuple[int, ...]
    kinds: tuple[str, ...]
    low: float | None = None
    high: float | None = None
    onehot: bool = False


@dataclass(frozen=True, slots=True)
class Pattern:
    """`prefix (group)* suffix`."""

    prefix: tuple[str, ...]
    group: tuple[str, ...]
    suffix: tuple[str, ...]
    visible_context: bool = False

    @property
    def kinds(self) -> tuple[str, ...]:
        """Each kind once, in order of appearance."""
        return tuple(dict.fromkeys(self.prefix + self.group + self.suffix))


@dataclass(frozen=True, slots=True)
class Signature:
    """What a compiled program takes and gives."""

    name: str
    pattern: Pattern
    fields: tuple[FieldSpec, ...]
    parameters: dict[str, object]
    text: str
    source: str
    outputs: tuple[str, ...] = ()
    """Their names, in order; none of an output without a name."""

    def refusal(self, message: str, span: Span | None = None, hint: str | None = None) -> CompileError:
        """The error that refuses this program, with its place in the text."""
        return CompileError([Diagnostic(message, span, hint)], self.text, self.source)
