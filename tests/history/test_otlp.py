"""Does what comes out as OTLP say what entries said, and is a file of it whole after any end?"""

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from google.protobuf.json_format import Parse
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from narfi.core.wire.otlp_members import resource_of, scope_and_record
from narfi.history.errors import StateError
from narfi.history.otlp import export_request
from narfi.history.otlp_out import OtlpEndpoint, OtlpFile
from narfi.history.page import Cursor

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def test_labels_are_attributes_of_a_resource() -> None:
    found = resource_of([("app", "a"), ("k8s_pod_name", "p"), ("service_name", "s")])
    assert [(one["key"], one["value"]) for one in found["attributes"]] == [
        ("app", {"stringValue": "a"}),
        ("k8s.pod.name", {"stringValue": "p"}),
        ("service.name", {"stringValue": "s"}),
    ]


def test_metadata_becomes_what_it_was() -> None:
    metadata = {
        "trace_id": TRACE,
        "span_id": SPAN,
        "detected_level": "error",
        "observed_timestamp": "7",
        "event_name": "e",
        "scope_name": "lib",
        "user": "u",
    }
    expected = {
        "observedTimeUnixNano": "7",
        "traceId": TRACE,
        "spanId": SPAN,
        "severityNumber": 17,
        "severityText": "error",
        "eventName": "e",
        "attributes": [{"key": "user", "value": {"stringValue": "u"}}],
    }
    assert scope_and_record(metadata.items()) == ({"name": "lib"}, expected)


@pytest.mark.parametrize(
    ("metadata", "number", "text"),
    [
        ({"severity_number": "10", "severity_text": "NOTICE"}, 10, "NOTICE"),
        ({"severity_text": "Warn", "detected_level": "info"}, 13, "Warn"),
        ({"detected_level": "unknown"}, None, None),
        ({}, None, None),
    ],
)
def test_severity(metadata: dict[str, str], number: int | None, text: str | None) -> None:
    _, record = scope_and_record(metadata.items())
    assert (record.get("severityNumber"), record.get("severityText")) == (number, text)
    assert record["attributes"] == []


def test_identities_that_are_none_stay_attributes() -> None:
    _, record = scope_and_record([("trace_id", "short"), ("span_id", "z" * 16)])
    assert [one["key"] for one in record["attributes"]] == ["trace_id", "span_id"]
    assert "traceId" not in record


def test_the_schema_knows_every_member() -> None:
    body = export_request(
        {
            '{app="a"}': [
                (1, b"one", (("scope_name", "lib"), ("scope_version", "1"), ("k", "v"))),
                (2, b"two \xff", (("detected_level", "info"),)),
            ],
            '{app="b"}': [(3, b"three", ())],
        }
    )
    found = Parse(body, ExportLogsServiceRequest())
    scopes = [(s.scope.name, len(s.log_records)) for s in found.resource_logs[0].scope_logs]
    assert scopes == [("lib", 1), ("", 1)]
    second = found.resource_logs[0].scope_logs[1].log_records[0]
    assert (second.time_unix_nano, second.body.string_value) == (2, "two \ufffd")
    assert found.resource_logs[1].scope_logs[0].log_records[0].body.string_value == "three"


def lines(path: Path) -> list[Any]:
    """Requests of a file."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_file_has_what_was_noted(tmp_path: Path) -> None:
    path = tmp_path / "out"
    with closing(OtlpFile(path, {})) as file:
        file.push("t", b'{"n":1}')
        noted = file.cursors()
        file.push("t", b'{"n":2}')
    assert len(lines(path)) == 2
    with closing(OtlpFile(path, noted)) as file:
        file.push("t", b'{"n":3}')
        noted = file.cursors()
    assert lines(path) == [{"n": 1}, {"n": 3}]
    path.write_text("")
    with pytest.raises(StateError, match="shorter than what was exported"):
        OtlpFile(path, noted)


def test_a_file_of_somebody_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "mine"
    path.write_text("mine")
    with pytest.raises(StateError, match="is there already"):
        OtlpFile(path, {})
    assert path.read_text() == "mine"
    with pytest.raises(StateError, match="cannot be written"):
        OtlpFile(tmp_path / "no" / "folder", {})
    with pytest.raises(StateError, match="is shorter"):
        OtlpFile(path, {"file": Cursor("9", False)})


@pytest.mark.parametrize(
    ("answer", "status", "told"),
    [
        (httpx.Response(200, json={}), 200, ""),
        (httpx.Response(204), 204, ""),
        (httpx.Response(200, content=b"\x0a"), 200, ""),
        (
            httpx.Response(
                200, json={"partialSuccess": {"rejectedLogRecords": "2", "errorMessage": "old"}}
            ),
            400,
            "2 records refused: old",
        ),
        (httpx.Response(503, text="busy", headers={"Retry-After": "9"}), 503, "503: busy"),
    ],
)
def test_answers_of_an_endpoint(answer: httpx.Response, status: int, told: str) -> None:
    client = httpx.Client(transport=httpx.MockTransport(lambda _: answer))
    found = OtlpEndpoint(client, "http://collector:4318/v1/logs").push("t", b"{}")
    assert (found.status, found.text) == (status, told)
    assert found.retry_after_s == (9.0 if status == 503 else 0.0)
