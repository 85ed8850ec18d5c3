"""How wide the stream is, and how many heads of which size: as little as holds the slots and all sublayers' heads.

before   a backend, which knows schedule and slots
after    Stream, d_head, n_head
"""

from __future__ import annotations

from itertools import count

from ..schedule.instructions import AttendHead
from .attention import AttentionFiller, scores
from .backend import Backend
from .residual_stream import Stream


def smallest(backend: Backend) -> tuple[Stream, int, int]:
    """A stream of just the slots that there are, and heads as large and as many as the sublayers want."""
    stream = backend.stream(backend.least, 1)
    assert stream is not None
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
    best: tuple[Stream, int] | None = None
    query = _largest_query(backend)
    for d_head in backend.positions.head_sizes(query):
        n_head = 1
        while (stream := backend.stream(d_head, n_head)) is None or not _heads_fit(backend, stream, d_head, n_head):
            n_head += 1
        if best is None or stream.width <= 1.25 * best[0].width:
            best = stream, d_head
    if best is None:
        told = f"no head for queries of {query} dimensions over {backend.n_positions} tokens"
        hint = "compile for fewer dimensions or tokens, or for a target whose positions are learned"
        raise backend.signature.refusal(f"target {backend.target.name} has {told}", None, hint)
    return *best, best[0].width // best[1]


def _largest_query(backend: Backend) -> int:
    """Dimensions of the largest query of a head that scores."""
    instructions = [p.instruction for s in backend.schedule.walk() for p in s.placed]
    scored = [t.reads[0].size for t in instructions if isinstance(t.op, AttendHead)]
    return max(scored) + 3 + len(backend.positions.hidden) if scored else 0


def _heads_fit(backend: Backend, stream: Stream, d_head: int, n_head: int) -> bool:
    filler = AttentionFiller(backend, stream)
    if stream.digits + 2 > d_head:
        return False
    return all(
        filler.heads(sublayer, g).count(d_head) <= n_head
        for g, sublayer in enumerate(backend.schedule.walk())
        if sublayer.side == "attention"
    )
