"""What does Narfi know of a program that runs? The agent follows its logs, a server is asked.

Answers are those of the server's API at this moment; whether a rule's condition holds is asked, not
for how long it has.
"""

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from narfi.bundled.questions import read_queries, with_range
from narfi.bundled.rules import rule_groups
from promtail_agent.packs.load import Shelf
from tests.served import Api

SPAN = "1h"
DEADLINE_S = 60.0
MOST_LINES = "5000"
Values = dict[tuple[str, ...], float]


def eventually(found: Callable[[], Any], wanted: object) -> None:
    """Wait until a value is as wanted; fails with the last one."""
    until_s = time.monotonic() + DEADLINE_S
    while (last := found()) != wanted and time.monotonic() < until_s:
        time.sleep(0.2)
    assert last == wanted, f"{last} instead of {wanted}"


@dataclass(kw_only=True)
class Program(AbstractContextManager["Program"]):
    """A process that writes both its outputs to a file, and that is ended with the block."""

    command: list[str]
    log: Path
    settings: dict[str, Any] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log, **self.settings)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self.process is not None
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def wait(self, url: str) -> None:
        """Until it answers there, whatever it says."""
        until_s = time.monotonic() + DEADLINE_S
        while status(url) == 0:
            assert self.process is not None
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < until_s, self.log.read_text()
            time.sleep(0.1)


def status(url: str, method: str = "GET", headers: Mapping[str, str] | None = None) -> int:
    """The status of an answer; 0 where there is none."""
    request = urllib.request.Request(url, method=method, headers=dict(headers or {}))
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            answer.read()
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


class Watched:
    """One tenant's view of the logs that a pack reads."""

    def __init__(self, api: Api, pack_name: str) -> None:
        self._api = api
        self._pack = Shelf.of_environment({}).find(pack_name)
        selector = self._pack.manifest.selector
        self._questions = {
            one.title: with_range(one.text(selector), SPAN) for one in read_queries(self._pack)
        }
        groups = rule_groups(self._pack)
        self._alerts = {r.alert: r.expr for group in groups for r in group.rules if r.alert}

    def following(self, folder: Path, files: Mapping[str, Path]) -> Program:
        """The agent, which follows a file a component."""
        labels = {"service_name": self._pack.name, "app": self._pack.name}
        logs = [{**labels, "component": k, "__path__": str(v)} for k, v in files.items()]
        jobs = [{"job_name": "real", "static_configs": [{"labels": one} for one in logs]}]
        return self.agent(folder, jobs)

    def agent(self, folder: Path, jobs: list[dict[str, Any]]) -> Program:
        """The agent with jobs of one's own."""
        client = {
            "url": f"{self._api.url}/loki/api/v1/push",
            "tenant_id": self._api.tenant,
            "batchwait": "100ms",
        }
        config = {
            "server": {"disable": True},
            "clients": [client],
            "positions": {"filename": str(folder / "positions.yaml"), "sync_period": "200ms"},
            "target_config": {"sync_period": "200ms"},
            "packs": [self._pack.name],
            "scrape_configs": jobs,
        }
        file = folder / "agent.yaml"
        file.write_text(json.dumps(config))
        command = [sys.executable, "-m", "narfi.cli", "agent", f"-config.file={file}"]
        return Program(command=command, log=folder / "agent.log")

    def lines(self, title: str) -> list[str]:
        """Lines that answer a question, the oldest first."""
        found = self._streams(title)
        return [line for _, line in sorted((int(v[0]), v[1]) for s in found for v in s["values"])]

    def values(self, title: str, *labels: str) -> Values:
        """What a question gives, by the values of these labels."""
        return self._vector(self._questions[title], *labels)

    def answers(self) -> dict[str, int]:
        """How many lines or values each question of the pack finds; each must be understood."""
        return {title: len(self._streams(title)) for title in self._questions}

    def alerts(self) -> set[str]:
        """Alerts whose condition holds now."""
        return {name for name, expr in self._alerts.items() if self._vector(expr)}

    def count(self, pipeline: str = "") -> int:
        """How many entries have come, with any labels."""
        found = self._vector(
            f'sum(count_over_time({{app="{self._pack.name}"}}{pipeline} [{SPAN}]))'
        )
        return int(found.get((), 0))

    def _vector(self, query: str, *labels: str) -> Values:
        return {
            tuple(one["metric"].get(label, "") for label in labels): float(one["value"][1])
            for one in self.ask(query)
        }

    def _streams(self, title: str) -> list[dict[str, Any]]:
        return self.ask(self._questions[title])

    def ask(self, query: str) -> list[dict[str, Any]]:
        way = "query_range" if query.startswith("{") else "query"
        answer = self._api.get(f"/loki/api/v1/{way}", None, query=query, limit=MOST_LINES)
        assert answer.status == 200, f"{query}: {answer.text}"
        found: list[dict[str, Any]] = answer.json["data"]["result"]
        return found
