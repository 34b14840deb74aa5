"""What becomes a label, what metadata? By hand, from http-api.md §2.1."""

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from ingester.otlp.mapping import MAX_TIME_NS, push_of
from narfi.core.wire.push import DecodedPush
from narfi.core.wire.push_protobuf import decode_push_protobuf

NOW = 1_760_018_400 * 10**9


def pair(name: str, text: str) -> KeyValue:
    """An attribute."""
    return KeyValue(key=name, value=AnyValue(string_value=text))


def metadata(push: DecodedPush) -> list[tuple[bytes | None, bytes | None]]:
    """In order."""
    return list(zip(push.pairs.name.to_list(), push.pairs.value.to_list(), strict=True))


def test_resources_are_streams_and_the_rest_is_metadata() -> None:
    export = ExportLogsServiceRequest()
    found = export.resource_logs.add()
    found.resource.attributes.extend([pair("service.name", "api"), pair("host.name", "h")])
    scope = found.scope_logs.add()
    scope.scope.name, scope.scope.version = "lib", "2"
    record = scope.log_records.add()
    record.body.string_value, record.time_unix_nano = "line", 5
    record.observed_time_unix_nano, record.severity_text = 6, "WARN"
    record.attributes.append(pair("user.id", "7"))
    record.trace_id = b"\x01" * 16
    push = decode_push_protobuf(push_of(export, NOW))
    assert push.labels == (b'{service_name="api"}',)
    assert (push.ts.tolist(), push.lines.to_list()) == ([5], [b"line"])
    assert metadata(push) == [
        (b"user_id", b"7"),
        (b"observed_timestamp", b"6"),
        (b"severity_text", b"WARN"),
        (b"trace_id", b"01" * 16),
        (b"host_name", b"h"),
        (b"scope_name", b"lib"),
        (b"scope_version", b"2"),
    ]


def test_a_record_without_a_time_has_that_of_its_coming() -> None:
    export = ExportLogsServiceRequest()
    records = export.resource_logs.add().scope_logs.add().log_records
    records.add()
    records.add().observed_time_unix_nano = 9
    records.add().time_unix_nano = 2**64 - 1
    push = decode_push_protobuf(push_of(export, NOW))
    assert push.ts.tolist() == [NOW, 9, MAX_TIME_NS]
    assert metadata(push) == []


def test_an_export_without_records_is_no_push() -> None:
    export = ExportLogsServiceRequest()
    export.resource_logs.add().resource.attributes.append(pair("service.name", "api"))
    assert push_of(export, NOW) == b""
