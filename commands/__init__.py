"""The command line: `innerloop COMMAND`."""

import gc
import signal

GARBAGE = 100_000
"""Objects more than there were before garbage is looked for. Importing makes many that stay: at Python's own 700,
looking through them took a tenth of the start."""


def main() -> int:
    """The command from its first instruction on: an interruption before it can be told ends the process in silence."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    gc.set_threshold(GARBAGE)
    from .cli import main as command

    return command()
