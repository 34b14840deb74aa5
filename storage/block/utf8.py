"""May a column of lines be declared as text for other readers? Only when every line is UTF-8."""

import numpy as np
import pyarrow as pa

from narfi.core.columns import U8, Spans

MOST_BETWEEN = 8
"""So many times the bytes of lines are looked at together, with what lies between them."""
CHECKED_ROWS = 8192
"""Looked at in one go when each line must be."""


def all_utf8(spans: Spans) -> bool:
    """Whether the line column may be declared as text for other readers.

    When all between the first and the last of them is UTF-8 and no line begins inside a character,
    every line is; only otherwise, or where much lies between them, the lines are looked at one by
    one. The buffer is a head's memory: most of it may be other lines, or was never touched.
    """
    filled = spans.start[spans.length > 0]
    if not len(filled):
        return True
    ends = filled + spans.length[spans.length > 0]
    first, last = int(filled.min()), int(ends.max())
    if last - first > MOST_BETWEEN * spans.nbytes():
        return _each_is_utf8(spans)
    inside = (spans.data[filled] & 0xC0) == 0x80
    ends = ends[ends < len(spans.data)]
    cut = (spans.data[ends] & 0xC0) == 0x80
    if not inside.any() and not cut.any() and _is_utf8(spans.data[first:last]):
        return True
    return _each_is_utf8(spans)


def _is_utf8(data: U8) -> bool:
    offsets = np.array([0, len(data)], np.int64)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(data)]
    try:
        pa.Array.from_buffers(pa.large_string(), 1, buffers).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _each_is_utf8(spans: Spans) -> bool:
    for first in range(0, len(spans), CHECKED_ROWS):
        rows = np.arange(first, min(first + CHECKED_ROWS, len(spans)))
        try:
            spans.take(rows).to_arrow(text=True).validate(full=True)
        except pa.ArrowInvalid:
            return False
    return True
