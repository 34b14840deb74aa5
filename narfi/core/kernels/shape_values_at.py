"""Which value begins at an address? Numbers, hex digits and dotted addresses, canonical ones only.

A value is taken as far as it goes, so whoever asks compares what stands behind it. The types are
those of `storage/lines/template.py`: what is taken here, shape_print.py prints back byte for byte.
"""

import numpy as np
from numpy.typing import NDArray

from narfi.core.kernels.address import load8, load64
from narfi.core.kernels.jit import kernel

U8 = NDArray[np.uint8]
U32 = NDArray[np.uint32]

MAX_DIGITS = 18
"""Digits that surely fit an int64."""

_HIGH, _LOW = np.uint64(0x8080808080808080), np.uint64(0x0101010101010101)
_NIBBLES = np.uint64(0x0F0F0F0F0F0F0F0F)
_PAIRS, _QUADS = np.uint64(0x00FF00FF00FF00FF), np.uint64(0x0000FFFF0000FFFF)
_ZERO, _AFTER_NINE = np.uint64(0x3030303030303030), np.uint64(0x3A3A3A3A3A3A3A3A)
_A, _AFTER_F = np.uint64(0x6161616161616161), np.uint64(0x6767676767676767)
NOT_HEX = 1 << 32


@kernel()
def number_at(at: int, end: int, scale: int, least: int, width: int) -> tuple[int, int]:
    """(number of `scale` decimals, address behind it); the address is 0 when there is none.

    Fewer decimals than `scale` are fine, as long as they are `least` or do not end in 0.
    """
    negative = at < end and load8(at) == 45
    if negative:
        at += 1
    first = at
    value = 0
    while at < end and at - first <= MAX_DIGITS:
        digit = load8(at) - 48
        if digit < 0 or digit > 9:
            break
        value = value * 10 + digit
        at += 1
    digits = at - first
    if digits == 0 or digits + scale > MAX_DIGITS or (negative and width > 1):
        return 0, 0
    padded = digits > 1 and load8(first) == 48
    if digits < width or (padded and digits > width) or (padded and width == 1):
        return 0, 0
    left = scale
    if left > 0 and at < end and load8(at) == 46:
        point = at
        at += 1
        while at < end and left > 0:
            digit = load8(at) - 48
            if digit < 0 or digit > 9:
                break
            value = value * 10 + digit
            left -= 1
            at += 1
        if left == scale:
            at = point
        elif scale - left > least and load8(at - 1) == 48:
            return 0, 0
    if scale - left < least or (negative and value == 0):
        return 0, 0
    if at < end and 48 <= load8(at) <= 57:
        return 0, 0
    while left > 0:
        value *= 10
        left -= 1
    return (-value if negative else value), at


@kernel()
def ipv4_at(at: int, end: int) -> tuple[int, int]:
    """(number of a dotted address, address behind it); the latter is 0 when there is none."""
    value = 0
    for part in range(4):
        if part > 0:
            if at >= end or load8(at) != 46:
                return 0, 0
            at += 1
        first = at
        octet = 0
        while at < end and at - first < 3:
            digit = load8(at) - 48
            if digit < 0 or digit > 9:
                break
            octet = octet * 10 + digit
            at += 1
        if at == first or octet > 255 or (load8(first) == 48 and at - first > 1):
            return 0, 0
        value = value << 8 | octet
    return value, at


@kernel()
def hex8_at(at: int) -> int:
    """Eight lower-case hex digits as the four bytes that they mean, the first one lowest.

    NOT_HEX where they are none. Eight bytes are looked at together: the highest bit of each says
    whether a comparison holds.
    """
    word = load64(at)
    raised = word | _HIGH
    digit = (raised - _ZERO) & ~(raised - _AFTER_NINE)
    letter = (raised - _A) & ~(raised - _AFTER_F)
    if ((digit | letter) & ~word & _HIGH) != _HIGH:
        return NOT_HEX
    nibbles = (word & _NIBBLES) + ((word >> np.uint64(6)) & _LOW) * np.uint64(9)
    pairs = ((nibbles << np.uint64(4)) | (nibbles >> np.uint64(8))) & _PAIRS
    quads = (pairs | pairs >> np.uint64(8)) & _QUADS
    return int(np.int64((quads | quads >> np.uint64(16)) & np.uint64(0xFFFFFFFF)))


def _nibble_table() -> "NDArray[np.int64]":
    table = np.full(256, 256, np.int64)
    for value, digit in enumerate(b"0123456789abcdef"):
        table[digit] = value
    return table


_NIBBLE = _nibble_table()


@kernel()
def hex_at(at: int, layout: int, width: int, out: U8, place: int) -> bool:
    """Write the bytes of hex digits from `out[place]` on; false where the layout does not fit.

    The layout has an `x` a digit, an even number of them, and the literal byte elsewhere; `width`
    bytes of text and layout can be read.
    """
    high = digits = 0
    for k in range(width):
        mark = load8(layout + k)
        byte = load8(at + k)
        if mark != 120:
            if byte != mark:
                return False
            continue
        value = _NIBBLE[byte]
        if value > 15:
            return False
        if digits & 1:
            out[place + (digits >> 1)] = high << 4 | value
        else:
            high = value
        digits += 1
    return True
