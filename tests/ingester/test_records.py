"""Does a push that was kept in the journal come back as the batch that it was?"""

import pytest
import snappy
from hypothesis import given
from hypothesis import strategies as st

from ingester.decided import decided
from ingester.enrich import enrich
from ingester.records import (
    CODEC_ARROW,
    CODEC_PROTOBUF,
    CODEC_TRIPLES,
    RecordError,
    batch_of,
    codec_of,
    decode_record_body,
)
from ingester.streams import StreamResolver
from narfi.core.limits import Limits
from narfi.core.wire.push_encode import encode_push_request
from storage.batch import LogBatch
from storage.batch_bytes import encode_batch
from storage.journal.base import StoredRecord
from tests.ingester.pushed import NOW, TENANT, Entry, accepted, pushed

LIMITS = Limits()
PAIRS = st.lists(st.tuples(st.sampled_from(["k", "id", "é"]), st.text(min_size=1, max_size=4)))
ENTRIES = st.lists(st.tuples(st.integers(0, 9), st.binary(max_size=9), PAIRS), max_size=6)
Plain = list[tuple[dict[str, str], int, bytes | None, dict[str, str]]]


def record_of(codec: int, body: bytes, kept: bytes = b"") -> StoredRecord:
    """A record as it is replayed."""
    return StoredRecord(
        position=1, commit=1, tenant=TENANT, received_ns=NOW, codec=codec, decided=kept, body=body
    )


def plain(batch: LogBatch) -> Plain:
    """Labels, time, line and metadata of every row."""
    assert batch.lines is not None
    extra: list[dict[str, str]] = [{} for _ in range(len(batch))]
    for row, name, text in batch.metadata.items() if batch.metadata else ():
        extra[row][name] = text
    labels = [dict(batch.table.labels[number].pairs) for number in batch.stream.tolist()]
    return list(zip(labels, batch.ts.tolist(), batch.lines.spans().to_list(), extra, strict=True))


@given(st.lists(ENTRIES, min_size=1, max_size=3))
def test_a_batch_comes_back(streams: list[list[Entry]]) -> None:
    push = pushed({f'{{app="{k}"}}': entries for k, entries in enumerate(streams)})
    whole = accepted(push, LIMITS)
    batch = batch_of(whole, enrich(whole, LIMITS))
    record = record_of(codec_of(batch), encode_batch(batch))
    assert plain(decode_record_body(record, LIMITS, StreamResolver())) == plain(batch)


def test_names_that_few_have_need_another_codec() -> None:
    """The common ones are columns, which every version reads."""
    few = [(NOW + k, b"x", [(f"n{k}", "v")]) for k in range(200)]
    whole = accepted(pushed({'{app="a"}': few}), LIMITS)
    assert codec_of(batch_of(whole, enrich(whole, LIMITS))) == CODEC_TRIPLES
    none = accepted(pushed({'{app="a"}': [(NOW, b"x", [])]}), LIMITS)
    assert codec_of(batch_of(none, enrich(none, LIMITS))) == CODEC_ARROW


def test_a_body_is_replayed_with_the_settings_of_its_day() -> None:
    """It is enriched again, and judged no more."""
    entries: list[Entry] = [(1, b"level=warn", [("k.1", "v")])]
    body = snappy.compress(encode_push_request([('{pod="p"}', entries)]))
    then = Limits(discover_service_name=("pod",))
    now = Limits(discover_service_name=("host",), reject_old_samples=True)
    record = record_of(CODEC_PROTOBUF, body, decided(then))
    assert plain(decode_record_body(record, now, StreamResolver())) == [
        (
            {"pod": "p", "service_name": "p"},
            1,
            b"level=warn",
            {"k_1": "v", "detected_level": "warn"},
        )
    ]


def test_a_codec_of_a_later_version() -> None:
    with pytest.raises(RecordError, match="record 1 has codec 9, unknown to this version"):
        decode_record_body(record_of(9, b""), LIMITS, StreamResolver())
