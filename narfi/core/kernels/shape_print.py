"""How do typed values become the bytes that they were? Lengths first, then writing at cursors.

Every writer takes `at`, the place in `out` for each row, and moves it behind what it wrote; so a
line is put together piece by piece. Lengths are in bytes. The reverse of shape_values.py.
"""

from typing import Any

import numpy as np
from numba import types
from numpy.typing import NDArray

from narfi.core.kernels.jit import kernel

U8 = NDArray[np.uint8]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
B1 = NDArray[np.bool_]

# memmem(haystack, haystack_size, needle, needle_size) -> address or 0; addresses as integers
_memmem: Any = types.ExternalFunction(
    "memmem", types.intp(types.intp, types.intp, types.intp, types.intp)
)

# memcpy(target, source, size) -> target; addresses as integers
_memcpy: Any = types.ExternalFunction("memcpy", types.intp(types.intp, types.intp, types.intp))

EXACT = 1 << 52
"""Below this an integer is exact as a float."""
LONG_NEEDLE = 6
"""Digits of a needle that has two whole bytes wherever it begins."""

_MONTHS = np.frombuffer(b"JanFebMarAprMayJunJulAugSepOctNovDec", np.uint8)
_HEX = np.frombuffer(b"0123456789abcdef", np.uint8)


@kernel()
def _trimmed(value: int, scale: int, least: int) -> tuple[int, int]:
    """The value and its number of decimals without trailing zeros, but `least` of them."""
    while scale > least and value % 10 == 0:
        value //= 10
        scale -= 1
    return value, scale


@kernel("void(ci64, int64, int64, int64, int32[::1])")
def decimal_lengths(values: I64, scale: int, least: int, width: int, out: I32) -> None:
    """Bytes of each number; `width` digits at least before the point (padded with zeros)."""
    for i in range(values.shape[0]):
        value = values[i]
        size = 0
        if value < 0:
            value = -value
            size = 1
        value, decimals = _trimmed(value, scale, least)
        digits = 1
        v = value
        while v >= 10:
            v //= 10
            digits += 1
        if digits < decimals + width:
            digits = decimals + width
        out[i] = size + digits + (1 if decimals > 0 else 0)


@kernel("void(ci64, int64, int64, int64, int64[::1], uint8[::1])", allocates=True)
def write_decimals(values: I64, scale: int, least: int, width: int, at: I64, out: U8) -> None:
    """Write numbers of `scale` decimals, trailing zeros cut down to `least` decimals."""
    digits = np.empty(40, np.uint8)
    for i in range(values.shape[0]):
        value = values[i]
        to = at[i]
        if value < 0:
            out[to] = 45
            to += 1
            value = -value
        value, decimals = _trimmed(value, scale, least)
        count = 0
        while value > 0 or count < decimals + width:
            rest = value // 10
            digits[count] = 48 + (value - rest * 10)
            value = rest
            count += 1
        for k in range(count - 1, -1, -1):
            out[to] = digits[k]
            to += 1
            if k == decimals and k > 0:
                out[to] = 46
                to += 1
        at[i] = to


@kernel("void(cu8x2, cu8, int64[::1], uint8[::1])")
def write_hex(values: U8, layout: U8, at: I64, out: U8) -> None:
    """Write hex digits where the layout has `x`, its bytes elsewhere."""
    width = layout.shape[0]
    for i in range(values.shape[0]):
        to = at[i]
        digit = 0
        for k in range(width):
            if layout[k] == 120:
                byte = values[i, digit >> 1]
                out[to + k] = _HEX[byte & 15] if digit & 1 else _HEX[byte >> 4]
                digit += 1
            else:
                out[to + k] = layout[k]
        at[i] = to + width


@kernel("void(ci64, int32[::1])")
def ipv4_lengths(values: I64, out: I32) -> None:
    """Bytes of each dotted address."""
    for i in range(values.shape[0]):
        size = 3
        for part in range(4):
            octet = (values[i] >> (8 * part)) & 255
            size += 3 if octet >= 100 else (2 if octet >= 10 else 1)
        out[i] = size


@kernel("void(ci64, int64[::1], uint8[::1])")
def write_ipv4(values: I64, at: I64, out: U8) -> None:
    """Write dotted addresses."""
    for i in range(values.shape[0]):
        to = at[i]
        for part in range(3, -1, -1):
            octet = (values[i] >> (8 * part)) & 255
            if octet >= 100:
                out[to] = 48 + octet // 100
                to += 1
            if octet >= 10:
                out[to] = 48 + octet // 10 % 10
                to += 1
            out[to] = 48 + octet % 10
            to += 1
            if part > 0:
                out[to] = 46
                to += 1
        at[i] = to


@kernel("void(ci64, cu8, int64, int64[::1], uint8[::1])")
def write_times(values: I64, layout: U8, factor: int, at: I64, out: U8) -> None:
    """Write times of `factor` units a second; the layout is that of `parse_times`."""
    width = layout.shape[0]
    known = np.int64(-(1 << 62))
    year, month, day = 0, 0, 0
    for i in range(values.shape[0]):
        to = at[i]
        seconds = values[i] // factor
        fraction = values[i] - seconds * factor
        days = seconds // 86400
        rest = seconds - days * 86400
        hour, minute, second = rest // 3600, rest // 60 % 60, rest % 60
        if days != known:
            known = days
            z = days + 719468
            era = z // 146097
            doe = z - era * 146097
            yoe = (doe - doe // 1460 + doe // 36524 - doe // 146096) // 365
            doy = doe - (365 * yoe + yoe // 4 - yoe // 100)
            mp = (5 * doy + 2) // 153
            day = doy - (153 * mp + 2) // 5 + 1
            month = mp + 3 if mp < 10 else mp - 9
            year = yoe + era * 400 + (1 if month <= 2 else 0)
        k = width - 1
        y, mo, d, h, m, s, f = year, month, day, hour, minute, second, fraction
        while k >= 0:
            mark = layout[k]
            byte = mark
            if mark == 89:
                byte = 48 + y % 10
                y //= 10
            elif mark == 77:
                byte = 48 + mo % 10
                mo //= 10
            elif mark == 68:
                byte = 48 + d % 10
                d //= 10
            elif mark == 104:
                byte = 48 + h % 10
                h //= 10
            elif mark == 109:
                byte = 48 + m % 10
                m //= 10
            elif mark == 115:
                byte = 48 + s % 10
                s //= 10
            elif mark == 102:
                byte = 48 + f % 10
                f //= 10
            elif mark == 98:
                for j in range(3):
                    out[to + k - j] = _MONTHS[3 * month - 1 - j]
                k -= 3
                continue
            out[to + k] = byte
            k -= 1
        at[i] = to + width


@kernel("void(cu8, ci64, ci32, int64[::1], uint8[::1])", soon=True)
def write_spans(data: U8, start: I64, length: I32, at: I64, out: U8) -> None:
    """Write byte strings."""
    source, target = data.ctypes.data, out.ctypes.data
    for i in range(start.shape[0]):
        size = length[i]
        if size > 0:
            _memcpy(target + at[i], source + start[i], size)
        at[i] += size


@kernel("void(cu8, int64[::1], uint8[::1])")
def write_constant(text: U8, at: I64, out: U8) -> None:
    """Write the same bytes in every row."""
    size = text.shape[0]
    for i in range(at.shape[0]):
        to = at[i]
        for k in range(size):
            out[to + k] = text[k]
        at[i] = to + size


@kernel()
def _digits_at(values: U8, place: int, needle: U8) -> bool:
    """Whether the digits stand at a place (in digits) of the flat bytes."""
    for k in range(needle.shape[0]):
        byte = values[(place + k) >> 1]
        digit = byte & 15 if (place + k) & 1 else byte >> 4
        if digit != needle[k]:
            return False
    return True


@kernel("void(cu8, int64, cu8, boolean[::1])", allocates=True)
def hex_contains(values: U8, width: int, needle: U8, out: B1) -> None:
    """Which values of `width` bytes hold the hex digits `needle` (numbers 0 to 15), at any digit.

    Long needles: whole bytes of the needle are searched for in all values at once, for a needle
    that begins with the first digit of a byte and for one that begins with the second; digits are
    compared where such bytes are found. Short ones are compared everywhere.
    """
    size = needle.shape[0]
    digits = 2 * width
    rows = out.shape[0]
    if size < LONG_NEEDLE:
        for i in range(rows):
            out[i] = False
            for first in range(digits - size + 1):
                if _digits_at(values, i * digits + first, needle):
                    out[i] = True
                    break
        return
    out[:] = False
    base = values.ctypes.data
    end = rows * width
    text = np.empty(size // 2 + 1, np.uint8)
    for odd in range(2):
        count = (size - odd) // 2
        for k in range(count):
            text[k] = needle[odd + 2 * k] << 4 | needle[odd + 2 * k + 1]
        at = np.int64(0)
        while at + count <= end:
            hit = _memmem(base + at, end - at, text.ctypes.data, count)
            if hit == 0:
                break
            place = hit - base
            row = place // width
            first = 2 * place - odd
            inside = first >= row * digits and first + size <= (row + 1) * digits
            if inside and not out[row] and _digits_at(values, first, needle):
                out[row] = True
            at = place + 1


@kernel("void(ci64, int64, int64, boolean[::1])")
def digits_within(values: I64, digits: int, size: int, out: B1) -> None:
    """Which integers have the `size` digits side by side (leading zeros of `digits` count).

    Printed without padding; the sign is passed over. Sizes up to 15.
    """
    power = np.int64(1)
    for _ in range(size):
        power *= 10
    least = power // 10 if size > 1 else 0
    inverse = 1.0 / power
    for i in range(values.shape[0]):
        value = values[i]
        if value < 0:
            value = -value
        found = False
        while value >= least:
            if value < EXACT:  # a float's quotient is off by one at most
                rest = value - np.int64(value * inverse) * power
                if rest < 0:
                    rest += power
                elif rest >= power:
                    rest -= power
            else:
                rest = value % power
            if rest == digits:
                found = True
                break
            value //= 10
            if value == 0:
                break
        out[i] = found
