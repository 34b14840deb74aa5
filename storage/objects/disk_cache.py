"""What of a far store is kept on this machine's disk? Pieces that were read, the last used longest.

A piece is a file: a checksum of everything behind it, its name, its bytes. Nothing is synced: a
piece that a crash tore has a wrong checksum, and is a miss. The folder has one owner.
Invariant: no fault of the disk is an error of a read. A piece that cannot be read is a miss, one
that cannot be written is not kept, and after a fault nothing is written for a while.
"""

import contextlib
import hashlib
import os
import shutil
import struct
import threading
import time
from collections import OrderedDict
from pathlib import Path

import google_crc32c
import structlog

from storage.objects.metrics import DISK_CACHE_BYTES, DISK_CACHE_FAULTS, DISK_CACHE_READS

log = structlog.get_logger(__name__)

MAX_PIECES = 200_000
"""Of which the names are in memory, about 200 bytes each."""
MOST_SHARE = 8
"""A piece takes no more than this part of the cache."""
LEAST_FREE = 512 * 1024 * 1024
"""Bytes that the disk has left for others; else nothing is written."""
PAUSE_S = 30.0
"""Without writing, after a fault of the disk."""
_HEAD = struct.Struct("<II")
"""Checksum of what follows, and the length of the name."""
TORN = ".new"


class DiskCache:
    """Pieces by name, at most so many bytes of them; thread-safe."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        """What a process before left in the folder is taken over; a smaller bound holds at once."""
        self._folder, self._max_bytes = folder, max_bytes
        self._lock = threading.Lock()
        self._sizes: OrderedDict[str, int] = OrderedDict()  # by file, used last at the end
        self._bytes = 0
        self._resumes_s = 0.0
        self._take_over()

    def _take_over(self) -> None:
        found: list[tuple[float, str, int]] = []
        with contextlib.suppress(OSError):
            for folder in sorted(os.scandir(self._folder), key=lambda entry: entry.name):
                for entry in os.scandir(folder.path):
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
        file = _file_of(name)
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
        path = self._path(file)
        try:
            content = path.read_bytes()
            os.utime(path)
        except OSError as error:
            self._note("read", error)
            return None
        begin = _HEAD.size + len(name.encode())
        if len(content) < begin:
            self._note("read", ValueError("it is cut"))
            return None
        checksum, length = _HEAD.unpack_from(content)
        if google_crc32c.value(content[4:]) != checksum:
            self._note("read", ValueError("wrong checksum"))
            return None
        is_same = length == begin - _HEAD.size and content[_HEAD.size : begin] == name.encode()
        return content[begin:] if is_same else None

    def put(self, name: str, data: bytes) -> None:
        """Keep a piece, if the disk lets us."""
        file, text = _file_of(name), name.encode()
        size = _HEAD.size + len(text) + len(data)
        with self._lock:
            if file in self._sizes or time.monotonic() < self._resumes_s:
                return
        if size > self._max_bytes // MOST_SHARE:
            return
        rest = struct.pack("<I", len(text)) + text + data
        try:
            self._write(self._path(file), struct.pack("<I", google_crc32c.value(rest)) + rest)
        except OSError as error:
            self._note("write", error)
            with self._lock:
                self._resumes_s = time.monotonic() + PAUSE_S
            return
        with self._lock:
            self._bytes += size - self._sizes.pop(file, 0)
            self._sizes[file] = size
        self._shrink()

    def _write(self, path: Path, content: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(path.parent).free < LEAST_FREE + len(content):
            raise OSError("the disk is nearly full")
        new = path.with_name(f"{path.name}-{threading.get_ident()}{TORN}")
        try:
            new.write_bytes(content)
            new.replace(path)
        except OSError:
            with contextlib.suppress(OSError):
                new.unlink(missing_ok=True)
            raise

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
            self._path(file).unlink(missing_ok=True)
        except OSError as error:
            self._note("remove", error)

    def _path(self, file: str) -> Path:
        return self._folder / file[:2] / file

    def _note(self, what: str, error: Exception) -> None:
        DISK_CACHE_FAULTS.inc()
        log.warning("the disk cache has a fault and is left aside", what=what, error=str(error))


def _file_of(name: str) -> str:
    return hashlib.blake2b(name.encode(), digest_size=16).hexdigest()
