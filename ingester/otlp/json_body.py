"""How is OTLP/JSON read? camelCase or snake_case names, numbers as text or number, ids as hex.

Unknown members are ignored, null is as if absent (the JSON mapping of protobuf). Enums may be
numbers or names.
"""

import base64
import binascii
import re
from typing import Any

import orjson
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import (
    LogRecord,
    ResourceLogs,
    ScopeLogs,
    SeverityNumber,
)

from narfi.core.wire.json_body import one_body
from narfi.core.wire.push import PushFormatError

MAX_DEPTH = 64
"""Values nested deeper are refused; Python's stack is not the limit."""
TRACE_ID_BYTES, SPAN_ID_BYTES = 16, 8

_INTEGER = re.compile(r"-?[0-9]{1,20}")
_UPPER = re.compile(r"(?=[A-Z])")
_SEVERITIES: dict[str, int] = dict(SeverityNumber.items())


def parse_json_export(body: bytes | bytearray) -> ExportLogsServiceRequest:
    """The export; `PushFormatError` when it is none."""
    try:
        with one_body:
            content = orjson.loads(body.decode("utf-8", "replace"))
        if not isinstance(content, dict):
            raise PushFormatError("the body is not a JSON object")
        resources = [_resource(found) for found in _list(content, "resourceLogs")]
        return ExportLogsServiceRequest(resource_logs=resources)
    except (TypeError, ValueError) as error:  # a number too large for its field, a wrong type
        raise PushFormatError(f"cannot read the body: {error}") from error


def _get(content: dict[str, Any], name: str) -> Any:
    """A member by its camelCase name, or as it stands in the .proto file."""
    if name in content:
        return content[name]
    return content.get(_UPPER.sub("_", name).lower())


def _object(content: object, what: str) -> dict[str, Any]:
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise PushFormatError(f"{what} is not an object")
    return content


def _list(content: dict[str, Any], name: str) -> list[dict[str, Any]]:
    found = _get(content, name)
    if found is None:
        return []
    if not isinstance(found, list):
        raise PushFormatError(f"{name} is not a list")
    return [_object(item, f"a member of {name}") for item in found]


def _text(content: dict[str, Any], name: str) -> str:
    found = _get(content, name)
    if found is None:
        return ""
    if not isinstance(found, str):
        raise PushFormatError(f"{name} is not a string")
    return found


def _integer(value: object, name: str) -> int:
    """A whole number, given as number or as text."""
    if value is None:
        return 0
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        return int(value)
    if isinstance(value, int | float) and not isinstance(value, bool) and value == int(value):
        return int(value)
    raise PushFormatError(f"{name} is not an integer")


def _number(content: dict[str, Any], name: str) -> int:
    return _integer(_get(content, name), name)


def _id(content: dict[str, Any], name: str, size: int) -> bytes:
    text = _text(content, name)
    try:
        found = binascii.unhexlify(text)
    except ValueError:
        raise PushFormatError(f"{name} is not hexadecimal") from None
    if len(found) not in (0, size):
        raise PushFormatError(f"invalid length for {name}: {len(found)} bytes instead of {size}")
    return found


def _resource(content: dict[str, Any]) -> ResourceLogs:
    made = ResourceLogs(scope_logs=[_scope(found) for found in _list(content, "scopeLogs")])
    resource = _object(_get(content, "resource"), "resource")
    made.resource.attributes.extend(_pairs(_list(resource, "attributes"), 0))
    return made


def _scope(content: dict[str, Any]) -> ScopeLogs:
    made = ScopeLogs(log_records=[_record(found) for found in _list(content, "logRecords")])
    scope = _object(_get(content, "scope"), "scope")
    made.scope.name, made.scope.version = _text(scope, "name"), _text(scope, "version")
    made.scope.dropped_attributes_count = _number(scope, "droppedAttributesCount")
    made.scope.attributes.extend(_pairs(_list(scope, "attributes"), 0))
    return made


def _record(content: dict[str, Any]) -> LogRecord:
    return LogRecord(
        time_unix_nano=_number(content, "timeUnixNano"),
        observed_time_unix_nano=_number(content, "observedTimeUnixNano"),
        severity_number=_severity(_get(content, "severityNumber")),  # type: ignore[arg-type]
        severity_text=_text(content, "severityText"),
        body=_value(_object(_get(content, "body"), "body"), 0),
        attributes=_pairs(_list(content, "attributes"), 0),
        dropped_attributes_count=_number(content, "droppedAttributesCount"),
        flags=_number(content, "flags"),
        trace_id=_id(content, "traceId", TRACE_ID_BYTES),
        span_id=_id(content, "spanId", SPAN_ID_BYTES),
        event_name=_text(content, "eventName"),
    )


def _severity(value: object) -> int:
    """A number, or its name; a name that is none says nothing."""
    if isinstance(value, str) and not _INTEGER.fullmatch(value):
        return _SEVERITIES.get(value, 0)
    return _integer(value, "severityNumber")


def _pairs(content: list[dict[str, Any]], depth: int) -> list[KeyValue]:
    return [
        KeyValue(key=_text(pair, "key"), value=_value(_object(_get(pair, "value"), "value"), depth))
        for pair in content
    ]


def _value(content: dict[str, Any], depth: int) -> AnyValue:
    if depth > MAX_DEPTH:
        raise PushFormatError(f"values are nested too deeply (more than {MAX_DEPTH})")
    made = AnyValue()
    for name in content:
        value = content[name]
        if value is None:
            continue
        match name:
            case "stringValue" | "string_value":
                made.string_value = value
            case "boolValue" | "bool_value":
                if not isinstance(value, bool):
                    raise PushFormatError("boolValue is not a boolean")
                made.bool_value = value
            case "intValue" | "int_value":
                made.int_value = _integer(value, "intValue")
            case "doubleValue" | "double_value":
                made.double_value = float(value)
            case "bytesValue" | "bytes_value":
                made.bytes_value = _base64(_text(content, name))
            case "arrayValue" | "array_value":
                inner = _list(_object(value, "arrayValue"), "values")
                made.array_value.values.extend(_value(item, depth + 1) for item in inner)
                made.array_value.SetInParent()
            case "kvlistValue" | "kvlist_value":
                inner = _list(_object(value, "kvlistValue"), "values")
                made.kvlist_value.values.extend(_pairs(inner, depth + 1))
                made.kvlist_value.SetInParent()
    return made


def _base64(text: str) -> bytes:
    """The usual alphabet or that of URLs, padded or not."""
    usual = text.replace("-", "+").replace("_", "/").rstrip("=")
    return base64.b64decode(usual + "=" * (-len(usual) % 4), validate=True)
