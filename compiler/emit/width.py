"""How wide the stream is, and how many heads of which size: as little as holds the slots and all sublayers' heads.

before   a backend, which knows schedule and slots
after    Stream, d_head, n_head
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from ..schedule.instructions import AttendHead
from .attention import AttentionFiller, scores
from .backend import Backend
from .residual_stream import Stream


def smallest(backend: Backend) -> tuple[Stream, int, int]:
    """A stream of just the slots that there are, and heads as large and as many as the sublayers want."""
    stream = backend.stream(backend.least)
    assert stream is not None
    if backend.target.delta:
        found = [AttentionFiller(backend, stream).delta_heads(s) for s in backend.schedule.walk() if s.placed]
        return stream, max([1, *(heads.size for heads in found)]), max([1, *(len(heads.heads) for heads in found)])
    filler = AttentionFiller(backend, stream)
    sublayers = [s for s in backend.schedule.walk() if s.side == "attention"]
    scored = [filler.linear_heads(s) for s in sublayers if scores(s)]
    d_head = max([3, *(heads.size for heads in scored)])
    copies = [filler.heads(s, g) for g, s in enumerate(sublayers) if not scores(s)]
    if any(heads.groups for heads in copies):  # a copy's logits are exact if 1/√d_head is a power of two
        d_head = next(4**k for k in count(1) if 4**k >= d_head)
    copying = [heads.count(d_head) for heads in copies]
    return stream, d_head, max([1, *(len(heads.groups) for heads in scored), *copying])


def narrowest(backend: Backend) -> tuple[Stream, int, int]:
    """The narrowest width that holds the slots and the heads; of d_head 64 and 16 the wider head, unless it costs
    a quarter. Raises CompileError where no head is large enough."""
    best: tuple[Stream, int, int] | None = None
    query = _largest_query(backend)
    for d_head in backend.positions.head_sizes(query):
        stream, n_head = _of_heads(backend, d_head) if backend.target.head is None else _beside_heads(backend, d_head)
        if best is None or stream.width <= 1.25 * best[0].width:
            best = stream, d_head, n_head
    if best is None:
        told = f"no head for queries of {query} dimensions over {backend.n_positions} tokens"
        hint = "compile for fewer dimensions or tokens, or for a target whose positions are learned"
        raise backend.signature.refusal(f"target {backend.target.name} has {told}", None, hint)
    return best


def _of_heads(backend: Backend, d_head: int) -> tuple[Stream, int]:
    """The narrowest that heads of that size divide among them, and how many do."""
    return next(
        (stream, width // d_head)
        for width in backend.widths(d_head)
        if (stream := backend.stream(width)) is not None
        and stream.digits + 2 <= d_head
        and all(heads <= width // d_head for heads in _heads(backend, stream, d_head))
    )


def _beside_heads(backend: Backend, d_head: int) -> tuple[Stream, int]:
    """The narrowest, and the heads that its sublayers take, which are as many as they are."""
    stream = next(s for width in backend.widths(d_head) if (s := backend.stream(width)) is not None)
    return stream, max([1, *_heads(backend, stream, d_head)])


def _largest_query(backend: Backend) -> int:
    """Dimensions of the largest query of a head that scores."""
    instructions = [p.instruction for s in backend.schedule.walk() for p in s.placed]
    scored = [t.reads[0].size for t in instructions if isinstance(t.op, AttendHead)]
    return max(scored) + 3 + len(backend.positions.hidden) if scored else 0


def _heads(backend: Backend, stream: Stream, d_head: int) -> Iterator[int]:
    """Those that each attention sublayer takes."""
    filler = AttentionFiller(backend, stream)
    sublayers = enumerate(backend.schedule.walk())
    return (filler.heads(s, g).count(d_head) for g, s in sublayers if s.side == "attention")
