"""How does a protobuf push body become arrays? One quick pass, or two that check everything.

A body as clients write it is filled at once (push_usual.py); any other goes to push_scan.py, which
knows all of protobuf and says what is wrong.
"""

import numpy as np

from narfi.core.columns import I32, I64, U8, Spans
from narfi.core.in_flight import FREE, Charge
from narfi.core.kernels.push_scan import (
    END_GROUP,
    ILLEGAL_TAG,
    OK,
    UNEXPECTED_EOF,
    VARINT_OVERFLOW,
    WRONG_WIRE_TYPE,
    count_push,
    fill_push,
)
from narfi.core.kernels.push_usual import count_usual, fill_usual
from narfi.core.wire.push import DecodedPush, Pairs, PushFormatError

_TEXTS = {
    UNEXPECTED_EOF: "unexpected EOF",
    VARINT_OVERFLOW: "proto: integer overflow",
    WRONG_WIRE_TYPE: "proto: wrong wireType for field of PushRequest",
    END_GROUP: "proto: PushRequest: wiretype end group for non-group",
    ILLEGAL_TAG: "proto: PushRequest: illegal tag",
}

BYTES_OF_AN_ENTRY = 100
"""What an entry or a pair of metadata takes in arrays until it is stored, without its texts."""
BYTES_OF_A_STREAM = 1000
"""The same of a stream: its labels are parsed."""

_ODD_TIME = "timestamp: not within the years 1 to 9999, or nanos not in range [0, 1e9)"


def decode_push_protobuf(
    body: bytes | bytearray | U8, *, check_times: bool = True, charge: Charge = FREE
) -> DecodedPush:
    """The entries of a serialised PushRequest (decompressed); lines are views into the body.

    What they take is charged before it is taken.
    Without `check_times` (for what was accepted once) a time out of range becomes the nearest.
    """
    data = np.frombuffer(body, np.uint8)
    counts = np.zeros(2, np.int64)
    taken = 0
    if count_usual(data, counts):
        streams, entries = counts.tolist()
        taken = _cost(streams, entries)
        charge.take(taken)
        push = _usual(data, streams, entries)
        if push is not None:
            return push
    return _checked(data, check_times, charge, taken)


def _cost(streams: int, entries: int) -> int:
    return BYTES_OF_A_STREAM * streams + BYTES_OF_AN_ENTRY * entries


def _usual(data: U8, streams: int, entries: int) -> DecodedPush | None:
    """The entries of a body as clients write it; None when one of them has something else."""
    label_start, label_length = np.empty(streams, np.int64), np.empty(streams, np.int32)
    stream, ts = np.empty(entries, np.int32), np.empty(entries, np.int64)
    line_start, line_length = np.empty(entries, np.int64), np.empty(entries, np.int32)
    if not fill_usual(data, label_start, label_length, stream, ts, line_start, line_length):
        return None
    return DecodedPush(
        labels=_labels(data, label_start, label_length),
        stream=stream,
        ts=ts,
        lines=Spans(data, line_start, line_length),
        pairs=_NO_PAIRS,
    )


_NO_PAIRS = Pairs(np.zeros(0, np.int32), Spans.of([]), Spans.of([]))


def _labels(data: U8, start: I64, length: I32) -> tuple[bytes, ...]:
    packed = Spans(data, start, length).packed()
    texts, begin = packed.data.tobytes(), packed.start.tolist()
    return tuple(map(texts.__getitem__, map(slice, begin, (*begin[1:], len(texts)))))


def _checked(data: U8, check_times: bool, charge: Charge, taken: int) -> DecodedPush:
    """The entries of any body that protobuf allows; so much of their cost is taken already."""
    counts = np.zeros(4, np.int64)
    error = count_push(data, counts)
    if error != OK:
        raise PushFormatError(_TEXTS[error])
    streams, entries, pairs, odd_times = counts.tolist()
    if odd_times and check_times:
        raise PushFormatError(_ODD_TIME)
    charge.take(_cost(streams, entries + pairs) - taken)
    label_start, label_length = np.empty(streams, np.int64), np.empty(streams, np.int32)
    stream, ts = np.empty(entries, np.int32), np.empty(entries, np.int64)
    line_start, line_length = np.empty(entries, np.int64), np.empty(entries, np.int32)
    row = np.empty(pairs, np.int32)
    name_start, name_length = np.empty(pairs, np.int64), np.empty(pairs, np.int32)
    value_start, value_length = np.empty(pairs, np.int64), np.empty(pairs, np.int32)
    fill_push(
        data,
        label_start,
        label_length,
        stream,
        ts,
        line_start,
        line_length,
        row,
        name_start,
        name_length,
        value_start,
        value_length,
    )
    return DecodedPush(
        labels=_labels(data, label_start, label_length),
        stream=stream,
        ts=ts,
        lines=Spans(data, line_start, line_length),
        pairs=Pairs(
            row,
            Spans(data, name_start, name_length),
            Spans(data, value_start, value_length),
        ),
    )
