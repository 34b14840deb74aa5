"""Does the canary notice what does not come back, comes late or twice, and is it content else?"""

import asyncio
import contextlib
import json
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY
from starlette.types import Receive, Scope, Send

from benchmarks.server import Running, start, stop
from narfi.core.clock import SystemClock
from narfi.core.settings import SettingsError, load_settings
from narfi.server.canary import PUSH, QUERY, TAIL, Canary
from narfi.server.canary_book import MOST_LINES, CanaryBook, book_of


def book() -> CanaryBook:
    """Late after 30 s, one line in 10, ten minutes long."""
    return CanaryBook(window_s=600, late_s=30, interval_s=10)


def counts(found: CanaryBook) -> dict[str, int]:
    """What was counted."""
    names = ("written", "missing", "late", "duplicates", "failures")
    return {name: found.state()[name] for name in names if found.state()[name]}


def test_lines_that_come_back() -> None:
    one = book()
    for number in range(3):
        one.wrote(number, number, 10.0 * number, followed=True)
        one.found(dict.fromkeys(range(number + 1), 1), 10.0 * number + 1)
        assert one.heard(number, 10.0 * number + 0.5) == 0.5
        one.ends_round(10.0 * number + 1)
    assert counts(one) == {"written": 3}
    state = one.state()
    assert state["missing_now"] == []
    assert state["last_success_ns"] is not None
    assert not one.is_late(time.time_ns())
    assert one.is_late(time.time_ns() + 61 * 10**9)


def test_a_line_that_is_missing_counts_once_and_by_each_way() -> None:
    one = book()
    one.wrote(7, 0, 0.0, followed=True)
    for at_s in (1.0, 29.0):
        one.found({}, at_s)
        one.ends_round(at_s)
        assert counts(one) == {"written": 1}, "it has time"
        assert one.state()["last_success_ns"] is None
    for at_s in (31.0, 41.0):
        one.found({}, at_s)
        one.ends_round(at_s)
        assert counts(one) == {"written": 1, "missing": 2}
    assert one.state()["missing_now"] == [7]


def test_a_line_that_nobody_followed_is_not_missed_by_the_follow() -> None:
    one = book()
    one.wrote(7, 0, 0.0, followed=False)
    one.found({7: 1}, 40.0)
    one.ends_round(40.0)
    assert counts(one) == {"written": 1}
    assert one.state()["last_success_ns"] is not None


def test_late_lines() -> None:
    one = book()
    one.wrote(7, 0, 0.0, followed=True)
    one.found({}, 1.0)
    one.found({7: 1}, 11.0)
    one.found({7: 1}, 21.0)
    assert counts(one) == {"written": 1, "late": 1}
    one.heard(7, 31.0)
    assert counts(one) == {"written": 1, "late": 2}


def test_lines_that_come_again() -> None:
    one = book()
    one.wrote(7, 0, 0.0, followed=True)
    one.found({7: 3}, 1.0)
    one.found({7: 3}, 2.0)
    assert counts(one) == {"written": 1, "duplicates": 2}
    one.found({7: 4}, 3.0)
    one.heard(7, 1.0)
    assert one.heard(7, 2.0) is None
    assert one.heard(8, 2.0) is None, "a line of another life"
    assert counts(one) == {"written": 1, "duplicates": 4}


def test_what_is_older_than_the_window_is_not_looked_for() -> None:
    one = book()
    assert one.oldest_ns() is None
    one.wrote(0, 5, 0.0, followed=False)
    one.wrote(1, 6, 601.0, followed=False)
    assert one.oldest_ns() == 6
    for number in range(2, MOST_LINES + 5):
        one.wrote(number, 10 + number, 602.0, followed=False)
    assert one.oldest_ns() == 10 + 5


def test_errors_are_told_until_the_next_success() -> None:
    one = book()
    one.wrote(0, 0, 0.0, followed=False)
    one.found({0: 1}, 1.0)
    one.failed("query", "503: away")
    one.ends_round(1.0)
    assert one.state()["errors"] == {"query": "503: away"}
    assert one.state()["last_success_ns"] is None
    one.took("query", 0.1)
    one.ends_round(2.0)
    assert one.state()["errors"] == {}
    assert one.state()["last_success_ns"] is not None


@pytest.mark.parametrize("written", ["canary: on", "canary: {enabled: true}"])
def test_how_it_is_switched_on(tmp_path: Path, written: str) -> None:
    file = tmp_path / "narfi.yaml"
    file.write_text(written)
    assert load_settings(file, {}, {}).canary.enabled
    assert not load_settings(None, {}, {}).canary.enabled
    assert load_settings(None, {"NARFI_CANARY": "on"}, {}).canary.enabled
    assert book_of(load_settings(None, {}, {})) is None


def test_it_needs_a_process_that_writes_and_asks(tmp_path: Path) -> None:
    file = tmp_path / "narfi.yaml"
    file.write_text(
        "canary: on\nroles: ingester\ningester: {journal: objects}\n"
        "storage: {url: s3://a}\ncatalog: {url: postgresql://a/b}\n"
    )
    with pytest.raises(SettingsError, match="needs the role querier too"):
        load_settings(file, {}, {})


class App:
    """A server that keeps, loses, or doubles lines, and forgets who follows."""

    def __init__(self, *, keeps: int = 1, status: int = 204, told: bool = True) -> None:
        self.keeps, self.status, self.told = keeps, status, told
        self.values: list[list[str]] = []
        self.follower: Send | None = None
        self.seen: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A request or a socket."""
        self.seen.append(scope["path"])
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            self.follower = send
            await receive()
            return
        body = (await receive())["body"]
        if scope["path"] == PUSH:
            await send({"type": "http.response.start", "status": self.status})
            if self.status == 204:
                (stream,) = json.loads(body)["streams"]
                self.values += stream["values"] * self.keeps
                if self.follower is not None and self.told:
                    text = json.dumps({"streams": [stream]})
                    await self.follower({"type": "websocket.send", "text": text})
            await send({"type": "http.response.body", "body": b"the disk is full"})
            return
        result = [{"stream": {}, "values": self.values}]
        answer = json.dumps({"data": {"result": result}}).encode()
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": answer})


def rounds(app: App, count: int) -> CanaryBook:
    """The accounts after some rounds."""
    settings = load_settings(None, {}, {"canary": {"enabled": True, "interval": "1s"}})
    found = CanaryBook(window_s=600, late_s=0.05, interval_s=0.1)
    canary = Canary(app, found, settings, SystemClock())
    canary._interval_s = 0.1

    async def some() -> None:
        running = asyncio.create_task(canary.run())
        until = time.monotonic() + 60
        while app.seen.count(QUERY) < count and time.monotonic() < until:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running

    asyncio.run(some())
    assert TAIL in app.seen
    return found


def test_a_server_that_keeps_what_it_is_given() -> None:
    found = rounds(App(), 4)
    assert set(counts(found)) == {"written"}
    assert set(found.state()["last_seconds"]) == {"write", "query", "tail"}


def test_a_server_that_loses_lines() -> None:
    found = rounds(App(keeps=0, told=False), 4)
    assert counts(found)["missing"] >= 2
    assert found.state()["last_success_ns"] is None


def test_a_server_that_doubles_lines() -> None:
    assert counts(rounds(App(keeps=2), 3))["duplicates"] >= 2


def test_a_server_that_refuses() -> None:
    app = App(status=500)
    settings = load_settings(None, {}, {"canary": {"enabled": True}})
    found = book()
    canary = Canary(app, found, settings, SystemClock())
    asyncio.run(canary._round())
    assert found.state()["errors"] == {"write": "500: the disk is full"}
    assert QUERY not in app.seen, "there is nothing to be found"


@pytest.mark.slow
@pytest.mark.parametrize("tenancy", ["single", "header"])
def test_a_real_server(tmp_path: Path, tenancy: str) -> None:
    config = tmp_path / "narfi.yaml"
    config.write_text(
        f"canary: {{enabled: true, interval: 1s, late_after: 10s}}\ntenancy: {tenancy}\n"
    )
    running = start(tmp_path / "data", config, tmp_path / "log")
    try:
        until = time.monotonic() + 60
        while (state := told(running))["written"] < 3 or "tail" not in state["last_seconds"]:
            assert time.monotonic() < until, state
            time.sleep(0.2)
        assert (state["missing"], state["duplicates"], state["failures"]) == (0, 0, 0)
        query = urllib.parse.urlencode({"query": '{service_name="narfi-canary"}'})
        tenant = {"X-Scope-OrgID": "narfi-canary"} if tenancy == "header" else {}
        found = get(running, f"/loki/api/v1/query_range?{query}", tenant)
        lines = [line for s in json.loads(found)["data"]["result"] for _, line in s["values"]]
        assert any("seq=1 " in line for line in lines)
    finally:
        assert stop(running) == 0
    assert "Traceback" not in (tmp_path / "log").read_text()


def told(running: Running) -> dict[str, Any]:
    """The canary's state."""
    found: dict[str, Any] = json.loads(get(running, "/narfi/api/v1/status"))["canary"]
    return found


def get(running: Running, path: str, headers: dict[str, str] | None = None) -> str:
    """The body."""
    request = urllib.request.Request(running.url + path, headers=headers or {})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return str(answer.read().decode())


def test_metrics_have_their_names() -> None:
    names = {metric.name for metric in REGISTRY.collect() if metric.name.startswith("narfi_canary")}
    assert names == {
        f"narfi_canary_{name}"
        for name in (
            *("written", "failures", "missing", "late", "duplicates", "seconds"),
            *("last_success_timestamp_seconds", "absent_lines"),
        )
    }
