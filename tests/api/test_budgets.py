"""Does a request keep within its budget, and does one tenant leave room for others?"""

import json
import socket
import threading
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.server import start, stop
from tests.api.conftest import Answer, Api

QUERY, RANGE = "/loki/api/v1/query", "/loki/api/v1/query_range"

CONFIG = """
tenancy: header
querier: {query_threads: 2, max_waiting: 4, max_memory: 64MB}
limits: {ingestion_rate_mb: 1000.0, ingestion_burst_size_mb: 1000.0, per_stream_rate_limit: 1GB,
         per_stream_rate_limit_burst: 1GB}
overrides:
  poor: {max_query_memory: 4MB}
  hurried: {query_timeout: 1ns}
"""

SLOW = (
    'count_over_time({app="wide"} '
    '| line_format `{{ regexReplaceAll "[a-z]" __line__ "x" }}` |= "never" [1h])'
)
"""Tens of thousands of replacements in each line."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A server with little memory and two query threads."""
    folder: Path = tmp_path_factory.mktemp("budgets")
    (folder / "narfi.yaml").write_text(CONFIG)
    running = start(folder / "data", folder / "narfi.yaml", folder / "log")
    yield Api(running.url, "", running.grpc)
    stop(running)


def tenant(server: Api, name: str, lines: list[str]) -> Api:
    """A tenant with lines, at different times, in the stream `{app="wide"}`."""
    api, now = Api(server.url, name, server.grpc), time.time_ns()
    values = [[str(now - n), line] for n, line in enumerate(lines)]
    body = json.dumps({"streams": [{"stream": {"app": "wide"}, "values": values}]}).encode()
    told = api.send("POST", "/loki/api/v1/push", body, {"Content-Type": "application/json"})
    assert told.status == 204, told.text
    return api


def wide(count: int) -> list[str]:
    """Lines of 200 KB."""
    return [f"{n} ".ljust(200_000, "a") for n in range(count)]


def test_a_large_answer_comes_in_pieces_and_whole(server: Api) -> None:
    lines = wide(20)
    rich = tenant(server, "rich", lines)
    answer = rich.get(RANGE, query='{app="wide"}', limit="5000")
    assert answer.headers["transfer-encoding"] == "chunked"
    (stream,) = answer.json["data"]["result"]
    assert [line for _, line in stream["values"]] == lines
    assert answer.json["data"]["stats"]["summary"]["totalEntriesReturned"] == 20
    small = rich.get(RANGE, query='{app="wide"}', limit="1")
    assert int(small.headers["content-length"]) == len(small.body)


def test_a_client_that_goes_away_leaves_nothing(server: Api) -> None:
    """Of 30 answers of 4 MB that nobody reads to the end, all give their memory back."""
    api = tenant(server, "gone", wide(20))
    address = urllib.parse.urlsplit(server.url)
    asked = urllib.parse.urlencode({"query": '{app="wide"}', "limit": "5000"})
    for _ in range(30):
        with socket.create_connection((address.hostname, address.port), timeout=60) as client:
            request = (
                f"GET {RANGE}?{asked} HTTP/1.1\r\nHost: localhost\r\nX-Scope-OrgID: gone\r\n\r\n"
            )
            client.sendall(request.encode())
            assert client.recv(1000).startswith(b"HTTP/1.1 200")
    deadline = time.monotonic() + 60
    while (answer := api.get(RANGE, query='{app="wide"}', limit="5000")).status != 200:
        assert time.monotonic() < deadline, answer.text


@pytest.mark.parametrize(
    "query",
    [
        '{app="wide"}',
        'sum by (x) (count_over_time({app="wide"} | label_format x="{{ __line__ }}" [1h]))',
    ],
)
def test_too_much_memory_is_a_4xx_that_names_the_setting(server: Api, query: str) -> None:
    poor = tenant(server, "poor", wide(20))
    answer = poor.get(RANGE, query=query, limit="5000", step="60")
    assert answer.status == 400
    assert "needs too much memory" in answer.text
    assert "limit: 4.0 MiB, set by max_query_memory" in answer.text
    assert poor.get(RANGE, query='{app="wide"}', limit="3").status == 200


def test_series_are_counted_while_they_grow(server: Api) -> None:
    many = tenant(server, "many", [f"user={n}" for n in range(1000)])
    answer = many.get(QUERY, query='sum by (user) (count_over_time({app="wide"} | logfmt [1h]))')
    assert answer.status == 400
    assert "maximum number of series (500) reached" in answer.text
    query = 'count(sum by (user) (count_over_time({app="wide"} | logfmt [1h])))'
    (found,) = many.get(QUERY, query=query).json["data"]["result"]
    assert found["value"][1] == "1000"


def test_waiting_counts_for_every_route(server: Api) -> None:
    hurried = tenant(server, "hurried", ["x"])
    for path in ("labels", "index/stats", "series", "query_range"):
        answer = hurried.get(f"/loki/api/v1/{path}", query='{app="wide"}')
        assert answer.status == 504, path
        assert "timed out" in answer.text


def test_a_tenant_leaves_room_for_others(server: Api) -> None:
    heavy = tenant(server, "heavy", ["a" * 20_000] * 3)
    light = tenant(server, "light", ["one line"])
    found: list[Answer] = []
    clients = [
        threading.Thread(target=lambda: found.append(heavy.get(QUERY, query=SLOW)))
        for _ in range(24)
    ]
    for client in clients:
        client.start()
    for _ in range(3):
        answer = light.get(QUERY, query='count_over_time({app="wide"}[1h])')
        assert answer.json["data"]["result"][0]["value"][1] == "1"
    served = sum(answer.status == 200 for answer in found)
    for client in clients:
        client.join()
    refused = [answer for answer in found if answer.status == 429]
    assert {answer.status for answer in found} == {200, 429}
    assert "too many outstanding requests" in refused[0].text
    assert served < 24 - len(refused), "the others waited for all of them"
