"""Does a line that is written come back, by a query and by a follow, and how soon?

Each interval one line is written over the server's own routes, then all lines of the window are
asked for, while a follow listens. `canary_book.py` keeps the accounts. Nothing depends on it: what
fails is counted, and told by `/status` and metrics.
"""

import asyncio
import contextlib
import secrets
import socket
from collections import Counter
from collections.abc import Iterator

import orjson
import structlog
from starlette.types import ASGIApp

from narfi.core.clock import NS_PER_S, Clock
from narfi.core.grant import Grant, Scope
from narfi.core.settings import Settings
from narfi.core.tenant import DEFAULT_TENANT, TenantId
from narfi.server.canary_book import MOST_LINES, CanaryBook
from narfi.server.own_requests import OwnRequest, OwnSocket, ask

log = structlog.get_logger(__name__)

PUSH, QUERY, TAIL = "/loki/api/v1/push", "/loki/api/v1/query_range", "/loki/api/v1/tail"
SERVICE = "narfi-canary"
REQUEST_S = 20.0
"""For one write or query."""
AGAIN_S = 2.0
"""Before a follow that ended is opened again."""


class Canary:
    """Writes, asks and listens until it is cancelled."""

    def __init__(self, app: ASGIApp, book: CanaryBook, settings: Settings, clock: Clock) -> None:
        self._app, self._book, self._clock = app, book, clock
        self._interval_s = settings.canary.interval / NS_PER_S
        is_single = settings.tenancy == "single"
        self._tenant = DEFAULT_TENANT if is_single else TenantId(settings.canary.tenant)
        self._grant = Grant(
            name="canary",
            tenants=frozenset((self._tenant,)),
            scopes=frozenset((Scope.READ, Scope.WRITE)),
        )
        self._run, self._number = secrets.token_hex(4), 0
        self._labels = {"service_name": SERVICE, "instance": socket.gethostname()}
        self._socket: OwnSocket | None = None

    async def run(self) -> None:
        """Go on until cancelled."""
        listening = asyncio.create_task(self._listen())
        try:
            while True:
                began = asyncio.get_running_loop().time()
                await self._round()
                passed = asyncio.get_running_loop().time() - began
                await asyncio.sleep(max(0.1, self._interval_s - passed))
        finally:
            listening.cancel()

    async def _round(self) -> None:
        try:
            await self._write()
            await self._look()
        except Exception as error:  # noqa: BLE001 - a fault of the canary stays there
            self._book.failed("query", repr(error))
            log.error("a round of the canary failed", error=repr(error))
        self._book.ends_round(asyncio.get_running_loop().time())

    @property
    def _selector(self) -> str:
        pairs = ", ".join(f'{name}="{value}"' for name, value in self._labels.items())
        return f'{{{pairs}}} |= "run={self._run} "'

    async def _write(self) -> None:
        self._number += 1
        ts_ns, loop = self._clock.now_ns(), asyncio.get_running_loop()
        line = f"canary run={self._run} seq={self._number} written by the server itself"
        values = [[str(ts_ns), line]]
        body = orjson.dumps({"streams": [{"stream": self._labels, "values": values}]})
        followed = self._socket is not None and self._socket.is_open
        request = OwnRequest(
            path=PUSH,
            tenant=self._tenant,
            grant=self._grant,
            host="canary",
            method="POST",
            body=body,
            content_type="application/json",
        )
        began = loop.time()
        status, text = await ask(self._app, request, began + REQUEST_S)
        if status != 204:
            self._book.failed("write", _told(status, text))
            return
        self._book.wrote(self._number, ts_ns, began, followed=followed)
        self._book.took("write", loop.time() - began)

    async def _look(self) -> None:
        oldest, loop = self._book.oldest_ns(), asyncio.get_running_loop()
        if oldest is None:
            return
        parameters = {
            "query": self._selector,
            "start": str(oldest),
            "end": str(self._clock.now_ns() + NS_PER_S),
            "limit": str(2 * MOST_LINES),
        }
        began = loop.time()
        request = self._asks(QUERY, parameters)
        status, text = await ask(self._app, request, began + REQUEST_S)
        if status != 200:
            self._book.failed("query", _told(status, text))
            return
        self._book.took("query", loop.time() - began)
        answer = orjson.loads(text)["data"]["result"]
        lines = (line for stream in answer for _, line in stream["values"])
        self._book.found(Counter(self._numbers(lines)), began)

    def _asks(self, path: str, parameters: dict[str, str]) -> OwnRequest:
        return OwnRequest(
            path=path,
            tenant=self._tenant,
            grant=self._grant,
            host="canary",
            parameters=parameters,
        )

    def _numbers(self, lines: Iterator[str]) -> Iterator[int]:
        for line in lines:
            _, run, number, *_ = f"{line}   ".split(" ")
            with contextlib.suppress(ValueError):
                if run == f"run={self._run}":
                    yield int(number.removeprefix("seq="))

    async def _listen(self) -> None:
        """Follow, again where the follow ends."""
        while True:
            start = str(self._clock.now_ns())
            parameters = {"query": self._selector, "start": start, "limit": "100"}
            opened = self._socket = OwnSocket(self._app, self._asks(TAIL, parameters))
            running = asyncio.create_task(opened.run())
            try:
                while (text := await opened.texts.get()) is not None:
                    self._hear(text)
                await asyncio.wait({running})
                self._book.failed("tail", opened.reason or repr(running.exception()))
            finally:
                opened.leave()
                running.cancel()
            await asyncio.sleep(AGAIN_S)

    def _hear(self, text: str) -> None:
        now = asyncio.get_running_loop().time()
        streams = orjson.loads(text).get("streams") or []
        lines = (value[1] for stream in streams for value in stream["values"])
        for number in self._numbers(lines):
            seconds = self._book.heard(number, now)
            if seconds is not None:
                self._book.took("tail", seconds)


def _told(status: int, text: bytes) -> str:
    return f"{status}: {text[:300].decode('utf-8', 'replace').strip()}"
