"""Does every tenant's part become a block in its turn, whatever becomes of another one's?"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from ingester.commit import Ledger, commit
from ingester.flush import (
    FAILURES_BEFORE_PAUSE,
    GROUP_BYTES,
    GROUP_PARTS,
    SMALL_BYTES,
    Flusher,
    FlushError,
    FlushSettings,
    in_groups,
)
from ingester.head import Heads, Part
from narfi.core.clock import ManualClock
from narfi.core.tenant import TenantId
from storage.batch import LogBatch
from storage.block.progress import Progress, untold
from storage.catalog.base import BlockRow, CatalogError, Fence, Watermark
from storage.catalog.sql import SqlCatalog
from storage.journal.base import Record
from storage.journal.file import FileJournal
from storage.objects.base import ObjectError
from storage.objects.filesystem import LocalObjects
from storage.store import BlockStore, StoreServices
from tests.ingester.lives import ImpatientThreads
from tests.storage.batches import batch_of
from tests.storage.catalog.rows import every_block


class Watched(SqlCatalog):
    """Notes what each transaction published; refuses as often as told."""

    failures = 0

    def __init__(self, url: str) -> None:
        super().__init__(url, ManualClock(1))
        self.published: list[list[str]] = []

    def publish(
        self,
        blocks: Sequence[BlockRow],
        watermarks: Sequence[Watermark],
        fence: Fence | None = None,
    ) -> None:
        """Commit, or fail."""
        if self.failures:
            self.failures -= 1
            raise CatalogError("the test says no")
        super().publish(blocks, watermarks, fence)
        self.published.append([mark.tenant for mark in watermarks])


class PoisonedStore(BlockStore):
    """Cannot write the blocks of some tenants."""

    poisoned: frozenset[str] = frozenset()

    def __init__(self, services: StoreServices) -> None:
        super().__init__(services, 1 << 20)
        self.tried: list[str] = []

    def write(
        self,
        run: LogBatch,
        tenant: TenantId,
        cut_id: str,
        level: int = 0,
        journals: Mapping[str, int] | None = None,
        progress: Progress = untold,
    ) -> BlockRow:
        """As it is, or an error."""
        self.tried.append(tenant)
        if tenant in self.poisoned:
            raise ObjectError(f"the test does not like {tenant}")
        return super().write(run, tenant, cut_id, level, journals, progress)


class WritePath:
    """Everything but the flusher's thread; `round` does what it does."""

    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock(10)
        self.journal = FileJournal(folder / "journal", 1)
        self.catalog = Watched(f"sqlite:///{folder}/catalog.db")
        objects = LocalObjects(folder / "objects")
        self.store = PoisonedStore(StoreServices(self.catalog, objects, self.clock))
        self.heads = Heads(clock=self.clock, part_bytes=4 * SMALL_BYTES, watch=lambda *_: None)
        self.ledger = Ledger()
        self.ledger.recovered()
        self.journal.when_durable(self.ledger.durable)
        self.flusher = Flusher(
            heads=self.heads,
            store=self.store,
            journal=self.journal,
            ledger=self.ledger,
            clock=self.clock,
            settings=FlushSettings(10**18),
            threads=ImpatientThreads(),
        )

    def push(self, *tenants: str, size: int = 10) -> None:
        """An entry for each, which becomes a part of its own."""
        for name in tenants:
            tenant = TenantId(name)
            batch = batch_of([("a", 1, b"x" * size, {})])
            record = Record(tenant=tenant, received_ns=0, codec=1, decided=b"", body=b"")
            commit(self.journal, self.ledger, record, self._put(tenant, batch))
            self.heads.cut(tenant)
            self.clock.advance(1)

    def _put(self, tenant: TenantId, batch: LogBatch) -> Callable[[int], str]:
        return lambda position: self.heads.take(tenant, batch, position).cut_id

    def round(self) -> bool:
        """One round of the flusher."""
        return self.flusher._round()

    def waiting(self) -> list[str]:
        """Tenants whose parts wait, a name for each part."""
        return [part.tenant for part in self.heads.waiting()]


@pytest.fixture
def path(tmp_path: Path) -> Iterator[WritePath]:
    """In an empty folder."""
    made = WritePath(tmp_path)
    yield made
    made.journal.close()
    made.catalog.close()


def test_small_parts_of_many_tenants_are_one_transaction(path: WritePath) -> None:
    names = [f"t{k}" for k in range(20)]
    path.push(*names)
    assert path.round()
    assert path.catalog.published == [names]
    assert path.heads.bytes == 0
    assert path.catalog.watermarks(path.journal.journal_id) == {
        TenantId(name): position for position, name in enumerate(names, 1)
    }
    assert path.ledger.forgettable() == 20
    assert not path.round(), "nothing is left"


def test_a_tenant_with_much_does_not_keep_others_waiting(path: WritePath) -> None:
    for _ in range(3):
        path.push("much", size=2 * SMALL_BYTES)
    path.push("little")
    assert path.round()
    assert path.catalog.published == [["much"], ["little"]]
    assert path.waiting() == ["much", "much"]
    while path.round():
        pass
    assert path.catalog.published[2:] == [["much"], ["much"]]


def test_a_part_that_cannot_be_written_keeps_nobody_waiting(path: WritePath) -> None:
    path.store.poisoned = frozenset(["bad"])
    path.push("bad", "good", "bad", "fine")
    assert path.round()
    assert path.catalog.published == [["good", "fine"]]
    assert path.waiting() == ["bad", "bad"]
    assert path.flusher.is_failing(TenantId("bad"))
    assert not path.flusher.is_failing(TenantId("good"))
    path.push("good")
    for _ in range(3):
        path.round()
    assert path.waiting() == ["bad", "bad"]
    assert TenantId("bad") not in path.catalog.watermarks(path.journal.journal_id)
    assert path.ledger.forgettable() == 0, "its records stay in the journal"
    path.store.poisoned = frozenset()
    due(path)
    while path.round():
        pass
    assert path.waiting() == []
    assert not path.flusher.is_failing(TenantId("bad"))


def test_when_one_after_another_fails_flushing_pauses(path: WritePath) -> None:
    names = [f"t{k}" for k in range(9)]
    path.store.poisoned = frozenset(names)
    for name in names:
        path.push(name, size=2 * SMALL_BYTES)
    assert not path.round()
    assert len(path.store.tried) == FAILURES_BEFORE_PAUSE
    assert path.flusher.is_failing(TenantId("somebody else"))
    path.store.poisoned = frozenset()
    due(path)
    while path.round():
        pass
    assert path.waiting() == []
    assert not path.flusher.is_failing(TenantId("t0"))


def test_a_group_whose_publishing_failed_is_not_written_again(path: WritePath) -> None:
    path.catalog.failures = 1
    path.push("a", "b")
    path.round()
    assert path.waiting() == ["a", "b"]
    due(path)
    path.round()
    assert path.catalog.published == [["a", "b"]]
    assert path.store.tried == ["a", "b"]


def test_a_block_that_was_given_up_is_the_only_one_written_again(path: WritePath) -> None:
    path.catalog.failures = 1
    path.push("a", "b", "c")
    path.round()
    row = path.flusher._written[path.heads.waiting()[1].cut_id]
    assert row is not None
    path.catalog.abandon([row.block_id])
    due(path)
    path.round()
    assert path.catalog.published == [["a"], ["c"]]
    due(path)
    path.round()
    assert path.catalog.published == [["a"], ["c"], ["b"]]
    assert path.store.tried == ["a", "b", "c", "b"]
    assert len(list(every_block(path.catalog))) == 3


def test_asking_for_a_flush_tells_of_a_part_that_fails(path: WritePath) -> None:
    path.store.poisoned = frozenset(["bad"])
    path.push("bad")
    path.flusher.start()
    with pytest.raises(FlushError, match="flush failed: the test does not like bad"):
        path.flusher.flush_all()
    path.store.poisoned = frozenset()
    path.flusher.flush_all()
    assert path.waiting() == [], "what failed before does not count"
    path.flusher.stop()


def due(path: WritePath) -> None:
    """The back-off of every part that failed is over."""
    for trouble in path.flusher._troubles.values():
        trouble.retry_s = 0.0


def test_groups_are_bounded(path: WritePath) -> None:
    def part(cost: int) -> Part:
        path.push("t", size=1)
        made = path.heads.waiting()[-1]
        made.cost = cost
        return made

    many = [part(1) for _ in range(2 * GROUP_PARTS + 1)]
    assert [len(group) for group in in_groups(many)] == [GROUP_PARTS, GROUP_PARTS, 1]
    full = [part(SMALL_BYTES) for _ in range(GROUP_BYTES // SMALL_BYTES + 1)]
    assert [len(group) for group in in_groups(full)] == [GROUP_BYTES // SMALL_BYTES, 1]
    large = part(SMALL_BYTES + 1)
    assert list(in_groups([many[0], large, many[1]])) == [[large], [many[0], many[1]]]
    assert list(in_groups([])) == []
