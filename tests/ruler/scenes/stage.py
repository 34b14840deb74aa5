"""A server, a real Alertmanager and Prometheus, and recorded times on the slots of a group."""

import json
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.server import Running, free_port, start, stop
from narfi.core.tenant import TenantId
from ruler.schedule import slot_after
from storage.catalog.rule_keys import GroupKey
from tests.ruler.scenes.gate import Gate, gate
from tests.served import Api

RECORDED = Path(__file__).parents[2] / "conformance/ruler"
TENANT = TenantId("fake")
INTERVAL_NS = 5 * 10**9
YAML = {"Content-Type": "application/yaml"}
ALERTMANAGER = """
route: {receiver: nobody, group_by: [alertname], group_wait: 1s}
receivers: [{name: nobody}]
"""


def recorded(name: str) -> Any:
    """One of the recordings."""
    return json.loads((RECORDED / f"{name}.json").read_text())


@dataclass
class Stage:
    """What a scene plays on."""

    folder: Path
    config: Path
    running: Running
    alertmanager: str
    prometheus: str
    told: Gate  # in front of the Alertmanager
    written: Gate  # in front of Prometheus
    zero: float = 0.0  # the recording's zero, s since the epoch

    @property
    def api(self) -> Api:
        """Of the server."""
        return Api(self.running.url, TENANT, self.running.grpc)

    def begin(self, namespace: str, group: str, slot_s: float) -> None:
        """Set the recording's zero so that a slot of the group lies at its `slot_s`."""
        key = GroupKey(TENANT, namespace, group)
        slot = slot_after(key, INTERVAL_NS, time.time_ns() + INTERVAL_NS) / 1e9
        self.zero = slot - slot_s

    def wait(self, at: float) -> None:
        """Until a time of the recording."""
        time.sleep(max(self.zero + at - time.time(), 0))

    def post(self, namespace: str, rules: str) -> None:
        """Make a group."""
        path = f"/loki/api/v1/rules/{namespace}"
        assert self.api.send("POST", path, rules.encode(), YAML).status == 202

    def again(self) -> None:
        """Kill -9, and a new start."""
        self.running.process.kill()
        self.running.process.wait()
        self.running = start(self.folder / "data", self.config, self.folder / "log")

    def alerts(self) -> dict[tuple[str, str], tuple[str, float, str]]:
        """State, beginning and value by name and host, as the API tells them."""
        found = self.api.get("/prometheus/api/v1/alerts").json["data"]["alerts"]
        return {
            (one["labels"]["alertname"], one["labels"].get("host", "")): (
                one["state"],
                self.relative(one["activeAt"]),
                one["value"],
            )
            for one in found
        }

    def relative(self, text: str) -> float:
        """A time of an answer, as the recording has it."""
        head, _, tail = text.rstrip("Z").partition(".")
        whole = datetime.fromisoformat(f"{head}+00:00").timestamp()
        return round(whole + float(f"0.{tail or 0}") - self.zero, 2)

    def notices(self) -> list[tuple[float, tuple[str, str, float, float]]]:
        """When it came; name, host, beginning and end of everything that was told, in order."""
        return [
            (
                passed.at - self.zero,
                (
                    one["labels"]["alertname"],
                    one["labels"].get("host", ""),
                    self.relative(one["startsAt"]),
                    self.relative(one["endsAt"]),
                ),
            )
            for passed in self.told.passed()
            if passed.status < 300
            for one in passed.alerts
        ]

    def held(self) -> dict[tuple[str, str], dict[str, Any]]:
        """What the Alertmanager holds for firing."""
        with urllib.request.urlopen(f"{self.alertmanager}/api/v2/alerts", timeout=30) as answer:
            found = json.loads(answer.read())
        return {(one["labels"]["alertname"], one["labels"].get("host", "")): one for one in found}

    def kept(self, selector: str) -> dict[frozenset[tuple[str, str]], list[tuple[int, float]]]:
        """Series that Prometheus holds: time in ms and value of each sample."""
        query = urllib.parse.urlencode({"query": f"{selector}[10m]"})
        url = f"{self.prometheus}/api/v1/query?{query}"
        with urllib.request.urlopen(url, timeout=30) as answer:
            found = json.loads(answer.read())["data"]["result"]
        return {
            frozenset(one["metric"].items()): [
                (round(seconds * 1000), float(value)) for seconds, value in one["values"]
            ]
            for one in found
        }


@contextmanager
def program(folder: Path, name: str, *arguments: str) -> Iterator[str]:
    """One of the receivers; its URL, when it listens."""
    address = f"127.0.0.1:{free_port()}"
    with (folder / f"{name}.log").open("wb") as log:
        command = [name, *arguments, f"--web.listen-address={address}"]
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
    try:
        until = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"http://{address}/-/ready", timeout=5).close()
                break
            except OSError:
                assert time.monotonic() < until, (folder / f"{name}.log").read_text()
                time.sleep(0.1)
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait()


@contextmanager
def stage(folder: Path, ruler: dict[str, Any], client: dict[str, Any]) -> Iterator[Stage]:
    """All of it, with these settings of the ruler and of its one remote-write client."""
    for name in ("prometheus", "prometheus-alertmanager"):
        if shutil.which(name) is None:
            pytest.skip(f"no {name}: make programs")
    (folder / "alertmanager.yml").write_text(ALERTMANAGER)
    (folder / "prometheus.yml").write_text("scrape_configs: []\n")
    with ExitStack() as stack:
        alertmanager = stack.enter_context(
            program(
                folder,
                "prometheus-alertmanager",
                f"--config.file={folder}/alertmanager.yml",
                f"--storage.path={folder}/am",
                "--cluster.listen-address=",
            )
        )
        prometheus = stack.enter_context(
            program(
                folder,
                "prometheus",
                f"--config.file={folder}/prometheus.yml",
                f"--storage.tsdb.path={folder}/prometheus",
                "--web.enable-remote-write-receiver",
            )
        )
        told = stack.enter_context(gate(alertmanager))
        written = stack.enter_context(gate(prometheus))
        client = {"url": f"{written.url}/api/v1/write"} | client
        settings = {
            "alertmanager_url": told.url,
            "remote_write": {"enabled": True, "clients": {"p": client}},
        } | ruler
        config = folder / "narfi.yaml"
        config.write_text(yaml.safe_dump({"ruler": settings}))
        running = start(folder / "data", config, folder / "log")
        found = Stage(
            folder=folder,
            config=config,
            running=running,
            alertmanager=alertmanager,
            prometheus=prometheus,
            told=told,
            written=written,
        )
        try:
            yield found
        finally:
            stop(found.running)
