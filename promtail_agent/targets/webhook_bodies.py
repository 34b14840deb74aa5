"""What does a webhook's body say? Entries of audit records, GitHub, Alertmanager, CloudEvents.

Each is a line of JSON with the time that it tells of itself, so that a delivery that comes twice is
the entry that is there; where it tells none, that of its coming.
"""

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

Json = Mapping[str, Any]
Headers = Mapping[str, str]
"""By names in lower case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """A line, its time (None: now) and what it is, for labels."""

    line: bytes
    ts_ns: int | None
    labels: Mapping[str, str] = field(default_factory=dict)


def audit_records(body: bytes, _headers: Headers) -> list[Delivered]:
    """Records of an `EventList` of the API server, or one record; raises `ValueError`."""
    document = _object(body)
    records = document["items"] if document.get("kind") == "EventList" else [document]
    found = []
    for record in _objects(records):
        whole = {"kind": "Event", "apiVersion": document.get("apiVersion", ""), **record}
        found.append(
            Delivered(
                line=orjson.dumps(whole),
                ts_ns=_time(record.get("stageTimestamp")),
                labels={"service_name": "kubernetes", "component": "audit"},
            )
        )
    return found


def github_event(body: bytes, headers: Headers) -> list[Delivered]:
    """A delivery of GitHub; of `workflow_job` the time is that of the state it tells of."""
    document = _object(body)
    job = document.get("workflow_job") or document.get("workflow_run") or {}
    texts = (job.get(key) for key in ("completed_at", "started_at", "created_at"))
    times = [found for text in texts if (found := _time(text)) is not None]
    event = headers.get("x-github-event", "")
    line = orjson.dumps({"event": event, **document})
    labels = {"service_name": "github-actions", "component": "webhook", "__webhook_event": event}
    return [Delivered(line=line, ts_ns=times[0] if times else None, labels=labels)]


def alertmanager_alerts(body: bytes, _headers: Headers) -> list[Delivered]:
    """A line an alert of a notification."""
    document = _object(body)
    shared = {key: document[key] for key in ("receiver", "groupKey") if key in document}
    return [
        Delivered(
            line=orjson.dumps({**shared, **alert}),
            ts_ns=None,
            labels={"service_name": "alertmanager", "component": "alerts"},
        )
        for alert in _objects(document["alerts"])
    ]


def cloud_events(body: bytes, headers: Headers) -> list[Delivered]:
    """CloudEvents in all three forms: headers (`ce-…`), one object, a batch."""
    content_type = headers.get("content-type", "").split(";")[0].strip().lower()
    if content_type == "application/cloudevents-batch+json":
        return [_cloud_event(one) for one in _objects(orjson.loads(body))]
    if content_type == "application/cloudevents+json":
        return [_cloud_event(_object(body))]
    attributes = {n.removeprefix("ce-"): v for n, v in headers.items() if n.startswith("ce-")}
    if not attributes:
        raise ValueError("no CloudEvent: neither its content type nor headers ce-…")
    data: dict[str, Any] = {}
    if content_type.endswith("json"):
        data = {"data": orjson.loads(body)} if body else {}
    elif body:
        data = {"data_base64": base64.b64encode(body).decode()}
    return [_cloud_event({**attributes, **data})]


def _cloud_event(event: Json) -> Delivered:
    return Delivered(
        line=orjson.dumps(event),
        ts_ns=_time(event.get("time")),
        labels={
            "service_name": "cloudevents",
            "component": "events",
            "__webhook_event": str(event.get("type", "")),
        },
    )


def _object(body: bytes) -> dict[str, Any]:
    found = orjson.loads(body)
    if not isinstance(found, dict):
        raise ValueError("an object was expected")
    return found


def _objects(value: object) -> Iterable[dict[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise ValueError("a list of objects was expected")
    return value


def _time(text: object) -> int | None:
    """RFC 3339 as ns; None where it is none."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        return None
    return int(moment.timestamp()) * 10**9 + moment.microsecond * 1000
