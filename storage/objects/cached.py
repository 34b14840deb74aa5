"""How are objects of a far store read through a cache on the disk? Each range that is read again.

Objects of blocks never change and their keys are never used again, so a piece is right as long as
it is whole. An object that is read as a whole (the index of a block, which every question needs)
is kept at once; a range when it is asked for the second time, so a scan that is never repeated
costs the disk nothing.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from storage.objects.base import ObjectStore
from storage.objects.ranged import RangedFile

MAX_SEEN = 200_000
"""Ranges that were read once and are remembered, about 150 bytes each."""
MAX_DISTRUSTED = 10_000
LARGEST = 16 * 1024 * 1024
"""An object or a range of more bytes is not kept."""


class Pieces(Protocol):
    """A cache that may forget, and never fails; thread-safe."""

    def get(self, name: str) -> bytes | None:
        """The bytes that were put under the name; None when they are not there."""
        ...

    def put(self, name: str, data: bytes) -> None:
        """Keep them, if that is possible."""
        ...


class CachedObjects:
    """An `ObjectStore` whose reads go through a cache; thread-safe."""

    def __init__(self, far: ObjectStore, cache: Pieces) -> None:
        self._far, self._cache = far, cache
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._distrusted: OrderedDict[str, None] = OrderedDict()  # folders
        self._lock = threading.Lock()

    def is_distrusted(self, key: str) -> bool:
        """Whether objects of the key's folder are read past the cache."""
        return _folder(key) in self._distrusted

    def distrust(self, key: str) -> None:
        """Read objects of the key's folder past the cache from now on.

        For a block with which something was wrong: what came wrong over the network, and was kept,
        is never read again.
        """
        with self._lock:
            self._distrusted[_folder(key)] = None
            if len(self._distrusted) > MAX_DISTRUSTED:
                self._distrusted.popitem(last=False)

    def get(self, key: str) -> bytes:
        """The whole object."""
        if _folder(key) in self._distrusted:
            return self._far.get(key)
        found = self._cache.get(key)
        if found is None:
            found = self._far.get(key)
            if len(found) <= LARGEST:
                self._cache.put(key, found)
        return found

    def get_ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """The bytes of each (start, length); those that are not kept come with one call."""
        if _folder(key) in self._distrusted:
            return self._far.get_ranges(key, ranges)
        found: list[bytes | None] = [self._cache.get(_name(key, one)) for one in ranges]
        missing = [one for one, data in zip(ranges, found, strict=True) if data is None]
        fetched = iter(self._far.get_ranges(key, missing) if missing else [])
        whole: list[bytes] = []
        for one, data in zip(ranges, found, strict=True):
            if data is None:
                data = next(fetched)
                self._read_once_more(_name(key, one), data)
            whole.append(data)
        return whole

    def open(self, key: str, size: int | None = None) -> pa.NativeFile:
        """A seekable file for ranged reads."""
        if size is None:
            size = self._far.size(key)

        def read(start: int, length: int) -> bytes:
            return self.get_ranges(key, [(start, length)])[0]

        return pa.PythonFile(RangedFile(size, read), mode="r")

    def _read_once_more(self, name: str, data: bytes) -> None:
        """Keep what was read before; remember what was not."""
        with self._lock:
            is_known = name in self._seen
            if is_known:
                del self._seen[name]
            else:
                self._seen[name] = None
                if len(self._seen) > MAX_SEEN:
                    self._seen.popitem(last=False)
        if is_known and len(data) <= LARGEST:
            self._cache.put(name, data)

    def put(self, key: str, data: bytes | pa.Buffer, *, settled: bool = True) -> None:
        """Past the cache, as everything that writes; so is what is read of that folder then."""
        self.distrust(key)
        self._far.put(key, data, settled=settled)

    def put_file(self, key: str, path: Path) -> None:
        """Past the cache."""
        self.distrust(key)
        self._far.put_file(key, path)

    def size(self, key: str) -> int:
        """As the store says."""
        return self._far.size(key)

    def list(self, prefix: str) -> Iterator[str]:
        """As the store says."""
        return self._far.list(prefix)

    def move(self, key: str, target: str) -> None:
        """Past the cache."""
        self.distrust(key)
        self.distrust(target)
        self._far.move(key, target)

    def delete(self, key: str) -> None:
        """Past the cache; what is kept of it is soon the oldest."""
        self.distrust(key)
        self._far.delete(key)


def _folder(key: str) -> str:
    return key.rpartition("/")[0]


def _name(key: str, part: tuple[int, int]) -> str:
    return f"{key}?{part[0]}+{part[1]}"
