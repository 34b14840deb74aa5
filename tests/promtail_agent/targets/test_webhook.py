"""Are deliveries taken whole, and those that nobody signed refused?"""

import hashlib
import hmac
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from narfi.core.relabel import RelabelRule
from promtail_agent.targets.webhook import WebhookConfig, WebhookSource

Start = Callable[..., WebhookSource]
SECRET = "It's a secret"


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts receivers on loopback."""
    running: list[WebhookSource] = []

    def make(rules: list[RelabelRule] | None = None, **config: Any) -> WebhookSource:
        server = {"http_listen_address": "127.0.0.1", "http_listen_port": 0}
        settings = WebhookConfig.model_validate({"server": server, **config})
        found = WebhookSource(settings, rules or [])
        running.append(found)
        found.start()
        return found

    yield make
    for one in running:
        one.close()


def post(source: WebhookSource, path: str, body: object, **headers: str) -> int:
    """The status of a delivery."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    url = f"http://127.0.0.1:{source.port}{path}"
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, named)) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def taken(source: WebhookSource) -> list[tuple[str, int, dict[str, Any]]]:
    """Labels, time and line of what came."""
    return [(e.labels.text, e.ts_ns, json.loads(e.line)) for e in source.take()]


def record(stage: str, at: str) -> dict[str, Any]:
    """An audit record of a batch: its kind is the list's."""
    return {"auditID": "a", "stage": stage, "verb": "get", "stageTimestamp": at}


def test_a_batch_of_audit_records(start: Start) -> None:
    source = start()
    at = "2026-11-20T08:00:03.426637Z"
    items = [record("ResponseComplete", at), record("Panic", at)]
    body = {"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "items": items}
    assert post(source, "/audit", body) == 204
    found = taken(source)
    assert [one[2]["stage"] for one in found] == ["ResponseComplete", "Panic"]
    labels, ts_ns, line = found[0]
    assert labels == '{component="audit", service_name="kubernetes"}'
    assert ts_ns == 1795161603_426637000
    assert list(line)[:2] == ["kind", "apiVersion"], "as in the file, so that the pack knows it"
    assert line["kind"] == "Event"


def signature(body: bytes, key: str = SECRET) -> str:
    """As GitHub makes it."""
    return "sha256=" + hmac.new(key.encode(), body, hashlib.sha256).hexdigest()


def test_githubs_own_example_of_a_signature() -> None:
    wanted = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    assert signature(b"Hello, World!", "It's a Secret to Everybody") == wanted


def test_deliveries_of_github(start: Start, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(SECRET + "\n")
    source = start(github_secret_file=str(file))
    job = {"id": 1, "created_at": "2026-11-20T08:00:00Z", "completed_at": "2026-11-20T08:01:00Z"}
    body = json.dumps({"action": "completed", "workflow_job": job}).encode()
    event = {"X_GitHub_Event": "workflow_job"}
    assert post(source, "/github", body, **event) == 401
    bad = signature(body, "another")
    assert post(source, "/github", body, X_Hub_Signature_256=bad, **event) == 401
    good = signature(body)
    assert post(source, "/github", body + b" ", X_Hub_Signature_256=good, **event) == 401
    assert taken(source) == []
    assert post(source, "/github", body, X_Hub_Signature_256=good, **event) == 204
    assert post(source, "/github", body, X_Hub_Signature_256=good, **event) == 204
    first, second = taken(source)
    assert first == second, "a delivery that comes twice is one entry"
    assert first[0] == '{component="webhook", service_name="github-actions"}'
    assert first[1] == 1795161660 * 10**9
    assert first[2]["event"] == "workflow_job"


def test_without_a_secret_nothing_of_github_is_taken(start: Start) -> None:
    source = start()
    assert post(source, "/github", b"{}", X_Hub_Signature_256=signature(b"{}", "")) == 401


def test_alerts(start: Start) -> None:
    source = start(token="t0", labels={"cluster": "lab"})
    alert = {"status": "firing", "labels": {"alertname": "A"}}
    body = {"receiver": "logs", "groupKey": "g", "alerts": [alert, {**alert, "status": "resolved"}]}
    assert post(source, "/alertmanager", body) == 401
    assert post(source, "/alertmanager", body, Authorization="Bearer t1") == 401
    assert post(source, "/alertmanager", body, Authorization="Bearer t0") == 204
    found = taken(source)
    assert [one[2]["status"] for one in found] == ["firing", "resolved"]
    assert found[0][2]["receiver"] == "logs"
    assert found[0][0] == '{cluster="lab", component="alerts", service_name="alertmanager"}'


def test_the_three_forms_of_cloud_events(start: Start) -> None:
    rule = {"source_labels": ["__webhook_event"], "target_label": "event"}
    source = start([RelabelRule.model_validate(rule)])
    event = {"specversion": "1.0", "id": "1", "type": "t", "time": "2026-11-20T08:00:00.5Z"}
    kind = "application/cloudevents+json; charset=utf-8"
    assert post(source, "/cloudevents", {**event, "data": {"a": 1}}, Content_Type=kind) == 204
    batch = "application/cloudevents-batch+json"
    assert post(source, "/cloudevents", [event, event], Content_Type=batch) == 204
    headers = {f"ce_{name}": value for name, value in event.items()}
    plain = {"Content_Type": "application/json", **headers}
    assert post(source, "/cloudevents", {"a": 1}, **plain) == 204
    assert post(source, "/cloudevents", b"\xff", Content_Type="image/png", **headers) == 204
    found = taken(source)
    assert {one[1] for one in found} == {1795161600_500000000}
    assert [one[2].get("data") for one in found] == [{"a": 1}, None, None, {"a": 1}, None]
    assert found[4][2]["data_base64"] == "/w=="
    assert found[0][0] == '{component="events", event="t", service_name="cloudevents"}'


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/audit", b"[]", 400),
        ("/audit", b"{", 400),
        ("/audit", b'{"kind":"EventList","items":[1]}', 400),
        ("/alertmanager", b"{}", 400),
        ("/cloudevents", b"{}", 400),
        ("/nothing", b"{}", 404),
        ("/audit", b" " * 2000, 413),
    ],
)
def test_what_is_none_of_them(start: Start, path: str, body: bytes, status: int) -> None:
    source = start(max_body_size=1000)
    assert post(source, path, body) == status
    assert taken(source) == []
    assert post(source, "/audit", {"kind": "Event", "stage": "Panic"}) == 204, "it goes on"
