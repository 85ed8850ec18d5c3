"""Syntax trees back to text, with no more brackets than needed.

Binary("*", Binary("-", a, b), c)   →   "(a - b) * c"
"""

from __future__ import annotations

from .nodes import (
    Array,
    Binary,
    Call,
    Compare,
    Expr,
    FieldDeclaration,
    Grad,
    MoveExpression,
    Name,
    Negate,
    Not,
    Number,
    Operation,
    Parameter,
    Part,
    Power,
    Range,
    ReadExpression,
    TheirsExpression,
    TokensDeclaration,
    Type,
)

_BINDING = {"or": -2, "and": -1, "+": 2, "-": 2, "*": 3, "/": 3, "@": 3}
_ATOM = 6


def unparse(expr: Expr) -> str:
    """The text of `expr`; parsing it gives `expr` again, spans apart."""
    return _at_least(expr, -2)


def _at_least(expr: Expr, binding: int) -> str:
    text, own = _text(expr)
    return text if own >= binding else f"({text})"


def _text(expr: Expr) -> tuple[str, int]:
    """The text, and how tightly its outermost operator binds: or -2, and -1, not 0, compare 1, + 2, * 3, - 4, ^ 5."""
    match expr:
        case Number(text=text):
            return text, _ATOM
        case Name(name=name):
            return name, _ATOM
        case TheirsExpression(name=name, index=index):
            return f"{name}[{index}]", _ATOM
        case MoveExpression(name=name, source=source, kind=kind, back=back):
            which = kind if back is None else back.text
            return f"move {name} from {source}" + (f" {which}" if which else ""), _ATOM
        case Part(operand=operand, places=places):
            within = (unparse(p.low) + ("" if p.high is None else f":{unparse(p.high)}") for p in places)
            return f"{_at_least(operand, _ATOM)}[{', '.join(within)}]", _ATOM
        case Array(items=items):
            return f"[{_list(items)}]", _ATOM
        case Call(function=name, arguments=arguments) | Operation(keyword=name, arguments=arguments):
            return f"{name}({_list(arguments)})", _ATOM
        case ReadExpression(how=how, index=index, over=over, arguments=arguments):
            return f"{how}[{index} in {over}]({_list(arguments)})", _ATOM
        case Grad(name=name, operand=operand):
            return f"grad[{name}]({unparse(operand)})", _ATOM
        case Power(base=base, exponent=exponent):
            return f"{_at_least(base, _ATOM)} ^ {exponent.text}", 5
        case Not(operand=operand):
            return f"not {_at_least(operand, 0)}", 0
        case Binary(operator="^", left=left, right=right):
            return f"{_at_least(left, _ATOM)} ^ {_at_least(right, _ATOM)}", 5
        case Negate(operand=operand):
            return f"-{_at_least(operand, 4)}", 4
        case Binary(operator=operator, left=left, right=right):
            own = _BINDING[operator]
            return f"{_at_least(left, own)} {operator} {_at_least(right, own + 1)}", own
        case Compare(operator=operator, left=left, right=right):
            return f"{_at_least(left, 2)} {operator} {_at_least(right, 2)}", 1


def _list(exprs: tuple[Expr, ...]) -> str:
    return ", ".join(map(unparse, exprs))


def unparse_type(type: Type) -> str:
    return f"{type.base}[{_list(type.dimensions)}]" if type.dimensions else type.base


def unparse_parameter(parameter: Parameter) -> str:
    text = parameter.name
    if parameter.type is not None:
        text += f" : {unparse_type(parameter.type)}"
    if parameter.default is not None:
        text += f" = {unparse(parameter.default)}"
    return text if parameter.range is None else f"{text} in {unparse_range(parameter.range)}"


def unparse_range(range: Range) -> str:
    begin, end = "(" if range.open_low else "[", ")" if range.open_high else "]"
    return f"{begin}{unparse(range.low)}, {unparse(range.high)}{end}"


def unparse_field(field: FieldDeclaration) -> str:
    text = f"{field.name} : {unparse_type(field.type)}"
    if field.kinds != (field.name,):
        text += f" on {', '.join(field.kinds)}"
    if field.low is not None and field.high is not None:
        text += f" in [{unparse(field.low)}, {unparse(field.high)}]"
    return text


def unparse_tokens(tokens: TokensDeclaration) -> str:
    return f"tokens {tokens.pattern}"
