"""Does a served process tell what its rules see, once for each alert, also over kill -9?"""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.server import Running, start, stop
from tests.ruler.receiver import FakeAlertmanager, fake_alertmanager
from tests.ruler.remote_write.receiver import metrics_receiver
from tests.served import Api

YAML = {"Content-Type": "application/yaml"}
RULES = """
name: g
interval: 1s
rules:
- alert: Seen
  expr: sum by (host) (count_over_time({app="r"}[1h])) > 0
  labels: {severity: page}
  annotations: {summary: "{{ $labels.host }}: {{ $value }}"}
- alert: Waits
  expr: sum by (host) (count_over_time({app="r"}[1h])) > 0
  for: 1h
"""


@pytest.fixture
def receiver() -> Iterator[FakeAlertmanager]:
    with fake_alertmanager() as found:
        yield found


def until(look: Callable[[], Any], what: str) -> Any:
    """What `look` gives, once it is true."""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"{what}: {look()}")


class Served:
    """A server that can be killed and started again."""

    def __init__(self, folder: Path, url: str, write_to: str = "") -> None:
        self.folder, self.config = folder, folder / "narfi.yaml"
        clients = (
            f"clients: {{p: {{url: '{write_to}', queue_config: {{batch_send_deadline: 0s}}}}}}"
        )
        write = f"remote_write: {{enabled: true, {clients}}}, " if write_to else ""
        self.config.write_text(
            f"tenancy: header\nruler: {{{write}alertmanager_url: '{url}', resend_delay: 2s, "
            f"poll_interval: 1s, directory: '{folder}/rules', external_url: 'http://grafana'}}\n"
        )
        (folder / "rules" / "t").mkdir(parents=True)
        self.running: Running = self._start()

    def _start(self) -> Running:
        return start(self.folder / "data", self.config, self.folder / "log")

    def again(self) -> None:
        """Kill -9, and start."""
        self.running.process.kill()
        self.running.process.wait()
        self.running = self._start()

    @property
    def api(self) -> Api:
        """Requests of the tenant."""
        return Api(self.running.url, "t", self.running.grpc)

    def wait_for_an_evaluation(self) -> None:
        """One more has ended, so the state of the one before is in the catalog."""

        def last() -> str:
            (group,) = self.api.get("/prometheus/api/v1/rules").json["data"]["groups"]
            return str(group["lastEvaluation"])

        before = last()
        until(lambda: last() != before, "an evaluation")

    def waiting(self) -> int:
        """Samples that were not written yet."""
        (writer,) = self.api.get("/ruler/status").json["remote_write"]
        return int(writer["waiting"])

    def post(self, text: str, namespace: str = "ns") -> None:
        """Make or replace a group."""
        answer = self.api.send("POST", f"/loki/api/v1/rules/{namespace}", text.encode(), YAML)
        assert answer.status == 202, answer.text

    def alerts(self) -> dict[str, tuple[str, str]]:
        """State and beginning by name."""
        found = self.api.get("/prometheus/api/v1/alerts").json["data"]["alerts"]
        return {a["labels"]["alertname"]: (a["state"], a["activeAt"]) for a in found}


@pytest.fixture
def served(tmp_path: Path, receiver: FakeAlertmanager) -> Iterator[Served]:
    found = Served(tmp_path, receiver.url)
    yield found
    stop(found.running)


@pytest.mark.slow
def test_alerts_over_kill_9_and_after_their_rule_is_gone(
    served: Served, receiver: FakeAlertmanager
) -> None:
    served.api.push({"app": "r", "host": "web"}, "one", "two")
    served.post(RULES)
    (first, *_) = receiver.wait_for(1)
    assert first["labels"] == {"alertname": "Seen", "host": "web", "severity": "page"}
    assert first["annotations"] == {"summary": "web: 2"}
    assert first["generatorURL"].startswith("http://grafana/explore?left=")
    before = until(lambda: len(served.alerts()) == 2 and served.alerts(), "two alerts")
    assert [state for state, _ in before.values()] == ["firing", "pending"]
    served.wait_for_an_evaluation()  # what an evaluation found is shown a moment before it is kept
    for _ in range(3):
        count = len(receiver.alerts)
        served.again()
        receiver.wait_for(count + 1)
        assert until(served.alerts, "alerts") == before, "`for` goes on"
    starts = {alert["startsAt"] for alert in receiver.alerts}
    assert starts == {first["startsAt"]}
    assert all(alert["endsAt"] > alert["startsAt"] for alert in receiver.alerts)
    last_end = max(alert["endsAt"] for alert in receiver.alerts)
    count = len(receiver.alerts)
    assert served.api.send("DELETE", "/loki/api/v1/rules/ns", None, {}).status == 202
    over = receiver.wait_for(count + 1)[-1]
    assert over["labels"] == first["labels"]
    assert over["startsAt"] == first["startsAt"]
    assert over["endsAt"] < last_end, "it is over now, not when the last notice runs out"
    assert served.alerts() == {}
    count = len(receiver.alerts)
    served.again()
    assert receiver.wait_for(count + 1)[-1]["endsAt"] == over["endsAt"]
    assert receiver.wrong == []


@pytest.mark.slow
def test_files_paging_and_what_is_wrong(served: Served) -> None:
    path = served.folder / "rules" / "t" / "f.yaml"
    good = "groups:\n- {name: g, interval: 1s, rules: [{alert: A, expr: vector(1)}]}\n"
    path.write_text(good)

    def rules(**parameters: str) -> Any:
        return served.api.get("/prometheus/api/v1/rules", **parameters).json

    until(lambda: rules()["data"]["groups"], "the file's group")
    assert "warnings" not in rules()
    path.write_text(good + "- {name: h, rules: [{alert: B, expr: nope}]}\n")
    told = until(lambda: rules().get("warnings"), "a warning")
    assert told[0].startswith("f.yaml, group h, rule B: could not parse expression")
    status = served.api.get("/status").json["ruler"]
    assert [p["rule"] for p in status["problems"]] == ["B"]
    assert served.api.get("/ruler/status").json["files"] == [
        {"tenant": "t", "name": "f.yaml", "groups": 2}
    ]
    assert "narfi_ruler_load_problems 1.0" in served.api.get("/metrics").text
    refused = served.api.send("POST", "/api/prom/rules/f.yaml", b"name: x", YAML)
    assert (refused.status, refused.text.split(":")[0]) == (
        500,
        "SetRuleGroup unsupported in rule local store",
    )
    for name in ("a", "b", "c"):
        served.post(f"name: {name}\ninterval: 1h\nrules: [{{record: r, expr: vector(1)}}]\n")
    until(lambda: len(rules()["data"]["groups"]) == 4, "four groups")
    names, token = [], ""
    while True:
        more = {"group_next_token": token} if token else {}
        page = rules(group_limit="3", **more)["data"]
        names.append([group["name"] for group in page["groups"]])
        token = page.get("groupNextToken", "")
        if not token:
            break
    assert names == [["g", "a", "b"], ["c"]]
    assert rules(group_next_token="x")["errorType"] == "bad_data"
    found = rules(**{"rule_group[]": "b", "exclude_alerts": "true", "dashboard_uid": "x"})
    assert [group["name"] for group in found["data"]["groups"]] == ["b"]
    fires = rules(**{"rule_name[]": "A"})["data"]["groups"][0]["rules"][0]
    assert json.dumps(fires["state"]) == '"firing"'


@pytest.mark.slow
def test_recorded_series_over_kill_9(tmp_path: Path, receiver: FakeAlertmanager) -> None:
    with metrics_receiver() as series:
        served = Served(tmp_path, receiver.url, write_to=series.url)
        try:
            served.api.push({"app": "r", "host": "web"}, "one", "two")
            served.post(
                'name: g\ninterval: 1s\nrules: [{record: "r:lines", expr: \'sum by (host) '
                '(count_over_time({app="r"}[1h]))\'}]\n'
            )
            (tenant, name, _, value) = series.wait_for(1)[0]
            assert (tenant, name, value) == ("t", "r:lines/web", 2.0)
            series.answers["t"] = [(503, {})] * 10**6
            told = len(series.requests)
            until(lambda: len(series.requests) > told + 2, "requests that fail")
            count = len(series.values)
            until(
                lambda: served.api.get("/ruler/status").json["remote_write"][0]["waiting"] > 2, ""
            )
            served.again()
            series.answers.clear()
            found = series.wait_for(count + 5)
        finally:
            stop(served.running)
    times = [ts for _, _, ts, _ in found]
    assert times == sorted(times)
    assert len(set(times)) >= len(times) - 1, "a request under way may come twice"
    assert {value for *_, value in found} == {2.0}
