"""The command line: which command runs, and what a fault looks like.

    innerloop COMMAND …   →   actions.COMMAND(arguments)   →   exit status

Status 0 is success, 1 something wrong with a program, its data or a file, 2 wrong usage, 70 a fault of innerloop's own,
and 130 (or 143) an interruption. A fault is one message on stderr; with INNERLOOP_TRACEBACK=1 a traceback comes before
it. Nothing heavy is imported here, so that `check` answers at once, and an interruption is caught from the beginning.
"""

from __future__ import annotations

import io
import os
import shlex
import sys
import warnings
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from types import TracebackType

from innerloop.artifact import interrupts

FAULT = 70
"""EX_SOFTWARE of sysexits.h."""
NO_MATTER = {"--resume", "--elsewhere", "--quiet", "-q", "--json"}
"""Options whose command makes the same files without them."""
LONGEST = 300
"""Characters of a message that is not innerloop's: some print all of a file."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status; `arguments` are sys.argv's if not given."""

    def body() -> int:
        return _run(arguments)

    return interrupts.command(body, _told, _ended)


def _run(arguments: Sequence[str] | None) -> int:
    _prepare_streams()
    from innerloop.runtime.quiet import be_quiet

    from .parser import parser

    parsed = parser().parse_args(arguments)
    parsed.written = written(sys.argv[1:] if arguments is None else arguments)
    be_quiet(parsed.quiet)
    command = getattr(import_module(".actions", __package__), parsed.command.replace("-", "_"))
    with warnings.catch_warnings():
        # Python's own choice, whatever -W says. NumPy's about an overflow say nothing new: the report and the guard
        # name the value that it came to.
        warnings.resetwarnings()
        for quiet in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning, RuntimeWarning):
            warnings.simplefilter("ignore", quiet)
        warnings.showwarning = _warn
        status: int = command(parsed)
        sys.stdout.flush()
        return status


def written(arguments: Sequence[str]) -> str:
    """The command as one writes it in a shell, without what does not change what it makes."""
    return shlex.join(["innerloop", *(each for each in arguments if each not in NO_MATTER)])


def _told(error: BaseException) -> int:
    """Words for what was raised, on stderr; the exit status."""
    from innerloop.artifact.errors import TRACEBACK, CompileError, InnerloopError

    if os.environ.get(TRACEBACK, "0") not in ("", "0"):
        import traceback

        traceback.print_exception(error)
    match error:
        case CompileError():
            print(error, file=sys.stderr)
        case BrokenPipeError():
            # What reads our output has seen enough; Python would complain once more when it closes stdout.
            _discard_output()
        case InnerloopError():
            _fault(str(error))
        case OSError():
            where = f"{error.filename}: " if error.filename else ""
            _fault(f"{where}{error.strerror or error}")
            if not error.filename:
                _discard_output()  # it may be stdout that cannot be written
        case MemoryError():
            _fault(f"not enough memory{f' ({error})' if str(error) else ''}: smaller sizes or fewer tasks need less")
        case KeyboardInterrupt():
            _fault(str(error) or "interrupted")
            return 128 + interrupts.ended_by()
        case _ if "RESOURCE_EXHAUSTED" in str(error):  # XLA's
            _fault(f"not enough memory ({_short(error)}): smaller sizes or fewer tasks need less")
        case _:
            where = f" at {place}" if (place := _place(error.__traceback__)) else ""
            _fault(
                f"{type(error).__name__}: {_short(error)}: this is a fault of innerloop's own{where}; {TRACEBACK}=1 "
                f"prints where it comes from"
            )
            return FAULT
    return 1


def _short(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _place(trace: TracebackType | None) -> str | None:
    """The last line of innerloop's own that a traceback goes through."""
    place = None
    while trace is not None:
        module = str(trace.tb_frame.f_globals.get("__name__", ""))
        if module.startswith("innerloop."):
            place = f"{module}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place


def _ended(said: str) -> None:
    """The words for an end at once; a progress bar may have hidden the cursor."""
    if sys.stderr is not None:
        os.write(2, (b"\x1b[?25h" if sys.stderr.isatty() else b"") + f"innerloop: error: {said}\n".encode())


def _prepare_streams() -> None:
    """Output to nowhere (`>&-`) is no fault, and a terminal without `×` or `→` shows a question mark."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def _discard_output() -> None:
    """Python writes what is left of stdout when it ends, and would complain in words of its own."""
    with suppress(OSError, ValueError), open(os.devnull, "w", encoding="utf-8") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


def _fault(message: str) -> None:
    print(f"innerloop: error: {message}", file=sys.stderr)


def _warn(message: Warning | str, *_: object, **__: object) -> None:
    print(f"innerloop: warning: {message}", file=sys.stderr)
