"""kill -9 during a push load, restart: every acknowledged line is there exactly once."""

import collections
import http.client
import json
import os
import random
import threading
import time
import urllib.parse
from pathlib import Path

import pytest

from benchmarks.server import Running, start, stop
from narfi.core.wire.push_encode import encode_push

BASE_NS = 1_795_510_800 * 10**9
CONFIG = """
limits: {ingestion_rate_mb: 10000.0, ingestion_burst_size_mb: 10000.0, reject_old_samples: false}
ingester: {flush_bytes: 300KB, flush_age: 1s}
"""
ROUNDS = int(os.environ.get("NARFI_KILL9_ROUNDS", "4"))
"""Kills; `make kill9` asks for more."""
HEADERS = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}


class Pusher(threading.Thread):
    """Pushes distinct lines over one connection until the server is gone; remembers what it got."""

    def __init__(self, url: str, number: int, round_number: int) -> None:
        super().__init__()
        self._parts = urllib.parse.urlsplit(url)
        self._number, self._round = number, round_number
        self.acknowledged: list[str] = []
        self.unanswered: list[str] = []

    def run(self) -> None:
        assert self._parts.hostname is not None
        connection = http.client.HTTPConnection(self._parts.hostname, self._parts.port, timeout=30)
        batch = 0
        while True:
            lines = [f"r{self._round} p{self._number} b{batch} l{k} {'x' * 200}" for k in range(20)]
            entries = [
                (BASE_NS + self._round * 10**9 + batch * 1000 + k, line.encode(), ())
                for k, line in enumerate(lines)
            ]
            body = encode_push([(f'{{app="kill", pusher="{self._number}"}}', entries)])
            try:
                connection.request("POST", "/loki/api/v1/push", body, HEADERS)
                answer = connection.getresponse()
                answer.read()
            except (OSError, http.client.HTTPException):
                self.unanswered += lines
                return
            if answer.status == http.client.NO_CONTENT:
                self.acknowledged += lines
            batch += 1


def all_lines(server: Running) -> collections.Counter[str]:
    """Every line of the test, paged by time."""
    parts = urllib.parse.urlsplit(server.url)
    assert parts.hostname is not None
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
    found: collections.Counter[str] = collections.Counter()
    for round_number in range(ROUNDS):
        for pusher in range(3):
            start_ns = BASE_NS + round_number * 10**9
            while True:
                params = {
                    "query": f'{{app="kill", pusher="{pusher}"}}',
                    "start": start_ns,
                    "end": BASE_NS + (round_number + 1) * 10**9,
                    "limit": 5000,
                    "direction": "forward",
                }
                path = f"/loki/api/v1/query_range?{urllib.parse.urlencode(params)}"
                connection.request("GET", path)
                answer = json.loads(connection.getresponse().read())
                values = sorted(
                    (int(ts), line)
                    for stream in answer["data"]["result"]
                    for ts, line in stream["values"]
                )
                found.update(line for _, line in values)
                if len(values) < 5000:
                    break
                start_ns = values[-1][0] + 1
    return found


def wait_for_flushes(server: Running, pushers: list[Pusher], round_number: int) -> None:
    """Until each pusher got answers, and a block was made in each round."""
    until = time.monotonic() + 120
    while True:
        blocks = list((server.data_dir / "objects").rglob("manifest.json"))
        if all(pusher.acknowledged for pusher in pushers) and len(blocks) > round_number:
            return
        assert time.monotonic() < until, "no flush took part"
        time.sleep(0.05)


@pytest.mark.slow
def test_every_acknowledged_line_is_there_exactly_once(tmp_path: Path) -> None:
    config = tmp_path / "narfi.yaml"
    config.write_text(CONFIG)
    r = random.Random(7)
    acknowledged: set[str] = set()
    pushed: set[str] = set()
    for round_number in range(ROUNDS):
        server = start(tmp_path / "data", config, tmp_path / "log")
        pushers = [Pusher(server.url, number, round_number) for number in range(3)]
        for pusher in pushers:
            pusher.start()
        wait_for_flushes(server, pushers, round_number)
        threading.Event().wait(r.uniform(0.0, 1.0))  # somewhere in the midst of the next ones
        server.process.kill()
        server.process.wait()
        for pusher in pushers:
            pusher.join()
            acknowledged.update(pusher.acknowledged)
            pushed.update(pusher.acknowledged, pusher.unanswered)
    server = start(tmp_path / "data", config, tmp_path / "log")
    try:
        found = all_lines(server)
    finally:
        stop(server)
    assert len(acknowledged) > 1000
    assert acknowledged - set(found) == set(), "acknowledged lines are missing"
    assert [line for line, count in found.items() if count > 1] == [], "lines are there twice"
    assert set(found) <= pushed
    assert list((tmp_path / "data" / "objects").rglob("manifest.json")), "no flush took part"
