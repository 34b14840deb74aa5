"""Is there room again when the disk fills, with nothing dropped that need not be?"""

import random
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from storage.catalog.base import BlockRow, CatalogConflictError, CatalogError
from tests.reference.budget import examples
from tests.storage.batches import Entry
from tests.storage.stored import DAY, NOW, TENANT, Stored
from upkeep.disk import EXTRA_BYTES, SETTLE_NS, DiskGuard, DiskSpace
from upkeep.reserve import RESERVE_BYTES, Reserve

TOTAL = 10**6


class Disk:
    """A disk of a megabyte that holds the objects, and `others` bytes of other programs."""

    def __init__(self, stored: Stored, others: int = 0) -> None:
        self.stored, self.others = stored, others
        self.most_free = TOTAL  # what is shown at most: frees come late

    def space(self) -> DiskSpace:
        """As the system tells."""
        used = self.stored.object_bytes() + self.others
        return DiskSpace(TOTAL, min(max(TOTAL - used, 0), self.most_free))


def guard_of(stored: Stored, disk: Disk, min_free: int) -> DiskGuard:
    """A guard that keeps `min_free` bytes free."""
    return DiskGuard(
        stored.services,
        disk.space,
        lambda total: min_free,
        Reserve(stored.folder / "reserve"),
    )


def day(days_ago: int) -> list[Entry]:
    """A block's entries."""
    return [("a", NOW - days_ago * DAY + k, b"%d %d" % (days_ago, k), {}) for k in range(3)]


def days_left(stored: Stored) -> list[int]:
    """Which days are visible."""
    return sorted({(NOW - ts + 3) // DAY for _, ts, _, _ in stored.entries()})


def test_nothing_happens_while_there_is_room(stored: Stored) -> None:
    disk = Disk(stored)
    for number in (1, 2, 3):
        stored.add(day(number))
    free = disk.space().free
    assert guard_of(stored, disk, free).run() == 0
    assert guard_of(stored, disk, 0).run() == 0
    assert days_left(stored) == [1, 2, 3]


def test_the_oldest_go_with_their_objects_and_no_more_than_must(stored: Stored) -> None:
    disk = Disk(stored)
    for number in (2, 4, 1, 3):
        stored.add(day(number))
    free = disk.space().free
    assert guard_of(stored, disk, free + 1).run() == 1
    assert days_left(stored) == [1, 2, 3]
    assert disk.space().free > free
    assert stored.folders() == {row.block_id for row in stored.rows()}
    assert stored.catalog.removed(10) == []


def test_objects_of_removed_blocks_go_before_any_block_is_dropped(stored: Stored) -> None:
    disk = Disk(stored)
    stored.add(day(2))
    merged = stored.add(day(1))
    stored.catalog.replace([merged.block_id], [])
    assert guard_of(stored, disk, disk.space().free + 1).run() == 0
    assert days_left(stored) == [2]
    assert stored.folders() == {row.block_id for row in stored.rows()}


def test_objects_of_a_flush_under_way_are_not_touched(stored: Stored) -> None:
    disk = Disk(stored)
    row = stored.add(day(1))
    stored.objects.put("blocks/t/1970-01-01/under-way/lines.parquet", b"soon published")
    assert guard_of(stored, disk, TOTAL).run() == 1
    assert stored.folders() == {"under-way"}
    assert row.block_id not in stored.folders()


def test_with_nothing_left_to_drop_it_gives_up(stored: Stored) -> None:
    disk = Disk(stored, others=TOTAL)
    stored.add(day(1))
    guard = guard_of(stored, disk, TOTAL // 2)
    with capture_logs() as logs:
        assert [guard.run() for _ in range(21)] == [1] + [0] * 20
    told = [one for one in logs if "no block is left" in one["event"]]
    assert len(told) == 1, "a disk that stays full does not fill the log too"


def test_bytes_that_become_free_late_do_not_cost_more_blocks(stored: Stored) -> None:
    disk = Disk(stored)
    for number in (4, 3, 2, 1):
        stored.add(day(number))
    disk.most_free = disk.space().free
    guard = guard_of(stored, disk, disk.most_free + 1)
    assert guard.run() == 1
    assert guard.run() == 0
    stored.clock.advance(SETTLE_NS)
    assert guard.run() == 1  # waited long enough: those bytes never became free
    assert days_left(stored) == [1, 2]


@settings(max_examples=examples(30))
@given(
    st.lists(st.tuples(st.integers(1, 50), st.integers(1, 9000), st.booleans()), max_size=8),
    st.integers(0, 100_000),
)
def test_after_a_run_there_is_room_or_nothing_left(
    blocks: list[tuple[int, int, bool]], missing: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        stored = Stored(Path(folder))
        disk = Disk(stored)
        for number, (days_ago, size, removed) in enumerate(blocks):
            line = b"%d" % number + random.Random(number).randbytes(size)
            row = stored.add([("a", NOW - days_ago * DAY, line, {})])
            if removed:
                stored.catalog.replace([row.block_id], [])
        before = {row.block_id: row for row in stored.rows()}
        sizes = {block_id: stored.object_bytes(block_id) for block_id in before}
        orphans = stored.catalog.removed(100)
        wanted = disk.space().free + missing
        dropped = guard_of(stored, disk, wanted).run()
        left = {row.block_id for row in stored.rows()}
        gone = [row for row in before.values() if row.block_id not in left]
        assert len(gone) == dropped
        assert disk.space().free >= wanted or not left
        if gone:
            newest = max((row.max_ts, row.block_id) for row in gone)
            assert all((before[b].max_ts, b) > newest for b in left)
            assert disk.space().free - sizes[newest[1]] < wanted, "one block less would do"
            assert not {o.block_id for o in orphans} & stored.folders()
        assert left <= stored.folders()
        stored.close()


@pytest.mark.parametrize("missing", [1, 10**9])
def test_the_space_of_other_programs_counts(stored: Stored, missing: int) -> None:
    stored.add(day(1))
    disk = Disk(stored, others=TOTAL // 2)
    assert guard_of(stored, disk, disk.space().free + missing).run() == 1


def test_a_catalog_that_needs_room_gets_the_reserve(
    stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(stored)
    for number in (2, 1):
        stored.add(day(number))
    reserve = stored.folder / "reserve"
    guard_of(stored, disk, 0).run()
    assert reserve.stat().st_blocks * 512 >= RESERVE_BYTES
    replace = stored.catalog.replace

    def needs_room(removed: Sequence[str], added: Sequence[BlockRow]) -> None:
        if reserve.exists():
            raise CatalogError("database or disk is full")
        replace(removed, added)

    monkeypatch.setattr(stored.catalog, "replace", needs_room)
    guard = guard_of(stored, disk, disk.space().free + 1)
    assert guard.run() == 1
    assert days_left(stored) == [1]
    assert reserve.exists(), "it is filled again"


def test_when_the_reserve_is_taken_too_a_block_goes_before_its_row(
    stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(stored)
    oldest = stored.add(day(2))
    stored.add(day(1))
    replace = stored.catalog.replace

    def needs_room(removed: Sequence[str], added: Sequence[BlockRow]) -> None:
        if oldest.block_id in stored.folders():
            raise CatalogError("database or disk is full")
        replace(removed, added)

    monkeypatch.setattr(stored.catalog, "replace", needs_room)
    assert guard_of(stored, disk, disk.space().free + 1).run() == 1
    assert days_left(stored) == [1]


def test_what_somebody_reads_is_hidden_and_goes_when_it_was_read(stored: Stored) -> None:
    disk = Disk(stored)
    oldest = stored.add(day(3))
    stored.add(day(2))
    free = disk.space().free
    guard = guard_of(stored, disk, free + 1)
    with stored.store.reading() as blocks:
        sources = blocks.sources(TENANT, 0, NOW)
        merged = stored.add(day(1))
        stored.catalog.replace([merged.block_id], [])  # free to go, and not enough
        assert guard.run() == 1
        assert guard.run() == 0, "what is read is about to be free"
        assert days_left(stored) == [2]
        assert len(stored.folders()) == 2
        assert {source.source_id for source in sources} >= {oldest.block_id}
        assert [source.table.rows.tolist() for source in sources] == [[3], [3]]
    assert guard.run() == 0
    assert stored.folders() == {row.block_id for row in stored.rows()}
    assert disk.space().free > free


def test_a_reader_that_hangs_costs_blocks_that_nobody_reads(stored: Stored) -> None:
    disk = Disk(stored)
    rows = [stored.add(day(number)) for number in (4, 3)]
    with stored.store.reading() as blocks:
        assert len(blocks.sources(TENANT, 0, NOW)) == 2
        stored.add(day(2))
        stored.add(day(1))
        missing = sum(row.stored_bytes + EXTRA_BYTES for row in rows)
        guard = guard_of(stored, disk, disk.space().free + missing)
        assert guard.run() == 2, "the oldest, which are read"
        assert days_left(stored) == [1, 2]
        stored.clock.advance(SETTLE_NS)
        assert guard.run() == 2, "what is read does not become free"
        assert stored.folders() == {row.block_id for row in rows}
        assert guard.run() == 0


def test_blocks_that_are_read_are_not_dropped_in_the_place_of_others(stored: Stored) -> None:
    """They would free nothing before their reader is done, and then one of them is enough."""
    disk = Disk(stored)
    for number in (3, 2, 1):
        stored.add(day(number))
    with stored.store.reading() as blocks:
        assert len(blocks.sources(TENANT, 0, NOW)) == 3
        guard = guard_of(stored, disk, disk.space().free + 1)
        assert guard.run() == 1
        stored.clock.advance(SETTLE_NS)
        assert guard.run() == 0
        assert days_left(stored) == [1, 2]


def test_a_block_that_was_merged_long_ago_and_is_read_keeps_no_others(stored: Stored) -> None:
    disk = Disk(stored)
    merged = stored.add(day(3))
    for number in (2, 1):
        stored.add(day(number))
    with stored.store.reading() as blocks:
        assert len(blocks.sources(TENANT, 0, NOW)) == 3
        stored.catalog.replace([merged.block_id], [])
        stored.clock.advance(SETTLE_NS)
        missing = merged.stored_bytes + EXTRA_BYTES + 1
        wanted = disk.space().free + missing
        guard = guard_of(stored, disk, wanted)
        assert guard.run() == 1, "the oldest, though it is read: less is hidden than is missing"
        assert days_left(stored) == [1]
        assert len(stored.folders()) == 3
    assert guard.run() == 0
    assert days_left(stored) == [1]
    assert disk.space().free >= wanted


def test_with_hardly_any_room_nothing_is_waited_for(stored: Stored) -> None:
    disk = Disk(stored)
    stored.add(day(3))
    with stored.store.reading() as blocks:
        assert len(blocks.sources(TENANT, 0, NOW)) == 1
        stored.add(day(2))
        stored.add(day(1))
        free = disk.space().free
        disk.others = free - 4096  # a page is left
        assert guard_of(stored, disk, 2 * 4096).run() == 1, "half of the floor: waits"
        assert days_left(stored) == [1, 2]
        disk.others = free - 4095
        assert guard_of(stored, disk, 2 * 4096).run() == 1
        assert days_left(stored) == [1]


def test_a_merge_gives_way(stored: Stored) -> None:
    disk = Disk(stored)
    rows = [stored.add(day(number)) for number in (2, 1)]

    def read_while_the_disk_fills() -> None:
        with stored.store.opened(rows) as sources:
            assert guard_of(stored, disk, disk.space().free + 1).run() == 1
            assert stored.folders() == {rows[1].block_id}
            for source in sources:
                source.times()

    with pytest.raises(CatalogConflictError, match="1 of 2 blocks are not visible any more"):
        read_while_the_disk_fills()
    assert days_left(stored) == [1]


def test_no_object_of_a_block_that_is_read_goes_before_its_row(
    stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(stored)
    oldest = stored.add(day(2))

    def needs_room(removed: Sequence[str], added: Sequence[BlockRow]) -> None:
        raise CatalogError("database or disk is full")

    monkeypatch.setattr(stored.catalog, "replace", needs_room)
    guard = guard_of(stored, disk, disk.space().free + 1)
    with stored.store.reading() as blocks:
        blocks.sources(TENANT, 0, NOW)
        with pytest.raises(CatalogError):
            guard.run()
        assert stored.folders() == {oldest.block_id}
