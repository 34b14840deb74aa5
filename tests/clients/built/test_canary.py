"""Does Loki's canary, which pushes lines and looks for them, find all of them here?

It reads its lines back by a tail over the WebSocket, asks for those that it missed, counts them by
a metric query, and asks again later for single ones.
"""

import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.server import free_port
from tests.served import Api

LINES = 300


@pytest.fixture
def canary(api: Api, built: Callable[[str], str], tmp_path: Path) -> Iterator[str]:
    """A running canary; the address of its metrics."""
    port = free_port()
    command = [built("loki-canary"), f"-addr={api.url.removeprefix('http://')}", "-push=true"]
    command += [f"-tenant-id={api.tenant}", f"-port={port}", "-interval=100ms"]
    # a line counts as missed so long after its time, and lines are up to five seconds old
    command += ["-wait=20s", "-pruneinterval=1s", "-max-wait=30s"]
    command += ["-query-timeout=60s", "-write-timeout=60s"]
    command += ["-metric-test-interval=2s", "-metric-test-range=10m"]
    command += ["-spot-check-interval=1s", "-spot-check-query-rate=2s"]
    command += ["-spot-check-initial-wait=2s", "-out-of-order-percentage=20"]
    command += ["-out-of-order-min=1s", "-out-of-order-max=5s"]
    with (tmp_path / "canary.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    yield f"http://127.0.0.1:{port}/metrics"
    process.terminate()
    process.wait(60)


def metrics(url: str) -> dict[str, float]:
    """Every sample without labels, prefix `loki_canary_` taken away; none before it listens."""
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            rows = answer.read().decode().splitlines()
    except OSError:
        return {}
    pairs = [row.rsplit(" ", 1) for row in rows if row.startswith("loki_canary_")]
    return {name.removeprefix("loki_canary_"): float(value) for name, value in pairs}


def test_the_canary_misses_nothing(canary: str) -> None:
    until = time.monotonic() + 240
    while True:
        found = metrics(canary)
        if (
            found.get("entries_total", 0) >= LINES
            and found.get("spot_check_request_duration_seconds_count", 0) > 2
            and found.get("metric_test_request_duration_seconds_count", 0) > 2
            and found.get("response_latency_seconds_count", 0) >= LINES / 2
        ):
            break
        assert time.monotonic() < until, found
        time.sleep(0.5)
    for name in (
        "websocket_missing_entries_total",
        "missing_entries_total",
        "spot_check_missing_entries_total",
        "unexpected_entries_total",
        "duplicate_entries_total",
    ):
        assert found[name] == 0, found
    expected, actual = found["metric_test_expected"], found["metric_test_actual"]
    assert expected > 0
    assert abs(expected - actual) <= max(5, expected / 4), "lines under way are all that may differ"
