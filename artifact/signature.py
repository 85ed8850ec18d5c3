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
    """`prefix (group)* … suffix`. `group`: the kinds of all groups, one after the other; `cuts`: where, among these,
    each group but the first begins."""

    prefix: tuple[str, ...]
    group: tuple[str, ...]
    suffix: tuple[str, ...]
    visible_context: bool = False
    cuts: tuple[int, ...] = ()

    @property
    def groups(self) -> tuple[tuple[str, ...], ...]:
        """The kinds of each group."""
        ends = (*self.cuts, len(self.group))
        return tuple(self.group[begin:end] for begin, end in zip((0, *self.cuts), ends, strict=True))

    @property
    def kinds(self) -> tuple[str, ...]:
        """Each kind once, in order of appearance."""
        return tuple(dict.fromkeys(self.prefix + self.group + self.suffix))

    def line(self, times: tuple[int, ...]) -> tuple[str, ...]:
        """The kinds of the tokens, with each group so many times (0 or more)."""
        repeated = (kind for group, count in zip(self.groups, times, strict=True) for kind in group * count)
        return (*self.prefix, *repeated, *self.suffix)

    def after(self, place: int) -> set[int]:
        """The places, numbered through prefix, groups and suffix, that may follow one (−1 is the beginning); behind the
        last is the end."""
        begins = [len(self.prefix) + cut for cut in (0, *self.cuts)]
        end = len(self.prefix) + len(self.group)
        for number, last in enumerate((begins[0], *begins[1:], end)):
            if place == last - 1:
                return {*begins[max(0, number - 1) :], end}
        return {place + 1}

    def __str__(self) -> str:
        """As a program writes it: `loss (x y)* x  visible context`."""
        line = " ".join((*self.prefix, *(f"({' '.join(group)})*" for group in self.groups), *self.suffix))
        return line + ("  visible context" if self.visible_context else "")


@dataclass(frozen=True, slots=True, order=True)
class ScanLimit:
    """So many tokens of a kind are scanned at most."""

    kind: str
    most: int


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
    scans: tuple[ScanLimit, ...] = ()
    """Of a pattern of several groups, whose number of tokens does not say how many of a kind there are."""

    def refusal(self, message: str, span: Span | None = None, hint: str | None = None) -> CompileError:
        """The error that refuses this program, with its place in the text."""
        return CompileError([Diagnostic(message, span, hint)], self.text, self.source)
