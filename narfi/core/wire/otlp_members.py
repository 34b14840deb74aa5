"""What are labels and metadata in OTLP? Attributes of a resource and of a record, as they came.

What Loki's mapping made of OTLP becomes what it was: dotted names of its known resource attributes,
severity, trace and span, scope, event name. Source: reference/http-api.md §2.1.
"""

from collections.abc import Iterable, Mapping
from typing import Any

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
_HEX_DIGITS = frozenset("0123456789abcdefABCDEF")
_SCOPE = {"scope_name": "name", "scope_version": "version"}


def resource_of(labels: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """The `resource` of a stream's labels."""
    named = ((RESOURCE_NAMES.get(name, name), value) for name, value in labels)
    return {"attributes": _attributes(named)}


def scope_and_record(
    metadata: Iterable[tuple[str, str]],
) -> tuple[dict[str, str], dict[str, Any]]:
    """The `scope`, and the members of a log record but its time and its body."""
    left = dict(metadata)
    scope = {member: left.pop(name) for name, member in _SCOPE.items() if left.get(name)}
    record: dict[str, Any] = {}
    if left.get("observed_timestamp", "").isdecimal():
        record["observedTimeUnixNano"] = left.pop("observed_timestamp")
    for name, (member, length) in _HEX.items():
        value = left.get(name, "")
        if len(value) == length and _HEX_DIGITS.issuperset(value):
            record[member] = left.pop(name)
    record |= _severity(left)
    if left.get("event_name"):
        record["eventName"] = left.pop("event_name")
    record["attributes"] = _attributes(left.items())
    return scope, record


def _severity(left: dict[str, str]) -> dict[str, Any]:
    """Number and text; takes them out. A detected level goes: who receives it finds it again."""
    found: dict[str, Any] = {}
    level = next((left[name] for name in _LEVELS if left.get(name)), "")
    if left.get("severity_number", "").isdecimal():
        found["severityNumber"] = int(left.pop("severity_number"))
    elif level.lower() in SEVERITIES:
        found["severityNumber"] = SEVERITIES[level.lower()]
    if level and level != "unknown":
        found["severityText"] = level
    left.pop("severity_text", None)
    left.pop("detected_level", None)
    return found


def _attributes(values: Iterable[tuple[str, str]]) -> list[dict[str, Any]]:
    return [{"key": name, "value": {"stringValue": value}} for name, value in values]


def request_around(
    records: list[dict[str, Any]], scope: Mapping[str, str], resource: Mapping[str, Any]
) -> dict[str, Any]:
    """An `ExportLogsServiceRequest` of records of one scope and resource."""
    scopes = [{"logRecords": records, "scope": dict(scope)}]
    return {"resourceLogs": [{"scopeLogs": scopes, "resource": dict(resource)}]}
