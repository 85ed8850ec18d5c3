"""The command line: `innerloop COMMAND`."""

import signal


def main() -> int:
    """The command from its first instruction on: an interruption before it can be told ends the process in silence."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from .cli import main as command

    return command()
