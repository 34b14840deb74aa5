"""How is an OTLP export read? Protobuf or JSON, plain or compressed, sizes checked first."""

import base64
from typing import Any

import orjson
import pyarrow as pa
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs

from ingester.admit import MAX_BODY_BYTES, MAX_DECOMPRESSED_BYTES, check_size
from ingester.errors import MediaTypeError
from narfi.core.wire.push import PushFormatError

CODECS = {"gzip": "gzip", "zstd": "zstd", "lz4": "lz4"}
PIECE = 1 << 20
MAX_DEPTH = 64
"""Values nested deeper are refused; Python's stack is not the limit."""


def decode_export(
    body: bytes, content_type: str, content_encoding: str
) -> ExportLogsServiceRequest:
    """The export of a request; raises a `PushError` with Loki's text."""
    check_size(len(body), MAX_BODY_BYTES, "message size")
    if content_type not in ("application/x-protobuf", "application/json"):
        raise MediaTypeError(f"content type: {content_type} is not supported")
    plain = _decompressed(body, content_encoding)
    if content_type == "application/json":
        return _from_json(plain)
    return parse_export(plain)


def parse_export(message: bytes) -> ExportLogsServiceRequest:
    """A serialised export."""
    try:
        return ExportLogsServiceRequest.FromString(message)
    except DecodeError as error:
        raise PushFormatError("unexpected EOF") from error


def _decompressed(body: bytes, encoding: str) -> bytes:
    if not encoding:
        return body
    codec = CODECS.get(encoding)
    if codec is None:
        message = f"unsupported content encoding {encoding}: only gzip, lz4 and zstd are supported"
        raise MediaTypeError(message)
    pieces: list[bytes] = []
    size = 0
    try:
        with pa.CompressedInputStream(pa.BufferReader(body), codec) as stream:
            while piece := stream.read(PIECE):
                size += len(piece)
                check_size(size, MAX_DECOMPRESSED_BYTES, "decompressed message size")
                pieces.append(piece)
    except (OSError, pa.ArrowInvalid) as error:
        raise PushFormatError(f"cannot decompress the body: {error}") from error
    return b"".join(pieces)


def _from_json(body: bytes) -> ExportLogsServiceRequest:
    """OTLP/JSON: names in camelCase, numbers as text, ids as hex."""
    try:
        content = orjson.loads(body)
        if not isinstance(content, dict):
            raise PushFormatError("the body is not a JSON object")
        resources = [_resource(found) for found in _list(content, "resourceLogs")]
        return ExportLogsServiceRequest(resource_logs=resources)
    except (orjson.JSONDecodeError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise PushFormatError(f"cannot read the body: {error}") from error


def _list(content: dict[str, Any], name: str) -> list[Any]:
    found = content.get(name) or []
    if not isinstance(found, list):
        raise PushFormatError(f"{name} is not a list")
    return found


def _resource(content: dict[str, Any]) -> ResourceLogs:
    made = ResourceLogs(scope_logs=[_scope(found) for found in _list(content, "scopeLogs")])
    made.resource.attributes.extend(_attributes(content.get("resource") or {}))
    return made


def _scope(content: dict[str, Any]) -> ScopeLogs:
    made = ScopeLogs(log_records=[_record(found) for found in _list(content, "logRecords")])
    scope = content.get("scope") or {}
    made.scope.name, made.scope.version = scope.get("name", ""), scope.get("version", "")
    made.scope.dropped_attributes_count = int(scope.get("droppedAttributesCount") or 0)
    made.scope.attributes.extend(_attributes(scope))
    return made


def _record(content: dict[str, Any]) -> LogRecord:
    return LogRecord(
        time_unix_nano=int(content.get("timeUnixNano") or 0),
        observed_time_unix_nano=int(content.get("observedTimeUnixNano") or 0),
        severity_number=int(content.get("severityNumber") or 0),  # type: ignore[arg-type]
        severity_text=content.get("severityText") or "",
        body=_value(content["body"], 0) if content.get("body") else None,
        attributes=_attributes(content),
        dropped_attributes_count=int(content.get("droppedAttributesCount") or 0),
        flags=int(content.get("flags") or 0),
        trace_id=bytes.fromhex(content.get("traceId") or ""),
        span_id=bytes.fromhex(content.get("spanId") or ""),
        event_name=content.get("eventName") or "",
    )


def _attributes(content: dict[str, Any], depth: int = 0) -> list[KeyValue]:
    return _pairs(_list(content, "attributes"), depth)


def _pairs(content: list[Any], depth: int) -> list[KeyValue]:
    return [
        KeyValue(key=pair.get("key") or "", value=_value(pair.get("value") or {}, depth))
        for pair in content
    ]


def _value(content: dict[str, Any], depth: int) -> AnyValue:
    if depth > MAX_DEPTH:
        raise PushFormatError(f"values are nested too deeply (more than {MAX_DEPTH})")
    made = AnyValue()
    for name, value in content.items():
        match name:
            case "stringValue":
                made.string_value = value
            case "boolValue":
                made.bool_value = value
            case "intValue":
                made.int_value = int(value)
            case "doubleValue":
                made.double_value = float(value)
            case "bytesValue":
                made.bytes_value = _base64(value)
            case "arrayValue":
                inner = [_value(item, depth + 1) for item in _list(value, "values")]
                made.array_value.values.extend(inner)
                made.array_value.SetInParent()
            case "kvlistValue":
                made.kvlist_value.values.extend(_pairs(_list(value, "values"), depth + 1))
                made.kvlist_value.SetInParent()
            case _:
                continue
    return made


def _base64(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
