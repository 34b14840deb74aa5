"""Does the server ask itself what makes later queries quick, and does that harm nobody?"""

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import MagicMock

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from benchmarks.cold import LATER, SETTLE_S, asked
from benchmarks.push import flush
from benchmarks.run import END_NS
from benchmarks.server import start, stop
from ingester.service import PushRequest
from narfi.core.grant import ANYBODY
from narfi.core.settings import load_settings
from narfi.core.tenant import TenantId
from narfi.server.app import build_app
from narfi.server.observing import Requests
from narfi.server.own_requests import OwnRequest
from narfi.server.own_requests import ask as ask_itself
from narfi.server.readiness import Readiness
from narfi.server.rehearsal import HOUR_NS, MOST_TENANTS, NOBODY, plan, rehearse
from narfi.server.wiring import Server, build
from tests.server.test_first_start import ask

LINE = '{"level": "info", "n": 1}'


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """The parts of a server of several tenants, without listeners."""
    made = build(load_settings(None, {}, {"data_dir": str(tmp_path), "tenancy": "header"}))
    made.recover(lambda _: None)
    yield made
    made.stop()


def store(server: Server, tenant: str, ts_ns: int) -> None:
    """A block with one line."""
    body = {"streams": [{"stream": {"app": "x"}, "values": [[str(ts_ns), LINE]]}]}
    request = PushRequest(
        body=json.dumps(body).encode(), content_type="application/json", content_encoding=""
    )
    server.pushes.push(TenantId(tenant), request)
    server.flusher.flush_all()


class Watched:
    """An application that tells what it was asked and answered."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.paths: list[str] = []
        self.statuses: list[int] = []
        self.bodies: list[bytes] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass it on."""
        self.paths.append(scope["path"])

        async def watched(message: dict[str, object]) -> None:
            if message["type"] == "http.response.start":
                self.statuses.append(int(str(message["status"])))
            else:
                self.bodies.append(bytes(message.get("body", b"")))  # type: ignore[call-overload]
            await send(message)

        await self._app(scope, receive, watched)  # type: ignore[arg-type]


def ready_app(server: Server) -> Watched:
    """The whole application, after the start."""
    readiness = Readiness()
    readiness.ready()
    return Watched(build_app(server, readiness, MagicMock(), Requests("none")))


def test_it_asks_for_the_newest_entries_of_tenants(server: Server) -> None:
    now = server.clock.now_ns()
    for number in range(MOST_TENANTS + 2):
        store(server, f"tenant{number}", now - number * 60 * 10**9)
    asks = plan(server.catalog, server.clock)
    tenants = {one.tenant for one in asks}
    assert tenants == {f"tenant{number}" for number in range(MOST_TENANTS)}
    for one in asks:
        newest = now - int(one.tenant.removeprefix("tenant")) * 60 * 10**9
        assert int(one.parameters["end"]) == newest + 1
        assert newest - HOUR_NS <= int(one.parameters["start"]) < newest


def test_all_of_it_is_answered_and_the_blocks_are_open_then(server: Server) -> None:
    store(server, "a", server.clock.now_ns())
    app = ready_app(server)
    asyncio.run(rehearse(app, server.catalog, server.clock))
    assert len(app.statuses) == len(plan(server.catalog, server.clock))
    assert set(app.statuses) == {200}
    answers = b"".join(app.bodies)
    assert LINE.replace('"', '\\"').encode() in answers, "a line was read"
    assert b'"matrix"' in answers


def test_without_any_block_the_code_is_gone_through(server: Server) -> None:
    app = ready_app(server)
    assert {one.tenant for one in plan(server.catalog, server.clock)} == {NOBODY}
    asyncio.run(rehearse(app, server.catalog, server.clock))
    assert set(app.statuses) == {200}


def test_it_ends_where_it_is_refused(server: Server) -> None:
    async def refuse(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 503, "headers": []})

    app = Watched(refuse)
    asyncio.run(rehearse(app, server.catalog, server.clock))
    assert app.statuses == [503]


def test_after_its_time_the_client_has_hung_up() -> None:
    heard: list[str] = []

    async def listen(_scope: Scope, receive: Receive, _send: Send) -> None:
        heard.extend([(await receive())["type"], (await receive())["type"]])

    async def run() -> int:
        one = OwnRequest(path="/", tenant=NOBODY, grant=ANYBODY, host="itself")
        status, _ = await ask_itself(listen, one, asyncio.get_running_loop().time() + 0.01)
        return status

    assert asyncio.run(run()) == 0
    assert heard == ["http.request", "http.disconnect"]


@pytest.mark.slow
def test_a_first_query_costs_a_few_times_a_later_one_at_most(tmp_path: Path) -> None:
    """`python -m benchmarks.cold` has figures; 10 to 25 times without the rehearsal."""
    config = tmp_path / "narfi.yaml"
    config.write_text("limits: {reject_old_samples: false}")
    server = start(tmp_path / "data", config)
    try:
        values = [[str(END_NS - k * 10**6), f"level=info n={k}"] for k in range(5000)]
        push = {"streams": [{"stream": {"app": "a"}, "values": values}]}
        ask(server, "/loki/api/v1/push", json.dumps(push).encode())
        flush(server.url)
    finally:
        stop(server)
    query = {"name": "lines", "query": '{app="a"}', "limit": 1000}
    server = start(tmp_path / "data", config)
    try:
        time.sleep(SETTLE_S)
        first, _ = asked(server, query)
        later = sorted(asked(server, query)[0] for _ in range(LATER))
    finally:
        stop(server)
    assert first < 5 * later[LATER // 2]
