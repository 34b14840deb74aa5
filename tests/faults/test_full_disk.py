"""A disk that takes no more: pushes are refused with 500, nothing acknowledged is lost."""

import json
import random
import resource
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

from benchmarks.server import free_port, start, stop
from narfi.core.wire.push_encode import encode_push

BASE_NS = 1_795_510_800 * 10**9
LIMIT_BYTES = 2 * 1024 * 1024
CONFIG = (
    "limits: {reject_old_samples: false, "
    "ingestion_rate_mb: 1000.0, ingestion_burst_size_mb: 1000.0}\n"
)


def push(url: str, number: int) -> int:
    """Push one incompressible line; the status."""
    line = f"{number} ".encode() + random.Random(number).randbytes(30_000).hex().encode()
    body = encode_push([('{app="full"}', [(BASE_NS + number, line, ())])])
    headers = {"Content-Type": "application/x-protobuf"}
    request = urllib.request.Request(f"{url}/loki/api/v1/push", body, headers)
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.slow
def test_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    config = tmp_path / "narfi.yaml"
    config.write_text(CONFIG)
    port = free_port()
    command = [sys.executable, "-m", "narfi.cli", "serve", "--config", str(config)]
    command += ["--data-dir", str(tmp_path / "data"), "--http", f"127.0.0.1:{port}"]
    command += ["--grpc", f"127.0.0.1:{free_port()}"]

    def no_large_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT_BYTES, LIMIT_BYTES))

    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(command, preexec_fn=no_large_files, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_ready(url, server, tmp_path / "log")
        statuses = [push(url, number) for number in range(120)]
    finally:
        server.kill()
        server.wait()
    good = [number for number, status in enumerate(statuses) if status == 204]
    assert 500 in statuses, "the limit was never met"
    assert len(good) >= 10
    restarted = start(tmp_path / "data", config, tmp_path / "log")
    try:
        found = numbers(restarted.url)
    finally:
        stop(restarted)
    assert set(good) <= set(found)
    assert len(found) == len(set(found))


def wait_ready(url: str, server: "subprocess.Popen[bytes]", log: Path) -> None:
    """Until /ready answers 200; a server that ended has said why."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if server.poll() is not None:
            told = log.read_text(errors="replace")[-2000:]
            pytest.fail(f"the server ended with {server.returncode}: {told}")
        try:
            with urllib.request.urlopen(f"{url}/ready", timeout=5):
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.2)
    raise AssertionError("not ready")


def numbers(url: str) -> list[int]:
    """The numbers at the heads of the stored lines."""
    params = {
        "query": '{app="full"}',
        "start": BASE_NS,
        "end": BASE_NS + 10**6,
        "limit": 1000,
    }
    query = urllib.parse.urlencode(params)
    with urllib.request.urlopen(f"{url}/loki/api/v1/query_range?{query}", timeout=60) as answer:
        content = json.load(answer)
    return [
        int(line.split()[0]) for stream in content["data"]["result"] for _, line in stream["values"]
    ]
