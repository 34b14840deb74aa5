"""How are columns of files got with few requests? Their pages are read together, from a far store.

A mapped file needs none of it: its pages are read when they are touched.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from storage.objects.base import Readable

GAP_BYTES = 64 * 1024
"""What lies between two ranges is read with them: a request costs more."""

Range = tuple[int, int]
"""First byte and size."""


@dataclass(frozen=True, slots=True)
class Part:
    """Some bytes of an object."""

    start: int
    data: bytes

    @property
    def end(self) -> int:
        """The first byte behind it."""
        return self.start + len(self.data)


def is_mapped(file: pa.NativeFile) -> bool:
    """Whether reading costs nothing but the pages that are touched."""
    return isinstance(file, pa.MemoryMappedFile | pa.BufferReader)


def joined(ranges: Sequence[Range]) -> list[Range]:
    """The ranges with what lies between near ones, ascending."""
    found: list[Range] = []
    for start, size in sorted(ranges):
        if found and start <= sum(found[-1]) + GAP_BYTES:
            first = found[-1][0]
            found[-1] = (first, max(sum(found[-1]), start + size) - first)
        else:
            found.append((start, size))
    return found


def fetch(objects: Readable, key: str, ranges: Sequence[Range]) -> list[Part]:
    """Ranges of an object with one call, which the store may answer with several requests."""
    wanted = joined(ranges)
    found = objects.get_ranges(key, wanted)
    return [Part(start, data) for (start, _), data in zip(wanted, found, strict=True)]


class PartsFile:
    """Parts of an object as a file, for `pyarrow.PythonFile`; other bytes cannot be read."""

    closed = False

    def __init__(self, parts: Sequence[Part], offset: int, size: int) -> None:
        """`offset`: where the file begins in the object."""
        self._parts, self._offset, self._size, self._at = parts, offset, size, 0

    def read(self, size: int = -1) -> bytes:
        """So many bytes from the place on, all of one part."""
        left = self._size - self._at
        size = left if size < 0 else min(size, left)
        first = self._offset + self._at
        for part in self._parts:
            if part.start <= first and first + size <= part.end:
                self._at += size
                return part.data[first - part.start : first - part.start + size]
        raise ValueError(f"bytes {first} to {first + size} were not asked for")

    def seek(self, place: int, whence: int = 0) -> int:
        """Go to a place, from the beginning, from here or from the end."""
        self._at = place + (0, self._at, self._size)[whence]
        return self._at

    def tell(self) -> int:
        """The place."""
        return self._at

    def close(self) -> None:
        """Nothing is held open."""
        self.closed = True
