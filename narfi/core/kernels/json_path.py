"""What stands at one path of a JSON line? For `| json a="b.c[0]"` (reference/logql.md §6.2)."""

import numpy as np
from numpy.typing import NDArray

from narfi.core.kernels.jit import kernel

U8 = NDArray[np.uint8]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]

FOUND_KIND, MISSING_KIND, ERROR_KIND, EMPTY_KIND = 0, 1, 2, 3


@kernel()
def _space(data: U8, at: int, end: int) -> int:
    while at < end and (data[at] == 32 or data[at] == 10 or data[at] == 13 or data[at] == 9):
        at += 1
    return at


@kernel()
def _close(data: U8, at: int, end: int) -> int:
    """The closing quote of the string whose text begins at `at`; -1 if none."""
    while at < end:
        if data[at] == 92:
            at += 2
            continue
        if data[at] == 34:
            return at
        at += 1
    return -1


@kernel()
def _value_end(data: U8, at: int, end: int) -> int:
    """Behind the value that begins at `at`; -1 when it is cut off."""
    if at >= end:
        return -1
    if data[at] == 34:
        close = _close(data, at + 1, end)
        return -1 if close < 0 else close + 1
    if data[at] == 123 or data[at] == 91:
        level = 0
        while at < end:
            byte = data[at]
            if byte == 34:
                at = _close(data, at + 1, end)
                if at < 0:
                    return -1
            elif byte == 123 or byte == 91:
                level += 1
            elif byte == 125 or byte == 93:
                level -= 1
                if level == 0:
                    return at + 1
            at += 1
        return -1
    while at < end:
        b = data[at]
        if b <= 32 or b == 44 or b == 125 or b == 93:
            break
        at += 1
    return at


@kernel()
def _member(data: U8, at: int, end: int, key: U8, first: int, size: int) -> int:
    """Where the value of a member begins in the object at `at`; -1 when there is none."""
    at = _space(data, at + 1, end)
    while at < end and data[at] == 34:
        close = _close(data, at + 1, end)
        if close < 0:
            return -1
        same = close - at - 1 == size
        k = 0
        while same and k < size:
            same = data[at + 1 + k] == key[first + k]
            k += 1
        at = _space(data, close + 1, end)
        if at >= end or data[at] != 58:
            return -1
        at = _space(data, at + 1, end)
        if same:
            return at
        at = _value_end(data, at, end)
        if at < 0:
            return -1
        at = _space(data, at, end)
        if at >= end or data[at] != 44:
            return -1
        at = _space(data, at + 1, end)
    return -1


@kernel()
def _element(data: U8, at: int, end: int, index: int) -> int:
    """Where an element of the array at `at` begins; -1 when there is none."""
    at = _space(data, at + 1, end)
    place = 0
    while at < end and data[at] != 93:
        if place == index:
            return at
        at = _value_end(data, at, end)
        if at < 0:
            return -1
        at = _space(data, at, end)
        if at >= end or data[at] != 44:
            return -1
        at = _space(data, at + 1, end)
        place += 1
    return -1


@kernel()
def _put(out: U8, at: int, rune: int) -> int:
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
def _hex4(data: U8, at: int, end: int) -> int:
    if end - at < 4:
        return -1
    value = 0
    for k in range(4):
        byte = data[at + k]
        if 48 <= byte <= 57:
            value = value * 16 + byte - 48
        elif 97 <= byte <= 102:
            value = value * 16 + byte - 87
        elif 65 <= byte <= 70:
            value = value * 16 + byte - 55
        else:
            return -1
    return value


@kernel()
def _unescape(data: U8, first: int, last: int, out: U8, to: int) -> int:
    """The string's text; wrong escapes stay as they are."""
    at = first
    while at < last:
        byte = data[at]
        if byte == 92 and at + 1 < last:
            kind = data[at + 1]
            plain = 0
            if kind == 110:
                plain = 10
            elif kind == 116:
                plain = 9
            elif kind == 114:
                plain = 13
            elif kind == 98:
                plain = 8
            elif kind == 102:
                plain = 12
            elif kind == 34 or kind == 92 or kind == 47:
                plain = kind
            if plain > 0:
                out[to] = plain
                to += 1
                at += 2
                continue
            if kind == 117:
                rune = _hex4(data, at + 2, last)
                size = 6
                if 0xD800 <= rune < 0xDC00 and last - at >= 12 and data[at + 6] == 92:
                    low = _hex4(data, at + 8, last)
                    if 0xDC00 <= low <= 0xDFFF:
                        rune = 0x10000 + (rune - 0xD800 << 10) + (low - 0xDC00)
                        size = 12
                if rune >= 0:
                    if 0xD800 <= rune <= 0xDFFF or rune == 0xFFFD:
                        rune = 32
                    to = _put(out, to, rune)
                    at += size
                    continue
        out[to] = byte
        to += 1
        at += 1
    return to


@kernel(
    "int64(cu8, ci64, ci32, ci64, cu8, ci64, ci32, int64[::1], int32[::1], uint8[::1], uint8[::1])"
)
def find_path(
    data: U8,
    start: I64,
    length: I32,
    index: I64,
    keys: U8,
    key_start: I64,
    key_length: I32,
    value_start: I64,
    value_length: I32,
    kind: U8,
    side: U8,
) -> int:
    """Fill a value span per row (empty when missing or null) and what the row is.

    Part p of the path is an array index when `index[p] >= 0`, else the key p. Strings with escapes
    are rewritten into `side` (as long as the data). Returns the used bytes of `side`.
    """
    used = 0
    base = data.shape[0]
    for row in range(start.shape[0]):
        value_start[row], value_length[row] = start[row], 0
        end = start[row] + length[row]
        if length[row] == 0:
            kind[row] = EMPTY_KIND
            value_length[row] = -1
            continue
        at = start[row]
        if data[at] != 123 and data[at] != 91 and data[at] != 34:
            kind[row] = ERROR_KIND
            value_length[row] = -1
            continue
        kind[row] = MISSING_KIND
        for part in range(index.shape[0]):
            at = _space(data, at, end)
            if at >= end:
                at = -1
            elif index[part] >= 0:
                at = _element(data, at, end, index[part]) if data[at] == 91 else -1
            else:
                at = (
                    _member(data, at, end, keys, key_start[part], key_length[part])
                    if data[at] == 123
                    else -1
                )
            if at < 0:
                break
        if at < 0 or at >= end:
            continue
        stop = _value_end(data, at, end)
        if stop < 0:
            continue
        kind[row] = FOUND_KIND
        if data[at] == 34:
            escaped = False
            for k in range(at + 1, stop - 1):
                if data[k] == 92:
                    escaped = True
                    break
            if escaped:
                tail = _unescape(data, at + 1, stop - 1, side, used)
                value_start[row], value_length[row] = base + used, tail - used
                used = tail
            else:
                value_start[row], value_length[row] = at + 1, stop - at - 2
        elif not (stop - at == 4 and data[at] == 110):  # null
            value_start[row], value_length[row] = at, stop - at
    return used
