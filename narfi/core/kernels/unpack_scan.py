"""What do packed lines hold? Top-level string members and `_entry` (reference/logql.md §6.7)."""

import numpy as np
from numpy.typing import NDArray

from narfi.core.kernels.jit import kernel
from narfi.core.kernels.json_text import (
    ARRAY,
    ESCAPE,
    MALFORMED,
    OBJECT,
    T_STRING,
    read_value,
    skip_space,
    string_end,
    unescape,
)
from narfi.core.kernels.utf8 import is_plain

U8 = NDArray[np.uint8]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]

NOT_AN_OBJECT = 8
"""Error code behind those of `json_text.ERRORS`."""


@kernel()
def _is_entry(data: U8, first: int, size: int) -> bool:
    """Whether the key is `_entry`."""
    return (
        size == 6
        and data[first] == 95
        and data[first + 1] == 101
        and data[first + 2] == 110
        and data[first + 3] == 116
        and data[first + 4] == 114
        and data[first + 5] == 121
    )


@kernel(
    "int64(cu8, ci64, ci32, int32[::1], int64[::1], int32[::1], int64[::1], int32[::1],"
    " int64[::1], int32[::1], uint8[::1], uint8[::1], int64[::1])"
)
def scan_packed(
    data: U8,
    start: I64,
    length: I32,
    pair_row: I32,
    key_start: I64,
    key_length: I32,
    value_start: I64,
    value_length: I32,
    entry_start: I64,
    entry_length: I32,
    error: U8,
    side: U8,
    sizes: I64,
) -> int:
    """All string members but `_entry` as pairs; returns their number.

    `entry_length` is -1 without an entry; then, and where there is an error, a line gives no pairs.
    Escaped texts are rewritten into `side` (as long as the data); `sizes[0]` becomes its used part.
    """
    pairs = used = 0
    base = data.shape[0]
    for row in range(start.shape[0]):
        entry_length[row] = -1
        error[row] = 0
        first_pair = pairs
        at, end = start[row], start[row] + length[row]
        if at == end:
            continue
        if data[at] != 123:
            error[row] = NOT_AN_OBJECT
            continue
        at = skip_space(data, at + 1, end)
        if at >= end:
            error[row] = MALFORMED
            continue
        while data[at] != 125:
            if data[at] != 34:
                error[row] = OBJECT
                break
            close, escaped = string_end(data, at + 1, end)
            if close < 0:
                error[row] = MALFORMED
                break
            k_first, k_size = at + 1, close - at - 1
            k_side = False
            if escaped:
                tail = unescape(data, k_first, close, side, used, False)
                if tail < 0:
                    error[row] = ESCAPE
                    break
                k_first, k_size, k_side = used, tail - used, True
                used = tail
            colon = skip_space(data, close + 1, end)
            if colon >= end or data[colon] != 58:
                error[row] = MALFORMED
                break
            code, kind, first, last, escaped, after = read_value(data, colon + 1, end)
            if code != 0:
                error[row] = code
                break
            if kind == T_STRING:
                if _is_entry(side if k_side else data, k_first, k_size):
                    entry_start[row], entry_length[row] = first, last - first
                    if escaped:
                        tail = unescape(data, first, last, side, used, False)
                        if tail < 0:
                            error[row] = ESCAPE
                            break
                        entry_start[row], entry_length[row] = base + used, tail - used
                        used = tail
                else:
                    pair_row[pairs] = row
                    key_start[pairs] = base + k_first if k_side else k_first
                    key_length[pairs] = k_size
                    value_start[pairs], value_length[pairs] = first, last - first
                    if escaped or not is_plain(data, first, last):
                        tail = unescape(data, first, last, side, used, True)
                        tail = max(tail, used)  # a wrong escape gives an empty value
                        value_start[pairs], value_length[pairs] = base + used, tail - used
                        used = tail
                    pairs += 1
            at = skip_space(data, after, end)
            if at >= end:
                error[row] = ARRAY
                break
            if data[at] == 125:
                break
            if data[at] != 44:
                error[row] = OBJECT
                break
            at = skip_space(data, at + 1, end)
            if at >= end:
                error[row] = ARRAY
                break
        if error[row] != 0:
            entry_length[row] = -1
        if entry_length[row] < 0:
            pairs = first_pair
    sizes[0] = used
    return pairs
