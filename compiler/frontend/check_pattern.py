"""The pattern of tokens: groups of their own kinds, and data that say how often each of them comes.

tokens (a)* (b)* q
    x : vector[d] on a, b, q      of its rows nobody could tell which are a's and which b's
    y : scalar on a               but with these they can
"""

from __future__ import annotations

from innerloop.artifact.errors import Diagnostic
from innerloop.artifact.repetitions import each, independent

from ..syntax.nodes import Program
from .inline import Report


def check_pattern(program: Program, report: Report) -> None:
    """Reports a kind that stands in two groups, and groups whose lengths no data say."""
    tokens, pattern = program.tokens, program.tokens.pattern
    for number, group in enumerate(pattern.groups):
        for kind in dict.fromkeys(group):
            if any(kind in other for other in pattern.groups[:number]):
                hint = "give it a kind of its own there; a field may live on both: `x : vector[d] on a, b`"
                report(Diagnostic(f"`{kind}` stands in two groups", tokens.span, hint))
                return
    held = {field.name: each(field.kinds, pattern) for field in program.fields}
    told = independent(held)
    if len(told) == len(pattern.groups):
        return
    if len(pattern.groups) == 1:
        hint = "put a field on a kind of the group"
        report(
            Diagnostic("no field lives in the repeated group, so no data says how often it comes", tokens.span, hint)
        )
        return
    for number, group in reversed([*enumerate(pattern.groups)]):
        alone = tuple(int(other == number) for other in range(len(pattern.groups)))
        if len(independent({**held, "": alone})) > len(told):
            hint = f"give it a field that lives in no other group, as in `label : scalar on {group[-1]}`"
            report(Diagnostic(f"no data say how often `({' '.join(group)})*` comes", tokens.span, hint))
            return
