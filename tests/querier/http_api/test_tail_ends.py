"""Does a follow end quietly when its client is gone while it is told why?"""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

from fastapi import FastAPI

from narfi.core.auth import Tenancy
from narfi.core.clock import ManualClock
from querier.http_api.requests import QueryContext
from querier.http_api.tail import tail_router
from querier.logs.tail import TailHub


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
    }
    context = SimpleNamespace(tenancy=Tenancy("single"), clock=ManualClock(1))
    app = FastAPI()
    app.include_router(tail_router(cast(QueryContext, context), TailHub(), lambda _: 400))
    asyncio.run(app(cast(Any, scope), receive, send))
    assert sent == ["websocket.accept", "websocket.close"]
