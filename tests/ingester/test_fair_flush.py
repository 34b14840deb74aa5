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
from storage.catalog.base import BlockRow, CatalogError, Watermark
from storage.catalog.sql import SqlCatalog
from storage.journal.base import Record
from storage.journal.file import FileJournal
from storage.objects.base import ObjectError
from storage.objects.filesystem import LocalObjects
from storage.store import BlockStore, StoreParts
from tests.ingester.lives import ImpatientThreads
from tests.storage.batches import batch_of


class Watched(SqlCatalog):
    """Notes what each transaction published; refuses as often as told."""

    failures = 0

    def __init__(self, url: str) -> None:
        super().__init__(url, ManualClock(1))
        self.published: list[list[str]] = []

    def publish(self, blocks: Sequence[BlockRow], watermarks: Sequence[Watermark]) -> None:
        """Commit, or fail."""
        if self.failures:
            self.failures -= 1
            raise CatalogError("the test says no")
        super().publish(blocks, watermarks)
        self.published.append([mark.tenant for mark in watermarks])


class PoisonedStore(BlockStore):
    """Cannot write the blocks of some tenants."""

    poisoned: frozenset[str] = frozenset()

    def __init__(self, parts: StoreParts) -> None:
        super().__init__(parts, 1 << 20)
        self.tried: list[str] = []

    def write(
        self,
        run: LogBatch,
        tenant: TenantId,
        cut_id: str,
        level: int = 0,
        journals: Mapping[str, int] | None = None,
    ) -> BlockRow:
        """As it is, or an error."""
        self.tried.append(tenant)
        if tenant in self.poisoned:
            raise ObjectError(f"the test does not like {tenant}")
        return super().write(run, tenant, cut_id, level, journals)


class Parts:
    """Everything but the flusher's thread; `round` does what it does."""

    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock(10)
        self.journal = FileJournal(folder / "journal", 1)
        self.catalog = Watched(f"sqlite:///{folder}/catalog.db")
        objects = LocalObjects(folder / "objects")
        self.store = PoisonedStore(StoreParts(self.catalog, objects, self.clock))
        self.heads = Heads(self.clock, 4 * SMALL_BYTES, lambda *_: None)
        self.ledger = Ledger()
        self.ledger.recovered()
        self.journal.when_durable(self.ledger.durable)
        self.flusher = Flusher(
            self.heads,
            self.store,
            self.journal,
            self.ledger,
            self.clock,
            FlushSettings(10**18),
            ImpatientThreads(),
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
def parts(tmp_path: Path) -> Iterator[Parts]:
    """In an empty folder."""
    made = Parts(tmp_path)
    yield made
    made.journal.close()
    made.catalog.close()


def test_small_parts_of_many_tenants_are_one_transaction(parts: Parts) -> None:
    names = [f"t{k}" for k in range(20)]
    parts.push(*names)
    assert parts.round()
    assert parts.catalog.published == [names]
    assert parts.heads.bytes == 0
    assert parts.catalog.watermarks(parts.journal.journal_id) == {
        TenantId(name): position for position, name in enumerate(names, 1)
    }
    assert parts.ledger.forgettable() == 20
    assert not parts.round(), "nothing is left"


def test_a_tenant_with_much_does_not_keep_others_waiting(parts: Parts) -> None:
    for _ in range(3):
        parts.push("much", size=2 * SMALL_BYTES)
    parts.push("little")
    assert parts.round()
    assert parts.catalog.published == [["much"], ["little"]]
    assert parts.waiting() == ["much", "much"]
    while parts.round():
        pass
    assert parts.catalog.published[2:] == [["much"], ["much"]]


def test_a_part_that_cannot_be_written_keeps_nobody_waiting(parts: Parts) -> None:
    parts.store.poisoned = frozenset(["bad"])
    parts.push("bad", "good", "bad", "fine")
    assert parts.round()
    assert parts.catalog.published == [["good", "fine"]]
    assert parts.waiting() == ["bad", "bad"]
    assert parts.flusher.is_failing(TenantId("bad"))
    assert not parts.flusher.is_failing(TenantId("good"))
    parts.push("good")
    for _ in range(3):
        parts.round()
    assert parts.waiting() == ["bad", "bad"]
    assert TenantId("bad") not in parts.catalog.watermarks(parts.journal.journal_id)
    assert parts.ledger.forgettable() == 0, "its frames stay in the journal"
    parts.store.poisoned = frozenset()
    due(parts)
    while parts.round():
        pass
    assert parts.waiting() == []
    assert not parts.flusher.is_failing(TenantId("bad"))


def test_when_one_after_another_fails_flushing_pauses(parts: Parts) -> None:
    names = [f"t{k}" for k in range(9)]
    parts.store.poisoned = frozenset(names)
    for name in names:
        parts.push(name, size=2 * SMALL_BYTES)
    assert not parts.round()
    assert len(parts.store.tried) == FAILURES_BEFORE_PAUSE
    assert parts.flusher.is_failing(TenantId("somebody else"))
    parts.store.poisoned = frozenset()
    due(parts)
    while parts.round():
        pass
    assert parts.waiting() == []
    assert not parts.flusher.is_failing(TenantId("t0"))


def test_a_group_whose_publishing_failed_is_not_written_again(parts: Parts) -> None:
    parts.catalog.failures = 1
    parts.push("a", "b")
    parts.round()
    assert parts.waiting() == ["a", "b"]
    due(parts)
    parts.round()
    assert parts.catalog.published == [["a", "b"]]
    assert parts.store.tried == ["a", "b"]


def test_a_block_that_was_given_up_is_the_only_one_written_again(parts: Parts) -> None:
    parts.catalog.failures = 1
    parts.push("a", "b", "c")
    parts.round()
    row = parts.flusher._written[parts.heads.waiting()[1].cut_id]
    assert row is not None
    parts.catalog.abandon([row.block_id])
    due(parts)
    parts.round()
    assert parts.catalog.published == [["a"], ["c"]]
    due(parts)
    parts.round()
    assert parts.catalog.published == [["a"], ["c"], ["b"]]
    assert parts.store.tried == ["a", "b", "c", "b"]
    assert len(list(parts.catalog.every_block())) == 3


def test_asking_for_a_flush_tells_of_a_part_that_fails(parts: Parts) -> None:
    parts.store.poisoned = frozenset(["bad"])
    parts.push("bad")
    parts.flusher.start()
    with pytest.raises(FlushError, match="flush failed: the test does not like bad"):
        parts.flusher.flush_all()
    parts.store.poisoned = frozenset()
    parts.flusher.flush_all()
    assert parts.waiting() == [], "what failed before does not count"
    parts.flusher.stop()


def due(parts: Parts) -> None:
    """The back-off of every part that failed is over."""
    for trouble in parts.flusher._troubles.values():
        trouble.retry_s = 0.0


def test_groups_are_bounded(parts: Parts) -> None:
    def part(cost: int) -> Part:
        parts.push("t", size=1)
        made = parts.heads.waiting()[-1]
        made.cost = cost
        return made

    many = [part(1) for _ in range(2 * GROUP_PARTS + 1)]
    assert [len(group) for group in in_groups(many)] == [GROUP_PARTS, GROUP_PARTS, 1]
    full = [part(SMALL_BYTES) for _ in range(GROUP_BYTES // SMALL_BYTES + 1)]
    assert [len(group) for group in in_groups(full)] == [GROUP_BYTES // SMALL_BYTES, 1]
    large = part(SMALL_BYTES + 1)
    assert list(in_groups([many[0], large, many[1]])) == [[large], [many[0], many[1]]]
    assert list(in_groups([])) == []
