"""How does a server end in time? What must be finished is; what need not be is cancelled.

A signal cancels queries and follows, lets pushes end, and after the grace the process ends with
whatever still works: everything that was acknowledged is in the journal, as after a crash. A second
signal ends at once.
"""

import asyncio
import os
import sys
import threading

import structlog

log = structlog.get_logger(__name__)

LAST_S = 1.0
"""After the grace, for closing files; then the process ends whatever still works."""


class Stopping:
    """Told of signals; `stopped` is awaited by the server."""

    def __init__(self, grace_s: float) -> None:
        self._grace_s = grace_s
        self.stopped = asyncio.Event()

    def signal(self) -> None:
        """Begin to stop; a second time: end at once."""
        if self.stopped.is_set():
            os._exit(130)
        last = threading.Timer(self._grace_s + LAST_S, _end)
        last.daemon = True
        last.start()
        self.stopped.set()


def _end() -> None:
    log.warning("work under way was given up: what was acknowledged is in the journal")
    sys.stderr.flush()
    os._exit(0)
