"""Do compaction, retention and orphan removal keep every entry that is wanted?"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from narfi.core.tenant import TenantId
from storage.catalog.base import BlockRow
from storage.catalog.sql import CatalogError, SqlCatalog
from storage.objects.filesystem import LocalObjects
from storage.scan import Columns
from storage.sorting import merge_batches
from storage.store import BlockStore, StoreParts
from storage.upkeep.compaction import MIN_BLOCKS, choose, compact
from storage.upkeep.orphans import OrphanCleaner
from storage.upkeep.retention import expire
from tests.storage.batches import Entry, batch_of, entries_of

TENANT = TenantId("t")
DAY = 86_400 * 10**9


class FakeClock:
    """A time that tests set."""

    def __init__(self) -> None:
        self.now = 100 * DAY

    def now_ns(self) -> int:
        """The set time."""
        return self.now


class Stored:
    """A block store in a folder."""

    def __init__(self, folder: Path) -> None:
        self.clock = FakeClock()
        self.catalog = SqlCatalog(f"sqlite:///{folder}/catalog.db", self.clock)
        self.objects = LocalObjects(folder / "objects")
        self.store = BlockStore(StoreParts(self.catalog, self.objects, self.clock), 1 << 20)

    def add(self, entries: Sequence[Entry]) -> BlockRow:
        """A visible block."""
        run = merge_batches([batch_of(entries)])
        row = self.store.write(run, TENANT, f"cut-{entries[0]}")
        self.store.publish(row, None)
        return row

    def rows(self) -> Sequence[BlockRow]:
        """All visible blocks."""
        return self.catalog.blocks(TENANT, -(2**63), 2**63 - 1)

    def entries(self) -> list[Entry]:
        """Everything visible."""
        found: list[Entry] = []
        for source in self.store.sources(TENANT, -(2**63), 2**63 - 1):
            rows = np.arange(int(source.table.rows.sum()))
            found += entries_of(source.fetch(rows, Columns()))
        return sorted(found, key=repr)


@pytest.fixture
def stored(tmp_path: Path) -> Stored:
    """An empty store."""
    return Stored(tmp_path)


def day(number: int, block: int) -> list[Entry]:
    """Entries of one small block."""
    return [("a", number * DAY + block * 10 + k, b"line %d" % k, {"k": str(k)}) for k in range(3)]


def test_small_blocks_of_a_day_become_one(stored: Stored) -> None:
    for number in (1, 2):
        for block in range(MIN_BLOCKS + 1):
            stored.add(day(number, block))
    before = stored.entries()
    assert compact(stored.catalog, stored.store) == 2 * MIN_BLOCKS
    assert len(stored.rows()) == 2
    assert {row.level for row in stored.rows()} == {1}
    assert stored.entries() == before
    assert compact(stored.catalog, stored.store) == 0


def test_duplicates_across_merged_blocks_are_stored_once(stored: Stored) -> None:
    for _ in range(MIN_BLOCKS):
        stored.add(day(1, 0))
    compact(stored.catalog, stored.store)
    assert stored.entries() == sorted(day(1, 0), key=repr)


def test_few_or_large_blocks_are_left_alone(stored: Stored) -> None:
    for block in range(MIN_BLOCKS - 1):
        stored.add(day(1, block))
    assert compact(stored.catalog, stored.store) == 0
    large = [BlockRow(str(k), TENANT, "c", 0, 1, 1, 1 << 30, 1, 0, 1, k) for k in range(MIN_BLOCKS)]
    assert choose(large) == []


def test_a_compaction_that_fails_to_commit_changes_nothing(
    stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    for block in range(MIN_BLOCKS):
        stored.add(day(1, block))
    before = stored.entries()

    def fail(*_arguments: object) -> None:
        raise CatalogError("no")

    monkeypatch.setattr(stored.catalog, "replace", fail)
    with pytest.raises(CatalogError):
        compact(stored.catalog, stored.store)
    assert stored.entries() == before


def test_old_blocks_expire_whole(stored: Stored) -> None:
    stored.add(day(1, 0))
    stored.add([("a", 1 * DAY, b"old", {}), ("a", 99 * DAY, b"new", {})])
    kept = stored.entries()[-2:]
    assert expire(stored.catalog, stored.clock, lambda _: 0) == []
    assert len(expire(stored.catalog, stored.clock, lambda _: 30 * DAY)) == 1
    assert len(stored.entries()) == len(kept)


def test_orphans_go_after_the_grace_period_and_visible_blocks_stay(stored: Stored) -> None:
    stored.add(day(1, 0))
    gone = stored.add(day(2, 0))
    stored.catalog.replace([gone.block_id], [])
    stored.objects.put("blocks/t/1970-01-01/half/lines.parquet", b"a crash left this")
    cleaner = OrphanCleaner(stored.catalog, stored.objects, stored.clock, DAY)
    assert cleaner.clean() == 0
    stored.clock.now += DAY
    assert cleaner.clean() == 2
    assert stored.entries() == sorted(day(1, 0), key=repr)
    folders = {key.rsplit("/", 1)[0] for key in stored.objects.list("blocks/")}
    assert len(folders) == 1
