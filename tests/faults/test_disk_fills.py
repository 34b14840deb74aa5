"""A disk that is smaller than what is pushed: pushes go on, the oldest blocks go, the rest stays.

Needs a small file system of its own (tmpfs); skipped where mounting is not allowed.
"""

import base64
import json
import random
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.server import Running, serving
from narfi.core.wire.push_encode import encode_push

DISK_MB = 192
PUSHED_MB = 320
LINE_BYTES = 64 * 1024
LINES = 16
CONFIG = """
limits:
  ingestion_rate_mb: 1000.0
  ingestion_burst_size_mb: 1000.0
  per_stream_rate_limit: 1GB
  per_stream_rate_limit_burst: 1GB
ingester: {flush_bytes: 8MB, max_unflushed_bytes: 48MB}
compactor: {interval: 1s, min_free_disk: 20MB}
"""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder that is a file system of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(["mount", *options], capture_output=True, check=False)
    except OSError:
        pytest.skip("there is no mount command")
    if mounted.returncode:
        pytest.skip("mounting is not allowed here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def push(server: Running, number: int) -> int:
    """A megabyte that compresses to three quarters; the status."""
    noise = random.Random(number)
    size = LINE_BYTES * 3 // 4
    now = time.time_ns()
    lines = [
        (now + k, b"%d " % (number * LINES + k) + base64.b64encode(noise.randbytes(size)), ())
        for k in range(LINES)
    ]
    headers = {"Content-Type": "application/x-protobuf"}
    body = encode_push([('{app="full"}', lines)])
    request = urllib.request.Request(f"{server.url}/loki/api/v1/push", body, headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def get(server: Running, path: str, **parameters: object) -> str:
    """The answer's body."""
    query = urllib.parse.urlencode(parameters)
    with urllib.request.urlopen(f"{server.url}{path}?{query}", timeout=60) as answer:
        return str(answer.read().decode())


def numbers(server: Running) -> list[int]:
    """The numbers of all visible lines, without their noise."""
    query = '{app="full"} | pattern "<n> <_>" | line_format "{{.n}}"'
    body = get(server, "/loki/api/v1/query_range", query=query, limit=5000)
    result = json.loads(body)["data"]["result"]
    return sorted(int(line) for stream in result for _, line in stream["values"])


def metric(server: Running, name: str) -> float:
    """One sample of /metrics."""
    rows = get(server, "/metrics").splitlines()
    return next((float(row.rsplit(" ", 1)[1]) for row in rows if row.startswith(f"{name} ")), 0.0)


@pytest.mark.slow
def test_pushes_go_on_and_the_newest_stay(small_disk: Path, tmp_path: Path) -> None:
    config = tmp_path / "narfi.yaml"
    config.write_text(CONFIG)
    with serving(small_disk / "data", config, tmp_path / "log") as server:
        statuses = [push(server, number) for number in range(PUSHED_MB)]
        assert set(statuses) == {204}
        found = numbers(server)
        last = PUSHED_MB * LINES - 1
        assert found == list(range(found[0], last + 1)), "only the oldest are gone"
        assert found[0] > 0
        kept_mb = len(found) * LINE_BYTES / 2**20
        assert kept_mb > (DISK_MB - 20 - 2 * 64) * 3 / 4, "no more than must went"
        assert metric(server, 'narfi_expired_blocks_total{reason="disk"}') > 0
        until = time.monotonic() + 60  # what the last pushes took is made up for at the next look
        while metric(server, "narfi_disk_free_bytes") < 10 * 2**20:
            assert time.monotonic() < until
            time.sleep(0.2)


@pytest.mark.slow
def test_another_program_fills_the_disk(small_disk: Path, tmp_path: Path) -> None:
    config = tmp_path / "narfi.yaml"
    # without upkeep: objects of merged blocks would make room first
    config.write_text(CONFIG.replace("interval: 1s", "interval: 1h"))
    with serving(small_disk / "data", config, tmp_path / "log") as server:
        for number in range(48):
            assert push(server, number) == 204
        urllib.request.urlopen(f"{server.url}/flush", b"", timeout=60).close()
        before = numbers(server)
        with (small_disk / "other").open("wb") as other:
            try:
                while True:
                    other.write(bytes(2**20))
                    other.flush()
            except OSError:
                pass  # full to the last byte
        until = time.monotonic() + 120
        while push(server, 100) != 204:
            assert time.monotonic() < until, "pushes never went on"
            time.sleep(0.2)
        found = numbers(server)
    assert len(before) == 48 * LINES
    assert found[-LINES:] == list(range(100 * LINES, 101 * LINES))
    assert LINES < len(found) < len(before)
