"""How is an OTLP export read? Protobuf or JSON, plain or compressed, sizes checked first."""

from typing import cast

import numpy as np
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from ingester.admit import Room, decompressed
from ingester.errors import MediaTypeError
from ingester.otlp.json_body import SPAN_ID_BYTES, TRACE_ID_BYTES, parse_json_export
from ingester.otlp.text_repair import with_valid_texts
from narfi.core.in_flight import FREE, Charge
from narfi.core.kernels.body_marks import otlp_marks
from narfi.core.wire.json_body import json_cost, one_body
from narfi.core.wire.push import PushFormatError

BYTES_OF_A_MESSAGE = 300
"""What a message inside an export takes in Python, at most on the average."""

CODECS = {"gzip": "gzip", "zstd": "zstd", "lz4": "lz4"}


def decode_export(
    body: bytes, content_type: str, content_encoding: str, room: Room
) -> ExportLogsServiceRequest:
    """The export of a request; raises a `PushError` with Loki's text, `BusyError` without room."""
    if content_type not in ("application/x-protobuf", "application/json"):
        raise MediaTypeError(f"content type: {content_type} is not supported")
    plain = _decompressed(body, content_encoding, room)
    if content_type == "application/json":
        room.charge.take(2 * json_cost(plain))  # as JSON, and as messages
        return parse_json_export(plain)
    return parse_export(plain, room.charge)


def parse_export(message: bytes | bytearray, charge: Charge = FREE) -> ExportLogsServiceRequest:
    """A serialised export; what its messages take is charged first."""
    data = cast(bytes, message)  # any buffer is taken
    charge.take(
        3 * len(message) + BYTES_OF_A_MESSAGE * otlp_marks(np.frombuffer(message, np.uint8))
    )
    try:
        try:
            export = _parsed(data)
        except DecodeError:
            export = _parsed(with_valid_texts(bytes(message)))
    except DecodeError as error:
        raise PushFormatError("unexpected EOF") from error
    for resource in export.resource_logs:
        for scope in resource.scope_logs:
            for record in scope.log_records:
                _check_ids(record)
    return export


def _parsed(data: bytes) -> ExportLogsServiceRequest:
    with one_body:
        return ExportLogsServiceRequest.FromString(data)


def _check_ids(record: LogRecord) -> None:
    if len(record.trace_id) not in (0, TRACE_ID_BYTES):
        raise PushFormatError("unmarshal: invalid TraceID length")
    if len(record.span_id) not in (0, SPAN_ID_BYTES):
        raise PushFormatError("unmarshal: invalid SpanID length")


def _decompressed(body: bytes, encoding: str, room: Room) -> bytes | bytearray:
    if not encoding:
        return body
    codec = CODECS.get(encoding)
    if codec is None:
        message = f"unsupported content encoding {encoding}: only gzip, lz4 and zstd are supported"
        raise MediaTypeError(message)
    return decompressed(body, codec, room)
