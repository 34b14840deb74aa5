"""Is only that deleted which the catalog names as removed, and is nothing else ever lost?"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from narfi.core.errors import AppError
from storage.block.folders import LOST_FOUND, folders
from storage.block.layout import MANIFEST
from storage.block.merge_rows import Kept
from storage.catalog.base import CatalogConflictError
from storage.known import UnknownBlocksError, check_blocks_are_known
from storage.objects.faulty import Faults, FaultyObjects
from storage.sorting import merge_batches
from storage.store import INTENT_NS
from tests.storage.batches import Entry, batch_of
from tests.storage.stored import DAY, HOUR, TENANT, Stored
from tests.upkeep.fresh import worker_of
from upkeep import garbage as garbage_module
from upkeep.garbage import GarbageCollector


def day(number: int) -> list[Entry]:
    """Entries of one small block."""
    return [("a", number * DAY + k, b"line %d" % k, {"k": str(k)}) for k in range(3)]


def collector(stored: Stored, grace_ns: int = DAY) -> GarbageCollector:
    """Of a process that writes as the store's owner."""
    return GarbageCollector(stored.services, grace_ns, worker_of(stored.catalog, stored.store))


def test_removed_blocks_go_after_the_grace_period_and_visible_ones_stay(stored: Stored) -> None:
    stored.add(day(1))
    gone = stored.add(day(2))
    stored.catalog.replace([gone.block_id], [])
    garbage = collector(stored)
    assert garbage.collect() == 0
    assert gone.block_id in stored.folders()
    stored.clock.advance(DAY)
    assert garbage.collect() == 1
    assert stored.entries() == sorted(day(1), key=repr)
    assert stored.folders() == {row.block_id for row in stored.rows()}
    assert stored.catalog.removed(10) == []


@pytest.mark.parametrize("seed", range(20))
def test_a_listing_that_is_stale_incomplete_or_out_of_order_harms_nothing(
    stored: Stored, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """It may lack what is there and tell what is gone: what is visible stays, whole."""
    random, listed = Random(seed), list[str]()
    true = stored.objects.list

    def lying(prefix: str) -> Iterator[str]:
        listed.extend(true(prefix))
        told = [key for key in listed if key.startswith(prefix) and random.random() < 0.5]
        return iter(random.sample(told, len(told)))

    monkeypatch.setattr(stored.objects, "list", lying)
    garbage = collector(stored)
    kept: list[Entry] = []
    for number in range(6):
        row = stored.add(day(number))
        if number % 2:
            stored.catalog.replace([row.block_id], [])
        else:
            kept += day(number)
        with contextlib.suppress(AppError):  # of a key that is gone
            garbage.collect()
        stored.clock.advance(DAY)
        assert stored.entries() == sorted(kept, key=repr)
    monkeypatch.undo()
    garbage.collect()
    assert stored.entries() == sorted(kept, key=repr)
    lost = {key.split("/")[-2] for key in stored.objects.list(f"{LOST_FOUND}/")}
    assert not lost & {row.block_id for row in stored.rows()}


def test_removed_blocks_keep_their_date_over_a_restart(stored: Stored) -> None:
    gone = stored.add(day(2))
    stored.catalog.replace([gone.block_id], [])
    assert collector(stored).collect() == 0
    stored.clock.advance(DAY)
    assert collector(stored).collect() == 1
    assert stored.folders() == set()


def test_a_folder_that_nobody_knows_is_set_aside_and_never_deleted(stored: Stored) -> None:
    stored.add(day(1))
    content = {
        "blocks/t/1970-01-01/strange/lines.parquet": b"whose?",
        f"blocks/t/1970-01-01/strange/{MANIFEST}": b"{}",
    }
    for key, data in content.items():
        stored.objects.put(key, data)
    garbage = collector(stored)
    assert garbage.collect() == 1
    for _ in range(5):
        stored.clock.advance(DAY)
        garbage.collect()
    assert stored.folders() == {row.block_id for row in stored.rows()}
    for key, data in content.items():
        assert stored.objects.get(f"{LOST_FOUND}/{key}") == data
    assert folders(stored.objects, f"{LOST_FOUND}/") == [
        f"{LOST_FOUND}/blocks/t/1970-01-01/strange"
    ]


def test_a_block_that_waits_for_its_row_stays_until_its_intent_is_over(stored: Stored) -> None:
    """The catalog cannot be written for long, and comes back: nothing is published half."""
    run = merge_batches([batch_of(day(1))])
    row = stored.store.write(run, TENANT, "cut")
    garbage = collector(stored, HOUR)
    for _ in range(3):
        stored.clock.advance(INTENT_NS // 4)
        assert garbage.collect() == 0
        assert row.block_id in stored.folders()
    stored.clock.advance(INTENT_NS)
    garbage.collect()
    stored.clock.advance(HOUR)
    garbage.collect()
    assert row.block_id not in stored.folders()
    with pytest.raises(CatalogConflictError):
        stored.store.publish([row], [])
    assert stored.rows() == []


def test_what_a_dead_process_began_is_given_up_at_the_next_start(tmp_path: Path) -> None:
    faults = Faults(fail_at=2, dead=True)  # intend, one object, and the process is gone
    dying = Stored(tmp_path, faults)
    with pytest.raises(AppError):
        dying.add(day(1))
    dying.close()
    started = Stored(tmp_path)
    assert len(started.folders()) == 1
    check_blocks_are_known(started.catalog, started.objects)
    garbage = collector(started, HOUR)
    garbage.begin()
    started.clock.advance(HOUR)
    assert garbage.collect() == 1
    assert started.folders() == set()
    assert folders(started.objects, f"{LOST_FOUND}/") == []
    started.close()


def test_a_block_that_could_not_be_put_leaves_nothing(tmp_path: Path) -> None:
    failing = Stored(tmp_path, Faults(fail_at=2))
    with pytest.raises(AppError):
        failing.add(day(1))
    assert failing.folders() == set()
    assert failing.catalog.removed(10) == []
    failing.close()


def test_a_loser_of_a_swap_is_given_up_at_once(stored: Stored) -> None:
    first, second = stored.add(day(1)), stored.add(day(2))
    row = stored.store.write(merge_batches([batch_of(day(1))]), TENANT, "merged", 1)
    stored.catalog.replace([second.block_id], [])
    with pytest.raises(CatalogConflictError):
        stored.store.replace([first.block_id, second.block_id], [row])
    assert {gone.block_id for gone in stored.catalog.removed(10)} == {
        second.block_id,
        row.block_id,
    }


@pytest.mark.parametrize("state", ["empty", "older"])
def test_a_catalog_that_does_not_know_the_blocks_is_refused(tmp_path: Path, state: str) -> None:
    stored = Stored(tmp_path)
    stored.add(day(1))
    stored.close()
    kept = (tmp_path / "catalog.db").read_bytes()
    later = Stored(tmp_path)
    later.add(day(2))
    later.close()
    for path in tmp_path.glob("catalog.db*"):
        path.unlink()
    if state == "older":
        (tmp_path / "catalog.db").write_bytes(kept)
    started = Stored(tmp_path)
    with pytest.raises(UnknownBlocksError, match="narfi repair --rebuild-catalog") as refused:
        check_blocks_are_known(started.catalog, started.objects)
    assert f"does not know {2 if state == 'empty' else 1} of the stored blocks" in str(
        refused.value
    )
    started.close()


def test_blocks_that_are_known_are_no_reason_to_refuse(stored: Stored) -> None:
    check_blocks_are_known(stored.catalog, stored.objects)
    stored.add(day(1))
    stored.store.write(merge_batches([batch_of(day(2))]), TENANT, "cut")  # an intent only
    gone = stored.add(day(3))
    stored.catalog.replace([gone.block_id], [])
    stored.objects.put("blocks/t/1970-01-01/half/lines.parquet", b"no manifest")
    check_blocks_are_known(stored.catalog, stored.objects)


def test_what_is_read_stays_and_hides_nothing_behind_it(
    stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(garbage_module, "BATCH", 1)
    rows = [stored.add(day(number)) for number in (1, 2, 3, 4)]
    garbage = collector(stored, 0)
    with stored.store.reading() as blocks:
        sources = blocks.sources(TENANT, 0, 3 * DAY)
        stored.catalog.replace([row.block_id for row in rows[:2]], [])
        stored.clock.advance(1)
        stored.catalog.replace([row.block_id for row in rows[2:]], [])
        assert garbage.collect() == 2
        assert stored.folders() == {row.block_id for row in rows[:2]}
        assert [len(source.times()) for source in sources] == [3, 3]
    assert garbage.collect() == 2
    assert stored.folders() == set()
    assert stored.catalog.removed(10) == []


def test_a_block_that_is_gone_cannot_be_opened(stored: Stored) -> None:
    gone, other = stored.add(day(1)), stored.add(day(2))
    with stored.store.opened([other, gone]) as sources:
        assert [source.source_id for source in sources] == [other.block_id, gone.block_id]
    stored.catalog.replace([gone.block_id], [])
    with (
        pytest.raises(CatalogConflictError, match="1 of 2 blocks are not visible any more"),
        stored.store.opened([gone, other]),
    ):
        pytest.fail("it was opened")
    assert stored.services.pins.count() == 0


def test_a_catalog_older_than_what_the_journal_forgot_is_refused(stored: Stored) -> None:
    """Its last transaction went, with a damaged -wal: the block is an intent again."""
    run = merge_batches([batch_of(day(1))])
    stored.store.write(run, TENANT, "cut", journals={"j": 7})

    def check(journal_id: str, forgotten: int) -> None:
        check_blocks_are_known(stored.catalog, stored.objects, journal_id, forgotten)

    check("j", 6)  # a crash before the block was visible: its records are there
    check("another", 9)
    with pytest.raises(UnknownBlocksError, match="does not know 1 of the stored blocks"):
        check("j", 7)


def test_a_merge_that_a_crash_stopped_is_no_reason_to_refuse(stored: Stored) -> None:
    run = merge_batches([batch_of(day(1))])
    parts = [stored.store.write(run, TENANT, "cut", journals={"j": n}) for n in (7, 8)]
    for row in parts:
        stored.store.publish([row], [])
    with stored.store.opened(parts) as sources:
        kept = [Kept(source, None) for source in sources]
        assert stored.store.rewrite(kept, TENANT, "merged", 1) is not None
    check_blocks_are_known(stored.catalog, stored.objects, "j", 100)


def test_a_block_that_is_written_for_long_is_not_given_up(
    stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its writer is heard of all the time: the intent is prolonged from one object to the next."""
    garbage, put = collector(stored, 0), type(stored.objects).put
    heard: list[int] = []

    def slow(objects: FaultyObjects, *arguments: Any, **named: Any) -> None:
        stored.clock.advance(INTENT_NS - 1)
        heard.append(stored.store.prolong())
        assert garbage.collect() == 0
        put(objects, *arguments, **named)

    assert stored.store.prolong() == 0
    monkeypatch.setattr(FaultyObjects, "put", slow)
    row = stored.store.write(merge_batches([batch_of(day(1))]), TENANT, "cut")
    assert len(heard) > 2
    assert set(heard) == {1}
    assert stored.store.prolong() == 0
    stored.store.publish([row], [])
    assert stored.rows() == [row]
