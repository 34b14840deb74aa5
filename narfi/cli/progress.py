"""How far is a long command? One line on stderr, written over on a terminal."""

import sys
import time

EVERY_S = 10.0
"""Between two lines where they cannot be written over, as in a log."""


class Progress:
    """Call it with what is being done."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._next = time.monotonic() + EVERY_S
        self._open = False

    def __call__(self, text: str) -> None:
        """Say it, in place or now and then."""
        if self._terminal:
            print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
            self._open = True
        elif time.monotonic() >= self._next:
            print(text, file=sys.stderr, flush=True)
            self._next = time.monotonic() + EVERY_S

    def close(self) -> None:
        """Remove the line, before anything else is printed."""
        if self._open:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
            self._open = False
