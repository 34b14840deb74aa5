"""Do the pods of the chart's mode `roles` work together? As processes, with their variables.

PostgreSQL is real, S3 is moto's; addresses, folders and the settings file are the test's.
"""

import http.client
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
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


class Cluster:
    """Processes of roles over one bucket and one database."""

    def __init__(self, folder: Path, places: dict[str, dict[str, str]]) -> None:
        chart = render(overlaid(values_of("roles"), places))
        (settings,) = objects_of(chart, "ConfigMap")
        self._folder, self._file = folder, folder / "narfi.yaml"
        self._file.write_text(settings["data"]["narfi.yaml"])
        self._containers = {
            workload["metadata"]["labels"]["app.kubernetes.io/component"]: pod_of(workload)
            for workload in workloads(chart)
        }
        self.pods: list[Pod] = []

    def begin(self, role: str) -> Pod:
        """One more pod; it need not be ready yet."""
        (container,) = self._containers[role]["containers"]
        arguments = [*container["args"][:-1], str(self._file)]
        folder = self._folder / f"{len(self.pods)}"
        pod = start(role, environment_of(container), arguments, folder)
        self.pods.append(pod)
        return pod

    def end(self) -> None:
        """End all that run."""
        for pod in self.pods:
            _end(pod.process)

    def all(self, role: str) -> list[Pod]:
        """Those that run."""
        return [pod for pod in self.pods if pod.role == role and pod.process.poll() is None]


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """Two ingesters and one of each other role, ready."""
    for name, value in s3.CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with ExitStack() as running:
        blocks = running.enter_context(s3.running())
        catalogs = running.enter_context(postgres.running(postgres.needed()))
        places = {
            "storage": {"url": blocks.fresh()},
            "catalog": {"url": catalogs.fresh().replace("+psycopg", "")},
        }
        found = Cluster(tmp_path, places)
        running.callback(found.end)
        for role in PODS:
            found.begin(role)
        for pod in found.pods:
            wait_until(pod.is_ready, 180)
        yield found


def drain(pod: Pod) -> None:
    """As Kubernetes ends it: the hook, then SIGTERM."""
    hook = [sys.executable, "-IS", str(ROOT / "deploy/docker/drain.py"), "0"]
    own = {"NARFI_SERVER__HTTP": pod.http}
    done = subprocess.run(hook, env=own, capture_output=True, text=True, check=True)
    assert done.stdout == "flushed\n"
    pod.process.send_signal(signal.SIGTERM)
    assert pod.process.wait(60) == 0


def lines_of(querier: Pod) -> list[str]:
    """What is there, without what a failing request would tell."""
    answer = querier.api.get("/loki/api/v1/query_range", query='{app="x"}', limit="5000")
    found = answer.json["data"]["result"] if answer.status == 200 else []
    return sorted(line for stream in found for _, line in stream["values"])


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def test_push_here_ask_there(cluster: Cluster) -> None:
    """Also after a drained pod, and after one that was killed."""
    first, second, querier, _, ruler = cluster.pods
    first.api.push({"app": "x"}, "a")
    second.api.push({"app": "x"}, "b")
    assert lines_of(querier) == ["a", "b"]
    drain(first)
    wait_until(lambda: lines_of(querier) == ["a", "b"], 60)
    second.api.push({"app": "x"}, "c")
    second.process.kill()
    second.process.wait()
    wait_until(lambda: lines_of(querier) == ["a", "b", "c"], 60)
    body = b'{"streams": [{"stream": {"app": "x"}, "values": [["1", "no"]]}]}'
    headers = {"Content-Type": "application/json"}
    assert querier.api.send("POST", "/loki/api/v1/push", body, headers).status == 503
    assert ruler.api.get("/prometheus/api/v1/rules").status == 200


class Pusher(threading.Thread):
    """A client that pushes lines one by one, each until it is acknowledged, to any ingester."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(daemon=True)
        self._cluster = cluster
        self._begun_ns = time.time_ns()
        self.acknowledged: list[str] = []
        self.stopping = threading.Event()

    def run(self) -> None:
        """Until told to stop."""
        for number in itertools.count():
            if self.stopping.is_set():
                return
            line = f"line {number:05}"
            while not self._pushed(line, self._begun_ns + number, number):
                time.sleep(0.05)
            self.acknowledged.append(line)

    def has_more_than(self, count: int) -> bool:
        """Whether so many lines were acknowledged."""
        return len(self.acknowledged) > count

    def _pushed(self, line: str, ts_ns: int, number: int) -> bool:
        pods = self._cluster.all("ingester")
        pod = pods[number % len(pods)]
        stream = {"stream": {"app": "x"}, "values": [[str(ts_ns), line]]}
        body = json.dumps({"streams": [stream]}).encode()
        headers = {"Content-Type": "application/json"}
        try:
            return pod.api.send("POST", "/loki/api/v1/push", body, headers).status == 204
        except (OSError, http.client.HTTPException):
            return False


def test_a_rollout_loses_and_repeats_nothing(cluster: Cluster) -> None:
    """Each ingester is replaced, a new one first, while lines come and are asked for."""
    (querier,) = cluster.all("querier")
    pusher = Pusher(cluster)
    pusher.start()
    try:
        for old in cluster.all("ingester"):
            new = cluster.begin("ingester")
            wait_until(new.is_ready, 180)
            before = list(pusher.acknowledged)
            assert set(before) <= set(lines_of(querier))
            drain(old)
            wait_until(partial(pusher.has_more_than, len(before) + 20), 60)
            known = list(pusher.acknowledged)
            assert set(known) <= set(lines_of(querier))
    finally:
        pusher.stopping.set()
        pusher.join(60)
    assert len(pusher.acknowledged) > 40
    assert lines_of(querier) == pusher.acknowledged
