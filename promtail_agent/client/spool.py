"""Where do batches wait while the server is away for long? In files, oldest first, up to a size.

Every batch goes through the spool: it is written before it is sent, so that after kill -9 reading
goes on behind the last written batch, though positions are saved only for what was acknowledged.
Segments are flushed to disk when they are full: only the last one can have a torn end.
Invariants: batches come out in the order in which they went in; beyond `max_size` the oldest are
dropped, counted and logged. The batch that is being sent is not lost with its file: it is counted
as dropped only when the spool is closed before it was settled.
"""

import logging
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import google_crc32c

from promtail_agent.client.batch import Batch
from promtail_agent.client.sealed import (
    FRAME_HEAD,
    MAX_FRAME_BYTES,
    Sealed,
    from_payload,
    seal,
    to_frame,
)
from promtail_agent.errors import SpoolError
from promtail_agent.positions import Mark

_log = logging.getLogger(__name__)

SEGMENT_BYTES = 8 << 20
_SUFFIX = ".spool"
_ACKED = "acked"


@dataclass(slots=True)
class _Segment:
    number: int
    size: int = 0
    entries: int = 0
    line_bytes: int = 0


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a frame ends."""

    number: int
    end: int


class Spool:
    """The spool of one client; written by the reading thread, read by the sending one.

    `dropped(entries, line_bytes)` is told of what had to go, `sized(bytes)` how much waits. Raises
    `SpoolError` when the folder cannot be used.
    """

    outlives_process = True

    def __init__(
        self,
        folder: Path,
        max_size: int,
        dropped: Callable[[int, int], None],
        sized: Callable[[int], None] = lambda _bytes: None,
    ) -> None:
        self._folder, self._max_size, self._dropped = folder, max_size, dropped
        self._sized = sized
        self._segment_bytes = max(64 << 10, min(SEGMENT_BYTES, max_size // 8))
        self._changed = threading.Condition()
        self._segments: list[_Segment] = []
        self._closed = False
        self._in_hand: Sealed | None = None  # taken, and not done
        self._homeless = False  # the file of the batch in hand was dropped
        self._file: BinaryIO | None = None
        self.last_marks: dict[str, Mark] = {}
        """By path, of the newest batch that is kept: where reading goes on."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._read = self._load()
            self._tell_size()
        except OSError as error:
            raise SpoolError(f"spool {folder} cannot be used: {error}") from error

    # Writing

    def put(self, batch: Batch, stop: threading.Event) -> bool:
        """Append a batch; a full disk is waited for."""
        sealed = seal(batch)
        frame = to_frame(sealed)
        while True:
            try:
                with self._changed:
                    self._append(frame, sealed)
                    self._changed.notify_all()
            except OSError as error:
                _log.error("spool cannot be written, reading waits error=%s", error)
                if stop.wait(1.0):
                    return False
            else:
                return True

    def _append(self, frame: bytes, sealed: Sealed) -> None:
        segment = self._segments[-1] if self._segments else None
        if segment is None or segment.size + len(frame) > self._segment_bytes:
            segment = self._begin_segment()
        if self._file is None:
            self._file = self._path(segment.number).open("r+b")
        self._file.seek(segment.size)
        try:
            self._file.write(frame)
            self._file.flush()
        except OSError:
            os.ftruncate(self._file.fileno(), segment.size)
            raise
        segment.size += len(frame)
        segment.entries += sealed.entries
        segment.line_bytes += sealed.line_bytes
        self.last_marks.update(sealed.marks)
        self._make_room()
        self._tell_size()

    def _tell_size(self) -> None:
        total = sum(segment.size for segment in self._segments)
        read = self._segments and self._segments[0].number == self._read.number
        self._sized(total - (self._read.end if read else 0))

    def _begin_segment(self) -> _Segment:
        if self._file is not None:
            os.fsync(self._file.fileno())
            self._file.close()
            self._file = None
        number = max(self._read.number, self._segments[-1].number if self._segments else 0) + 1
        segment = _Segment(number)
        self._path(number).touch(mode=0o600)
        self._segments.append(segment)
        return segment

    def _make_room(self) -> None:
        total = sum(segment.size for segment in self._segments)
        while total > self._max_size and len(self._segments) > 1:
            oldest = self._segments.pop(0)
            total -= oldest.size
            self._path(oldest.number).unlink(missing_ok=True)
            self._keep_what_is_in_hand(oldest)
            self._dropped(oldest.entries, oldest.line_bytes)
            if self._read.number <= oldest.number:
                self._read = _Place(self._segments[0].number, 0)
            _log.error(
                "spool is full, oldest entries dropped, they are lost entries=%d", oldest.entries
            )

    def _keep_what_is_in_hand(self, dropped: _Segment) -> None:
        """Who sends a batch has it in memory: it is delivered, or given up and counted there."""
        sealed = self._in_hand
        if sealed is not None and not self._homeless and _place(sealed).number == dropped.number:
            self._homeless = True
            dropped.entries -= sealed.entries
            dropped.line_bytes -= sealed.line_bytes

    # Reading

    def take(self, timeout_s: float) -> Sealed | None:
        """The oldest batch that is not done."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or not self._is_empty(), timeout_s)
            if self._closed or self._is_empty():
                return None
            segment = self._current()
            with self._path(segment.number).open("rb") as file:
                file.seek(self._read.end if self._read.number == segment.number else 0)
                payload = _payload(file)
                end = file.tell()
            if payload is None:  # damaged on disk: what follows in it cannot be found
                _log.error(
                    "spool is damaged, rest of a segment cannot be read, its entries are lost"
                    " segment=%d entries=%d",
                    segment.number,
                    segment.entries,
                )
                self._dropped(segment.entries, segment.line_bytes)
                self._read = _Place(segment.number, segment.size)
                return None
            self._in_hand = from_payload(payload, _Place(segment.number, end))
            self._homeless = False
            return self._in_hand

    def done(self, sealed: Sealed) -> None:
        """Forget a batch; the files before it go."""
        place = _place(sealed)
        with self._changed:
            self._in_hand, self._homeless = None, False
            if (place.number, place.end) < (self._read.number, self._read.end):
                return  # it was dropped meanwhile
            self._read = place
            for segment in list(self._segments):
                if segment.number == place.number:  # what is delivered is not dropped later
                    segment.entries -= sealed.entries
                    segment.line_bytes -= sealed.line_bytes
                full = segment is not self._segments[-1]
                ended = segment.number < place.number or (
                    segment.number == place.number and place.end >= segment.size
                )
                if full and ended:
                    self._segments.remove(segment)
                    self._path(segment.number).unlink(missing_ok=True)
            self._remember()
            self._tell_size()

    def is_empty(self) -> bool:
        """Whether all batches are done."""
        with self._changed:
            return self._is_empty()

    def close(self) -> None:
        """Flush; what is not done stays for the next start, but for what has no file any more."""
        with self._changed:
            if not self._closed and self._in_hand is not None and self._homeless:
                self._dropped(self._in_hand.entries, self._in_hand.line_bytes)
            self._closed = True
            self._changed.notify_all()
            if self._file is not None:
                os.fsync(self._file.fileno())
                self._file.close()
                self._file = None

    def _is_empty(self) -> bool:
        if not self._segments:
            return True
        last = self._segments[-1]
        return (self._read.number, self._read.end) >= (last.number, last.size) or last.size == 0

    def _current(self) -> _Segment:
        """The segment with the next batch."""
        for segment in self._segments:
            if segment.number > self._read.number:
                return segment
            if segment.number == self._read.number and self._read.end < segment.size:
                return segment
        raise AssertionError("a spool that is not empty has a next batch")

    def _remember(self) -> None:
        temporary = self._folder / f"{_ACKED}.tmp"
        try:
            temporary.write_text(f"{self._read.number} {self._read.end}")
            temporary.replace(self._folder / _ACKED)
        except OSError as error:  # after a restart some is sent again, and known by the server
            _log.error(
                "spool's progress cannot be saved, after a restart some is sent again error=%s",
                error,
            )

    # Starting

    def _load(self) -> _Place:
        """Find the segments of before; the last is cut at its torn end."""
        read = self._acked()
        for path in sorted(self._folder.glob(f"*{_SUFFIX}")):
            number = int(path.stem)
            if number < read.number:
                path.unlink()
                continue
            segment = _Segment(number)
            with path.open("r+b") as file:
                for payload in _payloads(file):
                    sealed = from_payload(payload, None)
                    segment.size = file.tell()
                    if (number, segment.size) > (read.number, read.end):
                        segment.entries += sealed.entries
                        segment.line_bytes += sealed.line_bytes
                    self.last_marks.update(sealed.marks)
                cut = path.stat().st_size - segment.size
                if cut:
                    _log.warning(
                        "spool ends in a torn frame, its lines are read again segment=%d bytes=%d",
                        number,
                        cut,
                    )
                file.truncate(segment.size)
            self._segments.append(segment)
        if self._segments:
            entries = sum(segment.entries for segment in self._segments)
            _log.info("spool has entries to send folder=%s entries=%d", self._folder, entries)
        return read

    def _acked(self) -> _Place:
        """Where sending goes on; from the beginning where that is not known."""
        acked = self._folder / _ACKED
        try:
            number, end = acked.read_text().split()
            return _Place(int(number), int(end))
        except (FileNotFoundError, ValueError):
            return _Place(0, 0)

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:012d}{_SUFFIX}"


def _place(sealed: Sealed) -> _Place:
    assert isinstance(sealed.token, _Place)
    return sealed.token


def _payloads(file: BinaryIO) -> Iterator[bytes]:
    while (payload := _payload(file)) is not None:
        yield payload


def _payload(file: BinaryIO) -> bytes | None:
    """The next whole frame's payload; None at the end, or where it is torn."""
    head = file.read(FRAME_HEAD.size)
    if len(head) < FRAME_HEAD.size:
        return None
    size, crc = FRAME_HEAD.unpack(head)
    if size > MAX_FRAME_BYTES:
        return None
    payload = file.read(size)
    return payload if len(payload) == size and google_crc32c.value(payload) == crc else None
