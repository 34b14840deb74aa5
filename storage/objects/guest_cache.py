"""How does a process use the disk cache of another one? It reads there, and leaves pieces behind.

The owner of the folder takes what is left in `given` over from time to time, and bounds it with all
else. Until then a guest leaves no more there than a part of the cache, of all guests together.
Invariant: as for the owner, no fault of the disk is an error of a read.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path

from storage.objects.piece_file import (
    BadPieceError,
    file_of,
    place_of,
    read_piece,
    size_of,
    write_piece,
)

GIVEN = "given"
"""The folder of pieces that the owner does not know yet."""
LOOK_S = 5.0
"""Between two looks at what is there of them."""


class GuestCache:
    """Pieces by name in a folder of another process; thread-safe but for its look at a bound."""

    def __init__(
        self, folder: Path, most_given: int, *, now: Callable[[], float] = time.monotonic
    ) -> None:
        """`most_given`: bytes that wait for the owner, about."""
        self._folder, self._most, self._now = folder, most_given, now
        self._given = 0
        self._looked_s = -LOOK_S

    def get(self, name: str) -> bytes | None:
        """The piece; None when it is not there, or not whole."""
        file = file_of(name)
        for path in (place_of(self._folder, file), self._folder / GIVEN / file):
            try:
                found = read_piece(path, name)
            except (OSError, BadPieceError):
                continue
            if found is not None:
                return found
        return None

    def put(self, name: str, data: bytes) -> None:
        """Leave a piece for the owner, if there is room."""
        self._look()
        size = size_of(name, data)
        if self._given + size > self._most:
            return
        try:
            write_piece(self._folder / GIVEN / file_of(name), name, data)
        except OSError:
            self._given = self._most  # nothing more before the next look
        else:
            self._given += size

    def _look(self) -> None:
        if self._now() < self._looked_s + LOOK_S:
            return
        self._looked_s = self._now()
        try:
            self._given = sum(entry.stat().st_size for entry in os.scandir(self._folder / GIVEN))
        except OSError:
            self._given = 0
