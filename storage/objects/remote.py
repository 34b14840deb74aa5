"""How are objects kept in S3, in Google's or in Azure's store? Through obstore.

obstore tries a request again after an answer of 5xx or a lost connection, with growing pauses;
beyond that it is an outage. Sizes of objects are remembered, since an object never changes: so a
file that is opened again costs no request before its first read.
Invariant: `ObjectMissingError` is raised only when the store itself says that there is no such
object, never for a missing bucket, a refused credential or a store that does not answer.
"""

import contextlib
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
import pyarrow as pa
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    NotFoundError,
    PermissionDeniedError,
    UnauthenticatedError,
)
from obstore.store import ObjectStore as Store

from storage.objects.base import BadObjectError, ObjectError, ObjectExistsError, ObjectMissingError
from storage.objects.metrics import came, counted, went
from storage.objects.ranged import RangedFile

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig

CONNECT_S, REQUEST_S = 5, 30
"""Bounds of a connection, and of a request with its answer."""
RETRIES, RETRY_S = 5, 15
"""Further tries of a request, and the time from the first one after which none is begun."""
FIRST_PAUSE_S, LAST_PAUSE_S = 0.1, 2
HASTY_CONNECT_S, HASTY_REQUEST_S = 2, 3
"""The same for one who has little time and tries again himself; a store that takes two seconds for
each request is slow, not away."""
CREATE_TRIES = 3
"""Of a creation whose outcome is unknown, each with all tries of its request."""
MAX_SIZES = 200_000
"""Objects whose size is remembered; about 200 bytes each."""
_OPERATIONS = {
    "stored": "put",
    "read": "get",
    "listed": "list",
    "moved": "move",
    "deleted": "delete",
}
NO_BUCKET = ("NoSuchBucket", "ContainerNotFound", "The specified bucket does not exist")

CLIENT: "ClientConfig" = {
    "connect_timeout": timedelta(seconds=CONNECT_S),
    "timeout": timedelta(seconds=REQUEST_S),
}
HASTY_CLIENT: "ClientConfig" = {
    "connect_timeout": timedelta(seconds=HASTY_CONNECT_S),
    "timeout": timedelta(seconds=HASTY_REQUEST_S),
}
NO_RETRY: "RetryConfig" = {"max_retries": 0}
RETRY: "RetryConfig" = {
    "max_retries": RETRIES,
    "retry_timeout": timedelta(seconds=RETRY_S),
    "backoff": {
        "init_backoff": timedelta(seconds=FIRST_PAUSE_S),
        "max_backoff": timedelta(seconds=LAST_PAUSE_S),
        "base": 2,
    },
}


class RemoteObjects:
    """A `SharedObjects` below a prefix of a bucket."""

    def __init__(self, store: Store, tries: int = CREATE_TRIES) -> None:
        self._store, self._tries = store, tries
        self._lock = threading.Lock()
        self._sizes: OrderedDict[str, int] = OrderedDict()

    def put(self, key: str, data: bytes | pa.Buffer, *, settled: bool = True) -> None:
        """Store atomically and durably; large objects in parts, at once."""
        content = memoryview(data).cast("B")
        self._put(key, content)
        went(len(content))
        self._remember(key, len(content))

    def put_file(self, key: str, path: Path) -> None:
        """Store a local file's content; the file stays."""
        self._put(key, path)
        size = path.stat().st_size
        went(size)
        self._remember(key, size)

    def _put(self, key: str, content: memoryview | Path) -> None:
        """Once more when the store knows nothing of its parts.

        They may be an object already, and the answer that told so was lost.
        """
        for left in (True, False):
            try:
                with _telling(key, "stored"):
                    obstore.put(self._store, _checked(key), content)
            except ObjectMissingError:
                if not left:
                    message = f"object {key} cannot be stored: the store does not know its parts"
                    raise ObjectError(message) from None
            else:
                return

    def create(self, key: str, data: bytes | pa.Buffer) -> None:
        """Store unless another object has the key; the same bytes count as this object.

        So a creation whose answer was lost is done again: who finds its own bytes has created it.
        """
        content = memoryview(data).cast("B")
        pause = FIRST_PAUSE_S
        for left in reversed(range(self._tries)):
            try:
                with _telling(key, "stored"):
                    obstore.put(self._store, _checked(key), content, mode="create")
            except AlreadyExistsError:
                found = self._found(key)
                if found is not None and found != content:
                    raise ObjectExistsError(key) from None
                if found is not None:
                    break
                if not left:  # it was deleted each time, or the store contradicts itself
                    raise ObjectError(f"object {key} cannot be stored: it comes and goes") from None
            except ObjectError:
                if not left:
                    raise
            else:
                break
            time.sleep(pause)
            pause *= 2
        self._remember(key, len(content))

    def _found(self, key: str) -> bytes | None:
        try:
            return self.get(key)
        except ObjectMissingError:
            return None

    def get(self, key: str) -> bytes:
        """The whole object."""
        with _telling(key, "read"):
            answer = obstore.get(self._store, _checked(key))
            size, found = int(answer.meta["size"]), answer.bytes().to_bytes()
        if len(found) != size:
            raise ObjectError(f"object {key} cannot be read: {len(found)} of {size} bytes came")
        self._remember(key, size)
        came(size)
        return found

    def get_ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """The bytes of each (start, length), in few requests at once where they are near."""
        if not ranges:
            return []
        starts, lengths = [start for start, _ in ranges], [length for _, length in ranges]
        with _telling(key, "read"):
            found = obstore.get_ranges(self._store, _checked(key), starts=starts, lengths=lengths)
        whole = [one.to_bytes() for one in found]
        came(sum(map(len, whole)))
        if [len(one) for one in whole] != lengths:
            raise self._shorter(key)
        return whole

    def open(self, key: str, size: int | None = None) -> pa.NativeFile:
        """A seekable file; where the size is known, nothing is asked before it is read."""
        if size is None:
            size = self._known_size(key)
        if size is None:
            size = self.size(key)
        return pa.PythonFile(RangedFile(size, lambda at, n: self._range(key, at, n)), mode="r")

    def _range(self, key: str, start: int, length: int) -> bytes:
        with _telling(key, "read"):
            found = obstore.get_range(self._store, _checked(key), start=start, length=length)
        came(len(found))
        if len(found) != length:
            raise self._shorter(key)
        return found.to_bytes()

    def _shorter(self, key: str) -> BadObjectError:
        """The object has not the size that was said or remembered."""
        with self._lock:
            self._sizes.pop(key, None)
        return BadObjectError(key, "it is shorter than it was")

    def size(self, key: str) -> int:
        """How many bytes the object has, as the store says now."""
        try:
            with _telling(key, "read"):
                size = int(obstore.head(self._store, _checked(key))["size"])
        except ObjectMissingError:  # a HEAD does not tell a missing bucket from a missing object
            size = len(self.get(key))
        self._remember(key, size)
        return size

    def _known_size(self, key: str) -> int | None:
        with self._lock:
            return self._sizes.get(key)

    def _remember(self, key: str, size: int) -> None:
        with self._lock:
            self._sizes[key] = size
            self._sizes.move_to_end(key)
            if len(self._sizes) > MAX_SIZES:
                self._sizes.popitem(last=False)

    def _forget(self, key: str) -> None:
        with self._lock:
            self._sizes.pop(key, None)

    def list(self, prefix: str) -> Iterator[str]:
        """All keys with the prefix, sorted."""
        folder = prefix.rpartition("/")[0]  # the store matches whole names between slashes
        found: list[str] = []
        with _telling(prefix, "listed"):
            for some in obstore.list(self._store, folder or None):
                found += [one["path"] for one in some]
        return iter(sorted(key for key in found if key.startswith(prefix)))

    def move(self, key: str, target: str) -> None:
        """Copy, then delete; done again when it ended in between."""
        self._forget(key)
        self._forget(target)
        with _telling(key, "moved"):
            obstore.rename(self._store, _checked(key), _checked(target))

    def delete(self, key: str) -> None:
        """Remove; a missing object is no error."""
        self._forget(key)
        with _telling(key, "deleted"), contextlib.suppress(FileNotFoundError, NotFoundError):
            obstore.delete(self._store, _checked(key))


def _checked(key: str) -> str:
    parts = key.split("/")
    if not all(parts) or any(part in (".", "..") for part in parts):
        raise ObjectError(f"object key {key!r} is not allowed")
    return key


@contextlib.contextmanager
def _telling(key: str, what: str) -> Iterator[None]:
    """Counts a request; errors of the store become ours, `AlreadyExistsError` passes."""
    with counted(_OPERATIONS[what]), _translated(key, what):
        yield


@contextlib.contextmanager
def _translated(key: str, what: str) -> Iterator[None]:
    try:
        yield
    except AlreadyExistsError:
        raise
    except (FileNotFoundError, NotFoundError) as error:
        if any(mark in str(error) for mark in NO_BUCKET):
            message = f"object {key} cannot be {what}: its bucket does not exist"
            raise ObjectError(message) from None
        raise ObjectMissingError(key) from None
    except (PermissionError, PermissionDeniedError, UnauthenticatedError) as error:
        message = f"object {key} cannot be {what}: access is refused ({_told(error)})"
        raise ObjectError(message) from None
    except (BaseError, OSError, ValueError) as error:
        raise ObjectError(f"object {key} cannot be {what}: {_told(error)}") from None


def _told(error: Exception) -> str:
    """One line, without what stands behind `?` in addresses: signatures and tokens may be there."""
    first, *_ = str(error).strip().splitlines() or [type(error).__name__]
    return " ".join(word.partition("?")[0] for word in first.split())
