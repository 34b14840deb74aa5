"""How does a journal in files make pushes durable? Segments, group commit, fsync.

While one commit is being written and synced, the next batch of frames gathers; one of the waiting
callers then commits all of them with one write and one fdatasync. Invariant: a frame's caller
returns only after the fdatasync that covers it; a failed commit is cut off the file again, so that
refused frames are never replayed.
"""

import contextlib
import errno
import fcntl
import itertools
import os
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import structlog

from narfi.core.tenant import TenantId
from storage.journal.base import Frame, JournalError
from storage.journal.frame import encode_frame
from storage.journal.replay import durable_before, read_segment, segment_header, segment_position

log = structlog.get_logger(__name__)

SEGMENT_BYTES = 64 * 1024 * 1024
MAX_GATHERED = 512
"""Frames in one commit, at most: keeps the gathering write below IOV_MAX."""


@dataclass(slots=True)
class _Pending:
    """One caller's frame on its way to the disk."""

    tenant: TenantId
    received_ns: int
    codec: int
    body: bytes
    on_durable: Callable[[int], None]
    position: int = 0
    error: JournalError | None = None
    done: bool = False


@dataclass(slots=True)
class _Segment:
    """The open file, and how much of it is durable."""

    path: Path
    descriptor: int
    size: int


@dataclass(slots=True)
class JournalCounters:
    """What the journal did; read by metrics."""

    commits: int = 0
    frames: int = 0
    bytes: int = 0
    failures: int = 0
    damaged: int = 0


class FileJournal:
    """A `Journal` in a directory of its own; locked against a second process."""

    def __init__(self, directory: Path, segment_bytes: int = SEGMENT_BYTES) -> None:
        self._directory, self._segment_bytes = directory, segment_bytes
        self.counters = JournalCounters()
        directory.mkdir(parents=True, exist_ok=True)
        self._lock_file = _lock(directory)
        self._journal_id = _identity(directory)
        self._condition = threading.Condition()
        self._gathered: list[_Pending] = []
        self._committing = False
        self._closed = False
        self._make_room: Callable[[], object] | None = None
        self._segment: _Segment | None = None
        self._last = self._durable = self._scan_last()

    @property
    def journal_id(self) -> str:
        """The UUID kept in the directory."""
        return self._journal_id

    def last_position(self) -> int:
        """The newest durable position."""
        return self._last

    def when_full(self, make_room: Callable[[], object]) -> None:
        """Call it when the disk takes no more; the commit is then tried once more.

        It runs in a pushing thread, while other pushes wait, and must not push.
        """
        self._make_room = make_room

    def append(
        self,
        tenant: TenantId,
        received_ns: int,
        codec: int,
        body: bytes,
        on_durable: Callable[[int], None],
    ) -> int:
        """Make the frame durable and return its position; see `Journal.append`."""
        mine = _Pending(tenant, received_ns, codec, body, on_durable)
        with self._condition:
            if self._closed:
                raise JournalError("the journal is closed")
            self._gathered.append(mine)
            while not mine.done and self._committing:
                self._condition.wait()
            if mine.done:
                return _outcome(mine)
            self._committing = True
            batch, self._gathered = (
                self._gathered[:MAX_GATHERED],
                self._gathered[MAX_GATHERED:],
            )
        try:
            self._commit(batch)
        finally:
            with self._condition:
                for pending in batch:
                    pending.done = True
                self._committing = False
                self._condition.notify_all()
        return _outcome(mine)

    def _commit(self, batch: list[_Pending]) -> None:
        try:
            self._write_or_make_room(batch)
        except OSError as error:
            self.counters.failures += 1
            log.error("journal commit failed", error=str(error), frames=len(batch))
            for pending in batch:
                pending.error = JournalError(f"the journal cannot be written: {error.strerror}")
            return
        for pending in batch:
            pending.on_durable(pending.position)
        self.counters.commits += 1
        self.counters.frames += len(batch)

    def _write_or_make_room(self, batch: list[_Pending]) -> None:
        """Write durably; on a full disk a second time after room was made. Nothing stays else."""
        try:
            self._write(batch)
        except OSError as error:
            self._cut_back()
            if error.errno != errno.ENOSPC or self._make_room is None:
                raise
            self._make_room()
            try:
                self._write(batch)
            except OSError:
                self._cut_back()
                raise

    def _write(self, batch: list[_Pending]) -> None:
        segment = self._open_segment()
        pieces: list[bytes] = []
        position = self._last
        for pending in batch:
            position += 1
            pending.position = position
            pieces.extend(
                encode_frame(
                    Frame(
                        position,
                        pending.tenant,
                        pending.received_ns,
                        pending.codec,
                        pending.body,
                    )
                )
            )
        size = _write_all(segment.descriptor, pieces)
        os.fdatasync(segment.descriptor)
        segment.size += size
        self._last = self._durable = position
        self.counters.bytes += size

    def _open_segment(self) -> _Segment:
        if self._segment is not None and self._segment.size < self._segment_bytes:
            return self._segment
        if self._segment is not None:
            os.close(self._segment.descriptor)
            self._segment = None
        first = self._last + 1
        path = self._directory / f"{first:020d}.journal"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            size = _write_all(descriptor, [segment_header(self._journal_id, first, self._durable)])
            os.fdatasync(descriptor)
            _sync_directory(self._directory)
        except OSError:
            os.close(descriptor)
            path.unlink(missing_ok=True)
            raise
        self._segment = _Segment(path, descriptor, size)
        return self._segment

    def _cut_back(self) -> None:
        """Remove what a failed commit may have left; give the segment up when that fails."""
        segment = self._segment
        if segment is None:
            return
        try:
            os.ftruncate(segment.descriptor, segment.size)
            os.lseek(segment.descriptor, segment.size, os.SEEK_SET)
            os.fdatasync(segment.descriptor)
        except OSError as error:
            log.error("journal segment given up", path=str(segment.path), error=str(error))
            with contextlib.suppress(OSError):
                os.close(segment.descriptor)
            self._segment = None
            self._last += MAX_GATHERED  # positions that the lost tail may have used

    def replay(self, after: int) -> Iterator[Frame]:
        """All frames with position > `after`, ascending."""
        paths = self._segments()
        for index, path in enumerate(paths):
            following = segment_position(paths[index + 1]) if index + 1 < len(paths) else None
            if following is not None and following <= after + 1:
                continue
            durable = None if following is None else durable_before(paths[index + 1])
            for frame in read_segment(path, self._journal_id, self._report_damage):
                refused = durable is not None and frame.position > durable
                if frame.position > after and not refused:
                    yield frame

    def _report_damage(self, path: Path, offset: int, lost: int) -> None:
        last = path == self._segments()[-1]
        if last:
            log.warning("journal tail was torn", path=str(path), offset=offset, bytes=lost)
            return
        self.counters.damaged += 1
        log.error("journal segment is damaged", path=str(path), offset=offset, bytes=lost)

    def truncate(self, up_to: int) -> None:
        """Delete whole segments whose frames are all at or below `up_to`."""
        paths = self._segments()
        for path, following in itertools.pairwise(paths):
            if segment_position(following) <= up_to + 1:
                path.unlink(missing_ok=True)

    def close(self) -> None:
        """Wait for the commit under way and close the files."""
        with self._condition:
            self._closed = True
            while self._committing:
                self._condition.wait()
        if self._segment is not None:
            os.close(self._segment.descriptor)
            self._segment = None
        os.close(self._lock_file)

    def _segments(self) -> list[Path]:
        return sorted(self._directory.glob("*.journal"))

    def _scan_last(self) -> int:
        """The newest position on disk; new frames go to a new segment behind it."""
        paths = self._segments()
        if not paths:
            return 0
        last = segment_position(paths[-1]) - 1
        for frame in read_segment(paths[-1], self._journal_id, lambda *_: None):
            last = frame.position
        return last


def _outcome(pending: _Pending) -> int:
    if pending.error is not None:
        raise pending.error
    return pending.position


def _write_all(descriptor: int, pieces: list[bytes]) -> int:
    """Write every byte (a short write is continued); returns the size."""
    total = sum(len(piece) for piece in pieces)
    written = os.writev(descriptor, pieces)
    if written < total:
        rest = memoryview(b"".join(pieces))[written:]
        while len(rest):
            rest = rest[os.write(descriptor, rest) :]
    return total


def _lock(directory: Path) -> int:
    descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        message = f"another process uses the journal in {directory}; stop it or use another"
        raise JournalError(message) from error
    return descriptor


def _identity(directory: Path) -> str:
    """The journal's UUID, made on first use."""
    path = directory / "id"
    if path.exists():
        return path.read_text().strip()
    fresh = str(uuid.uuid4())
    temporary = directory / "id.tmp"
    with temporary.open("w") as file:
        file.write(fresh + "\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)
    _sync_directory(directory)
    return fresh


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
