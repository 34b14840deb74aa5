"""Do limits refuse what they must, tell why, and store the rest?"""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.server import start, stop
from tests.api.conftest import Answer, Api

CONFIG = """
tenancy: header
overrides: {hurried: {query_timeout: 1ns}}
limits:
  per_stream_rate_limit: 1KB
  per_stream_rate_limit_burst: 2KB
  max_global_streams_per_user: 3
  max_query_range: 1m
  max_query_bytes_read: 1KB
  volume_enabled: false
server: {path_prefix: /logs}
ingester: {max_unflushed_bytes: 400KB}
"""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A server with small limits."""
    folder: Path = tmp_path_factory.mktemp("small")
    (folder / "narfi.yaml").write_text(CONFIG)
    server = start(folder / "data", folder / "narfi.yaml", folder / "log")
    yield Api(server.url, "small", server.grpc)
    stop(server)


def push(api: Api, **lines: str) -> Answer:
    """A line for each app in one push."""
    now = str(time.time_ns())
    streams = [{"stream": {"app": app}, "values": [[now, line]]} for app, line in lines.items()]
    body = json.dumps({"streams": streams}).encode()
    return api.send("POST", "/loki/api/v1/push", body, {"Content-Type": "application/json"})


def test_limits_of_streams(small: Api) -> None:
    answer = push(small, a="x" * 3000, b="fits")
    assert answer.status == 429
    assert "Per stream rate limit exceeded (limit: 1KB/sec)" in answer.text
    assert 'total ignored: 1 out of 1 for stream: {app="a", service_name="a"}' in answer.text
    assert push(small, c="third").status == 204
    answer = push(small, b="again", d="fourth")
    assert answer.status == 429
    assert "maximum active stream limit exceeded" in answer.text
    stats = small.get("/loki/api/v1/index/stats", query='{app=~".+"}').json
    assert stats["entries"] == 3  # b, c and b again


def test_a_push_without_room_is_told_when_to_come_again(small: Api) -> None:
    answer = push(small, a="x" * 210_000, b="x" * 210_000)
    assert (answer.status, answer.headers["retry-after"]) == (503, "5")
    assert answer.text.startswith(
        "The server cannot accept more requests at this time: it has room for 400 KiB of entries"
    )
    answer = push(small, a="x" * 205_000)
    assert (answer.status, answer.headers["retry-after"]) == (429, "5")
    assert "of entries in memory that are not stored yet, and may have 200 KiB" in answer.text


def test_limits_of_queries(small: Api) -> None:
    path = "/loki/api/v1/query_range"
    answer = small.get(path, query='rate({app="b"}[5m])')
    assert answer.text == "[interval] value exceeds limit: [5m] > [1m]"
    push(small, b="x" * 1500)
    answer = small.get(path, query='{app="b"} |= "x"')
    assert answer.status == 400
    told = "the query would read too many bytes (query: 1.5 KiB, limit: 1.0 KiB)"
    assert answer.text.startswith(told)
    assert small.get("/loki/api/v1/index/volume", query='{app="b"}').status == 404


def test_published_limits(small: Api) -> None:
    found = small.get("/loki/api/v1/drilldown-limits").json
    assert found["pattern_ingester_enabled"] is True
    assert found["limits"]["max_query_range"] == "1m"
    assert found["limits"]["retention_period"] == "0s"
    assert "max_query_series: 500" in small.get("/config/tenant/v1/limits").text


def test_a_prefix_of_paths(small: Api) -> None:
    assert small.get("/logs/ready").text == "ready\n"
    assert small.get("/logs/loki/api/v1/labels").status == 200
    assert small.get("/ready").status == 200


def test_queries_that_take_too_long_are_told(small: Api) -> None:
    hurried = Api(small.url, "hurried", small.grpc)
    answer = hurried.get("/loki/api/v1/query_range", query='{app="c"} |= "t"')
    assert answer.status == 504
    assert "timed out" in answer.text
