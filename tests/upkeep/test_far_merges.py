"""Do merges in another process give the same blocks, and cost nothing but time when it fails?

A scan process stands for the cluster here: it is told the same; tests/upkeep/test_ray_merges.py
has a real one.
"""

import pickle
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from threading import Thread

import pytest

from querier.executors import scan_worker
from querier.executors.messages import Setup
from querier.executors.scan_pool import ScanPool
from storage.block.rewriting import MergeSpec, merge_at
from storage.catalog.base import BlockRow
from storage.store import BlockStore, StoreServices
from tests.storage.stored import HOUR, Stored
from tests.upkeep import merge_faults
from tests.upkeep.fresh import RULES, worker_of
from tests.upkeep.test_compaction import fill, levels
from upkeep import far_merges
from upkeep.compaction import Compaction
from upkeep.far_merges import FarMerges
from upkeep.garbage import GarbageCollector
from upkeep.metrics import FAR_MERGES

READY_S = 120.0
Merge = Callable[[tuple[str, MergeSpec]], BlockRow]


class Far:
    """A process that merges, and the compaction that has it."""

    def __init__(self, stored: Stored, min_bytes: int = 0) -> None:
        self.stored, self.stops = stored, False
        self.objects = str(stored.folder / "objects")
        self.pool = ScanPool(1, Setup(objects=self.objects, cache_bytes=0))
        self.merges = FarMerges(self.pool, self.objects, min_bytes, lambda: self.stops)
        self.compaction = Compaction(
            catalog=stored.catalog,
            store=stored.store,
            clock=stored.clock,
            worker=worker_of(stored.catalog, stored.store),
            rules=RULES,
            far=self.merges,
            stopping=lambda: self.stops,
        )

    def attached(self) -> "Far":
        """Once the process is ready."""
        until_s = time.monotonic() + READY_S
        while not self.pool.is_ready():
            assert time.monotonic() < until_s
            time.sleep(0.02)
        return self


@pytest.fixture(name="far")
def far_process(stored: Stored) -> Iterator[Far]:
    """Its process may not be ready yet."""
    found = Far(stored)
    yield found
    found.merges.close()


def outcomes() -> tuple[float, float]:
    """Merges that were done elsewhere, and that failed there."""
    done, failed = (FAR_MERGES.labels(name)._value.get() for name in ("done", "failed"))
    return done, failed


def put(monkeypatch: pytest.MonkeyPatch, merge: Merge) -> None:
    """Have this called in the other process."""
    monkeypatch.setattr(far_merges, "merge_at", merge)


def test_a_merge_elsewhere_makes_the_block_that_one_here_makes(far: Far) -> None:
    stored = far.stored
    rows = fill(stored, 1)
    before, (done, failed) = stored.entries(), outcomes()
    assert far.attached().compaction.run() == len(rows) - 1
    assert outcomes() == (done + 1, failed)
    (row,) = stored.rows()
    assert stored.entries() == before
    assert row.level == 1
    assert row.cut_id in {f"compacted-{one.block_id}" for one in rows}
    assert row.created_ns == stored.clock.now_ns()
    assert row.rows == len(before)
    assert not stored.catalog.intents()
    assert stored.folders() == {row.block_id, *(one.block_id for one in rows)}


def test_the_job_is_held_by_the_compactor_meanwhile(
    far: Far, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = fill(far.stored, 1)
    seen: list[tuple[str, ...]] = []
    merge = far.attached().merges.merge

    def watched(spec: MergeSpec) -> BlockRow:
        (job,) = far.stored.jobs.all()
        assert job.holder == far.stored.store.owner
        (intent,) = far.stored.catalog.intents()
        assert intent.block_id == spec.identity.block_id
        assert intent.min_ts == min(row.min_ts for row in rows)
        seen.append(job.blocks)
        return merge(spec)

    monkeypatch.setattr(far.merges, "merge", watched)
    far.compaction.run()
    assert [sorted(blocks) for blocks in seen] == [sorted(row.block_id for row in rows)]


def test_what_is_told_is_small_whatever_the_blocks_hold(far: Far) -> None:
    rows = fill(far.stored, 1)
    told: list[int] = []

    def size(spec: MergeSpec) -> BlockRow:
        told.append(len(pickle.dumps((far.objects, spec))))
        assert pickle.loads(pickle.dumps(spec)) == spec
        return merge_at((far.objects, spec))

    with far.stored.store.opened(rows) as sources:
        far.stored.store.merge_by(size, sources, "c", 1)
    assert told[0] < 1000 + 700 * len(rows)


@pytest.mark.parametrize("merge", [merge_faults.die, merge_faults.refuse])
def test_a_merge_that_fails_elsewhere_is_done_here(
    far: Far, merge: Merge, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = far.stored
    rows = fill(stored, 1)
    before, (done, failed) = stored.entries(), outcomes()
    put(monkeypatch, merge)
    assert far.attached().compaction.run() == len(rows) - 1
    assert outcomes() == (done, failed + 1)
    (row,) = stored.rows()
    assert stored.entries() == before
    assert not stored.catalog.intents()
    assert not stored.jobs.all(), "the job is done"
    left = stored.folders() - {row.block_id, *(one.block_id for one in rows)}
    removed = {one.block_id for one in stored.catalog.removed(100)}
    assert left <= removed, "the catalog names what a lost process put"
    assert bool(left) is (merge is merge_faults.die)
    assert not far.merges.takes(2**40), "none is sent there for a while"
    monkeypatch.setattr(far.merges, "_paused_until_s", 0.0)
    put(monkeypatch, merge_at)
    fill(stored, 2)
    monkeypatch.setattr(far.pool, "_next_start_s", 0.0)
    far.attached().compaction.run()
    assert outcomes() == (done + 1, failed + 1)


def test_objects_of_a_lost_merge_are_removed_after_the_grace(
    far: Far, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = far.stored
    fill(stored, 1)
    put(monkeypatch, merge_faults.die)
    far.attached().compaction.run()
    (row,) = stored.rows()
    worker = worker_of(stored.catalog, stored.store)
    garbage = GarbageCollector(stored.services, HOUR, worker)
    stored.clock.advance(2 * HOUR)
    garbage.collect()
    assert stored.folders() == {row.block_id}
    assert not stored.catalog.removed(100)


def test_small_merges_and_those_before_the_process_is_ready_are_done_here(stored: Stored) -> None:
    rows = fill(stored, 1)
    size, (done, failed) = sum(row.line_bytes for row in rows), outcomes()
    far = Far(stored, min_bytes=size + 1)
    assert not far.merges.takes(size)
    assert not far.pool._starting, "nothing is started for a small one"
    assert not far.merges.takes(size + 1), "the process begins"
    assert far.compaction.run() == len(rows) - 1
    assert outcomes() == (done, failed)
    assert far.attached().merges.takes(size + 1)
    assert far.merges.end_idle(0.0) == 1
    far.merges.close()


def test_a_stop_does_not_wait_for_a_merge_elsewhere(
    far: Far, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is it done here then; it is planned again by the next process."""
    stored = far.stored
    fill(stored, 1)
    before = levels(stored)
    monkeypatch.setattr(scan_worker, "STUCK_S", 0.2)
    put(monkeypatch, merge_faults.hang)
    far.attached()
    thread = Thread(target=far.compaction.run)
    thread.start()
    until_s = time.monotonic() + READY_S
    while not (stored.folder / "objects" / "begun").exists():
        assert time.monotonic() < until_s
        time.sleep(0.02)
    far.stops = True
    thread.join(READY_S)
    assert not thread.is_alive()
    assert levels(stored) == before
    assert not stored.catalog.intents()
    assert not stored.jobs.all()


def test_a_swap_that_somebody_else_was_faster_with_is_refused(
    far: Far, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A block of the merge expires while it is merged elsewhere."""
    stored = far.stored
    rows = fill(stored, 1)
    merge = far.attached().merges.merge

    def slow(spec: MergeSpec) -> BlockRow:
        found = merge(spec)
        stored.catalog.replace([rows[0].block_id], [])
        return found

    monkeypatch.setattr(far.merges, "merge", slow)
    far.compaction.run()
    assert {row.block_id for row in stored.rows()} == {row.block_id for row in rows[1:]}
    assert not stored.catalog.intents()
    assert not stored.jobs.all(), "planned anew"


def test_another_store_of_the_same_objects_reads_what_was_made_elsewhere(far: Far) -> None:
    stored = far.stored
    fill(stored, 1)
    before = stored.entries()
    far.attached().compaction.run()
    other = StoreServices(stored.catalog, stored.objects, stored.clock)
    stored.store = BlockStore(replace(other), 1 << 20)
    assert stored.entries() == before
