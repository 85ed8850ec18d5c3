"""Running compiled transformers with JAX.

JAX is imported when one of these names is first used, so that commands which do not run anything start at once.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .certify import Certified
    from .guard.guard import RangeError, RangeWarning
    from .stream import TokenStream
    from .trace import Trace
    from .transformer import Transformer

__all__ = ["Certified", "RangeError", "RangeWarning", "TokenStream", "Trace", "Transformer"]

_HOMES = {
    "Certified": "certify",
    "RangeError": "guard.guard",
    "RangeWarning": "guard.guard",
    "TokenStream": "stream",
    "Trace": "trace",
    "Transformer": "transformer",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value
