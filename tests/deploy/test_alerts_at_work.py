"""Do the shipped alerts fire where a real Prometheus reads a real server to which things happen?

Their times are sixty times shorter here. `test_alerts.py` has each alert on made-up samples.
"""

import contextlib
import itertools
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
import yaml

from benchmarks.server import Running, free_port, start, stop
from tests.deploy.alerts import scaled
from tests.served import Api

DIVISOR = 60
PATIENCE_S = 120

pytestmark = [
    pytest.mark.skipif(shutil.which("prometheus") is None, reason="no Prometheus: make programs")
]


@dataclass
class Watched:
    """A server, and what Prometheus finds about it."""

    running: Running
    api: Api
    prometheus: str
    seen: set[str] = field(default_factory=set)

    def firing(self) -> set[str]:
        """Names of the alerts that fire now."""
        answer = httpx.get(f"{self.prometheus}/api/v1/alerts", timeout=30).json()
        found = {
            one["labels"]["alertname"]
            for one in answer["data"]["alerts"]
            if one["state"] == "firing"
        }
        self.seen |= found
        return found

    def wait_for(self, *names: str, meanwhile: Callable[[], object] = lambda: None) -> None:
        """Until each of them has fired."""
        until = time.monotonic() + PATIENCE_S
        while not set(names) <= self.seen:
            assert time.monotonic() < until, f"{set(names) - self.seen} do not fire: {self.seen}"
            meanwhile()
            self.firing()
            time.sleep(0.3)

    def is_scraped(self) -> bool:
        """Whether Prometheus has read the server."""
        answer = httpx.get(f"{self.prometheus}/api/v1/query?query=narfi_ready", timeout=30)
        return answer.status_code == 200 and bool(answer.json()["data"]["result"])  # 503: it starts


@contextlib.contextmanager
def watched(folder: Path, config: str) -> Iterator[Watched]:
    """A server with this configuration, read each second."""
    settings = folder / "narfi.yaml"
    settings.write_text(config)
    running = start(folder / "data", settings, folder / "log")
    port = free_port()
    (folder / "alerts.yml").write_text(scaled(DIVISOR))
    target = running.url.removeprefix("http://")
    scrape = {"job_name": "narfi", "static_configs": [{"targets": [target]}]}
    own = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(folder / "alerts.yml")],
        "scrape_configs": [scrape],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(own))
    command = [
        "prometheus",
        f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/tsdb",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=error",
    ]
    with (folder / "prometheus.log").open("wb") as sink:
        process = subprocess.Popen(command, stdout=sink, stderr=sink)
    found = Watched(running, Api(running.url, "fake", running.grpc), f"http://127.0.0.1:{port}")
    try:
        until = time.monotonic() + PATIENCE_S
        while True:
            with contextlib.suppress(httpx.HTTPError):
                if found.is_scraped():
                    break
            assert process.poll() is None, (folder / "prometheus.log").read_text()
            assert time.monotonic() < until
            time.sleep(0.1)
        yield found
    finally:
        process.terminate()
        process.wait(30)
        stop(running)


def flushed(found: Watched) -> int:
    """Push lines and put them into a block; the time of the first."""
    now = time.time_ns()
    found.api.push({"app": "a"}, *[f"line {n}" for n in range(200)], ts_ns=now)
    assert found.api.send("POST", "/flush", b"", {}).status == 204
    return now


def damage(found: Watched) -> None:
    """Change bytes of every object of the only block, and have somebody read it."""
    first_ns = flushed(found)
    objects = [p for p in (found.running.data_dir / "objects").rglob("*") if p.is_file()]
    assert objects
    for path in objects:
        data = bytearray(path.read_bytes())
        for place in range(len(data) // 2, min(len(data) // 2 + 400, len(data))):
            data[place] ^= 0xFF
        path.write_bytes(bytes(data))
    query = {"query": '{app="a"} |= "line"', "start": str(first_ns), "end": str(first_ns + 10**9)}
    found.api.get("/loki/api/v1/query_range", **query)


@pytest.mark.slow
def test_a_damaged_block_is_told_and_nothing_else(tmp_path: Path) -> None:
    with watched(tmp_path, "compactor: {interval: 1s}\n") as found:
        until = time.monotonic() + 5
        while time.monotonic() < until:
            assert found.firing() == set(), "all is well"
            time.sleep(0.3)
        damage(found)
        found.wait_for("NarfiDamagedBlocks")
        assert found.seen <= {"NarfiDamagedBlocks", "NarfiUpkeepFails"}


BROKEN = """
compactor: {interval: 1s, min_free_disk: %d}
ingester: {flush_age: 1s, max_unflushed_bytes: 16KB}
canary: {enabled: true, interval: 1s}
tenancy: header
overrides: {narfi-canary: {max_line_size: 1B}}
"""
ROOM = 2**30
"""Bytes that may still be written before the disk counts as full."""


@pytest.mark.durability
def test_each_trouble_of_a_night_is_told(tmp_path: Path) -> None:
    """Canary late, damaged block, flush stuck, requests that fail, disk that fills."""
    free, numbers = shutil.disk_usage(tmp_path).free, itertools.count()
    with watched(tmp_path, BROKEN % (free - ROOM)) as found:
        found.wait_for("NarfiCanaryIsLate")
        damage(found)
        found.wait_for("NarfiDamagedBlocks")
        objects = found.running.data_dir / "objects"
        objects.rename(tmp_path / "elsewhere")
        objects.write_bytes(b"")  # a file in place of the folder

        def push() -> None:
            body = b'{"streams": [{"stream": {"a": "b"}, "values": [["%d", "%s"]]}]}'
            data = body % (time.time_ns(), b"x" * 3000)
            headers = {"Content-Type": "application/json"}
            for _ in range(8):  # a tenant that has pushed before would wait
                api = Api(found.api.url, f"tenant-{next(numbers)}", found.api.grpc)
                api.send("POST", "/loki/api/v1/push", data, headers)

        found.wait_for("NarfiFlushIsStuck", "NarfiRequestsFail", meanwhile=push)
        filler, size = tmp_path / "filler", 0
        with filler.open("wb") as file:

            def fill() -> None:
                nonlocal size
                if size < ROOM:
                    os.posix_fallocate(file.fileno(), size, ROOM // 40)
                    size += ROOM // 40

            found.wait_for("NarfiDiskFills", meanwhile=fill)
        filler.unlink()
