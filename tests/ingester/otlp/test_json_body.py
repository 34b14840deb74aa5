"""Is OTLP/JSON read as protobuf's mapping says, and refused where it is none?"""

import json
from typing import Any

import pytest

from ingester.otlp.json_body import MAX_DEPTH, parse_json_export
from narfi.core.wire.push import PushFormatError


def record(**members: Any) -> Any:
    """The record of an export with these members."""
    body = {"resourceLogs": [{"scopeLogs": [{"logRecords": [members]}]}]}
    return (
        parse_json_export(json.dumps(body).encode()).resource_logs[0].scope_logs[0].log_records[0]
    )


def test_names_of_both_kinds_and_numbers_of_both_kinds() -> None:
    assert record(timeUnixNano="12").time_unix_nano == 12
    assert record(time_unix_nano=12).time_unix_nano == 12
    assert record(severityNumber="SEVERITY_NUMBER_WARN").severity_number == 13
    assert record(severityNumber=13.0).severity_number == 13
    assert record(severityNumber="NO_SUCH_NAME").severity_number == 0
    assert record(unknown={"x": []}, body=None).body.WhichOneof("value") is None


def test_values_of_every_kind() -> None:
    value = {
        "kvlistValue": {
            "values": [
                {"key": "a", "value": {"arrayValue": {"values": [{"intValue": "3"}, {}]}}},
                {"key": "b", "value": {"bytesValue": "_-8"}},
                {"key": "c", "value": {"boolValue": False}},
            ]
        }
    }
    array, raw, no = record(body=value).body.kvlist_value.values
    assert array.value.array_value.values[0].int_value == 3
    assert raw.value.bytes_value == b"\xff\xef"
    assert no.value.WhichOneof("value") == "bool_value"


def test_ids_are_hex_of_their_size() -> None:
    assert record(traceId="0a" * 16).trace_id == b"\x0a" * 16
    with pytest.raises(PushFormatError, match="traceId is not hexadecimal"):
        record(traceId="x")
    with pytest.raises(PushFormatError, match="invalid length for spanId: 2 bytes instead of 8"):
        record(spanId="0a0a")


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"resourceLogs": 3}', b'{"resourceLogs": [3]}', b"\xff"]
)
def test_what_is_no_export(body: bytes) -> None:
    with pytest.raises(PushFormatError):
        parse_json_export(body)


@pytest.mark.parametrize(
    "members",
    [
        {"timeUnixNano": "1.5"},
        {"timeUnixNano": True},
        {"timeUnixNano": 2**70},
        {"body": {"stringValue": 3}},
        {"body": {"boolValue": "true"}},
        {"severityText": 3},
        {"attributes": {"key": "a"}},
    ],
)
def test_members_of_a_wrong_kind(members: dict[str, Any]) -> None:
    with pytest.raises(PushFormatError):
        record(**members)


def test_depth_is_bounded() -> None:
    value: dict[str, Any] = {"intValue": 1}
    for _ in range(MAX_DEPTH + 1):
        value = {"arrayValue": {"values": [value]}}
    with pytest.raises(PushFormatError, match="nested too deeply"):
        record(body=value)
