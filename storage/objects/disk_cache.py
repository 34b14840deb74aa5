"""What of a far store is kept on this machine's disk? Pieces that were read, the last used longest.

A piece is a file (`piece_file.py`); one that a crash tore is a miss. The folder has one owner,
which takes in what guests left there (`guest_cache.py`).
Invariant: no fault of the disk is an error of a read. A piece that cannot be read is a miss, one
that cannot be written is not kept, and after a fault nothing is written for a while.
"""

import contextlib
import os
import threading
import time
from collections import OrderedDict
from pathlib import Path

import structlog

from storage.objects.guest_cache import GIVEN
from storage.objects.metrics import DISK_CACHE_BYTES, DISK_CACHE_FAULTS, DISK_CACHE_READS
from storage.objects.piece_file import (
    TORN,
    BadPieceError,
    file_of,
    place_of,
    read_piece,
    size_of,
    write_piece,
)

log = structlog.get_logger(__name__)

MAX_PIECES = 200_000
"""Of which the names are in memory, about 200 bytes each."""
MOST_SHARE = 8
"""A piece takes no more than this part of the cache."""
PAUSE_S = 30.0
"""Without writing, after a fault of the disk."""
TAKE_IN_S = 5.0
"""Between two looks at what guests left."""


class DiskCache:
    """Pieces by name, at most so many bytes of them; thread-safe."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        """What a process before left in the folder is taken over; a smaller bound holds at once."""
        self._folder, self._max_bytes = folder, max_bytes
        self._lock = threading.Lock()
        self._sizes: OrderedDict[str, int] = OrderedDict()  # by file, used last at the end
        self._bytes = 0
        self._resumes_s = 0.0
        self._taken_in_s = -TAKE_IN_S
        self._take_over()
        self._take_in()

    def _take_over(self) -> None:
        found: list[tuple[float, str, int]] = []
        with contextlib.suppress(OSError):
            for folder in sorted(os.scandir(self._folder), key=lambda entry: entry.name):
                for entry in os.scandir(folder.path) if folder.name != GIVEN else ():
                    if entry.name.endswith(TORN):
                        Path(entry.path).unlink(missing_ok=True)
                    else:
                        known = entry.stat()
                        found.append((known.st_mtime, entry.name, known.st_size))
        self._sizes = OrderedDict((name, size) for _, name, size in sorted(found))
        self._bytes = sum(self._sizes.values())
        self._shrink()

    @property
    def nbytes(self) -> int:
        """On the disk."""
        return self._bytes

    def get(self, name: str) -> bytes | None:
        """The piece, used last now; None when it is not there, or not whole."""
        file = file_of(name)
        self._take_in()
        with self._lock:
            if file not in self._sizes:
                DISK_CACHE_READS.labels("missed").inc()
                return None
            self._sizes.move_to_end(file)
        data = self._read(file, name)
        DISK_CACHE_READS.labels("missed" if data is None else "found").inc()
        if data is None:
            self._drop(file)
        return data

    def _read(self, file: str, name: str) -> bytes | None:
        try:
            return read_piece(place_of(self._folder, file), name)
        except (OSError, BadPieceError) as error:
            self._note("read", error)
            return None

    def put(self, name: str, data: bytes) -> None:
        """Keep a piece, if the disk lets us."""
        file, size = file_of(name), size_of(name, data)
        with self._lock:
            if file in self._sizes or time.monotonic() < self._resumes_s:
                return
        if size > self._max_bytes // MOST_SHARE:
            return
        try:
            write_piece(place_of(self._folder, file), name, data)
        except OSError as error:
            self._note("write", error)
            with self._lock:
                self._resumes_s = time.monotonic() + PAUSE_S
            return
        self._count(file, size)
        self._shrink()

    def _count(self, file: str, size: int) -> None:
        with self._lock:
            self._bytes += size - self._sizes.pop(file, 0)
            self._sizes[file] = size

    def _take_in(self) -> None:
        """What guests left becomes part of the cache, used last now."""
        with self._lock:
            if time.monotonic() < self._taken_in_s + TAKE_IN_S:
                return
            self._taken_in_s = time.monotonic()
        taken = False
        with contextlib.suppress(OSError):  # most of all that there is nothing
            for entry in list(os.scandir(self._folder / GIVEN)):
                if not entry.name.endswith(TORN):
                    place, size = place_of(self._folder, entry.name), entry.stat().st_size
                    place.parent.mkdir(exist_ok=True)
                    Path(entry.path).replace(place)
                    self._count(entry.name, size)
                    taken = True
        if taken:
            self._shrink()

    def _shrink(self) -> None:
        """Forget pieces that were not used for longest."""
        gone: list[str] = []
        with self._lock:
            while self._bytes > self._max_bytes or len(self._sizes) > MAX_PIECES:
                file, size = self._sizes.popitem(last=False)
                self._bytes -= size
                gone.append(file)
            DISK_CACHE_BYTES.set(self._bytes)
        for file in gone:
            self._unlink(file)

    def _drop(self, file: str) -> None:
        with self._lock:
            self._bytes -= self._sizes.pop(file, 0)
        self._unlink(file)

    def _unlink(self, file: str) -> None:
        try:
            place_of(self._folder, file).unlink(missing_ok=True)
        except OSError as error:
            self._note("remove", error)

    def _note(self, what: str, error: Exception) -> None:
        DISK_CACHE_FAULTS.inc()
        log.warning("the disk cache has a fault and is left aside", what=what, error=str(error))
