"""Does a page that follows a query get every line once, also when its connection breaks?"""

import json
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.served import Api

PATH = "/loki/api/v1/tail"
QUERY = '{app="a"}'


@contextmanager
def followed(api: Api, **parameters: str) -> Iterator[ClientConnection]:
    """A socket as a browser opens it: without headers."""
    asked = {"query": QUERY, "grouped": "1", "tenant": api.tenant, **parameters}
    url = api.url.replace("http", "ws") + PATH + "?" + urllib.parse.urlencode(asked)
    with connect(url) as socket:
        yield socket


def frames(socket: ClientConnection, lines: int) -> list[dict[str, Any]]:
    """Frames until they have so many lines."""
    found: list[dict[str, Any]] = []
    until = time.monotonic() + 120
    while not found or len(lines_of(found)) < lines:
        assert time.monotonic() < until, found
        found.append(json.loads(socket.recv(timeout=60)))
    return found


def lines_of(found: list[dict[str, Any]]) -> list[str]:
    """Their lines, as they came."""
    return [v[1] for frame in found for stream in frame["streams"] for v in stream["values"]]


def test_history_and_live_lines_by_stream(api: Api) -> None:
    base = time.time_ns() - 10**9
    for pod in "xy":
        api.push({"app": "a", "pod": pod}, *[f"{pod} {k}" for k in range(3)], ts_ns=base)
    with followed(api) as socket:
        first = frames(socket, 6)
        assert len(first) == 1
        assert first[0]["dropped"] == 0
        by_pod = {s["stream"]["pod"]: [v[1] for v in s["values"]] for s in first[0]["streams"]}
        assert by_pod == {pod: [f"{pod} {k}" for k in range(3)] for pod in "xy"}
        meta = first[0]["streams"][0]["values"][0][2]
        assert meta == {"detected_level": "unknown"}
        for k in range(10):
            api.push({"app": "a"}, f"live {k}")
        assert lines_of(frames(socket, 10)) == [f"live {k}" for k in range(10)]


def test_an_empty_history_has_a_position(api: Api) -> None:
    with followed(api) as socket:
        (first,) = frames(socket, 0)
        assert first["streams"] == []
    api.push({"app": "a"}, "while away")
    with followed(api, **{"from": first["position"]}) as socket:
        assert lines_of(frames(socket, 1)) == ["while away"]


def test_a_broken_connection_loses_nothing_and_repeats_nothing(api: Api) -> None:
    """Lines that came late, and of one instant, while nobody listened too."""
    base = time.time_ns() - 30 * 10**9
    wanted = {f"old {k}" for k in range(5)}
    api.push({"app": "a"}, *[f"old {k}" for k in range(5)], ts_ns=base)
    got: list[str] = []
    with followed(api) as socket:
        found = frames(socket, 5)
    got += lines_of(found)
    for turn in range(4):
        now = time.time_ns()
        late = f"late {turn}"
        api.push({"app": "a"}, late, ts_ns=base + 2)
        api.push({"app": "a"}, f"away {turn}", f"more {turn}", ts_ns=now)
        wanted |= {late, f"away {turn}", f"more {turn}", f"live {turn}"}
        with followed(api, **{"from": found[-1]["position"]}) as socket:
            again = frames(socket, 3)
            api.push({"app": "a"}, f"live {turn}")
            again += frames(socket, 1)
        got += lines_of(again)
        found = again
        assert not any("warnings" in frame for frame in again)
    assert sorted(got) == sorted(wanted)


def test_frames_that_did_not_arrive_come_again(api: Api) -> None:
    api.push({"app": "a"}, "one")
    with followed(api) as socket:
        first = frames(socket, 1)
        api.push({"app": "a"}, "two")
        frames(socket, 1)
        api.push({"app": "a"}, "three")
        frames(socket, 1)
    with followed(api, **{"from": first[-1]["position"]}) as socket:
        assert lines_of(frames(socket, 2)) == ["two", "three"]


def test_a_position_of_another_process_is_a_time(api: Api) -> None:
    base = time.time_ns() - 10**9
    api.push({"app": "a"}, "before", "at", "behind", ts_ns=base)
    with followed(api, **{"from": f"00000000.7.{base + 1}"}) as socket:
        found = frames(socket, 2)
    assert "does not know the position" in found[0]["warnings"][0]["text"]
    assert lines_of(found) == ["at", "behind"]


def test_flags_by_parameter(api: Api) -> None:
    api.push({"app": "a"}, "k=v")
    parameters = {"grouped": "", "flags": "categorize-labels", "query": QUERY + " | logfmt"}
    with followed(api, **parameters) as socket:
        message = json.loads(socket.recv(timeout=60))
        assert message["encodingFlags"] == ["categorize-labels"]
        assert message["streams"][0]["values"][0][2]["parsed"] == {"k": "v"}


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"from": "nonsense"}, "invalid from"),
        ({"tenant": "a|b"}, "multiple org IDs"),
        ({"query": "{"}, "parse error"),
    ],
)
def test_what_is_refused(api: Api, parameters: dict[str, str], told: str) -> None:
    with pytest.raises(InvalidStatus) as raised, followed(api, **parameters):
        pass
    assert raised.value.response.status_code == 400
    assert told in (raised.value.response.body or b"").decode()
