"""What if a step fails, or the process dies there? An object store for tests that does as told."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import pyarrow as pa

from storage.objects.base import ObjectError, ObjectStore

T = TypeVar("T")


class InjectedError(ObjectError):
    """The failure that a test asked for."""


class Faults:
    """Counts the steps of all that share it, and fails at one of them.

    `after`: the step is done but its caller never learns; `dead`: every later step fails too, as
    when the process ended there.
    """

    def __init__(self, fail_at: int = -1, *, after: bool = False, dead: bool = False) -> None:
        self._fail_at, self._after, self._dead = fail_at, after, dead
        self.steps = 0

    def fail_at(self, step: int) -> None:
        """Fail at another step, counted from the beginning."""
        self._fail_at = step

    def step(self, what: str, do: Callable[[], T]) -> T:
        """Do it, or fail."""
        number, self.steps = self.steps, self.steps + 1
        mine = number == self._fail_at
        if (mine and not self._after) or (self._dead and 0 <= self._fail_at < number):
            raise InjectedError(f"step {number} fails: {what}")
        result = do()
        if mine:
            raise InjectedError(f"step {number} fails after it was done: {what}")
        return result


class FaultyObjects:
    """An `ObjectStore` whose changes are steps of `Faults`; with `reads`, reads are steps too."""

    def __init__(self, inner: ObjectStore, faults: Faults, *, reads: bool = False) -> None:
        self._inner, self._faults, self._reads = inner, faults, reads

    def _read(self, what: str, do: Callable[[], T]) -> T:
        return self._faults.step(what, do) if self._reads else do()

    def put(self, key: str, data: bytes | pa.Buffer, *, settled: bool = True) -> None:
        """Store, or fail."""
        self._faults.step(f"put {key}", lambda: self._inner.put(key, data, settled=settled))

    def put_file(self, key: str, path: Path) -> None:
        """Store a file, or fail."""
        self._faults.step(f"put {key}", lambda: self._inner.put_file(key, path))

    def get(self, key: str) -> bytes:
        """The whole object, or fail."""
        return self._read(f"get {key}", lambda: self._inner.get(key))

    def get_ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """Bytes of ranges, or fail."""
        return self._read(f"get {key}", lambda: self._inner.get_ranges(key, ranges))

    def open(self, key: str, size: int | None = None) -> pa.NativeFile:
        """A file for ranged reads, or fail."""
        return self._read(f"open {key}", lambda: self._inner.open(key, size))

    def size(self, key: str) -> int:
        """Bytes of the object, or fail."""
        return self._read(f"size {key}", lambda: self._inner.size(key))

    def list(self, prefix: str) -> Iterator[str]:
        """All keys with the prefix, or fail."""
        return self._read(f"list {prefix}", lambda: self._inner.list(prefix))

    def move(self, key: str, target: str) -> None:
        """Move, or fail."""
        self._faults.step(f"move {key}", lambda: self._inner.move(key, target))

    def delete(self, key: str) -> None:
        """Remove, or fail."""
        self._faults.step(f"delete {key}", lambda: self._inner.delete(key))
