"""How is a small packed block of a far store read? Its object as a whole, once columns are wanted.

The times of its rows, all that a count needs, come by ranges; whoever asks for more would send some
requests, each of which takes as long as the bytes of the whole. It is checked before it is
remembered.
"""

import threading
from collections.abc import Sequence

import google_crc32c
import pyarrow as pa

from storage.block.footer import DamagedBlockError
from storage.block.format3.fetching import is_mapped
from storage.block.format3.parquet import StoredFile
from storage.cache import ByteCache
from storage.objects.base import ObjectStore

LARGEST = 4 * 1024 * 1024
"""Bytes of an object that is read at once: those of two or three requests, as stores send them."""
TINY = 256 * 1024
"""Times are not read before the rest of an object of so many bytes."""


class SmallObject:
    """Reads the one object of a packed block; thread-safe."""

    def __init__(
        self, objects: ObjectStore, cache: ByteCache[object], block_id: str, file: StoredFile
    ) -> None:
        """`file`: any of the block."""
        self._objects, self._cache = objects, cache
        self._remembered, self._file = (block_id, "object"), file
        self._lock = threading.Lock()

    def open(self, key: str, size: int | None = None) -> pa.NativeFile:
        """A file over all its bytes, where they are near or may be remembered; else of ranges."""
        found = self._objects.open(key, size)
        if is_mapped(found):
            return found
        whole = self._whole(key)
        return found if whole is None else pa.BufferReader(whole)

    def get_ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """The bytes of each (start, length), from the store."""
        return self._objects.get_ranges(key, ranges)

    def _whole(self, key: str) -> bytes | None:
        """None where the cache has no room for it; raises `DamagedBlockError`."""
        with self._lock:  # others of this question want the same
            known = self._cache.get(self._remembered)
            if isinstance(known, bytes):
                return known
            if not self._cache.takes(self._file.object_size):
                return None
            found = self._objects.get(key)
            if google_crc32c.value(found) != self._file.object_sum:
                raise DamagedBlockError(key, "its checksum is wrong")
            self._cache.put(self._remembered, found, len(found))
            return found


def is_small(file: StoredFile) -> bool:
    """Whether it is a part of an object that is read as a whole."""
    return file.size < file.object_size <= LARGEST
