"""How are objects kept behind a URL? In any file system that pyarrow knows, such as S3.

On object stores a put is atomic by itself: an object appears when its stream is closed. Elsewhere a
temporary name is written and moved.
"""

import contextlib
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
from pyarrow import fs

from storage.objects.base import BadObjectError, ObjectError, ObjectMissingError

FLAT = ("s3", "gcs", "abfs")
"""File systems without folders, whose puts are atomic."""
TEMPORARY = ".tmp-"
DELAYED_OPEN = "allow_delayed_open=true"


class ArrowObjects:
    """An `ObjectStore` below a path of a file system."""

    def __init__(self, files: fs.FileSystem, root: str) -> None:
        self._files, self._root = files, root.strip("/") if files.type_name in FLAT else root
        self._flat = files.type_name in FLAT

    @staticmethod
    def at(url: str) -> "ArrowObjects":
        """The objects below a URL."""
        try:
            files, root = _file_system(url)
        except (OSError, pa.ArrowException) as error:
            raise ObjectError(f"{url} cannot be used: {error}") from error
        if not root.strip("/"):
            raise ObjectError(f"{url} cannot be used: it names no bucket or folder")
        return ArrowObjects(files, root)

    def put(self, key: str, data: bytes | pa.Buffer, *, settled: bool = True) -> None:
        """Store atomically; as durable as the file system makes it."""
        path = self._path(key)
        with _telling(key, "stored"):
            if self._flat:
                self._write(path, data)
                return
            folder, slash, name = path.rpartition("/")
            temporary = f"{folder}{slash}{TEMPORARY}{uuid.uuid4().hex}-{name}"
            self._make(folder)
            self._write(temporary, data)
            self._files.move(temporary, path)

    def _write(self, path: str, data: bytes | pa.Buffer) -> None:
        with self._files.open_output_stream(path) as stream:
            stream.write(data)

    def _make(self, folder: str) -> None:
        if folder:
            self._files.create_dir(folder, recursive=True)

    def put_file(self, key: str, path: Path) -> None:
        """Store a local file's content."""
        self.put(key, path.read_bytes())

    def get(self, key: str) -> bytes:
        """The whole object."""
        with _telling(key, "read"), self._files.open_input_file(self._path(key)) as file:
            found: bytes = file.read()
            return found

    def get_ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """The bytes of each (start, length)."""
        with self.open(key) as file, _telling(key, "read"):
            found = [file.read_at(length, start) for start, length in ranges]
        if any(len(data) != length for data, (_, length) in zip(found, ranges, strict=True)):
            raise BadObjectError(key, "it is shorter than it was")
        return found

    def open(self, key: str, size: int | None = None) -> pa.NativeFile:
        """A file for ranged reads."""
        with _telling(key, "read"):
            return self._files.open_input_file(self._path(key))

    def size(self, key: str) -> int:
        """Bytes of the object."""
        with _telling(key, "read"):
            found = self._files.get_file_info(self._path(key))
        if found.type is not fs.FileType.File:
            raise ObjectMissingError(key)
        return int(found.size)

    def list(self, prefix: str) -> Iterator[str]:
        """All keys with the prefix, sorted."""
        folder = prefix.rpartition("/")[0]
        base = self._path(folder) if folder else self._root
        with _telling(prefix, "listed"):
            selector = fs.FileSelector(base, recursive=True, allow_not_found=True)
            infos = self._files.get_file_info(selector)
        skip = len(self._root.rstrip("/")) + 1 if self._root.rstrip("/") else 0
        keys = (info.path[skip:] for info in infos if info.type is fs.FileType.File)
        return iter(
            sorted(
                key
                for key in keys
                if key.startswith(prefix) and not key.rpartition("/")[2].startswith(TEMPORARY)
            )
        )

    def move(self, key: str, target: str) -> None:
        """Give an object another key."""
        with _telling(key, "moved"):
            goal = self._path(target)
            if not self._flat:
                self._make(goal.rpartition("/")[0])
            self._files.move(self._path(key), goal)

    def delete(self, key: str) -> None:
        """Remove; a missing object is no error."""
        with _telling(key, "deleted"), contextlib.suppress(FileNotFoundError):
            self._files.delete_file(self._path(key))

    def _path(self, key: str) -> str:
        parts = key.split("/")
        if not all(parts) or any(part in (".", "..") for part in parts):
            raise ObjectError(f"object key {key!r} is not allowed")
        root = self._root.rstrip("/")
        return f"{root}/{key}" if root else key


def _file_system(url: str) -> tuple[fs.FileSystem, str]:
    """On S3, a small object takes one request instead of three where Arrow can do that."""
    found: tuple[fs.FileSystem, str]
    if url.startswith("s3://") and "allow_delayed_open=" not in url:
        with contextlib.suppress(pa.ArrowInvalid):
            found = fs.FileSystem.from_uri(f"{url}{'&' if '?' in url else '?'}{DELAYED_OPEN}")
            return found
    found = fs.FileSystem.from_uri(url)
    return found


@contextlib.contextmanager
def _telling(key: str, what: str) -> Iterator[None]:
    """Errors of the file system become ours."""
    try:
        yield
    except FileNotFoundError as error:
        raise ObjectMissingError(key) from error
    except (OSError, pa.ArrowException) as error:
        raise ObjectError(f"object {key} cannot be {what}: {error}") from error
