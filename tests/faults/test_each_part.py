"""Does a real server go on as it should while its catalog or its objects are away?"""

import contextlib
import http.client
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.push import flush
from benchmarks.server import start, stop
from tests.served import Api
from tests.server.test_connections import wait_for

CONFIG = "compactor: {interval: 500ms}\ningester: {flush_age: 500ms}\n"
QUERY = "/loki/api/v1/query_range"
DELETE = "/loki/api/v1/delete?query=%7Bapp%3D%22nobody%22%7D&start=1000000000&end=1000000001"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[Api, Path]]:
    """With a line in a block that no query has read, nor the server for the first of them."""
    config = tmp_path / "narfi.yaml"
    config.write_text(CONFIG)
    running = start(tmp_path / "data", config, tmp_path / "log")
    wait_for(lambda: "blocks are prepared" in (tmp_path / "log").read_text())
    api = Api(running.url, "fake", running.grpc)
    api.push({"app": "a"}, "stored")
    flush(running.url)
    yield api, tmp_path / "data"
    stop(running)


def lines(api: Api) -> list[str]:
    """Of all streams."""
    answer = api.get(QUERY, query='{app=~".+"}')
    assert answer.status == 200, answer.text
    return sorted(line for s in answer.json["data"]["result"] for _, line in s["values"])


def failures(api: Api) -> int:
    """Of flushes."""
    text = api.get("/metrics").text
    (line,) = [x for x in text.splitlines() if x.startswith("narfi_flush_failures_total ")]
    return int(float(line.split()[1]))


def wait_for_a_failed_flush(api: Api) -> None:
    until = time.monotonic() + 120
    while not failures(api):
        assert time.monotonic() < until, "no flush failed"
        time.sleep(0.2)


def test_a_catalog_that_cannot_be_written(server: tuple[Api, Path]) -> None:
    """Pushes and queries go on, what needs a row is 503, and the flush is done later."""
    api, data = server
    with contextlib.closing(sqlite3.connect(data / "catalog.db", timeout=60)) as other:
        other.isolation_level = None
        other.execute("BEGIN IMMEDIATE")
        api.push({"app": "a"}, "while it is locked")
        assert lines(api) == ["stored", "while it is locked"]
        refused = api.send("POST", DELETE, b"", {})
        assert refused.status == http.client.SERVICE_UNAVAILABLE
        assert "the catalog cannot be written" in refused.text
        assert int(refused.headers["retry-after"]) > 0
        wait_for_a_failed_flush(api)
        assert lines(api) == ["stored", "while it is locked"]
        other.execute("ROLLBACK")
    flush(api.url)
    assert lines(api) == ["stored", "while it is locked"]
    assert api.send("POST", DELETE, b"", {}).status == http.client.NO_CONTENT


def test_objects_that_are_away(server: tuple[Api, Path]) -> None:
    """Pushes go on, a query that needs a block is 503, and the flush is done later."""
    api, data = server
    objects, away = data / "objects", data / "away"
    objects.rename(away)
    objects.write_bytes(b"")  # nothing can be made in its place
    api.push({"app": "b"}, "while they are away")
    wait_for_a_failed_flush(api)
    refused = api.get(QUERY, query='{app=~".+"}')
    assert refused.status == http.client.SERVICE_UNAVAILABLE, refused.text
    assert int(refused.headers["retry-after"]) > 0
    assert api.get("/status").json["quarantine"]["count"] == 0, "that is no damage"
    objects.unlink()
    away.rename(objects)
    flush(api.url)
    assert lines(api) == ["stored", "while they are away"]
