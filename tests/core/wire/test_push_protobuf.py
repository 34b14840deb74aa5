"""The decoding kernel agrees with the generated messages, and survives any bytes."""

import pytest
from google.protobuf.message import DecodeError
from hypothesis import example, given
from hypothesis import strategies as st

from narfi.core.wire.gen.push_pb2 import PushRequest
from narfi.core.wire.push import DecodedPush, PushFormatError
from narfi.core.wire.push_protobuf import decode_push_protobuf

TEXT = st.text(max_size=20)
ENTRY = st.tuples(
    st.integers(-(2**62) // 10**9, 2**62 // 10**9),
    st.integers(0, 999_999_999),
    TEXT,
    st.lists(st.tuples(TEXT, TEXT), max_size=3),
)
STREAMS = st.lists(st.tuples(TEXT, st.lists(ENTRY, max_size=4)), max_size=4)

Plain = list[tuple[str, list[tuple[int, str, list[tuple[str, str]]]]]]


def message(
    streams: list[tuple[str, list[tuple[int, int, str, list[tuple[str, str]]]]]],
) -> PushRequest:
    request = PushRequest()
    for labels, entries in streams:
        stream = request.streams.add(labels=labels)
        for seconds, nanos, line, pairs in entries:
            entry = stream.entries.add(line=line)
            entry.timestamp.seconds, entry.timestamp.nanos = seconds, nanos
            for name, value in pairs:
                entry.structuredMetadata.add(name=name, value=value)
    return request


def plain(push: DecodedPush) -> Plain:
    result: Plain = [(text.decode(), []) for text in push.labels]
    lines = push.lines.to_list()
    names, values = push.pairs.name.to_list(), push.pairs.value.to_list()
    rows = push.pairs.row.tolist()
    for entry, (stream, ts) in enumerate(zip(push.stream.tolist(), push.ts.tolist(), strict=True)):
        pairs = [
            ((names[k] or b"").decode(), (values[k] or b"").decode())
            for k, row in enumerate(rows)
            if row == entry
        ]
        result[stream][1].append((ts, (lines[entry] or b"").decode(), pairs))
    return result


@given(STREAMS)
def test_equals_the_generated_message(
    streams: list[tuple[str, list[tuple[int, int, str, list[tuple[str, str]]]]]],
) -> None:
    body = message(streams).SerializeToString()
    assert plain(decode_push_protobuf(body)) == [
        (labels, [(s * 10**9 + n, line, pairs) for s, n, line, pairs in entries])
        for labels, entries in streams
    ]


@given(STREAMS, st.data())
def test_damaged_bodies_give_arrays_or_an_error(
    streams: list[tuple[str, list[tuple[int, int, str, list[tuple[str, str]]]]]],
    data: st.DataObject,
) -> None:
    body = bytearray(message(streams).SerializeToString() or b"\x0a\x00")
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    try:
        push = decode_push_protobuf(bytes(body))
    except PushFormatError:
        return
    assert int(push.lines.start.max(initial=0)) <= len(body)
    assert len(push.lines.to_list()) == len(push)


@given(st.binary(max_size=60))
@example(b"\x08\x00")  # a known field of another wire type: refused here as by Go's decoder
def test_any_bytes_are_refused_where_protobuf_refuses_the_structure(
    body: bytes,
) -> None:
    try:
        decode_push_protobuf(body)
    except PushFormatError as error:
        if "wireType" in str(error) or "timestamp" in str(error):
            return  # the library keeps such a field as an unknown one, and takes any time
        with pytest.raises(DecodeError):
            PushRequest.FromString(body)


def test_a_later_field_overrides_an_earlier_one() -> None:
    stream = b"\x0a\x01a" + b"\x0a\x01b" + b"\x12\x06" + b"\x12\x01x" + b"\x12\x01y"
    push = decode_push_protobuf(b"\x0a" + bytes([len(stream)]) + stream)
    assert push.labels == (b"b",)
    assert push.lines.to_list() == [b"y"]
    assert push.ts.tolist() == [0]


def body_at(seconds: int, nanos: int) -> bytes:
    """A push of one entry."""
    return message([("{}", [(seconds, nanos, "x", [])])]).SerializeToString()


@pytest.mark.parametrize(
    ("seconds", "nanos", "ts"),
    [
        (0, 0, 0),
        (-1, 999_999_999, -1),
        (1760018400, 5, 1760018400_000000005),
        (253402300799, 0, 2**63 - 1),  # the year 9999: beyond int64, so its end
        (-62135596800, 0, -(2**63)),
    ],
)
def test_times(seconds: int, nanos: int, ts: int) -> None:
    assert decode_push_protobuf(body_at(seconds, nanos)).ts.tolist() == [ts]


@pytest.mark.parametrize(
    ("seconds", "nanos"),
    [
        (253402300800, 0),
        (-62135596801, 0),
        (2**63 - 1, 0),
        (-(2**63), 0),
        (0, -1),
        (0, 10**9),
        (0, 2**31 - 1),
    ],
)
def test_times_that_no_timestamp_may_name(seconds: int, nanos: int) -> None:
    with pytest.raises(PushFormatError, match="timestamp"):
        decode_push_protobuf(body_at(seconds, nanos))
    decode_push_protobuf(body_at(seconds, nanos), check_times=False)  # accepted by an old version


def test_no_time_is_the_epoch_and_unknown_fields_are_skipped() -> None:
    entry = b"\x12\x01x" + b"\x78\x05" + b"\x7b\x08\x01\x7c"  # a varint, and a group
    stream = b"\x12" + bytes([len(entry)]) + entry + b"\x18\x07" + b"\x4a\x01z"
    push = decode_push_protobuf(b"\x0a" + bytes([len(stream)]) + stream + b"\x12\x02ok")
    assert push.labels == (b"",)
    assert (push.ts.tolist(), push.lines.to_list()) == ([0], [b"x"])
