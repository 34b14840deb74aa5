"""What is given up first on a full disk? A file that is kept for that.

A catalog needs some room even to forget a block; on a disk that is full to the last byte nothing
could be dropped else.
"""

import os
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)

RESERVE_BYTES = 4 * 1024 * 1024
"""Many times what a transaction over a hundred blocks writes."""


class Reserve:
    """A file of `RESERVE_BYTES` whose space is allocated; used by one thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._full = False

    def fill(self) -> None:
        """Allocate it, when that was not done yet; without room, later."""
        if self._full:
            return
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o644)
            try:
                os.posix_fallocate(descriptor, 0, RESERVE_BYTES)
            finally:
                os.close(descriptor)
        except OSError as error:
            log.debug("no reserve on the disk", path=str(self._path), error=error.strerror)
            self._path.unlink(missing_ok=True)
            return
        self._full = True

    def give_up(self) -> None:
        """Free its space."""
        self._path.unlink(missing_ok=True)
        self._full = False
