"""Do followers get every entry once, and why are they sent away?"""

import json
import time
import urllib.parse
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from socket import create_connection
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.api.conftest import Api


def follow(api: Api, headers: dict[str, str] | None = None, **parameters: str) -> ClientConnection:
    """An open socket."""
    return follow_with(api, parameters, headers)


def follow_with(
    api: Api, parameters: dict[str, str], headers: dict[str, str] | None = None
) -> ClientConnection:
    """An open socket for any parameters."""
    url = api.url.replace("http", "ws") + "/loki/api/v1/tail?" + urllib.parse.urlencode(parameters)
    return connect(url, additional_headers={"X-Scope-OrgID": api.tenant, **(headers or {})})


def collect(socket: ClientConnection, enough: Callable[[list[Any]], bool]) -> list[Any]:
    """Messages until there are enough entries."""
    entries: list[Any] = []
    until = time.monotonic() + 120
    while not enough(entries):
        assert time.monotonic() < until, entries
        message = json.loads(socket.recv(timeout=60))
        assert next(iter(message)) == "streams"
        for stream in message["streams"]:
            assert len(stream["values"]) == 1
            entries.append((stream["stream"], *stream["values"][0]))
    return entries


def test_history_and_live_entries_come_once_and_in_order(api: Api) -> None:
    api.push({"app": "a"}, "old 1", "old 2")
    api.push({"app": "other"}, "not asked for")
    with follow(api, query='{app="a"}') as socket:
        assert [e[2] for e in collect(socket, lambda e: len(e) >= 2)] == ["old 1", "old 2"]
        for k in range(20):
            api.push({"app": "a"}, f"live {k}")
        found = collect(socket, lambda e: len(e) >= 20)
        assert [e[2] for e in found] == [f"live {k}" for k in range(20)]
        assert found[0][0] == {"app": "a", "service_name": "a"}


def test_the_pipeline_is_applied(api: Api) -> None:
    query = '{app="a"} | logfmt | level="error" | line_format "{{.msg}}"'
    with follow(api, query=query) as socket:
        api.push({"app": "a"}, "level=info msg=no", "level=error msg=yes")
        (found,) = collect(socket, lambda e: len(e) >= 1)
        assert found[2] == "yes"
        assert found[0]["level"] == "error"


def test_the_limit_cuts_the_history(api: Api) -> None:
    api.push({"app": "a"}, *[f"line {k}" for k in range(10)])
    with follow(api, query='{app="a"}', limit="3") as socket:
        found = collect(socket, lambda e: len(e) >= 3)
        assert [e[2] for e in found] == ["line 7", "line 8", "line 9"]


def test_categorized_entries(api: Api) -> None:
    headers = {"X-Loki-Response-Encoding-Flags": "categorize-labels"}
    with follow(api, headers, query='{app="a"} | logfmt') as socket:
        api.push({"app": "a"}, "k=v")
        message = json.loads(socket.recv(timeout=60))
        while not message["streams"]:
            message = json.loads(socket.recv(timeout=60))
        assert message["encodingFlags"] == ["categorize-labels"]
        assert message["streams"][0]["values"][0][2]["parsed"] == {"k": "v"}


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"query": "{app="}, "parse error"),
        ({"query": '{app="a"}', "delay_for": "6"}, "delay_for can't be greater than 5"),
        ({"query": '{app="a"}', "limit": "x"}, "invalid syntax"),
    ],
)
def test_bad_requests_are_refused_at_the_handshake(
    api: Api, parameters: dict[str, str], told: str
) -> None:
    with pytest.raises(InvalidStatus) as refused:
        follow_with(api, parameters)
    assert refused.value.response.status_code == 400
    assert told in (refused.value.response.body or b"").decode()


def test_metric_queries_are_sent_away(api: Api) -> None:
    with (
        follow(api, query='rate({app="a"}[1m])') as socket,
        pytest.raises(ConnectionClosed) as closed,
    ):
        socket.recv(timeout=60)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1011


def test_too_many_followers_are_told(api: Api) -> None:
    query = '{app="a"}'
    with follow(api, query=query), follow(api, query=query), follow(api, query=query) as third:
        with pytest.raises(ConnectionClosed) as closed:
            third.recv(timeout=60)
        assert closed.value.rcvd is not None
        assert "max concurrent tail requests limit exceeded" in closed.value.rcvd.reason


def test_a_plain_request_is_told_what_is_wrong_with_it(api: Api) -> None:
    path = "/loki/api/v1/tail"
    answer = api.get(path, query='{app="a"}')
    assert (answer.status, answer.text) == (400, "Bad Request\n")
    assert (api.get(path, query="{").status, api.get(path).status) == (400, 400)
    assert "parse error" in api.get(path, query="{").text
    nobody = replace(api, tenant="").get(path, query='{app="a"}')
    assert (nobody.status, nobody.text) == (401, "no org id\n")


def test_with_a_delay_late_entries_come_before_newer_ones(api: Api) -> None:
    with follow(api, query='{app="a"}', delay_for="3") as socket:
        now = time.time_ns()
        api.push({"app": "a"}, "new", ts_ns=now)
        time.sleep(1)  # the first has been looked at
        api.push({"app": "a"}, "late", ts_ns=now - 10**9)
        found = collect(socket, lambda e: len(e) >= 2)
        assert time.time_ns() >= now + 3 * 10**9
        assert [e[2] for e in found] == ["late", "new"]


def test_the_old_path_has_messages_of_its_own(api: Api) -> None:
    api.push({"app": "a"}, "old")
    url = api.url.replace("http", "ws") + "/api/prom/tail?"
    url += urllib.parse.urlencode({"query": '{app="a"} | keep app'})
    with connect(url, additional_headers={"X-Scope-OrgID": api.tenant}) as socket:
        first = api.push({"app": "a"}, "live")
        found = [json.loads(socket.recv(timeout=60)) for _ in range(2)]
    assert [message["dropped_entries"] for message in found] == [None, None]
    streams = [stream for message in found for stream in message["streams"]]
    assert [stream["labels"] for stream in streams] == ['{app="a"}'] * 2
    assert [entry["line"] for one in streams for entry in one["entries"]] == ["old", "live"]
    at = datetime.fromisoformat(streams[1]["entries"][0]["ts"][:26] + "+00:00")
    assert abs(at.timestamp() - first / 1e9) < 1e-3


def test_a_follower_is_pinged_each_second(api: Api) -> None:
    host, port = api.url.removeprefix("http://").split(":")
    query = urllib.parse.urlencode({"query": '{app="nothing"}'})
    request = (
        f"GET /loki/api/v1/tail?{query} HTTP/1.1\r\nHost: {host}:{port}\r\n"
        f"X-Scope-OrgID: {api.tenant}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    with create_connection((host, int(port)), timeout=15) as connection:
        connection.sendall(request.encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += connection.recv(1)
        assert b" 101 " in head
        ping = connection.recv(6)
    assert ping[:2] == b"\x89\x04", "long before a proxy takes it for idle"
