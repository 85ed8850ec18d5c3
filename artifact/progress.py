"""How far a long computation is: it says so on its way, and whoever listens hears it.

    with heard(tell):
        compile_program(…)       →   tell("looking at sample tasks", 3, 11), tell("measuring errors", 1, 3), …

Nobody listens but who asks to: a call from Python says nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

T = TypeVar("T")
Tell = Callable[[str, int, int], object]
"""(stage, done, in all); of 0 in all nobody knows how many."""

_listener: ContextVar[Tell | None] = ContextVar("listener", default=None)


@contextmanager
def heard(tell: Tell) -> Iterator[None]:
    """What is said in the block is told to `tell`."""
    before = _listener.set(tell)
    try:
        yield
    finally:
        _listener.reset(before)


def begun(stage: str) -> None:
    """Says that a stage begins, of which nobody knows how long it takes."""
    counted_off(stage, 0, 0)


def counted_off(stage: str, done: int, total: int) -> None:
    """Says that so much of a stage is done."""
    if (tell := _listener.get()) is not None:
        tell(stage, done, total)


def each(stage: str, items: Sequence[T]) -> Iterator[T]:
    """The items, one after the other, each counted when it is done."""
    for done, item in enumerate(items):
        counted_off(stage, done, len(items))
        yield item
    counted_off(stage, len(items), len(items))
