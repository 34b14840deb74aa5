"""Which streams does an export hold? Resources become labels, the rest structured metadata.

The records are walked one by one; the entries then take the way of every push
(reference/http-api.md §2.1).
"""

from collections.abc import Iterator

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs

from ingester.otlp.values import flattened, value_text
from narfi.core.labels import labels_text
from narfi.core.wire.push_encode import PushEntry, encode_push_request

INDEXED = frozenset(
    (
        "service.name",
        "service.namespace",
        "service.instance.id",
        "deployment.environment",
        "deployment.environment.name",
        "cloud.region",
        "cloud.availability_zone",
        "k8s.cluster.name",
        "k8s.namespace.name",
        "k8s.pod.name",
        "k8s.container.name",
        "container.name",
        "k8s.replicaset.name",
        "k8s.deployment.name",
        "k8s.statefulset.name",
        "k8s.daemonset.name",
        "k8s.cronjob.name",
        "k8s.job.name",
    )
)
"""Resource attributes that become stream labels."""

MAX_TIME_NS = 2**63 - 1
"""Later times are taken for this one, which is too far in the future."""
Pairs = list[tuple[str, str]]


def push_of(export: ExportLogsServiceRequest, now_ns: int) -> bytes:
    """The export as a serialised PushRequest; without any record there are no streams."""
    if not any(scope.log_records for found in export.resource_logs for scope in found.scope_logs):
        return b""
    streams = (_stream(found, now_ns) for found in export.resource_logs)
    return encode_push_request(streams)


def _stream(found: ResourceLogs, now_ns: int) -> tuple[str, Iterator[PushEntry]]:
    indexed = [pair for pair in found.resource.attributes if pair.key in INDEXED]
    rest = [pair for pair in found.resource.attributes if pair.key not in INDEXED]
    labels = dict(flattened(indexed))  # without any, the service is unknown, as in every push
    shared = list(flattened(rest))
    return labels_text(sorted(labels.items())), _entries(found, shared, now_ns)


def _entries(found: ResourceLogs, shared: Pairs, now_ns: int) -> Iterator[PushEntry]:
    for scope in found.scope_logs:
        behind = [*shared, *_scope_pairs(scope)]
        for record in scope.log_records:
            ts_ns = record.time_unix_nano or record.observed_time_unix_nano or now_ns
            ts_ns = min(ts_ns, MAX_TIME_NS)
            line = value_text(record.body).encode("utf-8", "surrogateescape")
            yield ts_ns, line, [*_record_pairs(record), *behind]


def _scope_pairs(scope: ScopeLogs) -> Pairs:
    pairs = list(flattened(scope.scope.attributes))
    if scope.scope.name:
        pairs.append(("scope_name", scope.scope.name))
    if scope.scope.version:
        pairs.append(("scope_version", scope.scope.version))
    if scope.scope.dropped_attributes_count:
        count = scope.scope.dropped_attributes_count
        pairs.append(("scope_dropped_attributes_count", str(count)))
    return pairs


def _record_pairs(record: LogRecord) -> Pairs:
    pairs = [
        (name, text)
        for name, text in flattened(record.attributes)
        if not (name == "event_name" and record.event_name)
    ]
    if record.observed_time_unix_nano and record.time_unix_nano:
        pairs.append(("observed_timestamp", str(record.observed_time_unix_nano)))
    numbers = (
        ("severity_number", record.severity_number),
        ("dropped_attributes_count", record.dropped_attributes_count),
        ("flags", record.flags),
    )
    pairs += [(name, str(int(number))) for name, number in numbers if number]
    texts = (
        ("severity_text", record.severity_text),
        ("trace_id", record.trace_id.hex() if any(record.trace_id) else ""),
        ("span_id", record.span_id.hex() if any(record.span_id) else ""),
        ("event_name", record.event_name),
    )
    pairs += [(name, text) for name, text in texts if text]
    return pairs
