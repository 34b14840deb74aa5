"""The first lines of `narfi`: until a command can hear of it, Ctrl-C ends it without a word."""

import signal


def main() -> None:
    """Load the commands, and run the one that is asked for."""
    heard = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # else it is ignored
    if heard:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from narfi.cli.main import main as run

    if heard:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    run()
