"""Is a client told in time, whatever the thread does that works for it?"""

import asyncio
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
from querier.budget import Budget, QueryTimeoutError
from querier.executors.fair import FairPool, TooManyOutstandingError
from querier.http_api.requests import QueryContext, in_pool
from querier.running import Running
from querier.service import QueryService

SECOND = 10**9


class _Service:
    """Knows limits alone."""

    def limits_of(self, _tenant: str) -> Limits:
        return Limits(query_timeout_ns=SECOND)


def asked(pool: FairPool, work: Callable[[Budget], object]) -> tuple[float, type[Exception]]:
    """How long it takes until the client of one request is told, and what."""
    context = QueryContext(
        service=cast(QueryService, _Service()),
        pool=pool,
        tenancy=Tenancy("single"),
        clock=SystemClock(),
        running=Running(),
    )

    async def receive() -> Any:
        await asyncio.sleep(3600)

    async def ask() -> None:
        scope: dict[str, Any] = {"type": "http", "method": "GET", "path": "/", "headers": []}
        scope |= {"query_string": b"", GRANT_KEY: ANYBODY}
        await in_pool(context, Request(scope, receive), work)

    began = time.monotonic()
    with pytest.raises((QueryTimeoutError, TooManyOutstandingError)) as found:
        asyncio.run(ask())
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
