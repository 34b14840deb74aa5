"""How do lines and times become rows of a text file? One pass for sizes, one that writes.

A row is its head, its time, a piece by its code, its line, another piece by its code. Lines are
written as they are, as the inside of a JSON string, or as that of a quoted CSV cell; each byte that
is not of UTF-8 becomes U+FFFD. A cell that a spreadsheet would take for a formula gets a leading
quote.
"""

from typing import Any

import numpy as np
from numba import types
from numpy.typing import NDArray

from narfi.core.kernels.address import load64
from narfi.core.kernels.jit import kernel
from narfi.core.kernels.utf8 import rune_size

U8 = NDArray[np.uint8]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]

TEXT, JSON, CSV = 0, 1, 2
"""How a line is written; as text without the newline that it may end with."""
NO_TIME, NANOSECONDS, RFC3339 = 0, 1, 2
"""How a time is written."""

# memcpy(target, source, size) -> target; addresses as integers
_memcpy: Any = types.ExternalFunction("memcpy", types.intp(types.intp, types.intp, types.intp))
_EACH = np.uint64(0x0101010101010101)
_HIGH = np.uint64(0x8080808080808080)
_QUOTES = np.uint64(34) * _EACH
_BACKSLASHES = np.uint64(92) * _EACH
_BLANKS = np.uint64(32) * _EACH


@kernel()
def plain_end(data: U8, at: int, end: int, how: int) -> int:
    """Behind the bytes, looked at eight at a time, that are written as they are.

    Behind a zero some zeros are seen that are none, so of a word its first odd byte counts.
    """
    base = data.ctypes.data
    while at + 8 <= end:
        word = load64(base + at)
        odd = word & _HIGH
        if how != 0:
            quotes = word ^ _QUOTES
            odd |= (quotes - _EACH) & ~quotes & _HIGH
        if how == 1:
            slashes = word ^ _BACKSLASHES
            odd |= (slashes - _EACH) & ~slashes & _HIGH
            odd |= (word - _BLANKS) & ~word & _HIGH
        if odd:
            # bits below the lowest one: a one in each byte up to it, which the highest byte sums
            below = (odd & (~odd + np.uint64(1))) - np.uint64(1)
            return at + int(((below & _EACH) * _EACH) >> np.uint64(56)) - 1
        at += 8
    return at


@kernel()
def rune_at(data: U8, at: int, end: int) -> int:
    """Bytes of the rune at `at`; 0 when the byte there is not of UTF-8."""
    size = rune_size(data, at, end)
    if size == 0 and end - at >= 3 and data[at] == 0xEF and data[at + 1] == 0xBF:
        return 3 if data[at + 2] == 0xBD else 0
    return size


@kernel()
def line_end(data: U8, start: int, length: int, how: int) -> int:
    end = start + max(length, 0)
    if how == 0 and end > start and data[end - 1] == 10:
        return end - 1
    return end


@kernel()
def is_formula(data: U8, start: int, end: int) -> bool:
    if end == start:
        return False
    byte = int(data[start])
    return byte == 61 or byte == 43 or byte == 45 or byte == 64 or byte == 9 or byte == 13


@kernel()
def byte_size(byte: int, how: int) -> int:
    """Of an ASCII byte as it is written."""
    if how == 1:
        if byte == 34 or byte == 92:
            return 2
        if byte < 32:
            short = byte == 8 or byte == 9 or byte == 10 or byte == 12 or byte == 13
            return 2 if short else 6
    elif how == 2 and byte == 34:
        return 2
    return 1


@kernel()
def put_byte(out: U8, at: int, byte: int, how: int) -> int:
    """Write an ASCII byte; the next place."""
    size = byte_size(byte, how)
    if size == 1:
        out[at] = byte
    elif how == 2:
        out[at], out[at + 1] = 34, 34
    elif size == 6:
        out[at], out[at + 1], out[at + 2], out[at + 3] = 92, 117, 48, 48
        low = byte & 15
        out[at + 4] = 48 + (byte >> 4)
        out[at + 5] = 48 + low if low < 10 else 87 + low
    else:
        letter = byte
        if byte == 8:
            letter = 98
        elif byte == 9:
            letter = 116
        elif byte == 10:
            letter = 110
        elif byte == 12:
            letter = 102
        elif byte == 13:
            letter = 114
        out[at], out[at + 1] = 92, letter
    return at + size


@kernel()
def digits_of(value: int) -> int:
    count = 1
    while value > 9:
        value //= 10
        count += 1
    return count


@kernel()
def put_digits(out: U8, at: int, value: int, count: int) -> int:
    """Write a number, with zeros in front; the next place."""
    for place in range(at + count - 1, at - 1, -1):
        out[place] = 48 + value % 10
        value //= 10
    return at + count


@kernel()
def put_date(out: U8, at: int, days: int) -> int:
    """Write `2006-01-02` of days since 1970."""
    shifted = days + 719_468  # since the first of March of year 0
    era = shifted // 146_097
    of_era = shifted - era * 146_097
    year = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    month = (5 * of_year + 2) // 153
    day = of_year - (153 * month + 2) // 5 + 1
    month = month + 3 if month < 10 else month - 9
    year = year + era * 400 + (1 if month <= 2 else 0)
    at = put_digits(out, at, year, 4)
    out[at] = 45
    at = put_digits(out, at + 1, month, 2)
    out[at] = 45
    return put_digits(out, at + 1, day, 2)


@kernel()
def put_time(out: U8, at: int, ts: int, how: int) -> int:
    """Write a time in ns; the next place."""
    if how == 1:
        if ts < 0:
            out[at] = 45
            at, ts = at + 1, -ts
        return put_digits(out, at, ts, digits_of(ts))
    if how == 2:
        seconds = ts // 1_000_000_000
        days = seconds // 86_400
        of_day = seconds - days * 86_400
        at = put_date(out, at, days)
        out[at] = 84
        at = put_digits(out, at + 1, of_day // 3600, 2)
        out[at] = 58
        at = put_digits(out, at + 1, of_day // 60 % 60, 2)
        out[at] = 58
        at = put_digits(out, at + 1, of_day % 60, 2)
        out[at] = 46
        at = put_digits(out, at + 1, ts - seconds * 1_000_000_000, 9)
        out[at] = 90
        return at + 1
    return at


@kernel("void(cu8, ci64, ci32, ci64, ci32, int64, ci32, ci32, int64, int64, int64[::1])")
def row_ends(
    data: U8,
    start: I64,
    length: I32,
    ts: I64,
    codes: I32,
    head: int,
    before: I32,
    after: I32,
    lines: int,
    times: int,
    ends: I64,
) -> None:
    """Where each row ends; `before` and `after`: bytes of the pieces of each code."""
    total = 0
    for i in range(start.shape[0]):
        at = start[i]
        end = line_end(data, at, length[i], lines)
        size = head + before[codes[i]] + after[codes[i]]
        if times == 1:
            size += digits_of(ts[i]) if ts[i] >= 0 else 1 + digits_of(-ts[i])
        elif times == 2:
            size += 30
        if lines == 2 and is_formula(data, at, end):
            size += 1
        while at < end:
            plain = plain_end(data, at, end, lines)
            size += plain - at
            at = plain
            if at == end:
                break
            byte = data[at]
            if byte < 0x80:
                size += byte_size(byte, lines)
                at += 1
                continue
            rune = rune_at(data, at, end)
            size += max(rune, 3 if rune == 0 else 0)
            at += max(rune, 1)
        total += size
        ends[i] = total


@kernel(
    "void(cu8, ci64, ci32, ci64, ci32, cu8, cu8, ci64, cu8, ci64, int64, int64, ci64, uint8[::1])"
)
def write_rows(
    data: U8,
    start: I64,
    length: I32,
    ts: I64,
    codes: I32,
    head: U8,
    before: U8,
    before_ends: I64,
    after: U8,
    after_ends: I64,
    lines: int,
    times: int,
    ends: I64,
    out: U8,
) -> None:
    """Write all rows; the piece of code c ends at `before_ends[c + 1]`, behind the one before."""
    target, source = out.ctypes.data, data.ctypes.data
    for i in range(start.shape[0]):
        to = ends[i - 1] if i else 0
        code = codes[i]
        _memcpy(target + to, head.ctypes.data, head.shape[0])
        to = put_time(out, to + head.shape[0], ts[i], times)
        size = before_ends[code + 1] - before_ends[code]
        _memcpy(target + to, before.ctypes.data + before_ends[code], size)
        to += size
        at = start[i]
        end = line_end(data, at, length[i], lines)
        if lines == 2 and is_formula(data, at, end):
            out[to] = 39
            to += 1
        while at < end:
            plain = plain_end(data, at, end, lines)
            if plain > at:
                _memcpy(target + to, source + at, plain - at)
                to += plain - at
                at = plain
            if at == end:
                break
            byte = data[at]
            if byte < 0x80:
                to = put_byte(out, to, byte, lines)
                at += 1
                continue
            rune = rune_at(data, at, end)
            if rune == 0:
                out[to], out[to + 1], out[to + 2] = 0xEF, 0xBF, 0xBD
                to += 3
                at += 1
                continue
            for k in range(rune):
                out[to + k] = data[at + k]
            to += rune
            at += rune
        size = after_ends[code + 1] - after_ends[code]
        _memcpy(target + to, after.ctypes.data + after_ends[code], size)
