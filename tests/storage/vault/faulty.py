"""A disk and a store of which every call is a step that can fail."""

import errno
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import pyarrow as pa

from storage.disk import SYSTEM_DISK
from storage.objects.base import ObjectStore
from storage.objects.faulty import Faults, InjectedError

T = TypeVar("T")


class FaultyStore:
    """An `ObjectStore`; reading fails too."""

    def __init__(self, inner: ObjectStore, faults: Faults) -> None:
        self._inner, self._faults = inner, faults

    def put(self, key: str, data: bytes | pa.Buffer, *, settled: bool = True) -> None:
        """Store, or fail."""
        self._faults.step(f"put {key}", lambda: self._inner.put(key, data, settled=settled))

    def put_file(self, key: str, path: Path) -> None:
        """Store a file, or fail."""
        self._faults.step(f"put {key}", lambda: self._inner.put_file(key, path))

    def get(self, key: str) -> bytes:
        """Read, or fail."""
        return self._faults.step(f"get {key}", lambda: self._inner.get(key))

    def get_ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """Read, or fail."""
        return self._faults.step(f"get {key}", lambda: self._inner.get_ranges(key, ranges))

    def open(self, key: str, size: int | None = None) -> pa.NativeFile:
        """Open, or fail."""
        return self._faults.step(f"open {key}", lambda: self._inner.open(key))

    def size(self, key: str) -> int:
        """Look, or fail."""
        return self._faults.step(f"size {key}", lambda: self._inner.size(key))

    def list(self, prefix: str) -> Iterator[str]:
        """List, or fail."""
        return self._faults.step(f"list {prefix}", lambda: self._inner.list(prefix))

    def move(self, key: str, target: str) -> None:
        """Move, or fail."""
        self._faults.step(f"move {key}", lambda: self._inner.move(key, target))

    def delete(self, key: str) -> None:
        """Delete, or fail."""
        self._faults.step(f"delete {key}", lambda: self._inner.delete(key))


class FaultyDisk:
    """A `Disk` whose calls fail with an I/O error."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults

    def _step(self, what: str, do: Callable[[], T]) -> T:
        try:
            return self._faults.step(what, do)
        except InjectedError as error:
            raise OSError(errno.EIO, error.message) from error

    def create(self, path: Path) -> int:
        """Create, or fail."""
        return self._step(f"create {path}", lambda: SYSTEM_DISK.create(path))

    def open(self, path: Path) -> int:
        """Open, or fail."""
        return self._step(f"open {path}", lambda: SYSTEM_DISK.open(path))

    def overwrite(self, descriptor: int, data: bytes) -> None:
        """Overwrite, or fail."""
        self._step("overwrite", lambda: SYSTEM_DISK.overwrite(descriptor, data))

    def write(self, descriptor: int, pieces: Sequence[bytes | memoryview]) -> int:
        """Write, or fail."""
        return self._step("write", lambda: SYSTEM_DISK.write(descriptor, pieces))

    def sync(self, descriptor: int) -> None:
        """Sync, or fail."""
        self._step("sync", lambda: SYSTEM_DISK.sync(descriptor))

    def cut(self, descriptor: int, size: int) -> None:
        """Cut, or fail."""
        self._step("cut", lambda: SYSTEM_DISK.cut(descriptor, size))

    def close(self, descriptor: int) -> None:
        """Close, and then fail perhaps: no test leaks descriptors."""
        SYSTEM_DISK.close(descriptor)
        self._step("close", lambda: None)

    def make_folder(self, path: Path) -> None:
        """Make, or fail."""
        self._step(f"folder {path}", lambda: SYSTEM_DISK.make_folder(path))

    def link(self, source: Path, target: Path) -> None:
        """Link, or fail."""
        self._step(f"link {target}", lambda: SYSTEM_DISK.link(source, target))

    def rename(self, source: Path, target: Path) -> None:
        """Rename, or fail."""
        self._step(f"rename {source}", lambda: SYSTEM_DISK.rename(source, target))

    def unlink(self, path: Path) -> None:
        """Unlink, or fail."""
        self._step(f"unlink {path}", lambda: SYSTEM_DISK.unlink(path))

    def sync_folder(self, path: Path) -> None:
        """Sync, or fail."""
        self._step(f"sync {path}", lambda: SYSTEM_DISK.sync_folder(path))
