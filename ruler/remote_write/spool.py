"""Where do samples wait for a receiver? In files of a folder, oldest first, up to a size.

What is appended is on the disk before `append` returns, so a restart or kill -9 loses nothing; a
request that was answered just before may be sent once more, which receivers take for what it is. A
file is a row of frames: sizes and checksum, then the samples. What is torn or wrong ends its file.
Invariant: frames come out in the order in which they went in. Beyond `max_bytes` the oldest go.
Not thread-safe: its owner holds a lock.
"""

import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import google_crc32c

from narfi.core.errors import AppError, ErrorKind
from storage.disk import SYSTEM_DISK, Disk

_HEAD = struct.Struct("<IIIq")
"""Bytes, CRC32C of the rest of the head and the samples, samples, newest time in ms."""
_REST = struct.Struct("<Iq")
_SUFFIX = ".samples"
_SENT = "sent"
FILE_BYTES = 4 * 2**20
MAX_FRAME_BYTES = 64 * 2**20


class SpoolError(AppError):
    """The folder cannot be used."""

    kind = ErrorKind.INTERNAL


@dataclass(frozen=True, slots=True)
class Frame:
    """Samples of one evaluation as they are sent."""

    data: bytes  # `timeseries` fields
    samples: int
    newest_ms: int


@dataclass(slots=True)
class _File:
    number: int
    size: int
    samples: int  # that were not sent


@dataclass(frozen=True, slots=True)
class Place:
    """Up to where frames were read: a file, the end of a frame in it, and what was read of it."""

    number: int
    end: int
    samples: int = 0  # of this file


class Spool:
    """What waits for one receiver and tenant."""

    def __init__(
        self,
        folder: Path,
        max_bytes: int,
        dropped: Callable[[int], None],
        disk: Disk = SYSTEM_DISK,
    ) -> None:
        """`dropped` is told how many samples went unsent; raises `SpoolError`."""
        self._folder, self._max_bytes, self._dropped = folder, max_bytes, dropped
        self._disk = disk
        self._file_bytes = max(1, min(FILE_BYTES, max_bytes // 8))
        self._files: list[_File] = []
        try:
            disk.make_folder(folder)
            self._sent = self._read_sent()
            self._load()
        except OSError as error:
            raise SpoolError(f"{folder} cannot be used: {error}") from error

    @property
    def samples(self) -> int:
        """How many wait."""
        return sum(file.samples for file in self._files)

    @property
    def size(self) -> int:
        """Bytes of the files."""
        return sum(file.size for file in self._files)

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return not any(file.samples for file in self._files)

    def append(self, frame: Frame) -> None:
        """Keep a frame; raises `SpoolError`, and then it is not kept."""
        rest = _REST.pack(frame.samples, frame.newest_ms)
        head = _HEAD.pack(
            len(frame.data),
            google_crc32c.value(rest + frame.data),
            frame.samples,
            frame.newest_ms,
        )
        data = head + frame.data
        try:
            file = self._writable(len(data))
            descriptor = self._disk.open(self._path(file.number))
            try:
                self._disk.cut(descriptor, file.size)  # what failed before may have left some bytes
                self._disk.write(descriptor, [data])
                self._disk.sync(descriptor)
            finally:
                self._disk.close(descriptor)
        except OSError as error:
            raise SpoolError(f"{self._folder} cannot be written: {error}") from error
        file.size += len(data)
        file.samples += frame.samples
        self._keep_within()

    def next(self, max_samples: int) -> tuple[list[Frame], Place]:
        """The oldest frames, of together so many samples or one, and the place behind them.

        Something waits. None where nothing of it can be read: it is dropped when that is `sent`.
        """
        found: list[Frame] = []
        place, count = Place(self._sent.number, self._sent.end), 0
        for number, end, frame in self._frames(self._sent):
            if found and count + frame.samples > max_samples:
                break
            found.append(frame)
            count += frame.samples
            before = place.samples if number == place.number else 0
            place = Place(number, end, before + frame.samples)
        if not found:  # a frame that is wrong hides the rest; what comes is read behind it
            self._dropped(self.samples)
            last = self._files[-1]
            place = Place(last.number, last.size, last.samples)
        return found, place

    def sent(self, place: Place) -> None:
        """What lies before the place needs no more sending; raises `SpoolError`."""
        if place.number < self._sent.number:
            return  # it was dropped meanwhile
        self._sent = place
        while self._files[0].number < place.number:
            del self._files[0]
        self._files[0].samples -= place.samples
        try:
            self._write_sent()
            for path in self._paths():
                if int(path.stem) < place.number:
                    self._disk.unlink(path)
        except OSError as error:
            raise SpoolError(f"{self._folder} cannot be written: {error}") from error

    def _writable(self, size: int) -> _File:
        last = self._files[-1] if self._files else None
        if last is not None and last.size + size <= self._file_bytes:
            return last
        number = 1 + max(self._sent.number, last.number if last else 0)
        self._disk.close(self._disk.create(self._path(number)))
        self._disk.sync_folder(self._folder)
        file = _File(number, 0, 0)
        self._files.append(file)
        return file

    def _keep_within(self) -> None:
        while self.size > self._max_bytes and len(self._files) > 1:
            self.drop_oldest()

    def drop_oldest(self) -> None:
        """The oldest file goes, sent or not; there is one."""
        oldest = self._files.pop(0)
        self._sent = Place(self._files[0].number if self._files else oldest.number + 1, 0)
        with suppress(OSError):  # it goes when the folder is opened next
            self._disk.unlink(self._path(oldest.number))
        if oldest.samples:
            self._dropped(oldest.samples)

    def _frames(self, start: Place) -> Iterator[tuple[int, int, Frame]]:
        """(file, end, frame) from a place on."""
        for file in self._files:
            if file.number < start.number:
                continue
            at = start.end if file.number == start.number else 0
            with self._path(file.number).open("rb") as source:
                source.seek(at)
                while at < file.size and (frame := _read(source.read)) is not None:
                    at += _HEAD.size + len(frame.data)
                    yield file.number, at, frame

    def _load(self) -> None:
        """Files of a process before this one."""
        for path in self._paths():
            number = int(path.stem)
            if number < self._sent.number:
                self._disk.unlink(path)
                continue
            start = self._sent.end if number == self._sent.number else 0
            at, samples = start, 0
            with path.open("rb") as source:
                source.seek(start)
                while (frame := _read(source.read)) is not None:
                    at += _HEAD.size + len(frame.data)
                    samples += frame.samples
            self._files.append(_File(number, at, samples))

    def _read_sent(self) -> Place:
        try:
            number, end = (int(text) for text in (self._folder / _SENT).read_text().split())
        except FileNotFoundError:
            return Place(0, 0)
        except ValueError:  # torn: everything that is there is sent again
            return Place(0, 0)
        return Place(number, end)

    def _write_sent(self) -> None:
        fresh = self._folder / f"{_SENT}.new"
        descriptor = self._disk.create(fresh)
        try:
            self._disk.write(descriptor, [f"{self._sent.number} {self._sent.end}".encode()])
        finally:
            self._disk.close(descriptor)
        self._disk.rename(fresh, self._folder / _SENT)

    def _paths(self) -> list[Path]:
        return sorted(self._folder.glob(f"*{_SUFFIX}"))

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:012d}{_SUFFIX}"


def _read(read: Callable[[int], bytes]) -> Frame | None:
    """The next frame; None at the end, or where it is torn or wrong."""
    head = read(_HEAD.size)
    if len(head) < _HEAD.size:
        return None
    size, crc, samples, newest_ms = _HEAD.unpack(head)
    if size > MAX_FRAME_BYTES:
        return None
    data = read(size)
    if len(data) < size or google_crc32c.value(_REST.pack(samples, newest_ms) + data) != crc:
        return None
    return Frame(data, samples, newest_ms)
