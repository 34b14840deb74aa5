"""Where are the streams, entries and metadata pairs of a protobuf push body?

Two passes over untrusted bytes: `count_push` sizes the arrays, `fill_push` fills them. Every read
is checked against the end of the message that it lies in. Schema: reference/http-api.md §1.2.
"""

import numpy as np
from numpy.typing import NDArray

from narfi.core.kernels.jit import kernel

U8 = NDArray[np.uint8]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]

OK = 0
UNEXPECTED_EOF = 1
VARINT_OVERFLOW = 2
WRONG_WIRE_TYPE = 3
END_GROUP = 4
ILLEGAL_TAG = 5
NS_PER_S = 1_000_000_000
FIRST_SECOND, LAST_SECOND = -62135596800, 253402300799
"""The years 1 to 9999, which a Timestamp may name."""
MAX_INT64 = 2**63 - 1
LAST_INT64_SECOND = 9223372035
"""Seconds up to which nanoseconds fit int64 whatever the fraction; other times become its ends."""


@kernel()
def _varint(data: U8, at: int, end: int) -> tuple[int, int]:
    """(value, next offset); the offset is -1 - error when the bytes are wrong."""
    value = np.uint64(0)
    shift = np.uint64(0)
    for _ in range(10):
        if at >= end:
            return 0, -1 - UNEXPECTED_EOF
        byte = data[at]
        at += 1
        value |= np.uint64(byte & 0x7F) << shift
        if byte < 0x80:
            return int(np.int64(value)), at
        shift += np.uint64(7)
    return 0, -1 - VARINT_OVERFLOW


@kernel()
def _skip(data: U8, at: int, end: int, wire: int) -> int:
    """The offset behind a field's value that is not needed, or -1 - error."""
    if wire == 0:
        _, at = _varint(data, at, end)
        return at
    if wire == 1:
        return at + 8 if end - at >= 8 else -1 - UNEXPECTED_EOF
    if wire == 5:
        return at + 4 if end - at >= 4 else -1 - UNEXPECTED_EOF
    if wire == 2:
        size, at = _varint(data, at, end)
        if at < 0:
            return at
        if size < 0 or size > end - at:
            return -1 - UNEXPECTED_EOF
        return at + size
    if wire == 3:  # a group: fields up to the matching end tag
        depth = 1
        while depth > 0:
            tag, at = _varint(data, at, end)
            if at < 0:
                return at
            kind = tag & 7
            if kind == 3:
                depth += 1
            elif kind == 4:
                depth -= 1
            elif kind == 6 or kind == 7:
                return -1 - WRONG_WIRE_TYPE
            elif kind == 2:
                size, at = _varint(data, at, end)
                if at < 0:
                    return at
                if size < 0 or size > end - at:
                    return -1 - UNEXPECTED_EOF
                at += size
            elif kind == 0:
                _, at = _varint(data, at, end)
                if at < 0:
                    return at
            else:
                at += 8 if kind == 1 else 4
                if at > end:
                    return -1 - UNEXPECTED_EOF
        return at
    return -1 - (END_GROUP if wire == 4 else WRONG_WIRE_TYPE)


@kernel()
def _field(data: U8, at: int, end: int) -> tuple[int, int, int, int]:
    """(field number, wire type, first byte of the value, end of the field).

    For wire type 2 the value is what lies between the last two. The last is -1 - error if wrong.
    """
    tag, at = _varint(data, at, end)
    if at < 0:
        return 0, 0, 0, at
    number, wire = tag >> 3, tag & 7
    if wire == 4:
        return number, wire, 0, -1 - END_GROUP
    if number <= 0 or tag < 0 or tag > 0xFFFFFFFF:
        return number, wire, 0, -1 - ILLEGAL_TAG
    begin = at
    if wire == 2:
        size, begin = _varint(data, at, end)
        if begin < 0:
            return number, wire, 0, begin
        if size < 0 or size > end - begin:
            return number, wire, 0, -1 - UNEXPECTED_EOF
        return number, wire, begin, begin + size
    return number, wire, begin, _skip(data, at, end, wire)


@kernel("int64(cu8, int64[::1])", early=True)
def count_push(data: U8, counts: I64) -> int:
    """Fill `counts` with (streams, entries, pairs, odd times); returns 0 or an error code.

    Checks the whole body, so `fill_push` meets nothing wrong.
    """
    streams = entries = pairs = odd_times = 0
    at, end = 0, data.shape[0]
    while at < end:
        number, wire, begin, at = _field(data, at, end)
        if at < 0:
            return -1 - at
        if number != 1:
            continue
        if wire != 2:
            return WRONG_WIRE_TYPE
        streams += 1
        s_at, s_end = begin, at
        while s_at < s_end:
            number, wire, begin, s_at = _field(data, s_at, s_end)
            if s_at < 0:
                return -1 - s_at
            if (number == 1 or number == 2) and wire != 2:
                return WRONG_WIRE_TYPE
            if number != 2:
                continue
            entries += 1
            e_at, e_end = begin, s_at
            while e_at < e_end:
                number, wire, begin, e_at = _field(data, e_at, e_end)
                if e_at < 0:
                    return -1 - e_at
                if number >= 1 and number <= 3 and wire != 2:
                    return WRONG_WIRE_TYPE
                if number == 1:
                    error, odd = _check_time(data, begin, e_at)
                    if error != OK:
                        return error
                    odd_times += odd
                elif number == 3:
                    pairs += 1
                    error = _check_pair(data, begin, e_at)
                    if error != OK:
                        return error
    counts[0], counts[1], counts[2], counts[3] = streams, entries, pairs, odd_times
    return OK


@kernel()
def _check_time(data: U8, at: int, end: int) -> tuple[int, int]:
    """(error code, 1 for a time that no Timestamp may name)."""
    seconds = nanos = 0
    while at < end:
        number, wire, value, at = _field(data, at, end)
        if at < 0:
            return -1 - at, 0
        if number == 1 or number == 2:
            if wire != 0:
                return WRONG_WIRE_TYPE, 0
            found, _ = _varint(data, value, end)
            if number == 1:
                seconds = found
            else:
                nanos = int(np.int32(found))
    fine = FIRST_SECOND <= seconds <= LAST_SECOND and 0 <= nanos < NS_PER_S
    return OK, 0 if fine else 1


@kernel()
def _check_pair(data: U8, at: int, end: int) -> int:
    while at < end:
        number, wire, _, at = _field(data, at, end)
        if at < 0:
            return -1 - at
        if (number == 1 or number == 2) and wire != 2:
            return WRONG_WIRE_TYPE
    return OK


@kernel(
    "void(cu8, int64[::1], int32[::1], int32[::1], int64[::1], int64[::1], int32[::1],"
    " int32[::1], int64[::1], int32[::1], int64[::1], int32[::1])",
    early=True,
)
def fill_push(
    data: U8,
    label_start: I64,
    label_length: I32,
    stream: I32,
    ts: I64,
    line_start: I64,
    line_length: I32,
    pair_row: I32,
    name_start: I64,
    name_length: I32,
    value_start: I64,
    value_length: I32,
) -> None:
    """Fill the arrays that `count_push` sized; of repeated single fields the last counts."""
    s = e = p = 0
    at, end = 0, data.shape[0]
    while at < end:
        number, _, begin, at = _field(data, at, end)
        if number != 1:
            continue
        label_start[s], label_length[s] = begin, 0
        s_at, s_end = begin, at
        while s_at < s_end:
            number, _, begin, s_at = _field(data, s_at, s_end)
            if number == 1:
                label_start[s], label_length[s] = begin, s_at - begin
            if number != 2:
                continue
            stream[e], ts[e], line_start[e], line_length[e] = s, 0, begin, 0
            e_at, e_end = begin, s_at
            while e_at < e_end:
                number, _, begin, e_at = _field(data, e_at, e_end)
                if number == 1:
                    seconds = nanos = 0
                    t_at = begin
                    while t_at < e_at:
                        number, _, value, t_at = _field(data, t_at, e_at)
                        if number == 1:
                            seconds, _ = _varint(data, value, e_at)
                        elif number == 2:
                            nanos, _ = _varint(data, value, e_at)
                            nanos = int(np.int32(nanos))
                    if seconds > LAST_INT64_SECOND:
                        ts[e] = MAX_INT64
                    elif seconds < -LAST_INT64_SECOND:
                        ts[e] = -MAX_INT64 - 1
                    else:
                        ts[e] = seconds * NS_PER_S + nanos
                elif number == 2:
                    line_start[e], line_length[e] = begin, e_at - begin
                elif number == 3:
                    pair_row[p] = e
                    name_start[p], name_length[p] = begin, 0
                    value_start[p], value_length[p] = begin, 0
                    p_at = begin
                    while p_at < e_at:
                        number, _, begin, p_at = _field(data, p_at, e_at)
                        if number == 1:
                            name_start[p], name_length[p] = begin, p_at - begin
                        elif number == 2:
                            value_start[p], value_length[p] = begin, p_at - begin
                    p += 1
            e += 1
        s += 1
