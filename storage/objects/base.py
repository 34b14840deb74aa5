"""Where do the bytes of blocks lie? A flat key space with atomic puts.

Invariant: a reader sees an object whole or not at all; a settled put that returned is durable.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from narfi.core.errors import AppError, ErrorKind

Allow = Callable[[int], AbstractContextManager[object]]
"""Asked before so many bytes are read, and held while they are in memory; raises what ends it."""


def freely(_size: int) -> AbstractContextManager[object]:
    """For who has all the time and memory that it takes."""
    return nullcontext()


class ObjectError(AppError):
    """The object store refused or failed."""

    kind = ErrorKind.UNAVAILABLE


class BadObjectError(ObjectError):
    """Something is wrong with this one object; the store answers."""

    def __init__(self, key: str, reason: object = "") -> None:
        self.key, self.reason = key, str(reason)
        super().__init__(self.text())

    def text(self) -> str:
        """What the client reads."""
        return f"object {self.key} cannot be read: {self.reason}"


class ObjectMissingError(BadObjectError):
    """No such object."""

    kind = ErrorKind.NOT_FOUND

    def text(self) -> str:
        """What the client reads."""
        return f"object {self.key} does not exist"


class NotAnObjectError(BadObjectError):
    """Something else lies in its place, such as a folder, a pipe or a link to itself."""


class ObjectExistsError(BadObjectError):
    """Another object has the key."""

    def text(self) -> str:
        """What the client reads."""
        return f"object {self.key} exists already"


class Readable(Protocol):
    """Objects of which parts are read. Thread-safe."""

    def get_ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """The bytes of each (start, length), or `ObjectMissingError`.

        `BadObjectError` when the object ends before a range does.
        """
        ...

    def open(self, key: str, size: int | None = None) -> pa.NativeFile:
        """A seekable file for ranged reads, or `ObjectMissingError`, now or when it is read.

        `size`: bytes of the object, by somebody who knows; a far store need not be asked then.
        """
        ...


class ObjectStore(Readable, Protocol):
    """Keys are `/`-separated; values are immutable bytes. Thread-safe."""

    def put(self, key: str, data: bytes | pa.Buffer, *, settled: bool = True) -> None:
        """Store atomically and durably; an existing object is replaced.

        Not `settled`: after a power failure the object may be gone, until a settled put into the
        same folder (the key up to its last `/`) has returned. So a folder is settled once.
        """
        ...

    def put_file(self, key: str, path: Path) -> None:
        """Store a local file atomically and durably (it may be moved away)."""
        ...

    def get(self, key: str) -> bytes:
        """The whole object, or `ObjectMissingError`."""
        ...

    def size(self, key: str) -> int:
        """How many bytes the object has, or `ObjectMissingError`."""
        ...

    def list(self, prefix: str) -> Iterator[str]:
        """All keys that start with the prefix, sorted."""
        ...

    def move(self, key: str, target: str) -> None:
        """Give an object another key, durably, or `ObjectMissingError`."""
        ...

    def delete(self, key: str) -> None:
        """Remove the object; a missing one is no error.

        When it was the last below its folder, what was deleted there never comes back.
        """
        ...


class SharedObjects(ObjectStore, Protocol):
    """An object store to which many processes write."""

    def create(self, key: str, data: bytes | pa.Buffer) -> None:
        """Store atomically and durably, or `ObjectExistsError` when another object has the key.

        An object with the same bytes counts as this one: it may be what an earlier try, whose
        answer was lost, has stored. After another error it may be there or not; the same call
        tells.
        """
        ...
