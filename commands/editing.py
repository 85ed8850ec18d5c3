"""For editors: `innerloop format FILE …`, each file in its one spelling or the names of those that are not; and
`innerloop language-server`."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from pathlib import Path

from innerloop.artifact.errors import CompileError, InnerloopError
from innerloop.compiler.syntax.format import formatted
from innerloop.runtime.quiet import quiet
from innerloop.runtime.whole import replace

from .arguments import decoded


def format(arguments: Namespace) -> int:
    """The exit status. A file with syntax errors is told and left, and the others are done."""
    status = 0
    for name in arguments.files:
        try:
            status = max(status, _stdin(arguments.check) if name == "-" else _file(name, arguments.check))
        except CompileError as error:
            print(error, file=sys.stderr)
            status = 1
    return status


def _stdin(check: bool) -> int:
    text = decoded(sys.stdin.buffer.read(), "stdin")
    result = formatted(text, "stdin")
    if check:
        return _would_change("stdin") if result != text else 0
    sys.stdout.buffer.write(result.encode())
    return 0


def _file(name: str, check: bool) -> int:
    path = Path(name)
    content = path.read_bytes()
    text = decoded(content, name)
    result = formatted(text, name)
    if result == text:
        return 0
    if check:
        return _would_change(name)
    ends = "\r\n" if b"\r\n" in content else "\n"
    replace(path.resolve(), lambda stream: stream.write(result.replace("\n", ends).encode()))
    if not quiet():
        print(f"{name}: formatted")
    return 0


def _would_change(name: str) -> int:
    print(f"{name}: would be formatted")
    return 1


def serve() -> int:
    """Until the editor ends it."""
    try:
        from innerloop.editors.server import server
    except ImportError:
        raise InnerloopError("language-server takes pygls: pip install 'innerloop[editor]'") from None
    # Of its own, since it closes them.
    server().start_io(os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb"))
    return 0
