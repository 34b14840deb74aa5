"""Does compaction keep every entry, look at what changed only, and go on when a merge fails?"""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from narfi.core.errors import AppError
from narfi.core.tenant import TenantId
from storage.block.layout import block_prefix
from storage.block.merge_rows import Kept
from storage.catalog.base import BlockRow, CatalogError, SmallDay
from storage.catalog.jobs import FIRST_BACKOFF_NS
from storage.objects.base import BadObjectError, ObjectError
from storage.objects.faulty import Faults
from tests.storage.batches import Entry
from tests.storage.form import ORDINARY
from tests.storage.stored import DAY, TENANT, Stored
from tests.upkeep.fresh import MIN_BLOCKS, RULES, compact, compaction_of
from upkeep import compaction as compaction_module
from upkeep.compaction import Compaction, NoRoomError
from upkeep.merge_policy import MergeRules, Partition
from upkeep.metrics import MERGED_BYTES, MERGES_WITHOUT_ROOM
from upkeep.worker import Kind

OTHER = TenantId("other")


def day(number: int, block: int) -> list[Entry]:
    """Entries of one small block."""
    return [("a", number * DAY + block * 10 + k, b"line %d" % k, {"k": str(k)}) for k in range(3)]


def fill(stored: Stored, *days: int, tenant: TenantId = TENANT) -> list[BlockRow]:
    """As many small blocks on each of the days as are worth a merge."""
    return [stored.add(day(number, k), tenant) for number in days for k in range(MIN_BLOCKS)]


def lasting(stored: Stored) -> Compaction:
    """Of a process that goes on."""
    return compaction_of(stored.catalog, stored.store)


def spoil(stored: Stored, row: BlockRow) -> Callable[[], int]:
    """Damage a block; what was written there can be put back."""
    path = next(stored.folder.rglob(f"{row.block_id}/{ORDINARY.opening}"))
    whole = path.read_bytes()
    path.write_bytes(b"?")
    return lambda: path.write_bytes(whole)


def levels(stored: Stored, tenant: TenantId = TENANT) -> list[int]:
    """Levels of the visible blocks."""
    return sorted(row.level for row in stored.rows(tenant))


def test_small_blocks_of_a_day_become_one(stored: Stored) -> None:
    for number in (1, 2):
        for block in range(MIN_BLOCKS + 1):
            stored.add(day(number, block))
    before, written = stored.entries(), MERGED_BYTES._value.get()
    assert compact(stored.catalog, stored.store) == 2 * MIN_BLOCKS
    assert levels(stored) == [1, 1]
    assert stored.entries() == before
    size = sum(row.line_bytes for row in stored.rows())
    assert MERGED_BYTES._value.get() - written == size
    assert compact(stored.catalog, stored.store) == 0
    assert stored.jobs.all() == []


def test_duplicates_across_merged_blocks_are_stored_once(stored: Stored) -> None:
    for _ in range(MIN_BLOCKS):
        stored.add(day(1, 0))
    compact(stored.catalog, stored.store)
    assert stored.entries() == sorted(day(1, 0), key=repr)


def test_few_blocks_are_left_alone_until_the_day_is_quiet(stored: Stored) -> None:
    today = stored.clock.now_ns() // DAY
    for block in range(MIN_BLOCKS - 1):
        stored.add(day(today, block))
    compaction = lasting(stored)
    assert compaction.run() == 0
    stored.clock.advance(DAY + RULES.quiet_ns - 1)
    assert compaction.run() == 0
    stored.clock.advance(1)
    assert compaction.run() == MIN_BLOCKS - 2
    assert compaction._look == {}, "nothing is remembered of a day that is done"


def test_a_merge_that_fails_to_commit_changes_nothing_and_is_tried_again(
    stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(stored, 1)
    before = stored.entries()
    compaction = lasting(stored)

    def fail(*_arguments: object) -> None:
        raise CatalogError("no")

    with monkeypatch.context() as patch:
        patch.setattr(stored.catalog, "replace", fail)
        with pytest.raises(CatalogError):
            compaction.run()
    assert stored.entries() == before
    assert compaction.run() == 0, "not before its time"
    stored.clock.advance(FIRST_BACKOFF_NS)
    assert compaction.run() == MIN_BLOCKS - 1
    assert stored.entries() == before


def test_a_merge_does_not_bring_back_what_was_dropped_meanwhile(
    stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = fill(stored, 1)
    rewrite = stored.store.rewrite

    def drop_one_meanwhile(*arguments: Any) -> BlockRow | None:
        stored.catalog.replace([rows[0].block_id], [])
        return rewrite(*arguments)

    monkeypatch.setattr(stored.store, "rewrite", drop_one_meanwhile)
    assert compact(stored.catalog, stored.store) == 0, "out of date, and no error"
    assert stored.jobs.all() == []
    assert {row.block_id for row in stored.rows()} == {row.block_id for row in rows[1:]}


def test_a_merge_that_cannot_be_read_stops_no_other(
    stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, *_ = fill(stored, 1, 2, 3)
    fill(stored, 1, tenant=OTHER)
    compaction, rewrite = lasting(stored), stored.store.rewrite
    broken = [first.block_id]

    def read_all(kept: Sequence[Kept], *arguments: Any) -> BlockRow | None:
        if any(one.source.source_id in broken for one in kept):
            raise ObjectError("input/output error")
        return rewrite(kept, *arguments)

    monkeypatch.setattr(stored.store, "rewrite", read_all)
    with pytest.raises(ObjectError, match="input/output"):
        compaction.run()
    assert levels(stored) == [0] * MIN_BLOCKS + [1, 1]
    assert levels(stored, OTHER) == [1]
    (job,) = stored.jobs.all()
    assert (job.kind, job.attempts, job.tenant) == (Kind.MERGE, 1, TENANT)
    assert (job.error, len(job.blocks)) == ("input/output error", MIN_BLOCKS)
    stored.add(day(1, MIN_BLOCKS))
    assert compaction.run() == 0, "nor are its blocks planned for another merge"
    fill(stored, 4)
    assert compaction.run() == MIN_BLOCKS - 1
    broken.clear()
    stored.clock.advance(FIRST_BACKOFF_NS)
    assert compaction.run() == MIN_BLOCKS - 1
    assert stored.jobs.all() == []


def test_a_merge_is_planned_again_without_its_damaged_blocks(stored: Stored) -> None:
    rows = [*fill(stored, 1), *(stored.add(day(1, MIN_BLOCKS + k)) for k in range(2))]
    compaction = lasting(stored)
    for row in rows[1:3]:
        spoil(stored, row)
    assert compaction.run() == MIN_BLOCKS - 1, "in one round, and without an error"
    left = {row.block_id for row in stored.rows() if row.level == 0}
    assert left == {row.block_id for row in rows[1:3]}
    assert len(stored.store.quarantine) == 2
    assert stored.jobs.all() == []


def test_a_block_is_merged_when_it_is_whole_again(stored: Stored) -> None:
    first, *_ = fill(stored, 1, 2)
    mend = spoil(stored, first)
    compaction = lasting(stored)
    assert compaction.run() == MIN_BLOCKS - 1
    assert compaction.run() == 0
    assert levels(stored) == [0] * MIN_BLOCKS + [1], "too few are left"
    mend()
    stored.store.quarantine.look_again()
    assert compaction.run() == MIN_BLOCKS - 1


def test_a_merge_that_failed_is_given_up_when_a_block_of_it_is_found_damaged(
    stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [*fill(stored, 1), stored.add(day(1, MIN_BLOCKS))]
    compaction = lasting(stored)
    with monkeypatch.context() as patch:
        patch.setattr(stored.store, "rewrite", refuse)
        with pytest.raises(ObjectError):
            compaction.run()
    spoil(stored, rows[0])
    path = block_prefix(TENANT, rows[0].min_ts, rows[0].block_id)
    stored.store.judge(BadObjectError(f"{path}/{ORDINARY.opening}"))  # a query met it
    stored.clock.advance(FIRST_BACKOFF_NS)
    assert compaction.run() == MIN_BLOCKS - 1
    assert stored.jobs.all() == []


def refuse(*_arguments: object) -> None:
    """In place of a call."""
    raise ObjectError("no")


def test_a_merge_without_room_on_the_disk_is_left_and_told(stored: Stored) -> None:
    rows = fill(stored, 1)
    fill(stored, 2)
    before, free = stored.entries(), [0]
    compaction = lasting(stored)
    compaction._room = lambda: free[0]
    with pytest.raises(NoRoomError, match="2 merges wait for room"):
        compaction.run()
    assert MERGES_WITHOUT_ROOM._value.get() == 2
    assert stored.jobs.all() == []
    assert levels(stored) == [0] * len(before[::3])
    free[0] = sum(row.stored_bytes for row in rows) + compaction_module.EXTRA_BYTES + 10_000
    assert compaction.run() == 2 * (MIN_BLOCKS - 1)
    assert MERGES_WITHOUT_ROOM._value.get() == 0
    assert stored.entries() == before


def test_a_round_reads_days_that_changed_and_no_others(
    stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(stored, *range(1, 6))
    compaction = lasting(stored)
    compaction.run()
    asked: list[int] = []
    begun_within = stored.catalog.begun_within

    def watch(tenant: TenantId, start_ns: int, end_ns: int) -> object:
        asked.append(start_ns // DAY)
        return begun_within(tenant, start_ns, end_ns)

    def no_listing(*_arguments: object) -> Sequence[SmallDay]:
        raise AssertionError("a look at everything")

    monkeypatch.setattr(stored.catalog, "begun_within", watch)
    monkeypatch.setattr(stored.catalog, "small_days", no_listing)
    compaction.run()
    assert asked == [1, 2, 3, 4, 5], "what the merges made"
    asked.clear()
    compaction.run()
    assert asked == []
    stored.add(day(3, 9))
    compaction.run()
    assert asked == [3]


def test_a_round_stops_soon_when_it_is_asked_to_or_takes_long(
    stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(stored, 1, 2, 3)
    stop: list[bool] = []
    compaction = lasting(stored)
    compaction._stopping = lambda: bool(stop)
    rewrite = stored.store.rewrite

    def stop_then(*arguments: Any) -> BlockRow | None:
        stop.append(True)
        return rewrite(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(stored.store, "rewrite", stop_then)
        assert compaction.run() == MIN_BLOCKS - 1
    stop.clear()
    with monkeypatch.context() as patch:
        patch.setattr(compaction_module, "MAX_ROUND_S", -1.0)
        assert compaction.run() == 0
    assert Partition(TENANT, 2) in compaction._look
    assert compaction.run() == 2 * (MIN_BLOCKS - 1)


def test_each_step_fails_once_and_every_other_merge_is_done(
    stored: Stored, tmp_path_factory: pytest.TempPathFactory
) -> None:
    steps = count_steps(tmp_path_factory)
    assert steps > 10
    for at in range(steps):
        folder = tmp_path_factory.mktemp("at")
        prepared = Stored(folder)
        fill(prepared, 1, 2, 3)
        before = prepared.entries()
        prepared.close()
        faulty = Stored(folder, Faults(at))
        compaction = lasting(faulty)
        with pytest.raises(AppError):
            compaction.run()
        assert levels(faulty) == [0] * MIN_BLOCKS + [1, 1], f"step {at}"
        faulty.clock.advance(FIRST_BACKOFF_NS)
        assert compaction.run() == MIN_BLOCKS - 1
        assert faulty.entries() == before
        assert faulty.jobs.all() == []
        faulty.close()


def count_steps(folders: pytest.TempPathFactory) -> int:
    """Steps of a round over three merges."""
    folder = folders.mktemp("undisturbed")
    prepared = Stored(folder)
    fill(prepared, 1, 2, 3)
    prepared.close()
    faults = Faults()
    undisturbed = Stored(folder, faults)
    lasting(undisturbed).run()
    undisturbed.close()
    return faults.steps


SMALL = MergeRules(
    min_blocks=MIN_BLOCKS, growth=2.0, max_bytes=10_000, full_bytes=6_000, mature_bytes=4_000
)


def crowd(stored: Stored, streams: int) -> list[BlockRow]:
    """Blocks of a line in each of so many streams."""
    return [
        stored.add([(f"app{k}", DAY + block * 100 + k, b"line", {}) for k in range(streams)])
        for block in range(MIN_BLOCKS)
    ]


def test_a_merge_takes_as_many_blocks_as_their_streams_leave_memory_for(stored: Stored) -> None:
    crowd(stored, 14)  # of which each stream counts 400 bytes: two have room
    before = stored.entries()
    assert compact(stored.catalog, stored.store, SMALL) == 1
    assert levels(stored) == [0, 0, 1]
    assert stored.entries() == before


def test_blocks_of_too_many_streams_are_opened_once_and_left_alone(
    stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = crowd(stored, 60)
    opened: list[int] = []
    real = stored.store.opened

    def counted(asked: Sequence[BlockRow]) -> Any:
        opened.append(len(asked))
        return real(asked)

    monkeypatch.setattr(stored.store, "opened", counted)
    compaction = compaction_of(stored.catalog, stored.store, SMALL)
    for number in range(MIN_BLOCKS):
        stored.add(day(1, 10 + number))  # so that the day is looked at again
        compaction.run()
    crowded = set(compaction._crowded)
    assert crowded <= {row.block_id for row in rows}
    assert crowded
    assert {row.block_id for row in rows} <= {row.block_id for row in stored.rows()}
    assert len(opened) <= 2 * MIN_BLOCKS
    assert stored.jobs.all() == [], "that is no failure"
