"""Memory, estimated before it is spent: what is free, and the refusal of what does not fit.

    spend(31e9, "the weights of …", "compile for a smaller d")
    → the weights of … need about 31.0 GB of memory, 22.0 GB are free: compile for a smaller d, or set
      INNERLOOP_MEMORY to what may be used

Free is the least of what the system has (MemAvailable), what the process's cgroup is allowed and what its limit on
address space leaves. INNERLOOP_MEMORY=40GB takes their place; 0 asks nothing.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from pathlib import Path

from .errors import InnerloopError

VARIABLE = "INNERLOOP_MEMORY"
_UNITS = {"": 1, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}
_CGROUP = Path("/sys/fs/cgroup")


class MemoryLimitError(InnerloopError, MemoryError):
    """Something would take more memory than is free; nothing of it was spent."""


def spend(count: float, what: str, mend: str) -> None:
    """Raises MemoryLimitError if `what`, a plural, needs more bytes than are free; `mend` is what to do about it."""
    available = free()
    if available is not None and count > available:
        raise MemoryLimitError(
            f"{what} need about {gigabytes(count)} of memory, {gigabytes(available)} are free: {mend}, or set "
            f"{VARIABLE} to what may be used"
        )


def gigabytes(count: float) -> str:
    """`31.0 GB`; `12 MB` below a hundredth of that."""
    return f"{count / 1e9:,.1f} GB" if count >= 5e7 else f"{count / 1e6:,.1f} MB"


def free() -> float | None:
    """Bytes that this process may still take; None where the system does not say, or nothing is to be asked."""
    given = os.environ.get(VARIABLE, "").strip()
    if given:
        return bytes_of(VARIABLE, given) or None
    return min(_limits(), default=None)


def bytes_of(name: str, given: str) -> float:
    """8GB, 500MB, 2GiB or 0, as a number. Raises InnerloopError that names what was given."""
    match = re.fullmatch(r"([0-9]+\.?[0-9]*)\s*([kmgt]?i?)b?", given.strip().lower())
    if match is None:
        raise InnerloopError(f"{name} is {given!r}; it is a number of bytes, as 8GB or 500MB, or 0")
    return float(match[1]) * _UNITS[match[2]]


def _limits() -> Iterator[float]:
    meminfo = _numbers(Path("/proc/meminfo"))
    if "MemAvailable:" in meminfo:
        yield meminfo["MemAvailable:"] * 1024
    elif hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        yield float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for limit, used, idle in (
        (_CGROUP / "memory.max", _CGROUP / "memory.current", "inactive_file"),
        (_CGROUP / "memory/memory.limit_in_bytes", _CGROUP / "memory/memory.usage_in_bytes", "total_inactive_file"),
    ):
        most, now = _number(limit), _number(used)
        if most is not None and now is not None and most < 2**60:
            yield max(0.0, most - now + _numbers(limit.with_name("memory.stat")).get(idle, 0.0))
    try:
        import resource
    except ImportError:  # not a POSIX system
        return
    most_space = resource.getrlimit(resource.RLIMIT_AS)[0]
    pages = _text(Path("/proc/self/statm")).split()
    if most_space != resource.RLIM_INFINITY and pages:
        yield max(0.0, most_space - float(pages[0]) * resource.getpagesize())


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return ""


def _number(path: Path) -> float | None:
    text = _text(path).strip()
    return float(text) if text.isdecimal() and math.isfinite(float(text)) else None


def _numbers(path: Path) -> dict[str, float]:
    """Of lines that are a name and a number."""
    lines = (line.split() for line in _text(path).splitlines())
    return {words[0]: float(words[1]) for words in lines if len(words) > 1 and words[1].isdecimal()}
