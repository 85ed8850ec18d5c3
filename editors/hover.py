"""What is said of a name: its type and what it is, and on which tokens it lives.

u[j]   →   u : vector[d]
           Theirs: that of the `y` token `j`. Lives at `y` tokens.
"""

from __future__ import annotations

import re

from innerloop.compiler.frontend.library import FOLDER, definitions, libraries
from innerloop.compiler.numerics.functions import POINTWISE
from innerloop.compiler.syntax.builtins import FUNCTIONS
from innerloop.compiler.syntax.nodes import Define
from innerloop.compiler.syntax.shapes import describe
from innerloop.compiler.syntax.unparse import unparse_field, unparse_parameter, unparse_tokens

from .analysis import Analysis
from .occurrences import Occurrence


def hover(analysis: Analysis, occurrence: Occurrence) -> str | None:
    """Markdown; None where nothing is known."""
    match occurrence.sort:
        case "program" | "output":
            return None
        case "library":
            return _library(occurrence.name)
        case "function":
            return _function(analysis, occurrence)
        case "kind":
            return _kind(analysis, occurrence.name)
        case "index":
            return _said(occurrence.name, f"The token that {_read(analysis, occurrence)} ranges over.")
        case "argument":
            return _said(occurrence.name, "A parameter of this `def`.")
        case "parameter":
            return _parameter(analysis, occurrence.name)
        case "turn":
            return _said(f"{occurrence.name} : scalar", "The number of the pass, 1, 2, …: a constant in each.")
        case "field" | "value":
            return _value(analysis, occurrence)


def _said(code: str, *sentences: str) -> str:
    return f"```innerloop\n{code}\n```\n" + " ".join(filter(None, sentences))


def _value(analysis: Analysis, occurrence: Occurrence) -> str | None:
    name, facts = occurrence.name, analysis.facts
    if occurrence.symbol.scope:
        return _said(name, "A value of this `def`: each call has its own.")
    if facts is None or name not in facts.held:
        return None
    held, shape = facts.held[name], facts.shapes.get(name)
    code = name if shape is None else f"{name} : {describe(shape)}"
    field = next((f for f in facts.program.fields if f.name == name), None)
    if field is not None and not any(o.defines and o.sort == "value" for o in analysis.alike(occurrence)):
        code = unparse_field(field)
    every = held.kinds >= set(facts.program.tokens.pattern.kinds)
    lives = "all tokens" if every else f"{' and '.join(f'`{kind}`' for kind in sorted(held.kinds))} tokens"
    if held.constant:
        return _said(code, "A constant, known when compiling.")
    if occurrence.index:
        read = analysis.origin(_index(analysis, occurrence))
        over = "" if read is None else f"`{_over(analysis, read)}` "
        whose = f"Theirs: that of the {over}token `{occurrence.index}`."
    elif held.shared:
        whose = "Shared: the same at all tokens."
    else:
        whose = "Mine: each token has its own."
    return _said(code, "A field." if field is not None else "", whose, f"Lives at {lives}.")


def _index(analysis: Analysis, theirs: Occurrence) -> Occurrence:
    """The index behind a name that is theirs."""
    return next(o for o in analysis.occurrences if o.start >= theirs.end)


def _over(analysis: Analysis, index: Occurrence) -> str:
    """The kind that a read ranges over, of the index where it is named."""
    return next(o.name for o in analysis.occurrences if o.start > index.start)


def _read(analysis: Analysis, index: Occurrence) -> str:
    origin = analysis.origin(index)
    if origin is None:
        return "this read"
    head = analysis.text[origin.symbol.scope :]
    return f"`{re.sub(r' +', ' ', head[: head.find(']') + 1])}`"


def _parameter(analysis: Analysis, name: str) -> str | None:
    declared = analysis.facts.program.parameters if analysis.facts is not None else ()
    found = next((p for p in declared if p.name == name), None)
    return None if found is None else _said(unparse_parameter(found), "A parameter: the same at every token.")


def _kind(analysis: Analysis, name: str) -> str | None:
    if analysis.facts is None or name not in analysis.facts.program.tokens.pattern.kinds:
        return None
    program = analysis.facts.program
    fields = [unparse_field(field) for field in program.fields if name in field.kinds]
    return _said("\n    ".join([unparse_tokens(program.tokens), *fields]), f"`{name}`: a kind of token.")


def _function(analysis: Analysis, occurrence: Occurrence) -> str | None:
    name = occurrence.name
    if name in POINTWISE and name in FUNCTIONS:
        known = POINTWISE[name]
        arguments = ", ".join(("v", *known.arguments))
        return _said(f"{name}({arguments})", f"Of each component; takes {known.takes}.")
    if name in FUNCTIONS:
        arguments = ", ".join("abcd"[: FUNCTIONS[name].arity])
        return _said(f"{name}({arguments})", "Built in.")
    shipped = analysis.shipped(name)
    if shipped is not None:
        library, definition = shipped
        return _said(text_of(definition, library_text(library)), f"Of `{library}`.")
    if analysis.program is None:
        return None
    defined = (s for s in analysis.program.body if isinstance(s, Define))
    own = next((definition for definition in defined if definition.name == name), None)
    return None if own is None else _said(text_of(own, analysis.program.text), "A function of this program.")


def _library(name: str) -> str | None:
    if name not in libraries():
        return None
    heads = "\n".join(f"def {d.name}({', '.join(d.parameters)})" for d in definitions(name))
    return _said(heads, f"The library `{name}`.")


def library_text(name: str) -> str:
    """Of a library that there is."""
    return (FOLDER / f"{name}.icl").read_text(encoding="utf-8")


def text_of(definition: Define, text: str) -> str:
    """What a `def` says, from its name on to its value."""
    return f"def {text[definition.span.start : definition.span.end]}"
