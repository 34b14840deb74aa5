"""Is each request counted by its route, and logged where that is asked for?"""

import asyncio
from collections.abc import MutableMapping
from typing import Any

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from narfi.core.grant import ANYBODY, GRANT_KEY
from narfi.core.log import REQUEST_ID
from narfi.core.request_facts import facts_of
from narfi.server.observing import MOST_TOLD, Observed, Requests, Told

Sent = list[MutableMapping[str, Any]]


def scope(kind: str = "http", **more: Any) -> dict[str, Any]:
    return {"type": kind, "method": "GET", "path": "/a", "headers": [], **more}


def ask(
    requests: Requests, asked: dict[str, Any], answers: Sent, route: str = ""
) -> tuple[Sent, list[Any]]:
    """What is sent, and what is logged, where the application answers so."""
    sent: Sent = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        facts_of(scope).route = route
        assert REQUEST_ID.get() == facts_of(scope).request_id
        await receive()
        for message in answers:
            await send(message)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"12345"}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    with capture_logs() as logs:
        asyncio.run(Observed(app, requests)(asked, receive, send))
    return sent, list(logs)


def response(status: int, *headers: tuple[bytes, bytes]) -> Sent:
    return [
        {"type": "http.response.start", "status": status, "headers": list(headers)},
        {"type": "http.response.body", "body": b"abc"},
    ]


def count(route: str, status: str, ws: str = "false", method: str = "GET") -> float:
    labels = {"method": method, "route": route, "status_code": status, "ws": ws}
    return REGISTRY.get_sample_value("loki_request_duration_seconds_count", labels) or 0.0


def series() -> int:
    return sum(len(family.samples) for family in REGISTRY.collect())


def test_time_and_bytes_are_counted_by_route() -> None:
    def size(way: str) -> float:
        found = REGISTRY.get_sample_value(f"narfi_{way}_bytes_total", {"route": "/r/{x}"})
        return found or 0.0

    before = count("/r/{x}", "200"), size("request"), size("response")
    ask(Requests("none"), scope(), response(200), "/r/{x}")
    after = count("/r/{x}", "200"), size("request"), size("response")
    assert [a - b for a, b in zip(after, before, strict=True)] == [1, 5, 3]


def test_paths_make_no_series() -> None:
    requests = Requests("none")
    ask(requests, scope(path="/first", method="BREW"), response(404))
    before = series()
    for number in range(50):
        ask(requests, scope(path=f"/{number}", method=f"M{number}"), response(404))
    assert series() == before
    assert count("other", "404", method="other") >= 51


def test_who_goes_away_and_sockets_have_statuses() -> None:
    requests = Requests("none")
    cases: list[tuple[str, Sent, str]] = [
        ("http", [], "499"),
        ("websocket", [{"type": "websocket.accept"}, {"type": "websocket.close"}], "101"),
        ("websocket", [{"type": "websocket.close"}], "403"),
    ]
    for kind, answers, status in cases:
        ws = str(kind == "websocket").lower()
        before = count("/s", status, ws)
        ask(requests, scope(kind), answers, "/s")
        assert count("/s", status, ws) == before + 1


def test_requests_of_the_server_itself_are_not_counted() -> None:
    before = count("/own", "200")
    sent: Sent = []

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send(response(200)[0])

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    asked = scope() | {GRANT_KEY: ANYBODY}
    asyncio.run(Observed(app, Requests("all"))(asked, send, send))  # type: ignore[arg-type]
    assert sent == [response(200)[0]]
    assert count("/own", "200") == before


@pytest.mark.parametrize("given", [b"mine", b"bad id\n"])
def test_the_answer_has_one_id(given: bytes) -> None:
    asked = scope(headers=[(b"x-request-id", given)])
    sent, logs = ask(Requests("all"), asked, response(200, (b"X-Request-Id", b"of the app")))
    (found,) = [v for k, v in sent[0]["headers"] if k.lower() == b"x-request-id"]
    assert (found == given) == (given == b"mine")
    assert logs[0]["request_id"] == found.decode()


@pytest.mark.parametrize(
    ("told", "status", "route", "lines"),
    [
        ("none", 500, "/a", 0),
        ("failed", 499, "/a", 0),
        ("failed", 500, "/a", 1),
        ("failed", 503, "/ready", 0),
        ("all", 200, "/ready", 1),
    ],
)
def test_what_is_told(told: Told, status: int, route: str, lines: int) -> None:
    _, logs = ask(Requests(told), scope(), response(status), route)
    assert len(logs) == lines


def test_failed_requests_are_told_ten_times_a_second() -> None:
    now_s = 0.0
    requests = Requests("failed", lambda: now_s)
    logs = []
    for _ in range(3 * MOST_TOLD):
        logs += ask(requests, scope(), response(500))[1]
    assert len(logs) == MOST_TOLD
    now_s = 1.0
    _, ((last),) = ask(requests, scope(), response(500))
    assert last["untold_before"] == 2 * MOST_TOLD
