"""What becomes of an export? Odd keys, values, ids, numbers; JSON and protobuf alike."""

import gzip
import json
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from ingester.admit import Room
from ingester.otlp.bodies import decode_export, parse_export
from ingester.otlp.mapping import push_of
from ingester.otlp.values import value_text
from narfi.core.errors import InvalidRequestError
from narfi.core.wire.push import PushFormatError
from narfi.core.wire.push_encode import varint
from narfi.core.wire.push_protobuf import decode_push_protobuf

JSON = "application/json"
NOW = 1760018400_000000000
Entry = tuple[bytes, int, bytes, dict[str, str]]


def entries(export: ExportLogsServiceRequest) -> list[Entry]:
    """(labels, time, line, metadata) of every entry."""
    push = decode_push_protobuf(push_of(export, NOW))
    pairs: list[dict[str, str]] = [{} for _ in range(len(push))]
    names, values = push.pairs.name.to_list(), push.pairs.value.to_list()
    for row, name, value in zip(push.pairs.row.tolist(), names, values, strict=True):
        pairs[row][(name or b"").decode()] = (value or b"").decode()
    lines = [line or b"" for line in push.lines.to_list()]
    labels = [push.labels[number] for number in push.stream.tolist()]
    return list(zip(labels, push.ts.tolist(), lines, pairs, strict=True))


def export_of(
    record: dict[str, Any],
    resource: object = None,
    scope: object = None,
) -> ExportLogsServiceRequest:
    """Of one record as JSON."""
    scopes = [{"scope": scope, "logRecords": [record]}]
    body = {"resourceLogs": [{"resource": resource, "scopeLogs": scopes}]}
    return decode_export(json.dumps(body).encode(), JSON, "", Room())


def metadata_of(record: dict[str, Any], resource: object = None, scope: object = None) -> Any:
    """Metadata of the entry of one record."""
    return entries(export_of({"timeUnixNano": "5", **record}, resource, scope))[0][3]


def text(value: str) -> dict[str, Any]:
    """An AnyValue."""
    return {"stringValue": value}


def attribute(key: object, value: object) -> dict[str, Any]:
    """A KeyValue."""
    return {"key": key, "value": value}


EMPTY_KEYS = [
    attribute("", text("lost")),
    {"value": text("lost")},
    attribute(None, text("lost")),
    attribute("kept", text("v")),
    attribute(
        "map",
        {"kvlistValue": {"values": [attribute("", text("lost")), attribute("in", text("w"))]}},
    ),
    attribute("", {"kvlistValue": {"values": [attribute("in", text("lost"))]}}),
]


@pytest.mark.parametrize("place", ["resource", "scope", "record"])
def test_attributes_without_a_key_are_left_out(place: str) -> None:
    attributes = {"attributes": EMPTY_KEYS}
    record = {"timeUnixNano": "5", "body": text("x"), **(attributes if place == "record" else {})}
    export = export_of(
        record,
        attributes if place == "resource" else None,
        attributes if place == "scope" else None,
    )
    wanted: list[Entry] = [(b"{}", 5, b"x", {"kept": "v", "map_in": "w"})]
    assert entries(export) == wanted
    assert entries(parse_export(export.SerializeToString())) == wanted


def test_a_body_keeps_its_empty_names() -> None:
    body = {
        "kvlistValue": {"values": [attribute("", {"intValue": 1}), attribute("b", text("\u2028"))]}
    }
    ((_, _, line, _),) = entries(export_of({"timeUnixNano": 5, "body": body}))
    assert line == b'{"":1,"b":"\\u2028"}'


@pytest.mark.parametrize("key", ["_", "..", "日本"])
def test_a_key_of_nothing_but_underscores_refuses_the_export(key: str) -> None:
    told = r"^symbolizer lookup: normalization for .* resulted in invalid name"
    with pytest.raises(InvalidRequestError, match=told):
        entries(export_of({"attributes": [attribute(key, text("v"))]}))


def test_labels_of_resources() -> None:
    resource = {
        "attributes": [
            attribute("service.name", text("first")),
            attribute("service.name", text("last")),
            attribute("k8s.pod.name", {"intValue": "7"}),
            attribute("cloud.region", text("")),
            attribute("host.name", text("h")),
        ]
    }
    ((labels, _, _, metadata),) = entries(export_of({"timeUnixNano": "5"}, resource))
    assert labels == b'{cloud_region="", k8s_pod_name="7", service_name="last"}'
    assert metadata == {"host_name": "h"}


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, ""),
        ({}, ""),
        ({"stringValue": None}, ""),
        ({"unknownValue": 5}, ""),
        ({"intValue": "9223372036854775807"}, "9223372036854775807"),
        ({"intValue": -9223372036854775808}, "-9223372036854775808"),
        ({"intValue": 1.8e9}, "1800000000"),
        ({"int_value": "5"}, "5"),
        ({"boolValue": False}, "false"),
        ({"doubleValue": 2}, "2"),
        ({"doubleValue": 1e-5}, "0.00001"),
        ({"doubleValue": 1e-7}, "1e-7"),
        ({"doubleValue": -2.5e-10}, "-2.5e-10"),
        ({"doubleValue": 1e20}, "100000000000000000000"),
        ({"doubleValue": 1e21}, "1e+21"),
        ({"doubleValue": "0.1"}, "0.1"),
        ({"doubleValue": "NaN"}, "json: unsupported value: NaN"),
        ({"doubleValue": "-Infinity"}, "json: unsupported value: -Inf"),
        ({"bytesValue": "/+8="}, "/+8="),
        ({"bytesValue": "_-8"}, "/+8="),
        ({"arrayValue": {}}, "[]"),
        ({"arrayValue": None}, ""),
        ({"kvlistValue": {"values": []}}, "{}"),
        (
            {
                "arrayValue": {
                    "values": [None, {}, {"doubleValue": 1e-7}, {"doubleValue": "NaN"}, text("<é>")]
                }
            },
            '[null,null,1e-7,null,"<é>"]',
        ),
    ],
)
def test_values(value: object, shown: str) -> None:
    export = export_of({"body": value})
    record = export.resource_logs[0].scope_logs[0].log_records[0]
    assert value_text(record.body) == shown


@pytest.mark.parametrize(
    "record",
    [
        {"body": {"stringValue": 5}},
        {"body": {"boolValue": "true"}},
        {"body": {"intValue": "x"}},
        {"body": {"intValue": "1_0"}},
        {"body": {"intValue": True}},
        {"body": {"intValue": 1.5}},
        {"body": {"intValue": "9223372036854775808"}},
        {"body": {"intValue": "9" * 5000}},
        {"body": {"doubleValue": []}},
        {"body": {"bytesValue": "!"}},
        {"body": {"bytesValue": 5}},
        {"body": {"arrayValue": []}},
        {"body": {"arrayValue": {"values": {}}}},
        {"body": {"kvlistValue": {"values": [5]}}},
        {"body": "text"},
        {"body": []},
        {"timeUnixNano": "-1"},
        {"timeUnixNano": "18446744073709551616"},
        {"timeUnixNano": "x"},
        {"timeUnixNano": {}},
        {"severityNumber": 2**31},
        {"severityNumber": 1.5},
        {"severityText": 5},
        {"flags": 2**32},
        {"traceId": "0102"},
        {"traceId": "zz"},
        {"traceId": " 0102030405060708090a0b0c0d0e0f10"},
        {"traceId": 5},
        {"spanId": "01020304050607"},
        {"attributes": {}},
        {"attributes": [5]},
        {"attributes": [{"key": 5}]},
        {"attributes": [attribute("k", 5)]},
        {"eventName": 5},
    ],
)
def test_records_that_are_refused(record: dict[str, Any]) -> None:
    with pytest.raises(PushFormatError):
        export_of(record)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"{",
        b'{"resourceLogs":{}}',
        b'{"resourceLogs":[5]}',
        b'{"resourceLogs":[{"resource":[]}]}',
        b'{"resourceLogs":[{"scopeLogs":[{"scope":5}]}]}',
        b'{"x":' + b"[" * 10_000,
    ],
)
def test_json_that_is_no_export(body: bytes) -> None:
    with pytest.raises(PushFormatError):
        decode_export(body, JSON, "", Room())


def test_values_nested_without_end() -> None:
    value: dict[str, Any] = text("x")
    for _ in range(200):
        value = {"arrayValue": {"values": [value]}}
    with pytest.raises(PushFormatError, match="deeply"):
        export_of({"body": value})
    deep = b"\x0a\x01x"  # AnyValue.string_value
    for tag in [b"\x0a", b"\x2a"] * 200:  # ArrayValue.values, AnyValue.array_value
        deep = tag + varint(len(deep)) + deep
    for tag in (b"\x2a", b"\x12", b"\x12", b"\x0a"):  # body, log_records, scope_logs, resource_logs
        deep = tag + varint(len(deep)) + deep
    with pytest.raises(PushFormatError):
        parse_export(deep)


def test_null_and_unknown_members_say_nothing() -> None:
    names = "timeUnixNano observedTimeUnixNano severityNumber severityText body flags attributes"
    more = "droppedAttributesCount traceId spanId eventName unknown"
    record: dict[str, Any] = dict.fromkeys(f"{names} {more}".split())
    scope = {"name": None, "version": None, "attributes": None, "droppedAttributesCount": None}
    found = entries(export_of(record, {"attributes": None, "unknown": [1]}, scope))
    assert found == [(b"{}", NOW, b"", {})]


def test_names_as_in_the_proto_file() -> None:
    record = {
        "time_unix_nano": 5,
        "severity_text": "INFO",
        "trace_id": "01" * 16,
        "body": text("x"),
    }
    body = {"resource_logs": [{"scope_logs": [{"log_records": [record]}]}]}
    found = entries(decode_export(json.dumps(body).encode(), JSON, "", Room()))
    assert found == [(b"{}", 5, b"x", {"severity_text": "INFO", "trace_id": "01" * 16})]


def test_times() -> None:
    def time_of(**times: object) -> int:
        return entries(export_of(times))[0][1]

    assert time_of(timeUnixNano="5", observedTimeUnixNano="7") == 5
    assert time_of(timeUnixNano="0", observedTimeUnixNano="7") == 7
    assert time_of(timeUnixNano=0) == NOW
    assert time_of(timeUnixNano="18446744073709551615") == 2**63 - 1
    assert metadata_of({"observedTimeUnixNano": "7"}) == {"observed_timestamp": "7"}


def test_severities_and_ids() -> None:
    assert metadata_of({"severityNumber": "SEVERITY_NUMBER_WARN2"}) == {"severity_number": "14"}
    assert metadata_of({"severityNumber": "17"}) == {"severity_number": "17"}
    assert metadata_of({"severityNumber": 99}) == {"severity_number": "99"}
    assert metadata_of({"severityNumber": "SEVERITY_NUMBER_NOSUCH"}) == {}
    assert metadata_of({"severityNumber": 0, "severityText": ""}) == {}
    assert metadata_of({"traceId": "00" * 16, "spanId": ""}) == {}
    assert metadata_of({"traceId": "AB" * 16}) == {"trace_id": "ab" * 16}


def test_ids_of_another_length_in_protobuf() -> None:
    for field in ("trace_id", "span_id"):
        message = ExportLogsServiceRequest()
        record = message.resource_logs.add().scope_logs.add().log_records.add()
        setattr(record, field, b"abc")
        with pytest.raises(PushFormatError, match="invalid"):
            parse_export(message.SerializeToString())


def test_texts_that_are_not_utf8() -> None:
    message = ExportLogsServiceRequest()
    resource = message.resource_logs.add()
    resource.resource.attributes.add(key="service.name").value.string_value = "caf@"
    record = resource.scope_logs.add().log_records.add(time_unix_nano=5, severity_text="@")
    record.body.string_value = "caf@ é"
    record.attributes.add(key="raw").value.bytes_value = b"@"
    body = message.SerializeToString().replace(b"@", b"\xe9")
    wanted: list[Entry] = [
        (
            '{service_name="caf\ufffd"}'.encode(),
            5,
            "caf\ufffd é".encode(),
            {"severity_text": "\ufffd", "raw": "6Q=="},
        )
    ]
    assert entries(parse_export(body)) == wanted
    as_json = json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [{"body": text("@")}]}]}]})
    ((_, _, line, _),) = entries(
        decode_export(as_json.encode().replace(b"@", b"\xe9"), JSON, "", Room())
    )
    assert line == "\ufffd".encode()
    with pytest.raises(PushFormatError):
        parse_export(body[:-1])


def test_an_export_without_records_has_no_streams() -> None:
    for body in (b"{}", b'{"resourceLogs":[{}]}', b'{"resourceLogs":[{"scopeLogs":[{}]}]}'):
        assert push_of(decode_export(body, JSON, "", Room()), NOW) == b""


def test_gzip_of_several_members() -> None:
    body = b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"5"}]}]}]}'
    packed = gzip.compress(body[:20]) + gzip.compress(body[20:])
    assert entries(decode_export(packed, JSON, "gzip", Room())) == [(b"{}", 5, b"", {})]
    with pytest.raises(PushFormatError):
        decode_export(packed + b"garbage", JSON, "gzip", Room())
