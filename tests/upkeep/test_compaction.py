"""Do compaction and the removal of garbage keep every entry that is wanted?"""

from typing import Any

import pytest

from narfi.core.errors import AppError
from storage.catalog.base import BlockRow, CatalogConflictError, CatalogError
from tests.storage.batches import Entry
from tests.storage.stored import DAY, TENANT, Stored
from upkeep.compaction import MIN_BLOCKS, choose, compact


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
    large = [
        BlockRow(
            block_id=str(k),
            tenant=TENANT,
            cut_id="c",
            min_ts=0,
            max_ts=1,
            rows=1,
            line_bytes=1 << 30,
            stored_bytes=1,
            level=0,
            format_version=1,
            created_ns=k,
        )
        for k in range(MIN_BLOCKS)
    ]
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


def test_a_damaged_block_stops_no_merge_of_others(stored: Stored) -> None:
    for number in (1, 2, 3):
        for block in range(MIN_BLOCKS):
            stored.add(day(number, block))
    damaged = stored.rows()[0]
    next(stored.folder.rglob(f"{damaged.block_id}/streams.parquet")).write_bytes(b"?")
    with pytest.raises(AppError, match="damaged"):
        compact(stored.catalog, stored.store)
    assert sorted(row.level for row in stored.rows()) == [0] * MIN_BLOCKS + [1, 1]


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
