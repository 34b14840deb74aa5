"""What are entries in OTLP? Labels are a resource's attributes, metadata a record's, as they came.

What Loki's mapping made of OTLP becomes what it was: dotted names of its known resource attributes,
severity, trace and span, scope, event name. Source: reference/http-api.md §2.1.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from logql.parser import parse_selector
from narfi.core.wire.push_encode import PushEntry
from narfi.history.page import Streams

_DOTTED = (
    *("service.name", "service.namespace", "service.instance.id", "service.version"),
    *("deployment.environment", "deployment.environment.name", "cloud.region"),
    *("cloud.availability_zone", "k8s.cluster.name", "k8s.namespace.name", "k8s.pod.name"),
    *("k8s.container.name", "container.name", "k8s.replicaset.name", "k8s.deployment.name"),
    *("k8s.statefulset.name", "k8s.daemonset.name", "k8s.cronjob.name", "k8s.job.name"),
)
RESOURCE_NAMES = {name.replace(".", "_"): name for name in _DOTTED}
"""Label to the attribute that it was made of."""
SEVERITIES = {
    "trace": 1,
    "debug": 5,
    "info": 9,
    "warn": 13,
    "error": 17,
    "critical": 18,
    "fatal": 21,
}
_LEVELS = ("severity_text", "detected_level")
_HEX = {"trace_id": ("traceId", 32), "span_id": ("spanId", 16)}
_SCOPE = ("scope_name", "scope_version")


def export_request(streams: Streams) -> bytes:
    """An `ExportLogsServiceRequest` as OTLP/JSON: a resource for each stream."""
    found = [
        {
            "resource": {"attributes": _attributes(resource_of(labels))},
            "scopeLogs": _scopes(entries),
        }
        for labels, entries in streams.items()
    ]
    return orjson.dumps({"resourceLogs": found})


def resource_of(labels: str) -> dict[str, str]:
    """Attributes of a stream's labels."""
    matchers = parse_selector(labels, allow_empty_matchers=True).matchers
    return {RESOURCE_NAMES.get(one.name, one.name): one.value for one in matchers}


def _scopes(entries: list[PushEntry]) -> list[dict[str, Any]]:
    """Records by scope, in the order of the first of each."""
    scopes: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for ts_ns, line, metadata in entries:
        members = dict(metadata)
        name, version = (members.pop(one, "") for one in _SCOPE)
        scopes.setdefault((name, version), []).append(record_of(ts_ns, line, members))
    return [
        {
            "scope": {k: v for k, v in (("name", name), ("version", version)) if v},
            "logRecords": records,
        }
        for (name, version), records in scopes.items()
    ]


def record_of(ts_ns: int, line: bytes, metadata: Mapping[str, str]) -> dict[str, Any]:
    """A log record; bytes that are no text become U+FFFD."""
    left = dict(metadata)
    record: dict[str, Any] = {
        "timeUnixNano": str(ts_ns),
        "body": {"stringValue": line.decode("utf-8", "replace")},
    }
    observed = left.get("observed_timestamp", "")
    if observed.isdecimal():
        record["observedTimeUnixNano"] = left.pop("observed_timestamp")
    for name, (member, length) in _HEX.items():
        value = left.get(name, "")
        if len(value) == length and all(c in "0123456789abcdefABCDEF" for c in value):
            record[member] = left.pop(name)
    number = left.get("severity_number", "")
    level = next((left[name] for name in _LEVELS if left.get(name)), "")
    if number.isdecimal():
        record["severityNumber"] = int(left.pop("severity_number"))
    elif level.lower() in SEVERITIES:
        record["severityNumber"] = SEVERITIES[level.lower()]
    if left.get("severity_text"):
        record["severityText"] = left.pop("severity_text")
    elif level and level != "unknown":
        record["severityText"] = level
    if left.get("event_name"):
        record["eventName"] = left.pop("event_name")
    left.pop("detected_level", None)  # who receives it finds it again
    record["attributes"] = _attributes(left)
    return record


def _attributes(values: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"key": name, "value": {"stringValue": value}} for name, value in values.items()]
