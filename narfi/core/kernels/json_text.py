"""What are the words of JSON? Strings, values and their ends, as the recorded server reads them.

A value ends at its matching bracket, whatever stands between (reference/logql.md §6.1). Error codes
index `ERRORS`. Functions for other kernels; places are offsets into one buffer.
"""

import numpy as np
from numpy.typing import NDArray

from narfi.core.kernels.address import load8, load64, lowest_byte
from narfi.core.kernels.jit import kernel
from narfi.core.kernels.utf8 import hex4, put_rune, rune_size

U8 = NDArray[np.uint8]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]

ERRORS = (
    "",
    "Value looks like object, but can't find closing '}' symbol",
    "Malformed JSON error",
    "Value is string, but can't find closing '\"' symbol",
    "Value is array, but can't find closing ']' symbol",
    "Value looks like Number/Boolean/None, but can't find its end: ',' or '}' symbol",
    "Unknown value type",
    "Encountered an invalid escape sequence in a string",
)
OBJECT, MALFORMED, STRING, ARRAY, VALUE, UNKNOWN, ESCAPE = 1, 2, 3, 4, 5, 6, 7

MAX_DEPTH = 64
"""Objects nested deeper than this end the line as malformed."""
USUAL = 64
"""Members of a line of which the key is first compared with that of the line before."""

T_STRING, T_OBJECT, T_ARRAY, T_NULL, T_PLAIN = 0, 1, 2, 3, 4


_EACH = np.uint64(0x0101010101010101)
_HIGH = np.uint64(0x8080808080808080)
_QUOTES = np.uint64(0x2222222222222222)
_SLASHES = np.uint64(0x5C5C5C5C5C5C5C5C)


@kernel()
def skip_space(data: U8, at: int, end: int) -> int:
    base = data.ctypes.data
    while at < end:
        byte = load8(base + at)
        if byte > 32 or (byte != 32 and byte != 10 and byte != 13 and byte != 9):
            break
        at += 1
    return at


@kernel()
def string_end(data: U8, at: int, end: int) -> tuple[int, bool]:
    """(place of the closing quote or -1, was a backslash seen); `at` is behind the quote."""
    base = data.ctypes.data
    escaped = False
    while at < end:
        if end - at >= 8:
            word = load64(base + at)
            quotes, slashes = word ^ _QUOTES, word ^ _SLASHES
            hit = ((quotes - _EACH) & ~quotes | (slashes - _EACH) & ~slashes) & _HIGH
            if hit == 0:
                at += 8
                continue
            at += lowest_byte(hit)  # only above the first hit can be false ones
        byte = load8(base + at)
        if byte == 34:
            return at, escaped
        if byte == 92:
            escaped = True
            at += 1
        at += 1
    return -1, escaped


@kernel()
def block_end(data: U8, at: int, end: int, opening: int, closing: int) -> int:
    """Behind the bracket that closes the one at `at`; -1 when there is none."""
    base = data.ctypes.data
    openings, closings = _EACH * np.uint64(opening), _EACH * np.uint64(closing)
    level = 0
    while at < end:
        if end - at >= 8:
            word = load64(base + at)
            quotes, opens, closes = word ^ _QUOTES, word ^ openings, word ^ closings
            hit = (quotes - _EACH) & ~quotes | (opens - _EACH) & ~opens
            hit = (hit | (closes - _EACH) & ~closes) & _HIGH
            if hit == 0:
                at += 8
                continue
            at += lowest_byte(hit)
        byte = load8(base + at)
        if byte == 34:
            close, _ = string_end(data, at + 1, end)
            if close < 0:
                return -1
            at = close
        elif byte == opening:
            level += 1
        elif byte == closing:
            level -= 1
            if level == 0:
                return at + 1
        at += 1
    return -1


@kernel()
def read_value(data: U8, at: int, end: int) -> tuple[int, int, int, int, bool, int]:
    """(error, type, first, last, escaped, next): the value that begins at or behind `at`.

    For strings first and last enclose the text between the quotes.
    """
    at = skip_space(data, at, end)
    if at >= end:
        return MALFORMED, 0, 0, 0, False, at
    base = data.ctypes.data
    byte = load8(base + at)
    if byte == 34:
        close, escaped = string_end(data, at + 1, end)
        if close < 0:
            return STRING, 0, 0, 0, False, at
        return 0, T_STRING, at + 1, close, escaped, close + 1
    if byte == 91:
        stop = block_end(data, at, end, 91, 93)
        return (ARRAY if stop < 0 else 0), T_ARRAY, at, stop, False, stop
    if byte == 123:
        stop = block_end(data, at, end, 123, 125)
        return (OBJECT if stop < 0 else 0), T_OBJECT, at, stop, False, stop
    stop = at
    while stop < end:
        b = load8(base + stop)
        if b == 32 or b == 10 or b == 13 or b == 9 or b == 44 or b == 125 or b == 93:
            break
        stop += 1
    size = stop - at
    if byte == 116 or byte == 102:
        good = (
            size == 4
            and byte == 116
            and data[at + 1] == 114
            and data[at + 2] == 117
            and data[at + 3] == 101
        ) or (
            size == 5
            and byte == 102
            and data[at + 1] == 97
            and data[at + 2] == 108
            and data[at + 3] == 115
            and data[at + 4] == 101
        )
        return (0 if good else UNKNOWN), T_PLAIN, at, stop, False, stop
    if byte == 110 or byte == 117:
        good = (
            size == 4
            and byte == 110
            and data[at + 1] == 117
            and data[at + 2] == 108
            and data[at + 3] == 108
        )
        return (0 if good else UNKNOWN), T_NULL, at, stop, False, stop
    if byte == 45 or (48 <= byte <= 57):
        return 0, T_PLAIN, at, stop, False, stop
    return UNKNOWN, T_PLAIN, at, stop, False, stop


@kernel()
def unescape(data: U8, first: int, last: int, out: U8, to: int, clean: bool = True) -> int:
    """Write the string's text to `out[to:]`; returns its end, or -1 for a wrong escape.

    Bytes that are not UTF-8 and U+FFFD become spaces when `clean`.
    """
    at = first
    while at < last:
        byte = data[at]
        if byte != 92:
            size = rune_size(data, at, last) if clean else 1
            if size == 0:
                out[to] = 32
                to += 1
                at += (
                    3
                    if byte == 0xEF
                    and last - at >= 3
                    and data[at + 1] == 0xBF
                    and data[at + 2] == 0xBD
                    else 1
                )
                continue
            for k in range(size):
                out[to + k] = data[at + k]
            to += size
            at += size
            continue
        if at + 1 >= last:
            return -1
        kind = data[at + 1]
        at += 2
        if kind == 110:
            out[to] = 10
        elif kind == 116:
            out[to] = 9
        elif kind == 114:
            out[to] = 13
        elif kind == 98:
            out[to] = 8
        elif kind == 102:
            out[to] = 12
        elif kind == 34 or kind == 92 or kind == 47:
            out[to] = kind
        elif kind == 117:
            rune = hex4(data, at, last)
            if rune < 0:
                return -1
            at += 4
            if 0xD800 <= rune <= 0xDFFF:  # the two bytes before the other digits are not looked at
                low = hex4(data, at + 2, last) if last - at >= 6 else -1
                if low < 0xDC00:
                    return -1
                rune = 0x10000 + (rune - 0xD800 << 10) + (low - 0xDC00)
                at += 6
                if rune > 0x10FFFF:
                    rune = 0xFFFD
            to = put_rune(out, to, rune, clean)
            continue
        else:
            return -1
        to += 1
    return to
