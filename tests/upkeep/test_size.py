"""Do the oldest blocks go, no more of them than must, until the others fit?"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from narfi.core.tenant import TenantId
from storage.catalog.base import BlockRow, CatalogError
from storage.catalog.jobs import FIRST_BACKOFF_NS
from tests.storage.stored import DAY, NOW, TENANT, Stored
from tests.upkeep.fresh import worker_of
from upkeep.size import oldest_beyond, shrink
from upkeep.worker import Kind, Work


def row(number: int, max_ts: int, size: int) -> BlockRow:
    """A block of some stored bytes."""
    return BlockRow(
        block_id=f"{number:03d}",
        tenant=TENANT,
        cut_id="c",
        min_ts=0,
        max_ts=max_ts,
        rows=1,
        line_bytes=size,
        stored_bytes=size,
        level=0,
        format_version=1,
        created_ns=0,
    )


blocks = st.lists(st.tuples(st.integers(0, 5), st.integers(1, 100)), max_size=12).map(
    lambda found: [row(k, ts, size) for k, (ts, size) in enumerate(found)]
)


@given(blocks, st.integers(0, 400))
def test_the_fewest_of_the_oldest_go(rows: list[BlockRow], max_bytes: int) -> None:
    oldest = sorted(rows, key=lambda r: (r.max_ts, r.block_id))
    total = sum(r.stored_bytes for r in rows)
    gone = oldest_beyond(oldest, total - max_bytes)
    assert gone == oldest[: len(gone)]
    left = total - sum(r.stored_bytes for r in gone)
    assert left <= max_bytes
    if gone:
        assert left + gone[-1].stored_bytes > max_bytes


def test_tenants_are_not_told_apart(stored: Stored) -> None:
    other = TenantId("other")
    stored.add([("a", NOW - 3 * DAY, b"3", {})])
    stored.add([("a", NOW - 2 * DAY, b"2", {})], other)
    stored.add([("a", NOW - 1 * DAY, b"1", {})])
    size = sum(total.stored_bytes for total in stored.catalog.totals())
    me = worker_of(stored.catalog, stored.store)
    assert shrink(stored.catalog, me, 0) == 0
    assert shrink(stored.catalog, me, size) == 0
    assert shrink(stored.catalog, me, size // 2) == 2
    assert [line for _, _, line, _ in stored.entries()] == [b"1"]
    assert stored.entries(other) == []
    assert shrink(stored.catalog, me, 1) == 1


def test_blocks_that_somebody_writes_anew_are_left_for_later(stored: Stored) -> None:
    rows = [stored.add([("a", NOW - k * DAY, b"%d" % k, {})]) for k in range(3)]
    other = Work(Kind.MERGE, TENANT, (rows[2].block_id, rows[1].block_id)).job()
    me = worker_of(stored.catalog, stored.store)
    held = stored.jobs.take(other, "somebody else", DAY)
    assert held is not None
    assert shrink(stored.catalog, me, 1) == 0
    stored.jobs.finish(held)
    assert shrink(stored.catalog, me, 1) == 3


def test_a_batch_that_fails_is_tried_again(stored: Stored, monkeypatch: pytest.MonkeyPatch) -> None:
    stored.add([("a", NOW, b"1", {})])
    me = worker_of(stored.catalog, stored.store)
    with monkeypatch.context() as patched:
        patched.setattr(stored.catalog, "replace", refuse)
        with pytest.raises(CatalogError):
            shrink(stored.catalog, me, 1)
    assert [(job.kind, job.attempts) for job in me.failed()] == [(Kind.SIZE, 1)]
    assert shrink(stored.catalog, me, 1) == 0, "it waits for its time"
    stored.clock.advance(FIRST_BACKOFF_NS)
    assert shrink(stored.catalog, me, 1) == 1
    assert list(me.failed()) == []


def refuse(*_arguments: object) -> None:
    raise CatalogError("the disk is full")
