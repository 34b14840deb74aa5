"""How does a journal in files make pushes durable? Segments, group commit, fsync.

Each commit of a group (`group.py`) is one gathering write and one fdatasync. Invariant: a record's
caller returns only after the fdatasync that covers it; a failed commit, whatever failed, is cut off
the file again, so that refused records are never replayed.
"""

import contextlib
import errno
import itertools
import os
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from narfi.core.log import Turns
from narfi.core.threads import SYSTEM_THREADS, Threads
from storage.disk import SYSTEM_DISK, Disk
from storage.journal.base import (
    Damage,
    JournalCounters,
    JournalError,
    Record,
    StoredRecord,
    stored_together,
)
from storage.journal.group import GroupCommit
from storage.journal.lock import take_lock
from storage.journal.mark import Mark, MarkFile, read_mark
from storage.journal.metrics import COMMIT_FAILURES, SYNC_SECONDS, committed
from storage.journal.reading import read_file
from storage.journal.replay import Replay, forgotten_before
from storage.journal.segment import (
    encode_header,
    owner_of,
    read_header,
    segment_path,
    segment_paths,
    segment_position,
)
from storage.journal.stored_record import encode_record

log = structlog.get_logger(__name__)

ID = "id"
MARK = "mark"
SEGMENT_BYTES = 64 * 1024 * 1024
MAX_GATHERED = 512
"""Records in one commit, at most: keeps the gathering write below IOV_MAX."""


@dataclass(slots=True)
class _Segment:
    """The open file, and how much of it is durable."""

    path: Path
    descriptor: int
    size: int


class FileJournal:
    """A `Journal` in a directory of its own; locked against a second process."""

    def __init__(
        self,
        directory: Path,
        segment_bytes: int = SEGMENT_BYTES,
        *,
        disk: Disk = SYSTEM_DISK,
        threads: Threads = SYSTEM_THREADS,
    ) -> None:
        self._directory, self._segment_bytes, self._disk = directory, segment_bytes, disk
        self.counters = JournalCounters()
        directory.mkdir(parents=True, exist_ok=True)
        self._lock_file = take_lock(directory)
        try:
            self._open(threads)
        except BaseException:
            os.close(self._lock_file)
            raise

    def _open(self, threads: Threads) -> None:
        """What the last process left, and what this one goes on with."""
        directory = self._directory
        self._journal_id = _identity(directory, self._disk)
        self._group: GroupCommit[Record] = GroupCommit(self._commit, MAX_GATHERED, threads)
        self._on_durable: Callable[[Sequence[int]], None] = lambda _: None
        self._make_room: Callable[[], object] | None = None
        self._failures = Turns()  # on a full disk each push is one
        self._segment: _Segment | None = None
        self._found = read_mark(directory / MARK)
        self._durable = self._newest_readable()
        self._noted = self._first_mark()
        self._last = self._noted.durable
        self._mark = MarkFile(directory / MARK, self._disk)
        self._marking = threads.lock()  # commits and truncation both write it
        self._note()
        self._tell_strays()

    @property
    def journal_id(self) -> str:
        """The UUID kept in the directory."""
        return self._journal_id

    def stored_bytes(self) -> int:
        """Bytes of all segments."""
        found = 0
        for path in segment_paths(self._directory):
            with contextlib.suppress(OSError):  # truncated meanwhile; or replay tells what it is
                found += path.stat().st_size
        return found

    def last_position(self) -> int:
        """The newest position that was given or skipped."""
        return self._last

    def forgotten(self) -> int:
        """The newest position that may be deleted, since a visible block holds it."""
        return self._noted.forgotten

    def skip_to(self, position: int) -> None:
        """Give only positions above this one; before the first append."""
        self._last = max(self._last, position)

    def when_full(self, make_room: Callable[[], object]) -> None:
        """Call it when the disk takes no more; the commit is then tried once more.

        It runs in a pushing thread, while other pushes wait, and must not push.
        """
        self._make_room = make_room

    def when_durable(self, on_durable: Callable[[Sequence[int]], None]) -> None:
        """See `Journal.when_durable`."""
        self._on_durable = on_durable

    def append(self, record: Record) -> int:
        """Make the record durable and return its position; see `Journal.append`."""
        return self._group.submit(record)

    def _commit(self, batch: list[Record]) -> Sequence[int]:
        began, before = time.perf_counter(), self.counters.bytes
        try:
            positions = self._write_or_make_room(batch)
        except BaseException as error:
            why = str(error)
            if isinstance(error, OSError):
                why = f"the journal cannot be written: {error.strerror}"
            self.counters.went_wrong(why)
            COMMIT_FAILURES.inc()
            if (untold := self._failures.take(why)) is not None:
                facts = {"error": str(error), "records": len(batch), "untold_before": untold}
                log.error("journal commit failed", **facts)
            if isinstance(error, OSError):
                raise JournalError(why) from error
            raise
        committed(len(batch), self.counters.bytes - before, time.perf_counter() - began)
        self._on_durable(positions)
        self.counters.trouble = ""
        self.counters.commits += 1
        self.counters.records += len(batch)
        return positions

    def _write_or_make_room(self, batch: list[Record]) -> Sequence[int]:
        """Write durably; on a full disk a second time after room was made. Nothing stays else."""
        try:
            return self._write(batch)
        except OSError as error:
            if error.errno != errno.ENOSPC or self._make_room is None:
                raise
        self._make_room()
        return self._write(batch)

    def _write(self, batch: list[Record]) -> Sequence[int]:
        first = self._last + 1
        pieces: list[bytes] = []
        for record in stored_together(batch, first):
            pieces.extend(encode_record(record, self._journal_id))
        try:
            segment = self._open_segment()
            size = self._disk.write(segment.descriptor, pieces)
            written = time.perf_counter()
            self._disk.sync(segment.descriptor)
            SYNC_SECONDS.observe(time.perf_counter() - written)
            self._note(durable=first + len(batch) - 1)
        except BaseException:
            self._cut_back()
            raise
        segment.size += size
        self._last = self._durable = first + len(batch) - 1
        self.counters.bytes += size
        return range(first, first + len(batch))

    def _open_segment(self) -> _Segment:
        if self._segment is not None and self._segment.size < self._segment_bytes:
            return self._segment
        if self._segment is not None:
            full, self._segment = self._segment, None
            self._disk.close(full.descriptor)
        disk, first = self._disk, self._last + 1
        path = segment_path(self._directory, first)
        descriptor = disk.create(path)
        try:
            header = encode_header(self._journal_id, first, self._durable)
            size = disk.write(descriptor, [header])
            disk.sync(descriptor)
            disk.sync_folder(self._directory)
        except BaseException:
            disk.close(descriptor)
            disk.unlink(path)
            raise
        self._segment = _Segment(path, descriptor, size)
        return self._segment

    def _cut_back(self) -> None:
        """Remove what a failed commit may have left; give the segment up when that fails."""
        segment = self._segment
        if segment is None:
            return
        try:
            self._disk.cut(segment.descriptor, segment.size)
            self._disk.sync(segment.descriptor)
        except Exception as error:  # noqa: BLE001 - whatever it is, the tail cannot be trusted
            log.error("journal segment given up", path=str(segment.path), error=str(error))
            self._segment = None
            self._last += MAX_GATHERED  # positions that the lost tail may have used
            with contextlib.suppress(OSError):
                self._disk.close(segment.descriptor)

    def _first_mark(self) -> Mark:
        """What is acknowledged and forgotten before the first commit of this process."""
        if self._found is not None:
            return Mark(max(self._durable, self._found.durable), self._found.forgotten)
        oldest = segment_paths(self._directory)[:1]
        headers = [read_header(path, self._journal_id) for path in oldest]
        return Mark(self._durable, forgotten_before(oldest, headers))

    def _note(self, durable: int = 0, forgotten: int = 0) -> None:
        """Move the mark on. A commit without it is none: what is missing could not be told."""
        with self._marking:
            mark = Mark(max(self._noted.durable, durable), max(self._noted.forgotten, forgotten))
            self._mark.write(mark)
            self._noted = mark

    def replay(self, damaged: Callable[[Damage], None]) -> Iterator[StoredRecord]:
        """All records, ascending; see `Journal.replay`."""

        def tell(damage: Damage) -> None:
            self.counters.damaged += 1
            self.counters.lost += damage.last - damage.first + 1
            damaged(damage)

        paths = segment_paths(self._directory)
        return Replay(paths, self._journal_id, self._found, tell).records()

    def _newest_readable(self) -> int:
        """The newest position that will be replayed; new records go to a new segment behind it."""
        paths = segment_paths(self._directory)
        newest = segment_position(paths[-1]) - 1 if paths else 0
        for record in Replay(paths[-1:], self._journal_id, self._found, lambda _: None).records():
            newest = record.position
        return newest

    def disk_bytes(self) -> int:
        """What all segments take, as the file system says."""
        size = 0
        for path in segment_paths(self._directory):
            with contextlib.suppress(OSError):  # truncated meanwhile; or replay tells what it is
                size += path.stat().st_size
        return size

    def _tell_strays(self) -> None:
        known = set(segment_paths(self._directory))
        for path in sorted(set(self._directory.glob("*.journal")) - known):
            log.warning("a file that is no segment lies in the journal", path=str(path))

    def truncate(self, up_to: int) -> None:
        """Delete whole segments whose records are all at or below `up_to`, durably.

        One that came back after a power failure would be replayed beside a catalog made anew.
        """
        doomed = [
            path
            for path, following in itertools.pairwise(segment_paths(self._directory))
            if segment_position(following) <= up_to + 1
        ]
        self._note(forgotten=up_to)
        if doomed:
            self._mark.sync()  # a segment that is gone is never taken for one that was lost
        for path in doomed:
            self._disk.unlink(path)
        if doomed:
            self._disk.sync_folder(self._directory)

    def close(self) -> None:
        """Wait for the commits under way and close the files; the lock is free in any case."""
        self._group.close()
        with contextlib.ExitStack() as closing:
            closing.callback(os.close, self._lock_file)
            closing.callback(self._close_mark)
            if self._segment is not None:
                full, self._segment = self._segment, None
                closing.callback(self._disk.close, full.descriptor)

    def _close_mark(self) -> None:
        with contextlib.suppress(OSError):
            self._mark.close()


def _identity(directory: Path, disk: Disk) -> str:
    """The journal's UUID, made on first use."""
    path = directory / ID
    with contextlib.suppress(FileNotFoundError):
        return read_file(path).decode("utf-8", "replace").strip()
    if segments := segment_paths(directory):
        owner = owner_of(segments[-1]) or "what the backup says"
        raise JournalError(f"{path} is gone, and segments are there: write {owner} into it")
    fresh = str(uuid.uuid4())
    temporary = directory / "id.tmp"
    descriptor = disk.create(temporary)
    try:
        disk.write(descriptor, [fresh.encode() + b"\n"])
        disk.sync(descriptor)
    finally:
        disk.close(descriptor)
    disk.rename(temporary, path)
    disk.sync_folder(directory)
    return fresh
