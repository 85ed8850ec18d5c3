"""Running compiled transformers with JAX.

JAX is imported when one of these names is first used, so that commands which do not run anything start at once.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .certify import Certified
    from .data.columns import Columns
    from .data.table_tasks import TableTasks, read_table
    from .guard.guard import RangeError, RangeWarning
    from .patching.patches import Patch
    from .stream import TokenStream
    from .trace import Trace
    from .transformer import Transformer

__all__ = [
    "Certified",
    "Columns",
    "Patch",
    "RangeError",
    "RangeWarning",
    "TableTasks",
    "TokenStream",
    "Trace",
    "Transformer",
    "read_table",
]

_HOMES = {
    "Certified": "certify",
    "Columns": "data.columns",
    "Patch": "patching.patches",
    "RangeError": "guard.guard",
    "RangeWarning": "guard.guard",
    "TableTasks": "data.table_tasks",
    "TokenStream": "stream",
    "Trace": "trace",
    "Transformer": "transformer",
    "read_table": "data.table_tasks",
}


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value
