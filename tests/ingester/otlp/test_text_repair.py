"""Do texts that are no UTF-8 cost their bad bytes only?"""

import pytest
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from ingester.otlp.text_repair import with_valid_texts

MARK = b"bad text"


def export(body: str) -> bytes:
    """Of one record, with an attribute of bytes beside its text."""
    made = ExportLogsServiceRequest()
    record = made.resource_logs.add().scope_logs.add().log_records.add()
    record.body.string_value = body
    record.time_unix_nano = 7
    pair = record.attributes.add()
    pair.key, pair.value.bytes_value = "k", b"\xff\xfe"
    return made.SerializeToString()


def test_bad_bytes_become_replacement_characters() -> None:
    bad = export("bad text").replace(MARK, b"bad\xfftext")
    with pytest.raises(DecodeError):
        ExportLogsServiceRequest.FromString(bad)
    found = ExportLogsServiceRequest.FromString(with_valid_texts(bad))
    record = found.resource_logs[0].scope_logs[0].log_records[0]
    assert record.body.string_value == "bad\ufffdtext"
    assert record.time_unix_nano == 7
    assert record.attributes[0].value.bytes_value == b"\xff\xfe", "bytes are no text"


def test_what_is_well_stays() -> None:
    assert with_valid_texts(export("é")) == export("é")


def test_what_is_no_export() -> None:
    with pytest.raises(DecodeError):
        with_valid_texts(b"\x0a\xff")
