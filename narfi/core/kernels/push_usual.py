"""Where are the streams and entries of a push body as clients write it? Found in one quick pass.

Fields with one byte of tag, times from 1970 to 2262, no structured metadata: what Promtail, Alloy
and the generated encoders send. Anything else, damage too, is answered with "not usual", and
`push_scan` decides. Invariant: what these kernels accept, `push_scan` accepts with the same arrays
(tests/core/kernels/test_push_usual.py).
"""

import numpy as np
from numpy.typing import NDArray

from narfi.core.kernels.address import load8
from narfi.core.kernels.jit import kernel
from narfi.core.kernels.push_scan import LAST_INT64_SECOND, NS_PER_S

U8 = NDArray[np.uint8]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]

FIRST_TEXT, SECOND_TEXT = 10, 18
"""Tags of fields 1 and 2 that have a length: streams; labels and entries; time and line."""
FIRST_NUMBER, SECOND_NUMBER = 8, 16
"""Tags of fields 1 and 2 that are numbers: seconds and nanoseconds."""


@kernel()
def _number(at: int, end: int) -> tuple[int, int]:
    """(value, address behind it) of a varint below 2**63; the address is 0 when it is none."""
    value = shift = 0
    while at < end and shift < 63:
        byte = load8(at)
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
    return 0, 0


@kernel()
def _inside(at: int, end: int) -> tuple[int, int]:
    """(begin, end) of a value whose length stands at `at`; the begin is 0 when it does not fit."""
    size, begin = _number(at, end)
    if begin == 0 or size > end - begin:
        return 0, 0
    return begin, begin + size


@kernel("boolean(cu8, int64[::1])", early=True)
def count_usual(data: U8, counts: I64) -> bool:
    """Fill `counts` with (streams, entries); false when the body is not a usual one.

    Entries are not looked into.
    """
    streams = entries = 0
    at = data.ctypes.data
    end = at + data.shape[0]
    while at < end:
        if load8(at) != FIRST_TEXT:
            return False
        at, stop = _inside(at + 1, end)
        if at == 0:
            return False
        streams += 1
        while at < stop:
            tag = load8(at)
            begin, at = _inside(at + 1, stop)
            if begin == 0:
                return False
            if tag == SECOND_TEXT:
                entries += 1
            elif tag != FIRST_TEXT:
                return False
    counts[0], counts[1] = streams, entries
    return True


@kernel()
def _time(at: int, end: int) -> int:
    """Nanoseconds since the epoch of a Timestamp; -1 when it is not a usual one."""
    seconds = nanos = 0
    while at < end:
        tag = load8(at)
        value, at = _number(at + 1, end)
        if at == 0:
            return -1
        if tag == FIRST_NUMBER:
            seconds = value
        elif tag == SECOND_NUMBER:
            nanos = value
        else:
            return -1
    if seconds > LAST_INT64_SECOND or nanos >= NS_PER_S:
        return -1
    return seconds * NS_PER_S + nanos


@kernel(
    "boolean(cu8, int64[::1], int32[::1], int32[::1], int64[::1], int64[::1], int32[::1])",
    early=True,
)
def fill_usual(
    data: U8,
    label_start: I64,
    label_length: I32,
    stream: I32,
    ts: I64,
    line_start: I64,
    line_length: I32,
) -> bool:
    """Fill the arrays that `count_usual` sized; false when an entry is not a usual one.

    Of repeated single fields the last counts.
    """
    base = data.ctypes.data
    at, end = base, base + data.shape[0]
    s = e = 0
    while at < end:
        at, stop = _inside(at + 1, end)
        label_start[s], label_length[s] = at - base, 0
        while at < stop:
            tag = load8(at)
            begin, at = _inside(at + 1, stop)
            if tag == FIRST_TEXT:
                label_start[s], label_length[s] = begin - base, at - begin
                continue
            stream[e], ts[e], line_start[e], line_length[e] = s, 0, begin - base, 0
            field = begin
            while field < at:
                tag = load8(field)
                begin, field = _inside(field + 1, at)
                if begin == 0:
                    return False
                if tag == SECOND_TEXT:
                    line_start[e], line_length[e] = begin - base, field - begin
                elif tag == FIRST_TEXT:
                    ts[e] = _time(begin, field)
                    if ts[e] < 0:
                        return False
                else:
                    return False
            e += 1
        s += 1
    return True
