"""Does a follow end quietly when its client is gone while it is told why?"""

import asyncio
import contextlib
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any, cast

import pytest
from fastapi import FastAPI

from narfi.core.auth import Tenancy
from narfi.core.clock import ManualClock
from narfi.core.grant import ANYBODY, GRANT_KEY
from narfi.core.limits import Limits
from querier.budget import Total
from querier.http_api import tail as tail_module
from querier.http_api.requests import QueryContext
from querier.http_api.tail import SentBefore, tail_router
from querier.logs.tail import TailHub
from querier.result import LogEntry, LogStream, Told
from querier.running import Running


def test_a_client_that_is_gone_cannot_be_told() -> None:
    sent: list[str] = []
    messages = iter([{"type": "websocket.connect"}, {"type": "websocket.disconnect"}])

    async def receive() -> Any:
        return next(messages)

    async def send(message: Any) -> None:
        sent.append(message["type"])
        if message["type"] == "websocket.close":
            raise OSError("the connection is closed")

    scope = {
        "type": "websocket",
        "path": "/loki/api/v1/tail",
        "headers": [],
        "query_string": b"query=sum(count_over_time({a=%22b%22}[1m]))",
        "subprotocols": [],
        GRANT_KEY: ANYBODY,
    }
    context = SimpleNamespace(tenancy=Tenancy("single"), clock=ManualClock(1))
    app = FastAPI()
    app.include_router(tail_router(cast(QueryContext, context), TailHub(), lambda _: 400))
    asyncio.run(app(cast(Any, scope), receive, send))
    assert sent == ["websocket.accept", "websocket.close"]


class NoHistory:
    """Answers with nothing."""

    def submit(self, *_asked: object) -> "Future[Told[list[LogStream]]]":
        """Done already."""
        found: Future[Told[list[LogStream]]] = Future()
        found.set_result(Told([]))
        return found


def test_a_follow_that_gets_no_thread_ends_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The loop's own pool has threads when there is work: a follow asks it all the time."""

    async def none_left(*_arguments: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(asyncio, "to_thread", none_left)
    monkeypatch.setattr(tail_module, "POLL_S", 0.0)
    limits, hub, running = Limits(max_concurrent_tail_requests=1), TailHub(), Running(Total())
    context = SimpleNamespace(
        tenancy=Tenancy("single"),
        clock=ManualClock(1),
        running=running,
        pool=NoHistory(),
        service=SimpleNamespace(limits_of=lambda _: limits),
    )
    app = FastAPI()
    app.include_router(tail_router(cast(QueryContext, context), hub, lambda _: 400))
    scope = {
        "type": "websocket",
        "path": "/loki/api/v1/tail",
        "headers": [],
        "query_string": b"query={a=%22b%22}",
        "subprotocols": [],
        GRANT_KEY: ANYBODY,
    }

    async def follow() -> list[str]:
        sent: list[str] = []
        messages = [{"type": "websocket.connect"}]

        async def receive() -> Any:
            if not messages:
                await asyncio.Event().wait()
            return messages.pop()

        async def send(message: Any) -> None:
            sent.append(message["type"])

        with contextlib.suppress(RuntimeError):
            await app(cast(Any, scope), receive, send)
        return sent

    for _ in range(3):  # the only follow that the tenant may have is free again each time
        assert asyncio.run(follow())[0] == "websocket.accept"
    assert running.memory.used == 0


def test_what_is_pushed_while_the_history_is_read_is_sent_once() -> None:
    """There it has all labels, and as it comes in those of its stream."""
    stream, more = (("app", "a"),), (("level", "info"),)
    other = (("app", "b"),)
    entry = LogEntry(5, b"x", (), ())
    sent = SentBefore([LogStream(stream + more, (entry,)), LogStream(stream, (entry,))])
    assert not sent.take(LogStream(other, (entry,)))
    assert not sent.take(LogStream(stream, (LogEntry(6, b"x", (), ()),)))
    assert sent.take(LogStream(stream, (entry,)))
    assert sent.take(LogStream(stream, (entry,)))
    assert not sent.take(LogStream(stream, (entry,))), "two were sent"
