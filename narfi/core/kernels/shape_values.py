"""What do the values of a hole have in common, and what are they as numbers?

`profile` looks at all values of a hole once; the parsers fill typed arrays. A text is *canonical*
for a type when printing the typed value (shape_print.py) gives the same bytes; only columns of
canonical texts are typed, so parsers may rely on it where they say so.
"""

import numpy as np
from numpy.typing import NDArray

from narfi.core.kernels.jit import kernel
from narfi.core.kernels.shape_times import NO_TIME, time_value

U8 = NDArray[np.uint8]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]

(
    SAME,
    MIN_LENGTH,
    MAX_LENGTH,
    CLASSES,
    IS_DECIMAL,
    MIN_SCALE,
    MAX_SCALE,
    ZERO_SCALE,
    MAX_WHOLE,
    PREFIX,
    SUFFIX,
) = range(11)
PROFILE_SIZE = 11
"""Places in a profile: all equal; lengths; OR of the byte classes; all canonical decimals, their
least and largest number of decimals, the largest of those that end in 0, most digits before the
point; bytes that all begin and end with."""

DIGIT, HEX_LOWER, LOWER, HEX_UPPER, UPPER, MINUS, DOT, COLON = 1, 2, 4, 8, 16, 32, 64, 128
SPACE, QUOTE, EQUALS, BACKSLASH, CONTROL, HIGH = 256, 512, 1024, 2048, 4096, 8192
UNDERSCORE, SLASH, OTHER = 16384, 32768, 65536
"""Classes of bytes; a column's stamp is the OR of its bytes' classes."""


def _class_table() -> "NDArray[np.int32]":
    table = np.full(256, OTHER, np.int32)
    table[:32] = CONTROL
    table[127] = CONTROL
    table[128:] = HIGH
    for text, kind in (
        ("0123456789", DIGIT),
        ("abcdef", HEX_LOWER),
        ("ghijklmnopqrstuvwxyz", LOWER),
        ("ABCDEF", HEX_UPPER),
        ("GHIJKLMNOPQRSTUVWXYZ", UPPER),
        ("-", MINUS),
        (".", DOT),
        (":", COLON),
        (" ", SPACE),
        ('"', QUOTE),
        ("=", EQUALS),
        ("\\", BACKSLASH),
        ("_", UNDERSCORE),
        ("/", SLASH),
    ):
        for byte in text.encode():
            table[byte] = kind
    return table


CLASS_OF = _class_table()


@kernel("boolean(cu8, ci64, ci32)")
def all_same(data: U8, start: I64, length: I32) -> bool:
    """Whether all values are the first one."""
    base, size = start[0], length[0]
    for i in range(1, start.shape[0]):
        if length[i] != size:
            return False
        at = start[i]
        for k in range(size):
            if data[at + k] != data[base + k]:
                return False
    return True


@kernel("void(cu8, ci64, ci32, int64[::1])")
def profile(data: U8, start: I64, length: I32, out: I64) -> None:
    """Fill the profile of one or more values."""
    base, size0 = start[0], length[0]
    prefix, suffix = size0, size0
    same = True
    low, high = size0, size0
    classes = 0
    decimal = True
    min_scale, max_scale, zero_scale, max_whole = 99, 0, 0, 0
    for i in range(start.shape[0]):
        at, n = start[i], length[i]
        end = at + n
        low = min(low, n)
        high = max(high, n)
        seen = 0
        for k in range(at, end):
            seen |= CLASS_OF[data[k]]
        classes |= seen
        if prefix > n:
            prefix = n
        if suffix > n:
            suffix = n
        if same or prefix > 0:
            k = 0
            while k < prefix and data[at + k] == data[base + k]:
                k += 1
            prefix = k
            if prefix < n or n != size0:
                same = False
        if suffix > 0:
            k = 0
            while k < suffix and data[end - 1 - k] == data[base + size0 - 1 - k]:
                k += 1
            suffix = k
        if decimal:
            if seen & ~(DIGIT | MINUS | DOT) or n == 0:
                decimal = False
                continue
            p = at
            negative = data[p] == 45
            if negative:
                p += 1
            whole = p
            zero = True
            while p < end and 48 <= data[p] <= 57:
                if data[p] != 48:
                    zero = False
                p += 1
            digits = p - whole
            scale = 0
            if digits == 0 or (digits > 1 and data[whole] == 48):
                decimal = False
                continue
            if p < end:
                if data[p] != 46:
                    decimal = False
                    continue
                scale = end - p - 1
                for k in range(p + 1, end):
                    if not 48 <= data[k] <= 57:
                        decimal = False
                    elif data[k] != 48:
                        zero = False
                if scale == 0:
                    decimal = False
                elif data[end - 1] == 48:
                    zero_scale = max(zero_scale, scale)
            if negative and zero:
                decimal = False
            min_scale = min(min_scale, scale)
            max_scale = max(max_scale, scale)
            max_whole = max(max_whole, digits)
    out[SAME] = same
    out[MIN_LENGTH] = low
    out[MAX_LENGTH] = high
    out[CLASSES] = classes
    out[IS_DECIMAL] = decimal
    out[MIN_SCALE] = min_scale
    out[MAX_SCALE] = max_scale
    out[ZERO_SCALE] = zero_scale
    out[MAX_WHOLE] = max_whole
    out[PREFIX] = prefix
    out[SUFFIX] = suffix


@kernel("void(cu8, ci64, ci32, int64, int64[::1])")
def parse_decimals(data: U8, start: I64, length: I32, scale: int, out: I64) -> None:
    """Canonical decimals as integers of `scale` decimals; at most 18 digits in all."""
    for i in range(start.shape[0]):
        at, end = start[i], start[i] + length[i]
        negative = at < end and data[at] == 45
        if negative:
            at += 1
        value = np.int64(0)
        left = scale
        point = False
        while at < end:
            byte = data[at]
            if byte == 46:
                point = True
            else:
                value = value * 10 + (byte - 48)
                if point:
                    left -= 1
            at += 1
        while left > 0:
            value *= 10
            left -= 1
        out[i] = -value if negative else value


def _nibble_table() -> "NDArray[np.int32]":
    table = np.full(256, 256, np.int32)
    for value, digit in enumerate(b"0123456789abcdef"):
        table[digit] = value
    return table


_NIBBLE = _nibble_table()
"""The value of a hex digit; 256 for every other byte."""


@kernel("boolean(cu8, ci64, ci32, cu8, uint8[:, ::1])")
def parse_hex(data: U8, start: I64, length: I32, layout: U8, out: U8) -> bool:
    """Lower-case hex digits as bytes; false at the first text that is not of the layout.

    `layout` has an `x` per digit (an even number) and the literal byte elsewhere.
    """
    width = layout.shape[0]
    solid = 2 * out.shape[1] == width
    for i in range(start.shape[0]):
        if length[i] != width:
            return False
        at = start[i]
        seen = 0
        if solid:
            for k in range(out.shape[1]):
                high, low = _NIBBLE[data[at + 2 * k]], _NIBBLE[data[at + 2 * k + 1]]
                seen |= high | low
                out[i, k] = high << 4 | low
            if seen & 256:
                return False
            continue
        digits = 0
        high = 0
        for k in range(width):
            byte = data[at + k]
            if layout[k] != 120:
                if byte != layout[k]:
                    return False
                continue
            value = _NIBBLE[byte]
            if value & 256:
                return False
            if digits & 1:
                out[i, digits >> 1] = high << 4 | value
            else:
                high = value
            digits += 1
    return True


@kernel("boolean(cu8, ci64, ci32, int64[::1])")
def parse_ipv4(data: U8, start: I64, length: I32, out: I64) -> bool:
    """Dotted addresses as numbers; false at the first text that is not a canonical one."""
    for i in range(start.shape[0]):
        at, end = start[i], start[i] + length[i]
        value = np.int64(0)
        for part in range(4):
            if part > 0:
                if at >= end or data[at] != 46:
                    return False
                at += 1
            begin = at
            octet = 0
            while at < end and at - begin < 3 and 48 <= data[at] <= 57:
                octet = octet * 10 + (data[at] - 48)
                at += 1
            if at == begin or octet > 255 or (data[begin] == 48 and at - begin > 1):
                return False
            value = value << 8 | octet
        if at != end:
            return False
        out[i] = value
    return True


@kernel("boolean(cu8, ci64, ci32, cu8, int64[::1])")
def parse_times(data: U8, start: I64, length: I32, layout: U8, out: I64) -> bool:
    """Times as `time_value` has them; false where a text is not one of the layout."""
    base, width = data.ctypes.data, layout.shape[0]
    for i in range(start.shape[0]):
        if length[i] != width:
            return False
        out[i] = time_value(base + start[i], layout.ctypes.data, width)
        if out[i] == NO_TIME:
            return False
    return True


@kernel("int64(ci64, int64, int64[::1], int64[::1])")
def count_distinct(values: I64, limit: int, table: I64, used: I64) -> int:
    """How many distinct values there are; stops above `limit`.

    `table` is a power of two above twice the limit; `used` is as long, filled with 0.
    """
    mask = np.uint64(table.shape[0] - 1)
    count = 0
    for i in range(values.shape[0]):
        v = values[i]
        h = np.uint64(v) * np.uint64(0x9E3779B97F4A7C15)
        slot = np.int64((h >> np.uint64(32)) & mask)
        while True:
            if used[slot] == 0:
                count += 1
                if count > limit:
                    return count
                used[slot] = 1
                table[slot] = v
                break
            if table[slot] == v:
                break
            slot = (slot + 1) & np.int64(mask)
    return count


@kernel("int64(ci64, int64[::1], int64[::1], int32[::1])")
def number_values(values: I64, table: I64, distinct: I64, codes: I32) -> int:
    """Number equal values alike in order of first appearance; `distinct[c]` is the value of code c.

    `table` is a power-of-two sized array filled with -1, more than twice as large as there can
    be distinct values.
    """
    mask = np.uint64(table.shape[0] - 1)
    count = 0
    for i in range(values.shape[0]):
        v = values[i]
        h = np.uint64(v) * np.uint64(0x9E3779B97F4A7C15)
        slot = np.int64((h >> np.uint64(32)) & mask)
        while True:
            code = table[slot]
            if code < 0:
                table[slot] = count
                distinct[count] = v
                codes[i] = count
                count += 1
                break
            if distinct[code] == v:
                codes[i] = code
                break
            slot = (slot + 1) & np.int64(mask)
    return count
