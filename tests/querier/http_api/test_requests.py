"""Is a client told in time, whatever the thread does that works for it?"""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
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


def asked(pool: FairPool, work: Callable[[Budget], object]) -> tuple[float, type[Exception]]:
    """How long it takes until the client of one request is told, and what."""

    async def receive() -> Any:
        await asyncio.sleep(3600)

    began = time.monotonic()
    with pytest.raises((QueryTimeoutError, TooManyOutstandingError)) as found:
        asyncio.run(ask_with(pool, receive, work))
    return time.monotonic() - began, found.type


def test_a_time_out_is_told_though_the_work_goes_on() -> None:
    """It is within a kernel, or the machine gives its thread no time: 1.2 times at most."""
    pool, may_end = FairPool(1, max_waiting=10), threading.Event()
    try:
        took, told = asked(pool, lambda _: may_end.wait(60))
        assert 1.0 <= took < 1.5
        assert told is QueryTimeoutError
    finally:
        may_end.set()
        pool.close()


def test_one_that_gets_no_thread_is_told_before_its_time_is_over() -> None:
    pool, may_end = FairPool(1, max_waiting=10), threading.Event()
    try:
        held = pool.submit("other", Budget(), lambda: may_end.wait(60))
        took, told = asked(pool, lambda _: pytest.fail("it has no thread"))
        assert took < 1.0
        assert told is TooManyOutstandingError
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
