"""Is a push refused, or kept waiting, only for what its tenant or all tenants have too much of?"""

import asyncio
import time
from contextlib import ExitStack

import pytest

import ingester.head_room
from ingester.cost import cost_of
from ingester.errors import OverloadedError, TenantFullError
from ingester.head import Heads
from ingester.head_room import HeadRoom
from narfi.core.clock import ManualClock
from narfi.core.errors import AppError, ErrorKind
from narfi.core.tenant import TenantId
from narfi.server.http_errors import retry_header
from tests.storage.batches import batch_of

A, B, C = TenantId("a"), TenantId("b"), TenantId("c")
PART = 10_000
MOST = 100_000


class Made:
    """Heads, and the room in them."""

    def __init__(self, most: int = MOST) -> None:
        self.heads = Heads(
            clock=ManualClock(1), part_bytes=PART, watch=lambda *_: None, max_bytes=most
        )
        self.failing: set[TenantId] = set()
        self.room = HeadRoom(self.heads, self.failing.__contains__)
        self._position = 0

    def fill(self, tenant: TenantId, cost: int, *, cut: bool) -> None:
        """Unflushed entries of about this cost."""
        line = b"x" * (cost - cost_of(batch_of([("a", 1, b"", {})])))
        self._position += 1
        self.heads.take(tenant, batch_of([("a", self._position, line, {})]), self._position)
        if cut:
            self.heads.cut(tenant)

    def encoded(self, tenant: TenantId, share: float) -> None:
        """The flush of the oldest part of a tenant has gone so far."""
        (part,) = [p for p in self.heads.next_round() if p.tenant == tenant]
        self.heads.encoded(part, share)

    def waits_s(self, tenant: TenantId) -> float:
        """How long a push waits while nothing happens."""
        began = time.monotonic()
        asyncio.run(self.room.wait(tenant))
        return time.monotonic() - began

    def drop(self, tenant: TenantId) -> None:
        """The oldest part of a tenant is in a block."""
        (part,) = [p for p in self.heads.next_round() if p.tenant == tenant]
        self.heads.drop(part)


def refused(made: Made, tenant: TenantId, cost: int) -> AppError | None:
    """What a push of this cost is told."""
    try:
        with made.room.taken(tenant, cost):
            return None
    except AppError as error:
        return error


def test_a_tenant_has_its_share_and_no_more() -> None:
    made = Made()
    made.fill(A, 9_000, cut=False)
    for _ in range(4):
        made.fill(A, 10_000, cut=True)
    told = refused(made, A, 2_000)
    assert isinstance(told, TenantFullError)
    assert told.kind is ErrorKind.RATE_LIMITED
    assert retry_header(told) == {"Retry-After": "5"}
    assert "user a has 48 KiB of entries in memory that are not stored yet" in told.message
    assert "may have 49 KiB" in told.message
    assert "ingester.max_unflushed_bytes" in told.message
    assert refused(made, B, 2_000) is None, "another tenant is not concerned"
    made.drop(A)
    assert refused(made, A, 2_000) is None


def test_one_push_may_be_larger_than_the_share() -> None:
    made = Made()
    assert refused(made, A, MOST - 1) is None
    made.fill(A, 1_000, cut=False)
    assert isinstance(refused(made, A, MOST // 2), TenantFullError)


def test_all_tenants_together_do_not_pass_the_limit() -> None:
    made = Made()
    for tenant in (A, B, C):
        made.fill(tenant, 32_000, cut=True)
    told = refused(made, TenantId("d"), 5_000)
    assert isinstance(told, OverloadedError)
    assert told.kind is ErrorKind.UNAVAILABLE
    assert retry_header(told) == {"Retry-After": "5"}
    assert told.message.startswith("The server cannot accept more requests at this time")
    assert "ingester.max_unflushed_bytes" in told.message


def test_pushes_under_way_count() -> None:
    made = Made()
    with ExitStack() as under_way:
        for tenant in (A, B, C):
            under_way.enter_context(made.room.taken(tenant, 30_000))
        assert isinstance(refused(made, TenantId("d"), 20_000), OverloadedError)
        assert isinstance(refused(made, A, 30_000), OverloadedError)
        assert isinstance(refused(Made(), A, MOST + 1), OverloadedError)
    assert refused(made, TenantId("d"), 20_000) is None
    with pytest.raises(ZeroDivisionError), made.room.taken(A, 90_000):
        _ = 1 // 0
    assert refused(made, A, 90_000) is None, "given back whatever happened"


def test_a_tenant_waits_for_its_own_parts_only() -> None:
    """Until one is dropped; then it goes on at once."""
    made = Made()
    for _ in range(2):
        made.fill(A, PART, cut=True)
    many = [TenantId(f"small{k}") for k in range(50)]
    for tenant in many:
        made.fill(tenant, 400, cut=True)

    async def look() -> bool:
        await asyncio.gather(*(made.room.wait(tenant) for tenant in [B, *many]))
        waiting = asyncio.create_task(made.room.wait(A))
        for _ in range(3):
            await asyncio.sleep(0)
        waited = not waiting.done()
        await asyncio.to_thread(made.drop, A)
        await asyncio.to_thread(made.drop, A)
        await waiting
        return waited

    began = time.monotonic()
    assert asyncio.run(look())
    assert time.monotonic() - began < ingester.head_room.WAIT_S


WAIT_S = 0.4
"""Of the tests below."""


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits that a test can wait for."""
    monkeypatch.setattr(ingester.head_room, "WAIT_S", WAIT_S)


def flushing(done: float, active: int, flush_s: float = 1.0) -> Made:
    """A full part is flushed as far as this, and the next one is as full as that."""
    made = Made(10 * MOST)
    made.fill(A, PART, cut=True)
    made.heads.took(made.heads.waiting()[0], flush_s)
    if active:
        made.fill(A, active, cut=False)
    made.encoded(A, done)
    return made


@pytest.mark.parametrize(
    ("done", "active", "seconds"),
    [
        (0.0, 0, 0.0),
        (0.0, 1_000, 0.1),
        (0.0, 2_500, 0.25),
        (0.0, 3_000, 0.3 + 4 * 0.05),
        (0.5, 5_000, 0.0),
        (0.5, 6_000, 0.1),
        (0.5, 6_250, 0.125),
        (0.5, 7_250, 0.225 + 4 * 0.1),
        (0.99, 9_900, 0.0),
        (1.0, 9_900, 0.0),
        (0.0, 9_000, 0.9 + 4 * 0.65),
    ],
)
def test_who_is_ahead_waits_as_long_as_the_flush_takes_for_that(
    done: float, active: int, seconds: float
) -> None:
    """And four times as long for what is beyond a quarter of what the flush has to do."""
    room = flushing(done, active).room
    assert room.seconds_to_wait(A) == pytest.approx(seconds, abs=0.02)
    assert room.seconds_to_wait(B) == 0.0


@pytest.mark.parametrize(("flush_s", "seconds"), [(0.01, 0.001), (1.0, 0.1), (60.0, 5.0)])
def test_who_is_slowed_waits_as_long_as_flushes_take(flush_s: float, seconds: float) -> None:
    """A slow one is not taken for one that stands still: pushes would be far ahead of it."""
    made = flushing(0.0, 1_000, flush_s)
    assert made.room.seconds_to_wait(A) == pytest.approx(seconds, rel=0.1)
    made.fill(B, PART // 8, cut=True)
    made.heads.took(made.heads.next_round()[1], 1000.0)
    assert made.room.seconds_to_wait(A) == pytest.approx(seconds, rel=0.1), (
        "a small part says nothing"
    )


def test_memory_grows_as_before_while_a_flush_stands_still() -> None:
    """Pushes that come all the time, each of a twentieth of a part: they are slowed at once, and
    what they add in a second is no more than the quarter and what the flush was thought to do."""
    made, now_s = flushing(0.0, 0), 0.0
    while now_s < 1.0:
        now_s += made.room.seconds_to_wait(A)
        made.fill(A, PART // 20, cut=False)
    assert made.heads.held(A) <= PART * 1.5


@pytest.mark.usefixtures("short")
def test_a_push_waits_longer_when_the_memory_for_parts_is_taken() -> None:
    made = Made(10 * MOST)
    made.fill(A, PART, cut=True)
    made.fill(A, PART, cut=True)
    made.heads.took(made.heads.waiting()[0], 0.001)
    assert made.waits_s(A) < WAIT_S
    made.fill(A, PART // 3, cut=False)
    assert made.waits_s(A) >= WAIT_S
    made.encoded(A, 1.0)
    assert made.waits_s(A) >= WAIT_S, "the part is in memory until its block is visible"
    made.drop(A)
    assert made.waits_s(A) < WAIT_S


def test_a_push_that_is_slowed_goes_on_as_soon_as_the_flush_does() -> None:
    made = flushing(0.0, PART // 2, flush_s=60.0)

    async def look() -> list[bool]:
        waiting = asyncio.create_task(made.room.wait(A))
        seen = []
        for share in (0.1, 0.5):
            await asyncio.to_thread(made.encoded, A, share)
            await asyncio.sleep(0.01)
            seen.append(waiting.done())
        await waiting
        return seen

    assert asyncio.run(look()) == [False, True]


def test_while_flushing_fails_nobody_waits_who_has_room() -> None:
    made = Made()
    for _ in range(4):
        made.fill(A, PART, cut=True)
    made.failing.add(A)
    began = time.monotonic()
    asyncio.run(made.room.wait(A))
    assert time.monotonic() - began < ingester.head_room.WAIT_S


def test_while_flushing_fails_who_has_no_room_waits_for_some() -> None:
    """A full disk is such a failure: the guard drops old blocks, so no push need be refused."""
    made = Made()
    for _ in range(5):
        made.fill(A, PART, cut=True)
    made.failing.add(A)

    async def look() -> bool:
        waiting = asyncio.create_task(made.room.wait(A))
        for _ in range(3):
            await asyncio.sleep(0)
        waited = not waiting.done()
        await asyncio.to_thread(made.drop, A)
        await waiting
        return waited

    assert refused(made, A, PART) is not None
    began = time.monotonic()
    assert asyncio.run(look())
    assert time.monotonic() - began < ingester.head_room.WAIT_S
    assert refused(made, A, PART) is None


def test_waiting_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingester.head_room, "WAIT_S", 0.05)
    made = Made()
    for _ in range(3):
        made.fill(A, PART, cut=True)
    asyncio.run(made.room.wait(A))
    assert len(made.heads.waiting()) == 3
    made.drop(A)  # tells those who wait no more, and harms nobody


def test_many_small_heads_make_room_before_all_is_full() -> None:
    """None of them is full or old; the largest is cut when half of the memory is taken."""
    made = Made()
    for k in range(9):
        made.fill(TenantId(f"t{k}"), 5_000 + 10 * k, cut=False)
    assert made.heads.waiting() == []
    made.fill(B, 5_500, cut=False)
    assert [part.tenant for part in made.heads.waiting()] == [B]
    made.fill(C, 9_000, cut=False)
    assert [part.tenant for part in made.heads.waiting()] == [B], "one waits already"
