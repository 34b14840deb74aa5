"""Is a client told in time, whatever the thread does that works for it?"""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import pytest
from fastapi import Request

from narfi.core.auth import Tenancy
from narfi.core.clock import SystemClock
from narfi.core.grant import ANYBODY, GRANT_KEY
from narfi.core.limits import Limits
from querier.budget import Budget, QueryCancelledError, QueryTimeoutError
from querier.executors.fair import FairPool, TooManyOutstandingError
from querier.http_api.requests import QueryContext, in_pool
from querier.running import Running
from querier.service import QueryService

SECOND = 10**9


class _Service:
    """Knows limits alone."""

    def limits_of(self, _tenant: str) -> Limits:
        return Limits(query_timeout_ns=SECOND)


async def ask_with(
    pool: FairPool, receive: Callable[[], Any], work: Callable[[Budget], object]
) -> None:
    """One request."""
    context = QueryContext(
        service=cast(QueryService, _Service()),
        pool=pool,
        tenancy=Tenancy("single"),
        clock=SystemClock(),
        running=Running(),
    )
    scope: dict[str, Any] = {"type": "http", "method": "GET", "path": "/", "headers": []}
    scope |= {"query_string": b"", GRANT_KEY: ANYBODY}
    await in_pool(context, Request(scope, receive), work)


LOOK_S = 0.01


@dataclass
class Told:
    """What a client was told, after how long."""

    kind: type[Exception]
    took_s: float
    late_s: float  # of which the machine was busy elsewhere: its loop was woken so much too late


async def _watch(late_s: list[float]) -> None:
    """How much later than it asks for a loop is woken, until it is cancelled."""
    while True:
        began = time.monotonic()
        await asyncio.sleep(LOOK_S)
        late_s.append(max(0.0, time.monotonic() - began - 2 * LOOK_S))


def asked(pool: FairPool, work: Callable[[Budget], object]) -> Told:
    """One request, until its client is told."""

    async def receive() -> Any:
        await asyncio.sleep(3600)

    async def ask() -> Told:
        late_s: list[float] = []
        watching = asyncio.create_task(_watch(late_s))
        began = time.monotonic()
        with pytest.raises((QueryTimeoutError, TooManyOutstandingError)) as found:
            await ask_with(pool, receive, work)
        took_s = time.monotonic() - began
        await asyncio.sleep(2 * LOOK_S)  # that it ended late is known as well
        watching.cancel()
        return Told(found.type, took_s, sum(late_s))

    return asyncio.run(ask())


def test_a_time_out_is_told_though_the_work_goes_on() -> None:
    """It is within a kernel, or the machine gives its thread no time: 1.2 times at most."""
    pool, may_end = FairPool(1, max_waiting=10), threading.Event()
    try:
        told = asked(pool, lambda _: may_end.wait(60))
        assert 1.0 <= told.took_s < 1.5 + told.late_s
        assert told.kind is QueryTimeoutError
    finally:
        may_end.set()
        pool.close()


def test_one_that_gets_no_thread_is_told_before_its_time_is_over() -> None:
    pool, may_end = FairPool(1, max_waiting=10), threading.Event()
    try:
        held = pool.submit("other", Budget(), lambda: may_end.wait(60))
        told = asked(pool, lambda _: pytest.fail("it has no thread"))
        assert told.took_s < 1.0 + told.late_s
        assert told.kind is TooManyOutstandingError
        assert not held.done()
    finally:
        may_end.set()
        pool.close()


def test_a_client_that_goes_away_ends_its_work() -> None:
    """However long it has worked; nobody asks again and again whether it is still there."""
    pool = FairPool(1, max_waiting=10)
    began, ended = threading.Event(), threading.Event()
    received: list[str] = []

    def work(budget: Budget) -> None:
        began.set()
        with contextlib.suppress(QueryCancelledError):
            while not ended.wait(0.01):
                budget.check()
        ended.set()
        raise QueryCancelledError("the work")

    async def receive() -> Any:
        received.append("asked")
        if len(received) == 1:
            return {"type": "http.request", "body": b"", "more_body": False}
        assert await asyncio.to_thread(began.wait, 60)
        return {"type": "http.disconnect"}

    try:
        with pytest.raises(QueryCancelledError):
            asyncio.run(ask_with(pool, receive, work))
        assert ended.is_set()
        assert len(received) == 2
    finally:
        ended.set()
        pool.close()
