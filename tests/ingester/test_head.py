"""Is what was taken visible until its block is, and is a part cut when it must be?"""

import numpy as np
import pytest

from ingester.cost import cost_of
from ingester.head import MAX_SOURCES, Backlog, Heads
from narfi.core.clock import ManualClock
from narfi.core.tenant import TenantId
from storage.batch import LogBatch
from storage.scan import Columns, ScanRequest
from tests.storage.batches import batch_of, entries_of

A, B = TenantId("a"), TenantId("b")


class Told:
    """Batches that followers were handed."""

    def __init__(self) -> None:
        self.batches: list[LogBatch] = []
        self.fails = False

    def __call__(self, _tenant: TenantId, batch: LogBatch) -> None:
        if self.fails:
            raise RuntimeError("a follower is broken")
        self.batches.append(batch)


def heads(part_bytes: int = 10_000, max_bytes: int = 1 << 40) -> tuple[Heads, ManualClock, Told]:
    """Heads with their clock, and what they tell."""
    clock, told = ManualClock(10), Told()
    made = Heads(clock=clock, part_bytes=part_bytes, watch=told, max_bytes=max_bytes)
    return made, clock, told


def one(ts: int, line: bytes = b"line") -> LogBatch:
    """A batch of an entry."""
    return batch_of([("a", ts, line, {})])


def lines(made: Heads, tenant: TenantId, start: int = 0, end: int = 1 << 40) -> list[bytes]:
    """What a query sees, sorted."""
    found = []
    for source in made.sources(tenant, start, end):
        request = ScanRequest(
            streams=np.ones(len(source.table), np.bool_),
            start_ns=start,
            end_ns=end,
            columns=Columns(lines=True),
        )
        for row_group in source.row_groups(request):
            found += [line for _, _, line, _ in entries_of(source.read(row_group, request))]
    return sorted(found)


def test_what_is_taken_is_visible_at_once_and_until_it_is_dropped() -> None:
    made, _, told = heads()
    made.take(A, one(5, b"five"), 1)
    assert lines(made, A) == [b"five"]
    assert lines(made, B) == []
    assert lines(made, A, 6, 9) == []
    made.cut()
    made.take(A, one(6, b"six"), 2)
    assert lines(made, A) == [b"five", b"six"]
    (part,) = made.waiting()
    assert (part.last_position, part.rows) == (1, 1)
    made.drop(part)
    assert lines(made, A) == [b"six"]
    assert len(told.batches) == 2


def test_bytes_are_counted_until_they_are_dropped() -> None:
    made, _, _ = heads()
    cost = cost_of(one(1))
    made.take(A, one(1), 1)
    made.take(B, one(1), 2)
    assert (made.bytes, made.held(A), made.held(B)) == (2 * cost, cost, cost)
    made.cut(A)
    speed = made.backlog(A).speed
    assert made.backlog(A) == Backlog(cut=cost, left=cost, active=0, tenants=1, speed=speed)
    assert made.backlog(B) == Backlog(), "nothing of it waits for a flush"
    made.take(A, one(2), 3)
    made.encoded(made.waiting()[0], 0.5)
    half = Backlog(cut=cost, left=cost - cost // 2, active=cost, tenants=1, speed=speed)
    assert made.backlog(A) == half
    assert made.held(A) == 2 * cost, "what is encoded is not in a block yet"
    made.encoded(made.waiting()[0], 0.0)
    assert made.backlog(A).left == cost, "the flush begins anew"
    made.drop(made.waiting()[0])
    assert (made.bytes, made.held(A)) == (2 * cost, cost)


def test_a_part_is_cut_when_it_is_full_or_old() -> None:
    made, clock, _ = heads(part_bytes=2 * cost_of(one(1)))
    assert not made.take(A, one(1), 1).ready
    assert made.take(A, one(2), 2).ready
    assert [part.rows for part in made.waiting()] == [2]
    made.take(A, one(3), 3)
    made.cut_old(clock.now_ns(), 5)
    assert len(made.waiting()) == 1
    clock.advance(5)
    made.cut_old(clock.now_ns(), 5)
    assert [part.last_position for part in made.waiting()] == [2, 3]


def test_parts_and_the_oldest_are_told() -> None:
    made, clock, _ = heads()
    assert (made.counts(), made.oldest_ns()) == ({"active": 0, "cut": 0}, None)
    made.take(A, one(5), 1)
    clock.advance(10)
    made.take(B, one(5), 2)
    made.cut(A)
    clock.advance(10)
    made.take(A, one(6), 3)
    assert (made.counts(), made.oldest_ns()) == ({"active": 2, "cut": 1}, 10)
    made.drop(made.waiting()[0])
    assert (made.counts(), made.oldest_ns()) == ({"active": 2, "cut": 0}, 20)


def test_a_part_of_the_future_is_cut_when_the_clock_is_put_back() -> None:
    made, _, _ = heads()
    made.take(A, one(1), 1)
    made.cut_old(10 - 50, 50)
    assert len(made.waiting()) == 1


def test_half_of_what_all_may_take_cuts_the_largest() -> None:
    small, large = one(1), one(2, b"x" * 500)
    made, _, _ = heads(max_bytes=2 * (cost_of(small) + cost_of(large)) - 2)
    made.take(A, large, 1)
    taken = made.take(B, small, 2)
    assert taken.ready
    assert [part.tenant for part in made.waiting()] == [A]
    assert not made.take(B, one(3), 3).ready, "one waits already"


def test_rounds_take_the_oldest_of_each_tenant() -> None:
    made, clock, _ = heads()
    for position, tenant in enumerate((B, A, B), 1):
        made.take(tenant, one(position), position)
        made.cut(tenant)
        clock.advance(1)
    assert [(part.tenant, part.last_position) for part in made.next_round()] == [(B, 1), (A, 2)]
    with pytest.raises(AssertionError, match="in the order of their cuts"):
        made.drop(made.waiting()[1])


def test_many_small_batches_are_few_runs() -> None:
    made, _, _ = heads(part_bytes=1 << 20)
    for ts in range(3 * MAX_SOURCES):
        made.take(A, one(ts, b"%02d" % ts), ts + 1)
        assert len(made.sources(A, 0, 100)) <= MAX_SOURCES + 1
    assert lines(made, A) == [b"%02d" % ts for ts in range(3 * MAX_SOURCES)]


def test_a_broken_follower_harms_no_push() -> None:
    made, _, told = heads()
    told.fails = True
    made.take(A, one(1), 1)
    assert lines(made, A) == [b"line"]


def test_who_waits_for_room_is_told_how_the_flush_goes_on() -> None:
    made, _, _ = heads()
    told: list[TenantId] = []
    made.when_flushed(told.append)
    made.take(A, one(1), 1)
    made.cut()
    assert told == []
    made.encoded(made.waiting()[0], 0.5)
    assert told == [A]
    made.drop(made.waiting()[0])
    assert told == [A, A]
