"""The hand-written push encoder against the generated messages."""

import snappy
from hypothesis import given, settings
from hypothesis import strategies as st

from narfi.core.wire.gen import push_pb2
from narfi.core.wire.push_encode import (
    PushEntry,
    encode_push,
    encode_push_request,
    varint,
)
from tests.reference.budget import examples

_NAMES = st.text(max_size=12)
_ENTRIES = st.tuples(
    st.integers(min_value=-(10**18), max_value=4 * 10**18),
    st.text(max_size=40).map(str.encode),
    st.lists(st.tuples(_NAMES, _NAMES), max_size=3),
)
_STREAMS = st.lists(st.tuples(_NAMES, st.lists(_ENTRIES, max_size=5)), max_size=4)


def _expected(streams: list[tuple[str, list[PushEntry]]]) -> bytes:
    request = push_pb2.PushRequest()
    for labels, entries in streams:
        stream = request.streams.add(labels=labels)
        for ts_ns, line, metadata in entries:
            entry = stream.entries.add(line=line.decode())
            entry.timestamp.SetInParent()
            entry.timestamp.seconds, entry.timestamp.nanos = divmod(ts_ns, 10**9)
            for name, value in metadata:
                entry.structuredMetadata.add(name=name, value=value)
    return request.SerializeToString(deterministic=True)


@settings(max_examples=examples(150), deadline=None)
@given(_STREAMS)
def test_equals_generated_message(streams: list[tuple[str, list[PushEntry]]]) -> None:
    assert encode_push_request(streams) == _expected(streams)


def test_long_lines_cross_the_length_table() -> None:
    streams: list[tuple[str, list[PushEntry]]] = [
        (
            '{app="x"}',
            [
                (1_700_000_000_123_456_789, b"y" * n, ())
                for n in (127, 128, 16_383, 16_384, 300_000)
            ],
        )
    ]
    assert encode_push_request(streams) == _expected(streams)


def test_body_is_a_snappy_block() -> None:
    streams: list[tuple[str, list[PushEntry]]] = [('{a="b"}', [(5, b"hello", [("id", "7")])])]
    body = encode_push(streams)
    request = push_pb2.PushRequest.FromString(snappy.decompress(body))
    assert [s.labels for s in request.streams] == ['{a="b"}']
    entry = request.streams[0].entries[0]
    assert (entry.timestamp.seconds, entry.timestamp.nanos, entry.line) == (
        0,
        5,
        "hello",
    )
    assert [(p.name, p.value) for p in entry.structuredMetadata] == [("id", "7")]


def test_line_that_is_not_utf8_is_kept() -> None:
    raw = encode_push_request([("{}", [(1, b"\xff\xfe!", ())])])
    assert b"\x12\x03\xff\xfe!" in raw


def test_varint_bounds() -> None:
    assert varint(0) == b"\x00"
    assert varint(300) == b"\xac\x02"
    assert varint(-1) == b"\xff" * 9 + b"\x01"
    assert varint((1 << 35) - 1) == b"\xff\xff\xff\xff\x7f"
    assert varint(1 << 35) == b"\x80\x80\x80\x80\x80\x01"
