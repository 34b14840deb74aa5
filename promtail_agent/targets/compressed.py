"""What is in one compressed file? Its lines, read once; the position counts lines (agent.md §7).

Growing compressed files are not followed. A file that ends in the middle gives the lines before.
"""

import bz2
import gzip
import logging
import os
import time
import zlib
from collections.abc import Iterable
from io import BufferedReader, RawIOBase
from pathlib import Path
from typing import BinaryIO, Literal, cast

from promtail_agent.config_base import Section
from promtail_agent.durations import Duration
from promtail_agent.entry import Generation, LabelSet
from promtail_agent.metrics import AgentMetrics
from promtail_agent.positions import Position
from promtail_agent.targets.content import HEAD_BYTES, Content
from promtail_agent.targets.encoding import encoding_of
from promtail_agent.targets.family import Family
from promtail_agent.targets.reader import Chunk

_log = logging.getLogger(__name__)

MAX_LINE_BYTES = 2_000_000
"""A longer line ends the reading of its file, as in Promtail."""
CHUNK_LINES = 1000
_READ_BYTES = 64 << 10


class DecompressionConfig(Section):
    """The `decompression` section of a job."""

    enabled: bool = False
    initial_delay: Duration = 0.0
    format: Literal["", "gz", "z", "bz2"] = ""
    """Needed where it is enabled."""


class _Zlib(RawIOBase):
    """A zlib stream as a file."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._inflate = file, zlib.decompressobj()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]  # bytearray is what comes
        size = len(buffer)
        while not self._inflate.eof:
            data = self._inflate.unconsumed_tail or self._file.read(_READ_BYTES)
            found = self._inflate.decompress(data, size)
            if found:
                buffer[: len(found)] = found
                return len(found)
            if not data:
                raise EOFError("the stream ends early")
        return 0

    def close(self) -> None:
        self._file.close()
        super().close()


class CompressedReader:
    """Reads one path; used by one thread, as `FileReader` is."""

    def __init__(
        self,
        *,
        path: str,
        labels: LabelSet,
        start: Position | None,
        metrics: AgentMetrics,
        config: DecompressionConfig,
        codec: str = "",
        family: Family | None = None,
    ) -> None:
        self._family = family if family is not None else Family()
        self._family.members.append(self)
        self.path, self.labels, self._metrics, self._config = path, labels, metrics, config
        self.missing_since_s: float | None = None
        self.last_read_s = 0.0
        self._codec = codec
        self._start = start
        self._lines = 0
        self._file: BinaryIO | None = None
        self._begin_s = time.monotonic() + config.initial_delay
        self._ended = False
        self._failure: Exception | None = None  # met behind lines that were given out
        self._generation = Generation(path=path, device=0, inode=0)

    @property
    def names(self) -> set[str]:
        """The path."""
        return {self.path}

    @property
    def is_turning(self) -> bool:
        """Whether there is more to read though nothing changes."""
        return not self._ended

    def position(self, generation: Generation, offset: int) -> Position:
        """`offset` counts lines."""
        return Position(
            path=self.path,
            offset=offset,
            device=generation.device,
            inode=generation.inode,
            head=generation.head,
            beside=generation.beside,
        )

    def position_after(self, chunk: Chunk) -> Position:
        """What holds when everything that was given out so far is delivered."""
        return self.position(chunk.generation, chunk.end)

    def start_position(self) -> Position | None:
        """Nothing has to be found again before the first delivery."""
        return None

    def current_position(self) -> Position | None:
        """Up to where lines were given out."""
        return self.position(self._generation, self._lines)

    def read(self, now_s: float) -> Chunk | None:
        """The next lines; None before the delay is over and after the end."""
        if self._ended:
            self._look_for_another()
        if self._ended or now_s < self._begin_s or self._is_anothers():
            self._note_missing(now_s)
            return None
        lines: list[bytes] = []
        try:
            if self._file is None:
                self._open()
            lines = self._next_lines()
        except (OSError, EOFError, zlib.error) as error:
            self._ended = True
            _log.error("compressed file cannot be read path=%s error=%s", self.path, error)
        if not lines:
            self._finish()
            return None
        self.last_read_s = now_s
        start = self._lines
        self._count(self._lines + len(lines))
        self._metrics.read_lines[self.path] += len(lines)
        starts = list(range(start, self._lines))
        return Chunk(
            generation=self._generation, offset=start, end=self._lines, lines=lines, starts=starts
        )

    def close(self) -> None:
        """Let go of the file."""
        self._finish()
        if self in self._family.members:
            self._family.members.remove(self)

    def contents(self) -> Iterable[Content]:
        """None that others could go on with: lines are counted here."""
        return ()

    @property
    def is_settled(self) -> bool:
        """It claims nothing but its own file."""
        return True

    def _note_missing(self, now_s: float) -> None:
        there = os.path.exists(self.path)  # noqa: PTH110  pathlib raises
        if self.missing_since_s is None and not there:
            self.missing_since_s = now_s

    def _count(self, lines: int) -> None:
        self._lines = lines
        generation = self._generation
        self._family.count(generation.device, generation.inode, generation.head, lines)

    def _is_anothers(self) -> bool:
        """Whether the file is still being read under the name that it had."""
        try:
            status = Path(self.path).stat()
        except OSError:
            return False
        reader = self._family.counting.get((status.st_dev, status.st_ino))
        return reader is not None and reader != self.path

    def _look_for_another(self) -> None:
        """A rotation may have given the path another file, which is read then."""
        try:
            status = Path(self.path).stat()
        except OSError:
            return
        generation = self._generation
        if (status.st_dev, status.st_ino) != (generation.device, generation.inode):
            self._ended, self._failure, self._start, self._lines = False, None, None, 0

    def _finish(self) -> None:
        self._ended = True
        if self._file is not None:
            self._file.close()
            self._file = None
            self._family.counting.pop((self._generation.device, self._generation.inode), None)

    def _open(self) -> None:
        path = Path(self.path)
        status, turn = path.stat(), self._generation.turn + 1
        with path.open("rb") as raw:
            head = raw.read(HEAD_BYTES)
        self._generation = Generation(
            path=self.path, device=status.st_dev, inode=status.st_ino, head=head, turn=turn
        )
        self._generation.beside = self._family.counted()
        skip = self._lines_before()
        match self._config.format:
            case "gz":
                file = gzip.open(path, "rb")  # noqa: SIM115  closed by _finish
                self._file = cast(BinaryIO, file)
            case "bz2":
                file2 = bz2.open(path, "rb")  # noqa: SIM115  closed by _finish
                self._file = cast(BinaryIO, file2)
            case _:
                self._file = BufferedReader(_Zlib(path.open("rb")))  # type: ignore[type-var]  # a RawIOBase
        while self._lines < skip and self._line() is not None:
            self._lines += 1
        self._count(self._lines)
        self._family.counting[status.st_dev, status.st_ino] = self.path

    def _lines_before(self) -> int:
        """How many lines of this file were read, under whatever name it had."""
        generation, start = self._generation, self._start
        lines = self._family.lines_of(generation.device, generation.inode, generation.head)
        if lines is not None:
            return lines
        if start is None or (start.head and start.head != generation.head):
            return 0
        return start.offset

    def _next_lines(self) -> list[bytes]:
        if self._failure is not None:
            raise self._failure
        lines: list[bytes] = []
        size = 0
        while len(lines) < CHUNK_LINES and size < _READ_BYTES:
            try:
                line = self._line()
            except (OSError, EOFError, zlib.error) as error:
                self._failure = error
                break
            if line is None:
                break
            lines.append(line)
            size += len(line)
        if not lines and self._failure is not None:
            raise self._failure
        return lines

    def _line(self) -> bytes | None:
        assert self._file is not None
        line = self._file.readline(MAX_LINE_BYTES + 1)
        if not line:
            return None
        if len(line) > MAX_LINE_BYTES:
            raise EOFError(f"a line of more than {MAX_LINE_BYTES} bytes")
        text = line.removesuffix(b"\n").removesuffix(b"\r")
        if self._codec:
            text = encoding_of(self._codec, b"").split(text, self._lines)[0][0]
        return text
