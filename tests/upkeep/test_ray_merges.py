"""Do compactors give merges to a real Ray cluster, whatever becomes of it?"""

import importlib.util
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from querier.executors.messages import Setup
from querier.executors.ray import call_pool
from storage.block.rewriting import MergeSpec, merge_at
from storage.catalog.base import BlockRow
from tests.servers import ray_head
from tests.servers.ray_head import RayHead
from tests.storage.stored import Stored
from tests.upkeep import merge_faults
from tests.upkeep.fresh import RULES, worker_of
from tests.upkeep.test_compaction import fill
from tests.upkeep.test_far_merges import outcomes, put
from upkeep.compaction import Compaction
from upkeep.far_merges import FarMerges

ATTACHED_S = 300.0
"""A machine under load takes a minute; this is for one that hangs."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs ray: make ray"),
]


@pytest.fixture(scope="module")
def head() -> Iterator[RayHead]:
    """A cluster of one machine with one processor."""
    with ray_head.token(), ray_head.running(1) as found:
        yield found


def far_of(stored: Stored, head: RayHead) -> FarMerges:
    """That takes merges of any size."""
    objects = str(stored.folder / "objects")
    pool = call_pool(head.address, Setup(objects=objects, cache_bytes=0))
    found, until_s = FarMerges(pool, objects, 0, lambda: False), time.monotonic() + ATTACHED_S
    while not found.takes(0):
        assert time.monotonic() < until_s
        pool._next_start_s = 0.0
        time.sleep(0.05)
    return found


def compaction_with(stored: Stored, far: FarMerges) -> Compaction:
    """That gives it every merge."""
    return Compaction(
        catalog=stored.catalog,
        store=stored.store,
        clock=stored.clock,
        worker=worker_of(stored.catalog, stored.store),
        rules=RULES,
        far=far,
    )


def pid(place: tuple[str, MergeSpec]) -> BlockRow:
    """Merge, and leave the number of the process."""
    (Path(place[0]).parent / "pid").write_text(str(os.getpid()))
    return merge_at(place)


def test_a_merge_is_done_by_a_task_of_the_cluster(
    stored: Stored, head: RayHead, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, before, (done, failed) = fill(stored, 1), stored.entries(), outcomes()
    put(monkeypatch, pid)
    far = far_of(stored, head)
    assert compaction_with(stored, far).run() == len(rows) - 1
    assert outcomes() == (done + 1, failed)
    assert stored.entries() == before
    assert int((stored.folder / "pid").read_text()) in head.pids()
    far.close()


@pytest.mark.parametrize("merge", [merge_faults.die, merge_faults.refuse])
def test_a_task_that_dies_or_fails_costs_nothing_but_time(
    stored: Stored,
    head: RayHead,
    monkeypatch: pytest.MonkeyPatch,
    merge: object,
) -> None:
    rows, before, (done, failed) = fill(stored, 1), stored.entries(), outcomes()
    monkeypatch.setattr("upkeep.far_merges.merge_at", merge)
    far = far_of(stored, head)
    assert compaction_with(stored, far).run() == len(rows) - 1
    assert outcomes() == (done, failed + 1)
    assert stored.entries() == before
    assert not stored.catalog.intents()
    put(monkeypatch, merge_at)
    monkeypatch.setattr(far, "_paused_until_s", 0.0)
    fill(stored, 2)
    compaction_with(stored, far).run()
    assert outcomes() == (done + 1, failed + 1), "the cluster takes the next one"
    far.close()


def test_a_cluster_without_a_free_processor_is_not_waited_for_long(
    stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, (done, failed) = fill(stored, 1), outcomes()
    with ray_head.token(), ray_head.running(0) as full:
        far = far_of(stored, full)
        assert compaction_with(stored, far).run() == len(rows) - 1
        assert outcomes() == (done, failed + 1)
        far.close()


def test_a_bridge_that_is_killed_costs_nothing_but_time(
    stored: Stored, head: RayHead, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, before, (done, failed) = fill(stored, 1), stored.entries(), outcomes()
    put(monkeypatch, merge_faults.hang)
    far, begun = far_of(stored, head), stored.folder / "objects" / "begun"

    def kill() -> None:
        while not begun.exists():
            time.sleep(0.05)
        for number in far._pool.pids():
            os.kill(number, signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    assert compaction_with(stored, far).run() == len(rows) - 1
    thread.join()
    assert outcomes() == (done, failed + 1)
    assert stored.entries() == before
    far.close()
