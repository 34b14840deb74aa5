"""What is known of a folder in which one thing is about to fail? And what must hold afterwards.

A world is a data folder, the process in it, a place for backups and a folder to restore into. It
remembers what was acknowledged and what was asked to go; `check` asks the process.
"""

import copy
import os
import shutil
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from ingester.flush import FlushError
from narfi.core.clock import ManualClock
from narfi.core.tenant import TenantId
from querier.executors.deleted_rows import DeletedRows
from storage.catalog.delete_log import PROCESSED, DeleteLog
from storage.journal.lock import LOCK
from storage.objects.filesystem import LocalObjects
from storage.vault.data_dir import DataDir
from tests.faults.crash_disk import CrashDisk
from tests.ingester.lives import Process, Switch
from tests.upkeep.fresh import worker_of
from upkeep.deletes import Deletes

TENANT = TenantId("t")
NOW = 10**18
HOUR = 3600 * 10**9
DAY = 24 * HOUR


class JumpingClock(ManualClock):
    """A clock that jumps when it is looked at, at a chosen look."""

    def __init__(self, now_ns: int) -> None:
        super().__init__(now_ns)
        self.looks = 0
        self._at, self._by_ns = -1, 0

    def arm(self, looks_from_now: int, by_ns: int) -> None:
        """The look after so many others, and all behind it, see another time."""
        self._at, self._by_ns = self.looks + looks_from_now, by_ns

    def now_ns(self) -> int:
        """The time, after the jump that is due."""
        if self.looks == self._at:
            self.advance(self._by_ns)
        self.looks += 1
        return super().now_ns()


@dataclass(kw_only=True)
class Known:
    """What the clients of a world know."""

    acknowledged: set[bytes] = field(default_factory=set)
    attempted: set[bytes] = field(default_factory=set)
    may_go: set[bytes] = field(default_factory=set)  # a delete, or retention, asks for them
    backed_up: set[bytes] = field(default_factory=set)  # in the backup that was told as done
    backed_up_ns: int = 0  # when that was
    block_id: str = ""  # of the block that an operation is about
    now_ns: int = NOW


class World:
    """A folder, the process in it, and what is known of it."""

    def __init__(self, root: Path, known: Known) -> None:
        self.root, self.known = root, copy.deepcopy(known)
        self.disk, self.switch = CrashDisk(), Switch()
        self.clock = JumpingClock(known.now_ns)
        self.data = DataDir(root / "data")
        self.restored = DataDir(root / "restored")
        self.data.root.mkdir(parents=True, exist_ok=True)
        self.start()

    def start(self) -> None:
        """A process on the world's disk and catalog."""
        self.process = Process(self.data.root, self.clock, self.disk, self.switch)

    def kill(self) -> None:
        """The process ends without a word, if it has not ended yet."""
        self.disk.disarm()
        lock = self.process.journal._lock_file
        with suppress(OSError):  # closed: the number may be that of another file by now
            if os.path.samestat(os.fstat(lock), (self.data.journal / LOCK).stat()):
                os.close(lock)
        self.process.catalog.close()

    def close(self) -> Known:
        """Stop; what is known, for a copy of the folder."""
        self.process.stop()
        self.known.now_ns = self.clock.now_ns()
        return self.known

    def target(self) -> LocalObjects:
        """The place for backups, on the same disk."""
        return LocalObjects(self.root / "target", self.disk)

    def deletes(self) -> Deletes:
        """Delete requests, a day after they were made."""
        process, log = self.process, DeleteLog(self.process.catalog)
        return Deletes(
            log=log,
            catalog=process.catalog,
            store=process.store,
            clock=self.clock,
            flush=self.flush_all,
            worker=worker_of(process.catalog, process.store),
            find=DeletedRows().find,
            cancel_period_ns=DAY,
            receipts_kept_ns=10_000 * DAY,  # whatever the clock does, what was told is known
        )

    def flush_all(self) -> None:
        """Everything acknowledged is in blocks, or `FlushError`."""
        self.process.flush()
        if self.process.heads.waiting():
            raise FlushError("flush failed: the test says so")

    def push(self, count: int = 3, mark: bytes = b"line") -> None:
        """New lines that begin with the mark."""
        known = self.known
        lines = [mark + b" %d" % (len(known.attempted) + k) for k in range(count)]
        at = NOW + len(known.attempted)
        known.attempted.update(lines)
        self.process.push(TENANT, lines, at)
        known.acknowledged.update(lines)

    def gone(self) -> set[bytes]:
        """Lines of which a receipt says that they were deleted."""
        requests = DeleteLog(self.process.catalog).requests(TENANT)
        return self.known.may_go if any(r.status == PROCESSED for r in requests) else set()

    def check(self, when: str) -> None:
        """Every acknowledged line is there once, none twice, and none that was told as deleted."""
        known = self.known
        found = self.process.lines(TENANT)
        assert known.acknowledged - known.may_go <= set(found), when
        assert set(found) <= known.attempted - self.gone(), when
        assert set(found.values()) <= {1}, when


def lines_in(root: Path, into: Path) -> set[bytes]:
    """What a process answers that is started in a copy of a data folder; each line once."""
    shutil.copytree(root, into)
    process = Process(into, ManualClock(NOW))
    found = process.lines(TENANT)
    assert set(found.values()) <= {1}
    assert list(process.catalog.losses()) == []
    process.stop()
    shutil.rmtree(into)
    return set(found)
