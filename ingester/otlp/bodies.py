"""How is an OTLP export read? Protobuf or JSON, plain or compressed, sizes checked first."""

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from ingester.admit import MAX_BODY_BYTES, check_size, decompressed
from ingester.errors import MediaTypeError
from ingester.otlp.json_body import SPAN_ID_BYTES, TRACE_ID_BYTES, parse_json_export
from ingester.otlp.text_repair import with_valid_texts
from narfi.core.wire.push import PushFormatError

CODECS = {"gzip": "gzip", "zstd": "zstd", "lz4": "lz4"}


def decode_export(
    body: bytes, content_type: str, content_encoding: str
) -> ExportLogsServiceRequest:
    """The export of a request; raises a `PushError` with Loki's text."""
    check_size(len(body), MAX_BODY_BYTES, "message size")
    if content_type not in ("application/x-protobuf", "application/json"):
        raise MediaTypeError(f"content type: {content_type} is not supported")
    plain = _decompressed(body, content_encoding)
    if content_type == "application/json":
        return parse_json_export(plain)
    return parse_export(plain)


def parse_export(message: bytes) -> ExportLogsServiceRequest:
    """A serialised export."""
    try:
        try:
            export = ExportLogsServiceRequest.FromString(message)
        except DecodeError:
            export = ExportLogsServiceRequest.FromString(with_valid_texts(message))
    except DecodeError as error:
        raise PushFormatError("unexpected EOF") from error
    for resource in export.resource_logs:
        for scope in resource.scope_logs:
            for record in scope.log_records:
                _check_ids(record)
    return export


def _check_ids(record: LogRecord) -> None:
    if len(record.trace_id) not in (0, TRACE_ID_BYTES):
        raise PushFormatError("unmarshal: invalid TraceID length")
    if len(record.span_id) not in (0, SPAN_ID_BYTES):
        raise PushFormatError("unmarshal: invalid SpanID length")


def _decompressed(body: bytes, encoding: str) -> bytes:
    if not encoding:
        return body
    codec = CODECS.get(encoding)
    if codec is None:
        message = f"unsupported content encoding {encoding}: only gzip, lz4 and zstd are supported"
        raise MediaTypeError(message)
    return decompressed(body, codec)
