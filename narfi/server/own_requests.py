"""How does the server ask itself? Requests and sockets that no connection carries, to its own app.

They go through everything that a client's go through, but for the door: they bring their grant.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from starlette.types import ASGIApp, Message, Scope

from narfi.core.grant import GRANT_KEY, Grant
from narfi.core.tenant import TenantId
from querier.executors.asked_lately import asked_by_the_server


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnRequest:
    """A request of the server to itself."""

    path: str
    tenant: TenantId
    grant: Grant
    host: str  # whoever reads a log knows by it who asks
    method: str = "GET"
    parameters: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    content_type: str = ""

    def scope(self, kind: str) -> Scope:
        """As ASGI has it; `kind` is http or websocket."""
        headers = [(b"host", self.host.encode()), (b"x-scope-orgid", str(self.tenant).encode())]
        if self.content_type:
            headers.append((b"content-type", self.content_type.encode()))
        if self.body:
            headers.append((b"content-length", str(len(self.body)).encode()))
        return {
            "type": kind,
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": self.method,
            "scheme": "http" if kind == "http" else "ws",
            "path": self.path,
            "raw_path": self.path.encode(),
            "root_path": "",
            "query_string": urlencode(self.parameters).encode(),
            "headers": headers,
            "client": None,
            "server": None,
            "subprotocols": [],
            GRANT_KEY: self.grant,
        }


async def ask(app: ASGIApp, request: OwnRequest, until: float) -> tuple[int, bytes]:
    """Status and body; after `until`, of the loop's clock, the client has hung up."""
    status, parts, loop = 0, [], asyncio.get_running_loop()

    async def send(message: Message) -> None:
        nonlocal status
        status = message.get("status", status)
        parts.append(message.get("body", b""))

    requests = iter([{"type": "http.request", "body": request.body, "more_body": False}])

    async def receive() -> Message:
        for message in requests:
            return message
        if (left := until - loop.time()) > 0:
            await asyncio.sleep(left)
        return {"type": "http.disconnect"}

    with asked_by_the_server():
        await app(request.scope("http"), receive, send)
    return status, b"".join(parts)


class OwnSocket:
    """A socket of the server to itself; `texts` gets what it is sent, then None when it is over."""

    def __init__(self, app: ASGIApp, request: OwnRequest) -> None:
        self._app, self._request = app, request
        self.texts: asyncio.Queue[str | None] = asyncio.Queue()
        self.reason = ""
        """Why it is over."""
        self.is_open = False
        self._leaving = asyncio.Event()

    async def run(self) -> None:
        """Open it, and return when it is over."""
        begun = iter([{"type": "websocket.connect"}])

        async def receive() -> Message:
            for message in begun:
                return message
            await self._leaving.wait()
            return {"type": "websocket.disconnect", "code": 1000}

        try:
            with asked_by_the_server():
                await self._app(self._request.scope("websocket"), receive, self._sent)
        finally:
            self.is_open = False
            self.texts.put_nowait(None)

    async def _sent(self, message: Mapping[str, Any]) -> None:
        match message["type"]:
            case "websocket.accept":
                self.is_open = True
            case "websocket.send":
                self.texts.put_nowait(message.get("text") or "")
            case "websocket.close":
                self.reason = message.get("reason") or f"closed with {message.get('code')}"
            case "websocket.http.response.start":
                self.reason = f"refused with {message.get('status')}"
            case _:
                return

    def leave(self) -> None:
        """Hang up."""
        self._leaving.set()
