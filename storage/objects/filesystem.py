"""How are objects kept in a file system? pyarrow's, with an atomic, durable put on local disks.

A local put writes a temporary file, syncs it, renames it and syncs the directory. The directories
above are synced as far as this process does not know that they are durable.
"""

import contextlib
import errno
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from storage.disk import SYSTEM_DISK, Disk
from storage.objects.base import (
    BadObjectError,
    NotAnObjectError,
    ObjectError,
    ObjectExistsError,
    ObjectMissingError,
)
from storage.objects.metrics import came, counted, went
from storage.plain_file import check_plain, read_plain

TEMPORARY = ".tmp-"
MAX_REMEMBERED = 10_000
"""Folders; one for each tenant and day that was written to."""


NOT_PLAIN = frozenset((errno.EISDIR, errno.EINVAL, errno.ELOOP, errno.ENXIO))
"""Of what is there and is no plain file; other errors are an outage."""


class LocalObjects:
    """An `ObjectStore` in a local directory."""

    def __init__(self, root: Path, disk: Disk = SYSTEM_DISK) -> None:
        self._root, self._disk = root, disk
        self._durable: set[Path] = set()  # folders whose names are on disk
        root.mkdir(parents=True, exist_ok=True)

    def put(self, key: str, data: bytes | pa.Buffer, *, settled: bool = True) -> None:
        """Store atomically; durably too, with everything else in its folder, when settled."""
        with counted("put"):
            self._put(key, data, settled=settled)

    def _put(self, key: str, data: bytes | pa.Buffer, *, settled: bool) -> None:
        path = self._path(key)
        temporary = path.with_name(f"{TEMPORARY}{uuid.uuid4().hex}")
        try:
            self._disk.make_folder(path.parent)
            self._write(temporary, memoryview(data).cast("B"))
            self._disk.rename(temporary, path)
            if settled:
                self._settle(path.parent)
        except BaseException as error:
            with contextlib.suppress(OSError):
                temporary.unlink()
            if isinstance(error, OSError):
                message = f"object {key} cannot be stored: {error.strerror}"
                raise ObjectError(message) from error
            raise

    def create(self, key: str, data: bytes | pa.Buffer) -> None:
        """Store durably under a name that nobody has, by a second name of a temporary file."""
        with counted("put"):
            self._create(key, data)

    def _create(self, key: str, data: bytes | pa.Buffer) -> None:
        path, content = self._path(key), memoryview(data).cast("B")
        temporary = path.with_name(f"{TEMPORARY}{uuid.uuid4().hex}")
        try:
            self._disk.make_folder(path.parent)
            self._write(temporary, content)
            try:
                self._disk.link(temporary, path)
            except FileExistsError:
                if read_plain(path) != content:
                    raise ObjectExistsError(key) from None
            self._disk.unlink(temporary)
            self._settle(path.parent)
        except OSError as error:
            raise ObjectError(f"object {key} cannot be stored: {error.strerror}") from error
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)

    def _write(self, path: Path, data: memoryview) -> None:
        descriptor = self._disk.create(path)
        try:
            self._disk.write(descriptor, [data])
            self._disk.sync(descriptor)
            went(len(data))
        finally:
            self._disk.close(descriptor)

    def put_file(self, key: str, path: Path) -> None:
        """Store a local file by moving it."""
        target = self._path(key)
        try:
            self._disk.make_folder(target.parent)
            with path.open("rb") as file:
                self._disk.sync(file.fileno())
            self._disk.rename(path, target)
            self._settle(target.parent)
        except OSError as error:
            raise ObjectError(f"object {key} cannot be stored: {error.strerror}") from error

    def get(self, key: str) -> bytes:
        """The whole object."""
        with counted("get"), _reading(key):
            found = read_plain(self._path(key))
        came(len(found))
        return found

    def get_ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """The bytes of each (start, length)."""
        with self.open(key) as file:
            found = [file.read_at(length, start) for start, length in ranges]
        if any(len(data) != length for data, (_, length) in zip(found, ranges, strict=True)):
            raise BadObjectError(key, "it is shorter than it was")
        return found

    def open(self, key: str, size: int | None = None) -> pa.NativeFile:
        """A memory-mapped file: pages are read when touched."""
        with _reading(key):
            path = self._path(key)
            check_plain(path.stat(), path)
            return pa.memory_map(str(path), "r")

    def size(self, key: str) -> int:
        """Bytes of the file."""
        with _reading(key):
            path = self._path(key)
            found = path.stat()
            check_plain(found, path)
            return found.st_size

    def list(self, prefix: str) -> Iterator[str]:
        """All keys with the prefix, sorted."""
        folder = self._root / prefix.rpartition("/")[0]  # nothing outside it has the prefix
        try:
            found = [
                path.relative_to(self._root).as_posix()
                for path in folder.rglob("*")
                if path.is_file() and not path.name.startswith(TEMPORARY)
            ]
        except OSError as error:
            raise ObjectError(f"objects {prefix} cannot be listed: {error.strerror}") from error
        return iter(sorted(key for key in found if key.startswith(prefix)))

    def move(self, key: str, target: str) -> None:
        """Rename the file; folders that became empty go."""
        path, goal = self._path(key), self._path(target)
        try:
            self._disk.make_folder(goal.parent)
            self._disk.rename(path, goal)
            self._settle(goal.parent)
            self._remove_empty(path)
        except FileNotFoundError as error:
            raise ObjectMissingError(key) from error
        except OSError as error:
            raise ObjectError(f"object {key} cannot be moved: {error.strerror}") from error

    def delete(self, key: str) -> None:
        """Remove the object and folders that became empty; durable when such a folder went."""
        path = self._path(key)
        with counted("delete"):
            try:
                self._disk.unlink(path)
                self._remove_empty(path)
            except OSError as error:
                message = f"object {key} cannot be deleted: {error.strerror}"
                raise ObjectError(message) from error

    def _remove_empty(self, path: Path) -> None:
        """Remove folders above, and sync the one that stays: what was in them never comes back."""
        removed = False
        for parent in path.parents:
            if parent != self._root:
                self._durable.discard(parent)  # first: who makes it anew meanwhile has to sync it
                try:
                    parent.rmdir()
                except OSError:
                    pass
                else:
                    removed = True
                    continue
            if removed:
                self._disk.sync_folder(parent)
            return

    def discard_unfinished(self) -> int:
        """Remove what puts left that a crash interrupted; only while nobody puts. How many."""
        unfinished = list(self._root.rglob(f"{TEMPORARY}*"))
        for path in unfinished:
            path.unlink(missing_ok=True)
        return len(unfinished)

    def _path(self, key: str) -> Path:
        parts = key.split("/")
        if not all(parts) or any(part in (".", "..") for part in parts):
            raise ObjectError(f"object key {key!r} is not allowed")
        return self._root.joinpath(*parts)

    def _settle(self, folder: Path) -> None:
        """What is in the folder is durable, and so is its name.

        Its own name is synced each time: it is a block's, and will not be used again. Those above
        are remembered.
        """
        self._disk.sync_folder(folder)
        made: list[Path] = []
        while folder != self._root and folder not in self._durable:
            made.append(folder)
            folder = folder.parent
            self._disk.sync_folder(folder)
        if len(self._durable) > MAX_REMEMBERED:
            self._durable.clear()
        self._durable.update(made[1:])


@contextlib.contextmanager
def _reading(key: str) -> Iterator[None]:
    """Errors of the system become ours: is it this object, or the disk?"""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ObjectMissingError(key) from error
    except OSError as error:
        if error.errno in NOT_PLAIN:
            raise NotAnObjectError(key, error.strerror) from error
        raise ObjectError(f"object {key} cannot be read: {error.strerror}") from error
