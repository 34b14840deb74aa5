"""Do the files of the Compose stack work together? Its programs as processes on loopback.

PostgreSQL is real, S3 is moto's; server and agent get the files that Compose mounts, with other
addresses in them. A log file as Docker writes it comes out of a LogQL query by its service.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.server import Running, free_port, start, stop
from tests.deploy.dockerfile import ROOT
from tests.promtail_agent.conftest import wait_until
from tests.served import Api
from tests.servers import postgres, s3

FOLDER = ROOT / "deploy/compose"
LABEL = "com.docker.compose.service"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("curl") is None, reason="no curl"),
]


def told(file: str, changes: dict[str, str], target: Path) -> Path:
    """A file of the stack with other addresses and folders; each must have been in it."""
    text = (FOLDER / file).read_text()
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    target.write_text(text)
    return target


def make_bucket(url: str) -> subprocess.CompletedProcess[str]:
    """As the service `bucket` does."""
    keys = s3.CREDENTIALS["AWS_ACCESS_KEY_ID"], s3.CREDENTIALS["AWS_SECRET_ACCESS_KEY"]
    own = dict(zip(("S3_ACCESS_KEY", "S3_SECRET_KEY"), keys, strict=True))
    command = ["sh", str(FOLDER / "make-bucket.sh"), url]
    return subprocess.run(
        command, env={**os.environ, **own}, capture_output=True, text=True, check=False
    )


@dataclass(frozen=True)
class Stack:
    """What runs, and the folder of containers' logs."""

    server: Running
    logs: Path
    bucket: str


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    """Everything but Grafana and Prometheus."""
    for name, value in s3.CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    logs = tmp_path / "containers"
    (tmp_path / "agent").mkdir()  # a volume is there before its container
    with ExitStack() as running:
        blocks = running.enter_context(s3.running())
        catalogs = running.enter_context(postgres.running(postgres.needed()))
        catalogs.execute("create database narfi")
        bucket = f"http://127.0.0.1:{blocks.port}/logs"
        assert make_bucket(bucket).returncode == 0
        config = told(
            "narfi.yaml",
            {
                "http://s3:7070": f"http://127.0.0.1:{blocks.port}",
                "@postgres/": f"@127.0.0.1:{catalogs.port}/",
                "/etc/narfi/rules": str(FOLDER / "rules"),
                "http://alertmanager:9093": f"http://127.0.0.1:{free_port()}",
                "http://prometheus:9090": f"http://127.0.0.1:{free_port()}",
            },
            tmp_path / "narfi.yaml",
        )
        server = start(tmp_path / "data", config, tmp_path / "server.log")
        running.callback(stop, server)
        agent = told(
            "agent.yaml",
            {
                "http://narfi:3100": server.url,
                "/var/lib/narfi-agent": str(tmp_path / "agent"),
                "/var/lib/docker/containers": str(logs),
                "http_listen_port: 9080": "http_listen_address: 127.0.0.1\n  http_listen_port: 0",
            },
            tmp_path / "agent.yaml",
        )
        command = [sys.executable, "-m", "narfi.cli", "agent", "--config", str(agent)]
        with (tmp_path / "agent.log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)
        running.callback(process.wait, 60)
        running.callback(process.terminate)
        yield Stack(server, logs, bucket)


def write(logs: Path, container: str, service: str, *lines: str) -> None:
    """A log file of Docker's driver json-file, with the label that Compose asks for."""
    file = logs / container / f"{container}-json.log"
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as out:
        for line in lines:
            record = {"log": f"{line}\n", "stream": "stdout", "attrs": {LABEL: service}}
            out.write(json.dumps({**record, "time": now()}) + "\n")


def now() -> str:
    """As Docker writes it."""
    done = subprocess.run(["date", "-u", "+%Y-%m-%dT%H:%M:%S.%NZ"], capture_output=True, check=True)
    return done.stdout.decode().strip()


def lines_of(api: Api, service: str) -> Callable[[], list[str]]:
    """What a query for a service finds."""

    def ask() -> list[str]:
        query = f'{{job="containers", service="{service}"}}'
        found = api.get("/loki/api/v1/query_range", query=query).json["data"]["result"]
        assert all(stream["stream"].keys().isdisjoint({"filename"}) for stream in found)
        return sorted(line for stream in found for _, line in stream["values"])

    return ask


def test_logs_of_containers_are_found_by_service(stack: Stack) -> None:
    api = Api(stack.server.url, "fake", "")
    write(stack.logs, "c0ffee", "shop", "sold one", "level=error no more")
    write(stack.logs, "decaf", "mail", "sent")
    shop, mail = lines_of(api, "shop"), lines_of(api, "mail")
    wait_until(lambda: shop() == ["level=error no more", "sold one"], 60)
    wait_until(lambda: mail() == ["sent"], 60)
    assert api.send("POST", "/flush", b"", {}).status == 204
    assert shop() == ["level=error no more", "sold one"]  # of the bucket now
    rules = api.get("/prometheus/api/v1/rules").json["data"]["groups"]
    assert [group["name"] for group in rules] == ["containers"]
    status = api.get("/status").json
    assert status["far_storage"] == {"objects": None, "catalog": None}
    assert status["blocks"]["visible"] >= 1


def test_the_bucket_is_made_once(stack: Stack) -> None:
    again = make_bucket(stack.bucket)
    assert again.returncode == 0
    assert again.stdout.endswith("is there\n")
    nobody = make_bucket(f"http://127.0.0.1:{free_port()}/logs")
    assert nobody.returncode != 0
