"""Do compaction and orphan removal keep every entry that is wanted?"""

from typing import Any

import pytest

from storage.catalog.base import BlockRow, CatalogConflictError, CatalogError
from storage.sorting import merge_batches
from storage.upkeep.compaction import MIN_BLOCKS, choose, compact
from storage.upkeep.orphans import OrphanCleaner
from tests.storage.batches import Entry, batch_of
from tests.storage.upkeep.stored import DAY, TENANT, Stored


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


def test_a_merge_does_not_bring_back_what_was_dropped_meanwhile(
    stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [stored.add(day(1, block)) for block in range(MIN_BLOCKS)]
    rewrite = stored.store.rewrite

    def drop_one_meanwhile(*arguments: Any) -> BlockRow | None:
        stored.catalog.replace([rows[0].block_id], [])
        return rewrite(*arguments)

    monkeypatch.setattr(stored.store, "rewrite", drop_one_meanwhile)
    with pytest.raises(CatalogConflictError):
        compact(stored.catalog, stored.store)
    assert {row.block_id for row in stored.rows()} == {row.block_id for row in rows[1:]}


def test_orphans_go_after_the_grace_period_and_visible_blocks_stay(stored: Stored) -> None:
    stored.add(day(1, 0))
    gone = stored.add(day(2, 0))
    stored.catalog.replace([gone.block_id], [])
    stored.objects.put("blocks/t/1970-01-01/half/lines.parquet", b"a crash left this")
    cleaner = OrphanCleaner(stored.catalog, stored.objects, stored.clock, DAY)
    assert cleaner.clean() == 0
    stored.clock.advance(DAY)
    assert cleaner.clean() == 2
    assert stored.entries() == sorted(day(1, 0), key=repr)
    folders = {key.rsplit("/", 1)[0] for key in stored.objects.list("blocks/")}
    assert len(folders) == 1


def test_removed_blocks_keep_their_date_over_a_restart(stored: Stored) -> None:
    gone = stored.add(day(2, 0))
    stored.catalog.replace([gone.block_id], [])
    assert OrphanCleaner(stored.catalog, stored.objects, stored.clock, DAY).clean() == 0
    stored.clock.advance(DAY)
    assert OrphanCleaner(stored.catalog, stored.objects, stored.clock, DAY).clean() == 1
    assert stored.folders() == set()
    assert stored.catalog.removed(10) == []


def test_objects_of_a_flush_under_way_stay(stored: Stored) -> None:
    run = merge_batches([batch_of(day(1, 0))])
    row = stored.store.write(run, TENANT, "cut")  # and the row is not published yet
    cleaner = OrphanCleaner(stored.catalog, stored.objects, stored.clock, DAY)
    assert cleaner.clean() == 0
    stored.clock.advance(DAY // 2)
    assert cleaner.clean() == 0
    stored.store.publish(row, None)
    stored.clock.advance(DAY)
    assert cleaner.clean() == 0
    assert stored.entries() == sorted(day(1, 0), key=repr)
