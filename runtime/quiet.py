"""Whether a command says nothing but results, warnings and errors: no progress, no account of what was done."""

from __future__ import annotations

from contextvars import ContextVar

_QUIET = ContextVar("quiet", default=False)


def be_quiet(wanted: bool) -> None:
    """For what is called from here on."""
    _QUIET.set(wanted)


def quiet() -> bool:
    return _QUIET.get()
