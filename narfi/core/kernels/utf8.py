"""Is it UTF-8, and how is a rune written? Bytes that are not text become spaces (§6.1).

Functions for other kernels. U+FFFD counts as not text, as in the recorded server.
"""

import numpy as np
from numpy.typing import NDArray

from narfi.core.kernels.address import load8, load64
from narfi.core.kernels.jit import kernel

U8 = NDArray[np.uint8]
_HIGH = np.uint64(0x8080808080808080)


@kernel()
def hex_digit(byte: int) -> int:
    if 48 <= byte <= 57:
        return byte - 48
    if 97 <= byte <= 102:
        return byte - 87
    if 65 <= byte <= 70:
        return byte - 55
    return -1


@kernel()
def hex4(data: U8, at: int, end: int) -> int:
    if end - at < 4:
        return -1
    value = 0
    for k in range(4):
        digit = hex_digit(data[at + k])
        if digit < 0:
            return -1
        value = value * 16 + digit
    return value


@kernel()
def put_rune(out: U8, at: int, rune: int, clean: bool = True) -> int:
    """Write a rune as UTF-8; returns the next place."""
    if rune == 0xFFFD and clean:
        out[at] = 32
        return at + 1
    if rune < 0x80:
        out[at] = rune
        return at + 1
    if rune < 0x800:
        out[at], out[at + 1] = 0xC0 | rune >> 6, 0x80 | rune & 0x3F
        return at + 2
    if rune < 0x10000:
        out[at] = 0xE0 | rune >> 12
        out[at + 1] = 0x80 | rune >> 6 & 0x3F
        out[at + 2] = 0x80 | rune & 0x3F
        return at + 3
    out[at] = 0xF0 | rune >> 18
    out[at + 1] = 0x80 | rune >> 12 & 0x3F
    out[at + 2] = 0x80 | rune >> 6 & 0x3F
    out[at + 3] = 0x80 | rune & 0x3F
    return at + 4


@kernel()
def rune_size(data: U8, at: int, end: int) -> int:
    """Bytes of the valid UTF-8 sequence at `at`; 0 when it is not one, or is U+FFFD."""
    first = data[at]
    if first < 0x80:
        return 1
    size = (
        2
        if 0xC2 <= first <= 0xDF
        else 3
        if 0xE0 <= first <= 0xEF
        else 4
        if 0xF0 <= first <= 0xF4
        else 0
    )
    if size == 0 or end - at < size:
        return 0
    for k in range(1, size):
        if data[at + k] & 0xC0 != 0x80:
            return 0
    second = data[at + 1]
    if (
        (first == 0xE0 and second < 0xA0)
        or (first == 0xED and second > 0x9F)
        or (first == 0xF0 and second < 0x90)
        or (first == 0xF4 and second > 0x8F)
    ):
        return 0
    if size == 3 and first == 0xEF and second == 0xBF and data[at + 2] == 0xBD:
        return 0
    return size


@kernel()
def is_plain(data: U8, first: int, last: int) -> bool:
    """Whether a string without escapes may be used as it is: ASCII, or UTF-8 without U+FFFD."""
    base = data.ctypes.data
    at = first
    while at < last:
        if last - at >= 8 and load64(base + at) & _HIGH == 0:
            at += 8
            continue
        if load8(base + at) < 0x80:
            at += 1
            continue
        size = rune_size(data, at, last)
        if size == 0:
            return False
        at += size
    return True
