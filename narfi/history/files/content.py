"""What is in a file, compressed or not? Its lines with their places, from any place on.

A file is known again by its first bytes and by the line before the place where reading stopped:
under another name too, or compressed since. Compressed content is read up to the place anew; what
cannot be unpacked ends there.
"""

import bz2
import gzip
import hashlib
import zlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import IO, Any, cast

from narfi.history.errors import SourceError

HEAD_BYTES = 256
MAX_LINE_BYTES = 16 << 20
"""A longer line is no entry: it would fill the memory."""
_KEPT_BYTES = 200
"""Of a line that is too long."""
_SKIP_BYTES = 1 << 20
_ERRORS = (OSError, EOFError, ValueError, zlib.error)
"""Of reading and unpacking."""
_MAGIC = {b"\x1f\x8b": "gz", b"BZh": "bz2", b"\x28\xb5\x2f\xfd": "zst"}


@dataclass(frozen=True, slots=True)
class RawLine:
    """A line of a content: where it begins, its bytes with their newline.

    Of a line that is too long `raw` are the first bytes, `tail` the last ones that were left out.
    """

    start: int
    raw: bytes
    left_out: int = 0
    tail: bytes = b""

    @property
    def end(self) -> int:
        """Where the next one begins."""
        return self.start + len(self.raw) + self.left_out

    @property
    def last(self) -> "RawLine":
        """What stands before the next line: this one, or its last bytes."""
        return RawLine(self.end - len(self.tail), self.tail) if self.left_out else self

    @property
    def text(self) -> bytes:
        """Without the end of the line."""
        return self.raw.removesuffix(b"\n").removesuffix(b"\r")


def digest(data: bytes) -> str:
    """What stands for some bytes in a state file."""
    return hashlib.blake2b(data, digest_size=12).hexdigest()


class Content:
    """One open file; errors of the disk are `SourceError`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.damage = ""
        """Why nothing more can be unpacked, as soon as that was met."""
        try:
            self._raw = path.open("rb")
            first = self._raw.read(4)
            self._raw.seek(0)
            self.kind = next((k for magic, k in _MAGIC.items() if first.startswith(magic)), "")
            self._file = self._opened()
        except OSError as error:
            raise self._unreadable(error) from error

    def _opened(self) -> IO[bytes]:
        match self.kind:
            case "gz":
                return cast(IO[bytes], gzip.GzipFile(fileobj=self._raw))
            case "bz2":
                return cast(IO[bytes], bz2.BZ2File(self._raw))
            case "zst":
                return _zstd(self._raw)
        return self._raw

    def _unreadable(self, error: Exception) -> SourceError:
        return SourceError(f"{self.path} cannot be read: {error}")

    def _is_damage(self, error: Exception) -> bool:
        """Whether the file is what is wrong, not the disk: that has a number."""
        return bool(self.kind) and not (isinstance(error, OSError) and error.errno is not None)

    def head(self, size: int = HEAD_BYTES) -> bytes:
        """The first bytes, of damaged content none; nothing of this content was read yet."""
        try:
            with closing(Content(self.path)) as again:
                return again._file.read(size)
        except _ERRORS as error:
            if not self._is_damage(error):
                raise self._unreadable(error) from error
            return b""

    def holds(self, start: int, end: int, sum_: str) -> bool:
        """Whether these bytes are there; the next line read is the one at `end`."""
        try:
            if self.kind:
                left = start
                while left:
                    data = self._file.read(min(left, _SKIP_BYTES))
                    if not data:
                        return False
                    left -= len(data)
            else:
                self._file.seek(start)
            return digest(self._file.read(end - start)) == sum_
        except _ERRORS as error:
            raise self._unreadable(error) from error

    def rewind(self) -> None:
        """Stand at the beginning again."""
        self.close()
        self._raw = self.path.open("rb")  # Arrow's stream takes its file with it
        self._file = self._opened()

    def lines(self, place: int) -> Iterator[RawLine]:
        """Lines from where the file stands, which is `place`; they end where it is damaged."""
        readline = self._file.readline
        while True:
            try:
                raw = readline(MAX_LINE_BYTES)
                line = RawLine(place, raw)
                if len(raw) == MAX_LINE_BYTES and not raw.endswith(b"\n"):
                    line = self._too_long(line)
            except _ERRORS as error:
                if not self._is_damage(error):
                    raise self._unreadable(error) from error
                self.damage = str(error)
                if not isinstance(error, EOFError):  # sums of gzip stand at its end
                    self.damage += "; lines before it may be wrong too"
                return
            if not raw:
                return
            yield line
            place = line.end

    def _too_long(self, begun: RawLine) -> RawLine:
        """The rest of a line is read, and left out."""
        left_out, tail = len(begun.raw) - _KEPT_BYTES, begun.raw[-_KEPT_BYTES:]
        while not tail.endswith(b"\n"):
            more = self._file.readline(_SKIP_BYTES)
            if not more:
                break
            left_out += len(more)
            tail = more[-_KEPT_BYTES:]
        return RawLine(begun.start, begun.raw[:_KEPT_BYTES], left_out, tail)

    def read_bytes(self) -> int:
        """Of the file itself, so far."""
        return self._raw.tell()

    def close(self) -> None:
        """Let it go."""
        self._file.close()
        self._raw.close()


def _zstd(raw: BufferedReader) -> IO[bytes]:
    import pyarrow

    # Arrow's stream has no readline: a buffered reader over it has.
    return BufferedReader(_Arrow(pyarrow.CompressedInputStream(raw, "zstd")), 1 << 18)


class _Arrow(BytesIO):
    """An Arrow stream as a raw file."""

    def __init__(self, stream: Any) -> None:
        super().__init__()
        self._stream = stream

    def readinto(self, buffer: Any) -> int:
        try:
            data = self._stream.read(len(buffer))
        except OSError as error:
            raise EOFError(str(error)) from error
        buffer[: len(data)] = data
        return len(data)
