"""The outputs so far: each of several has a name of its own, and all stand at the same tokens.

output dot(w, x)              a second `output`, without names to tell them apart: an error
output dot(v, x)
"""

from __future__ import annotations

from collections.abc import Sequence

from innerloop.artifact.span import Span

from ..syntax.nodes import Output
from .check_names import Kinds

COLUMNS = ("task", "row", "line", "target", "output", "score")
"""What `innerloop run` gives beside the outputs."""
BESIDE = ("_bound", "_resolved")
"""What `run --certify` gives beside each, under its name with this at its end."""

Fault = tuple[Span, str, str]


def fault(outputs: Sequence[tuple[Output, Kinds]]) -> Fault | None:
    """What is wrong with the last of these, at the tokens that it stands at: place, message and hint."""
    (*before, (last, here)) = outputs
    known = [output.answer.name for output, _ in before if output.answer is not None]
    if before and (last.answer is None or before[0][0].answer is None):
        return last.span, "a second `output`", "each of several has a name: `output mean = …`, `output variance = …`"
    if before and before[0][1] != here:
        where = ", ".join(f"`{kind}`" for kind in sorted(before[0][1]))
        hint = f"all outputs stand at the same tokens, the others at {where}: `at` gives a name different values there"
        return last.span, "this `output` stands at other tokens than the one before", hint
    if last.answer is None:
        return None
    name, span = last.answer.name, last.answer.span
    if name in known:
        return span, f"two outputs are called `{name}`", "another name"
    if name in COLUMNS:
        return span, f"an output cannot be called `{name}`", "`innerloop run` has a column of this name: another name"
    added = [f"{one}{end}" for one in known for end in BESIDE]
    if name in added or any(f"{name}{end}" in known for end in BESIDE):
        hint = "`innerloop run --certify` gives a bound beside each output, under such a name: another name"
        return span, f"an output cannot be called `{name}` beside `{', '.join(known)}`", hint
    return None
