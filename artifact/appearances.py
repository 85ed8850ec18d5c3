"""Where the values of a run stand: each stretch of sublayers, loops unrolled, in which a named value is held.

before   `Weights.layout` over stored sublayers, and the tree of loops
after    after which sublayers of the run each value can be read, and after which one it is to be changed so that all
         that reads it later reads the change

Sublayers of a run are numbered from 0: attention of layer 0, MLP of layer 0, attention of layer 1 …; −1 is the
embedding. A scan computes the values of all tokens again in every pass: a token has its own from the pass of its turn
on, and who changes it changes it in each of those passes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .claims import Placement
from .contents import Contents
from .parts import Body, Repeated, stored


@dataclass(frozen=True)
class Appearance:
    """Placement number `number` of the layout, after the sublayers `first` to `last` of a run; it is to be changed
    after sublayer `write`.

    Of token 0 of a scan, whose first pass is the next token's turn, there is one that holds nowhere but is to be
    changed, in front of the scan.

    back   how many passes of the innermost loop around come later, those that are written out included; None outside of
           loops
    turn   of a scan: it holds at the tokens 0 to `turn` of its kinds; else None
    """

    placement: Placement
    number: int
    first: int
    last: int
    write: int
    back: int | None
    turn: int | None


@dataclass(frozen=True)
class _Pass:
    """Of a loop over the stored sublayers first … last, which one it is, from 0, and how many come later."""

    first: int
    last: int
    number: int
    back: int
    scan: bool


def appearances(weights: Contents) -> tuple[Appearance, ...]:
    """All, by placement, in the order of the run."""
    run = list(_run(weights.body, 0, ()))
    found = []
    for number, placement in enumerate(weights.layout):
        stretches: dict[tuple[_Pass, ...], list[int]] = {}
        for at, (sublayer, around) in enumerate(run):
            if placement.first <= sublayer <= placement.last:
                own = tuple(p for p in around if p.first <= placement.first and placement.last <= p.last)
                stretches.setdefault(own, []).append(at)
        for around, held in stretches.items():
            later = placement.later
            back = around[-1].back + max(0, later) if around else later if later >= 0 else None
            turn = next((p.number + placement.turn for p in around if p.scan and placement.turn >= 0), None)
            if placement.headed and turn == 1:
                before = held[0] - (placement.first - around[0].first) - 1
                found.append(Appearance(placement, number, before + 1, before, before, back, 0))
            write = held[0] - placement.entered
            found.append(Appearance(placement, number, held[0], held[-1], write, back, turn))
    return tuple(found)


def followed(some: tuple[Appearance, ...], one: Appearance, token: int) -> frozenset[int]:
    """The sublayers after which to change the value of `one`, at the token of its kinds of that number, from 0: of a
    scan in all passes from its turn on. None where a change would not be followed by all that reads it."""
    if one.turn is None:
        return frozenset({one.write})
    turns = [a for a in some if a.number == one.number and a.turn is not None and a.turn >= token]
    return frozenset(a.write for a in turns) if token >= one.placement.changed_from else frozenset()


def _run(body: Body, start: int, around: tuple[_Pass, ...]) -> Iterator[tuple[int, tuple[_Pass, ...]]]:
    """Of each sublayer that runs, its number among the stored ones, and the passes of the loops that it is in."""
    for item in body:
        if not isinstance(item, Repeated):
            yield start, around
            start += 1
            continue
        end = start + sum(1 for _ in stored(item.body))
        for number in range(item.count):
            here = _Pass(start, end - 1, number, item.count - 1 - number, item.scan)
            yield from _run(item.body, start, (*around, here))
        start = end
