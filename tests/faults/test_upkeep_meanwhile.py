"""Pushes and queries while upkeep never rests: every line exactly once, at every moment."""

import collections
import json
import threading
import time
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

from benchmarks.server import Running, serving
from narfi.core.wire.push_encode import encode_push

DAY_NS = 86_400 * 10**9
CHECKS = 8
"""Rounds at least; more until every kind of upkeep has done something."""
MOST_S = 300
WRITERS = 2
CONFIG = """
limits:
  ingestion_rate_mb: 1000.0
  ingestion_burst_size_mb: 1000.0
  max_entries_limit_per_query: 1000000
  max_query_length: 0s
  retention_stream: [{selector: '{kind="old"}', period: 24h}]
ingester: {flush_bytes: 8KB}
compactor: {interval: 10ms, orphan_grace: 5s, delete_request_cancel_period: 100ms, min_free_disk: 0}
"""


class Writer(threading.Thread):
    """Pushes numbered lines of now, and some of three days ago that shall expire."""

    def __init__(self, server: Running, number: int, stop: threading.Event) -> None:
        super().__init__()
        self._server, self._number, self._stop_asked = server, number, stop
        self.acknowledged = 0
        self.sent = 0

    def run(self) -> None:
        """Until told."""
        while not self._stop_asked.is_set():
            now, first = time.time_ns(), self.sent
            self.sent += 20
            new = [(now + k, b"%d %d" % (self._number, first + k), ()) for k in range(20)]
            old = [(now - 3 * DAY_NS + k, b"old %d" % k + b"x" * 50, ()) for k in range(10)]
            doomed = [(now, b"doomed %d" % first, ())]
            name = f"w{self._number}"
            streams = [
                (f'{{app="{name}", kind="new"}}', new),
                (f'{{app="{name}", kind="old"}}', old),
                (f'{{app="{name}", kind="doomed"}}', doomed),
            ]
            headers = {"Content-Type": "application/x-protobuf"}
            url = f"{self._server.url}/loki/api/v1/push"
            request = urllib.request.Request(url, encode_push(streams), headers)
            with urllib.request.urlopen(request, timeout=120) as answer:
                assert answer.status == 204
            self.acknowledged = self.sent
            time.sleep(0.01)


def ask(server: Running, path: str, **parameters: object) -> bytes:
    """The answer's body."""
    query = urllib.parse.urlencode(parameters)
    with urllib.request.urlopen(f"{server.url}{path}?{query}", timeout=60) as answer:
        return bytes(answer.read())


def lines(server: Running, selector: str) -> list[str]:
    """All visible lines of the last four days."""
    now = time.time_ns()
    span = {"start": now - 4 * DAY_NS, "end": now + 10**9}
    body = ask(server, "/loki/api/v1/query_range", query=selector, limit=1_000_000, **span)
    found = json.loads(body)["data"]["result"]
    return [line for stream in found for _, line in stream["values"]]


def counted(server: Running) -> int:
    """The number of new lines, by a metric query."""
    query = 'sum(count_over_time({kind="new"}[1h]))'
    time_ns = time.time_ns() + 10**9
    found = json.loads(ask(server, "/loki/api/v1/query", query=query, time=time_ns))
    result = found["data"]["result"]
    return int(result[0]["value"][1]) if result else 0


def metrics(server: Running) -> dict[str, float]:
    """Every sample of /metrics."""
    rows = ask(server, "/metrics").decode().splitlines()
    pairs = [row.rsplit(" ", 1) for row in rows if not row.startswith("#")]
    return {name: float(value) for name, value in pairs}


def check(server: Running, writers: list[Writer]) -> None:
    """What was acknowledged before the question is there once; nothing is there twice."""
    before = [writer.acknowledged for writer in writers]
    found = collections.Counter(lines(server, '{kind="new"}'))
    count = counted(server)
    after = [writer.sent for writer in writers]
    expected = {f"{w} {k}" for w, total in enumerate(before) for k in range(total)}
    assert expected <= set(found)
    assert set(found.values()) <= {1}
    assert sum(before) <= count <= sum(after)


@pytest.mark.slow
def test_every_line_is_there_once_while_upkeep_runs(tmp_path: Path) -> None:
    config = tmp_path / "narfi.yaml"
    config.write_text(CONFIG)
    with serving(tmp_path / "data", config, tmp_path / "log") as server:
        stop = threading.Event()
        writers = [Writer(server, number, stop) for number in range(WRITERS)]
        for writer in writers:
            writer.start()
        until = time.monotonic() + MOST_S
        checks = 0
        while checks < CHECKS or not has_done_all(metrics(server)):
            check(server, writers)
            checks += 1
            if checks % 3 == 1:
                ask_to_delete(server)
            assert time.monotonic() < until, metrics(server)
        stop.set()
        for writer in writers:
            writer.join()
        check(server, writers)
        settle(server)
        check(server, writers)
        found = metrics(server)
    print(
        checks,
        {
            k: v
            for k, v in found.items()
            if "upkeep" in k
            or "narfi_expired" in k
            or "deleted" in k
            or "narfi_blocks" in k
            or "rewritten" in k
        },
        [w.sent for w in writers],
    )
    assert has_done_all(found)
    assert found['narfi_upkeep_last_success_timestamp_seconds{task="retention"}'] > 0
    assert not any(v for k, v in found.items() if k.startswith("narfi_upkeep_failures_total"))


def has_done_all(found: dict[str, float]) -> bool:
    """Did each kind of upkeep work on something?"""
    counters = (
        "narfi_retention_rewritten_blocks_total",
        "narfi_deleted_entries_total",
        'narfi_upkeep_items_total{task="compaction"}',
        'narfi_expired_entries_total{reason="age"}',
    )
    return all(found.get(name, 0) > 0 for name in counters)


def ask_to_delete(server: Running) -> None:
    """All doomed lines so far."""
    span = {"start": int(time.time()) - 3600, "end": int(time.time())}
    query = urllib.parse.urlencode({"query": '{kind="doomed"}', **span})
    request = urllib.request.Request(f"{server.url}/loki/api/v1/delete?{query}", b"", method="POST")
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 204


def settle(server: Running) -> None:
    """Until everything that shall go is gone, and its objects are."""
    urllib.request.urlopen(f"{server.url}/flush", b"", timeout=60).close()
    time.sleep(1)
    ask_to_delete(server)
    until = time.monotonic() + 120
    while time.monotonic() < until:
        found = metrics(server)
        if not found["narfi_removed_blocks"] and not lines(server, '{kind=~"old|doomed"}'):
            return
        time.sleep(0.3)
    raise AssertionError("not settled")
