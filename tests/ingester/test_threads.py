"""Does the oracle hold in every interleaving of pushes, flusher, upkeep, queries and a backup?

Real threads under drawn schedules (`tests/schedules.py`): each lock, wait, transaction, put and
delete is a place at which another thread may go on. Then the process is killed and started again.
"""

import os
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from narfi.core.clock import Clock, ManualClock
from narfi.core.errors import AppError
from narfi.core.limits import Limits
from narfi.core.tenant import TenantId
from querier.executors.deleted_rows import DeletedRows
from querier.reading.deletes import DeleteRequests
from storage.catalog.database import Database
from storage.catalog.delete_log import PROCESSED, DeleteLog
from storage.objects.filesystem import LocalObjects
from storage.vault.backup import backup
from storage.vault.data_dir import OBJECTS, DataDir
from storage.vault.restore import restore
from tests.ingester.lives import Process, Switch, SwitchedCatalog
from tests.schedules import Schedule, drawn
from tests.upkeep.fresh import ANY_TWO, compact, worker_of
from upkeep.deletes import Deletes
from upkeep.disk import DiskGuard, DiskSpace
from upkeep.reserve import Reserve

T = TypeVar("T")

NEW, OLD = TenantId("new"), TenantId("old")
NOW = 10**18
DOOMED = {b"red %d" % k for k in range(4)}
DONE: Counter[str] = Counter()
"""What happened, over all schedules."""


class PausingDatabase(Database):
    """Other threads may go on before and behind each transaction."""

    def __init__(self, url: str, schedule: Schedule) -> None:
        super().__init__(url)
        self._schedule = schedule

    def write(self, do: Callable[[sa.Connection], T]) -> T:
        """Pause, commit, pause."""
        self._schedule.pause()
        found = super().write(do)
        self._schedule.pause()
        return found

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Pause, then read in one go."""
        self._schedule.pause()
        with super().reading() as connection:
            yield connection


class PausingObjects(LocalObjects):
    """Other threads may go on before each call."""

    schedule: Schedule

    def put(self, key: str, data: bytes | pa.Buffer, *, settled: bool = True) -> None:
        """Pause, then put."""
        self.schedule.pause()
        super().put(key, data, settled=settled)

    def get(self, key: str) -> bytes:
        """Pause, then read."""
        self.schedule.pause()
        return super().get(key)

    def open(self, key: str, size: int | None = None) -> pa.NativeFile:
        """Pause, then open."""
        self.schedule.pause()
        return super().open(key)

    def delete(self, key: str) -> None:
        """Pause, then delete."""
        self.schedule.pause()
        super().delete(key)

    def move(self, key: str, target: str) -> None:
        """Pause, then move."""
        self.schedule.pause()
        super().move(key, target)


class PausingDataDir(DataDir):
    """A data folder whose objects pause."""

    schedule: Schedule

    def objects(self) -> LocalObjects:
        """Its objects."""
        return pausing(self.root / OBJECTS, self.schedule)


def pausing(root: Path, schedule: Schedule) -> PausingObjects:
    """Objects of a folder that pause in this schedule."""
    found = PausingObjects(root)
    found.schedule = schedule
    return found


class TickingClock(ManualClock):
    """No two moments are the same."""

    def now_ns(self) -> int:
        """A microsecond later than the last time."""
        self.advance(1000)
        return super().now_ns()


def scheduled(folder: Path, schedule: Schedule) -> Process:
    """A process whose threads the schedule runs."""

    class Catalog(SwitchedCatalog):
        """Pauses at every transaction."""

        def __init__(self, url: str, clock: Clock, switch: Switch) -> None:
            super().__init__(url, clock, switch)
            self.database.close()
            self.database = PausingDatabase(url, schedule)

    class Scheduled(Process):
        """Its flusher cuts whatever there is, and garbage goes at once."""

        make_catalog = Catalog
        threads = flusher_threads = schedule
        flush_age_ns = 0
        grace_ns = 0

        def make_objects(self) -> LocalObjects:
            """Pauses at every call."""
            return pausing(self.folder / OBJECTS, schedule)

    return Scheduled(folder, TickingClock(NOW))


@dataclass(kw_only=True)
class Run:
    """The threads of one schedule, and what they were promised."""

    folder: Path
    schedule: Schedule
    chance: random.Random
    pushed: set[bytes] = field(default_factory=set)
    acknowledged: set[bytes] = field(default_factory=set)
    backed_up: set[bytes] | None = None
    deleted: bool = False
    working: int = 0

    def __post_init__(self) -> None:
        self.process = scheduled(self.folder / "data", self.schedule)
        process = self.process
        self.log = DeleteLog(process.catalog)
        self.deletes = Deletes(
            log=self.log,
            catalog=process.catalog,
            store=process.store,
            clock=process.clock,
            flush=process.flusher.flush_all,
            worker=worker_of(process.catalog, process.store),
            find=DeletedRows().find,
            cancel_period_ns=0,
        )
        self.push(OLD, [b"old %d" % k for k in range(3)], 10**9)
        self.push(NEW, sorted(DOOMED), NOW - 10**9)
        if self.chance.random() < 0.5:
            process.flush()
        requests = DeleteRequests(self.log, process.clock, lambda _: Limits())
        requests.create(NEW, '{app="a"} |= "red"', 0, 2 * NOW)

    def push(self, tenant: TenantId, lines: list[bytes], ts: int) -> None:
        """One push; it is acknowledged when it returns."""
        self.pushed.update(lines)
        self.process.push(tenant, lines, ts)
        self.acknowledged.update(lines)
        self.process.flusher.wake()

    def pusher(self, number: int) -> None:
        """A client with a few pushes."""
        for k in range(3):
            first = 100 * number + 10 * k
            self.push(NEW, [b"line %d" % (first + j) for j in range(2)], NOW + first)

    def upkeep(self) -> None:
        """As the server's thread does it; what fails is tried again in the next round."""
        process = self.process
        for _ in range(3):
            DONE["deleted entries"] += self.deletes.execute()
            self.deleted = True
            with suppress(AppError):  # the guard may have been faster
                DONE["merged blocks"] += compact(process.catalog, process.store, ANY_TWO)
            with suppress(AppError):
                DONE["folders removed"] += process.garbage.collect()

    def guard(self) -> None:
        """The disk is nearly full until one block of the oldest tenant went."""
        process, free = self.process, iter([DiskSpace(100, 0)])
        if not process.catalog.blocks(OLD, 0, 2 * NOW):
            return
        guard = DiskGuard(
            process.services,
            lambda: next(free, DiskSpace(100, 100)),
            lambda _: 1,
            Reserve(self.folder / "reserve"),
        )
        guard._reserve._full = True  # no file of megabytes in each schedule
        DONE["dropped blocks"] += guard.run()

    def reader(self) -> None:
        """A query now and then."""
        for _ in range(5):
            for _ in range(self.chance.randrange(20)):
                self.schedule.pause()
            before, deleted = set(self.acknowledged), self.deleted
            self.check(self.lines(), before, deleted=deleted)
            DONE["queries"] += 1

    def lines(self) -> Counter[bytes]:
        """What queries of both tenants see; a block that they read does not go under them."""
        return self.process.lines(NEW) + self.process.lines(OLD)

    def check(self, found: Counter[bytes], promised: set[bytes], *, deleted: bool) -> None:
        """Everything promised is there once; what was deleted is not."""
        optional = DOOMED | {line for line in self.pushed if line.startswith(b"old")}
        assert promised - optional <= set(found) <= self.pushed
        assert set(found.values()) <= {1}
        if deleted:
            assert not DOOMED & set(found), "deleted entries are there"

    def backup(self) -> None:
        """Beside all others; twice, so that the second is incremental."""
        data = PausingDataDir(self.folder / "data")
        object.__setattr__(data, "schedule", self.schedule)
        place = pausing(self.folder / "backup", self.schedule)
        for _ in range(2):
            before = set(self.acknowledged)
            backup(data, place, self.process.clock)
            self.backed_up = before

    def work(self, do: Callable[[], None]) -> Callable[[], None]:
        """A thread that the last of them stops the flusher behind."""
        self.working += 1

        def run() -> None:
            try:
                do()
            finally:
                self.working -= 1
                if not self.working:
                    self.process.flusher.stop()

        return run

    def go(self) -> None:
        """All threads, to their end."""
        threads = {
            "push 1": lambda: self.pusher(1),
            "push 2": lambda: self.pusher(2),
            "upkeep": self.upkeep,
            "guard": self.guard,
            "reader": self.reader,
            "backup": self.backup,
        }
        self.process.flusher.start()
        started = [(name, self.work(do)) for name, do in threads.items()]
        for name, run in started:
            self.schedule.start(name, run)
        self.schedule.run()


@pytest.fixture(scope="module")
def empty_catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalog whose schema is made: it is copied for each schedule."""
    folder = tmp_path_factory.mktemp("catalog")
    Process(folder, ManualClock(NOW)).stop()
    return folder / "catalog.db"


STEPS = int(os.environ.get("NARFI_TEST_STEPS", "0"))
"""Of the slow lane, about a hundred a schedule; 0: the gate's schedules."""


@settings(max_examples=STEPS // 100 if STEPS else 12, derandomize=not STEPS, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_every_schedule_keeps_what_was_acknowledged(empty_catalog: Path, seed: int) -> None:
    with tempfile.TemporaryDirectory(prefix="narfi-threads-") as folder:
        data = Path(folder) / "data"
        data.mkdir()
        shutil.copyfile(empty_catalog, data / "catalog.db")
        run = Run(folder=Path(folder), schedule=Schedule(drawn(seed)), chance=random.Random(seed))
        try:
            run.go()
            run.check(run.lines(), run.acknowledged, deleted=True)
            assert {request.status for request in run.log.requests()} == {PROCESSED}
        finally:
            run.process.power_off(random.Random(seed))
        again = Process(data, ManualClock(NOW))
        found = again.lines(NEW) + again.lines(OLD)
        again.stop()
        run.check(found, run.acknowledged, deleted=True)

        assert run.backed_up is not None
        restored = DataDir(Path(folder) / "restored")
        restore(LocalObjects(Path(folder) / "backup"), restored)
        copied = Process(restored.root, ManualClock(NOW))
        run.check(copied.lines(NEW) + copied.lines(OLD), run.backed_up, deleted=False)
        assert list(copied.catalog.losses()) == []
        copied.stop()


def test_the_schedules_were_about_something() -> None:
    """Each thread found work in some of them."""
    if not DONE:
        pytest.skip("runs behind the schedules")
    for what in ("deleted entries", "merged blocks", "folders removed", "dropped blocks"):
        assert DONE[what], DONE
