"""Which pairs does a logfmt line have? A scanner over many lines (reference/logql.md §6.3).

Pairs are parted by bytes up to the space. Not strict: a bad pair is skipped up to the next
separator. Strict: the line ends at it with an error code and its place. Quoted values with escapes
are rewritten into `side`, as in `json_scan`. Error codes index `ERRORS`.
"""

import numpy as np
from numpy.typing import NDArray

from narfi.core.kernels.jit import kernel
from narfi.core.kernels.utf8 import hex4, is_plain, put_rune, rune_size

U8 = NDArray[np.uint8]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]

ERRORS = (
    "",
    "unexpected '\"'",
    "unexpected '='",
    "invalid key",
    "unterminated quoted value",
    "invalid quoted value",
)
QUOTE, EQUALS, KEY, UNTERMINATED, QUOTED = 1, 2, 3, 4, 5


@kernel()
def rewrite(data: U8, first: int, last: int, unescape: bool, out: U8, to: int) -> tuple[int, bool]:
    """Write a value to `out[to:]`: (its end or -1 for a wrong escape, were bytes no text)."""
    at = first
    replaced = False
    while at < last:
        byte = data[at]
        if byte == 92 and unescape:
            if at + 1 >= last:
                return -1, replaced
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
            elif kind == 34 or kind == 92 or kind == 47 or kind == 39:
                out[to] = kind
            elif kind == 117:
                rune = hex4(data, at, last)
                if rune < 0:
                    return -1, replaced
                at += 4
                if 0xD800 <= rune <= 0xDFFF:
                    low = -1
                    if rune < 0xDC00 and last - at >= 6 and data[at] == 92 and data[at + 1] == 117:
                        low = hex4(data, at + 2, last)
                    if 0xDC00 <= low <= 0xDFFF:
                        rune = 0x10000 + (rune - 0xD800 << 10) + (low - 0xDC00)
                        at += 6
                    else:
                        rune = 0xFFFD
                replaced = replaced or rune == 0xFFFD
                to = put_rune(out, to, rune)
                continue
            else:
                return -1, replaced
            to += 1
            continue
        size = rune_size(data, at, last)
        if size == 0:
            replaced = True
            out[to] = 32
            to += 1
            at += (
                3
                if byte == 0xEF and last - at >= 3 and data[at + 1] == 0xBF and data[at + 2] == 0xBD
                else 1
            )
            continue
        for k in range(size):
            out[to + k] = data[at + k]
        to += size
        at += size
    return to, replaced


@kernel()
def _pair(data: U8, at: int, end: int) -> tuple[int, int, int, int, int, bool, int, int]:
    """(error, key first, key last, value first, value last, quoted with escapes, next, place).

    `at` stands on the first byte of a pair. The place is where an error lies.
    """
    key = at
    while at < end and data[at] > 32 and data[at] != 61 and data[at] != 34:
        at += 1
    k_last = at
    if at < end and data[at] == 34:
        return QUOTE, key, k_last, at, at, False, at, at
    if at >= end or data[at] <= 32:
        return 0, key, k_last, at, at, False, at, at  # a bare key
    if k_last == key:
        return EQUALS, key, k_last, at, at, False, at, at
    at += 1
    if at >= end or data[at] <= 32:
        return 0, key, k_last, at, at, False, at, at
    if data[at] == 34:
        begin = at + 1
        at += 1
        escaped = False
        while at < end:
            if data[at] == 92:
                escaped = True
                at += 2
                continue
            if data[at] == 34:
                return 0, key, k_last, begin, at, escaped, at + 1, at
            at += 1
        return UNTERMINATED, key, k_last, begin, end, escaped, end, end
    begin = at
    while at < end and data[at] > 32:
        if data[at] == 61:
            return EQUALS, key, k_last, begin, at, False, at, at
        if data[at] == 34:
            return QUOTE, key, k_last, begin, at, False, at, at
        at += 1
    return 0, key, k_last, begin, at, False, at, at


@kernel(
    "int64(cu8, ci64, ci32, boolean, boolean, boolean, int64[::1], int32[::1], int64[::1],"
    " int32[::1], int32[::1], int64[::1], int32[::1], int64[::1], int64[::1], uint8[::1],"
    " int32[::1], uint8[::1])"
)
def scan_pairs(
    data: U8,
    start: I64,
    length: I32,
    strict: bool,
    keep_empty: bool,
    blank_bad: bool,
    table: I64,
    pair_row: I32,
    pair_start: I64,
    pair_length: I32,
    pair_key: I32,
    key_start: I64,
    key_length: I32,
    key_hash: I64,
    sizes: I64,
    error: U8,
    place: I32,
    side: U8,
) -> int:
    """All pairs of all lines as (row, key number, value span); -1 when the table is too small.

    `table` is as in `json_scan.scan_all`; pairs have room for half of the bytes of the lines.
    `sizes` becomes (pairs, keys, side bytes); `place` is the 1-based byte of a strict error.
    `blank_bad`: a
    value with bytes that are no text is empty, else they become spaces.
    """
    pairs = keys = used = 0
    base = data.shape[0]
    mask = table.shape[0] - 1
    for row in range(start.shape[0]):
        error[row] = 0
        at, end = start[row], start[row] + length[row]
        while True:
            while at < end and data[at] <= 32:
                at += 1
            if at >= end:
                break
            code, k_first, k_last, first, last, escaped, after, wrong = _pair(data, at, end)
            if code == 0 and not is_plain(data, k_first, k_last):
                code, wrong, after = KEY, k_last, k_last
            stop = last
            rewritten = False
            if code == 0 and (escaped or not is_plain(data, first, last)):
                rewritten = True
                stop, replaced = rewrite(data, first, last, escaped, side, used)
                if replaced and blank_bad and stop >= 0:
                    stop = used
                if stop < 0:
                    code, wrong = QUOTED, after
            if code != 0:
                if strict:
                    error[row] = code
                    place[row] = wrong - start[row] + 1
                    break
                at = after
                while at < end and data[at] > 32:
                    at += 1
                continue
            at = after
            if (stop == used if rewritten else last == first) and not keep_empty:
                continue
            key = 0
            h = np.uint64(14695981039346656037)
            for k in range(k_first, k_last):
                h = (h ^ np.uint64(data[k])) * np.uint64(1099511628211)
            h ^= h >> np.uint64(32)
            signed = np.int64(h & np.uint64(0x7FFFFFFFFFFFFFFF))
            slot = signed & mask
            while True:
                key = table[slot]
                if key < 0:
                    if 2 * keys >= table.shape[0]:
                        return -1
                    key = keys
                    table[slot] = key
                    key_start[key], key_length[key] = k_first, k_last - k_first
                    key_hash[key] = signed
                    keys += 1
                    break
                if key_hash[key] == signed and key_length[key] == k_last - k_first:
                    same = True
                    for k in range(k_last - k_first):
                        if data[k_first + k] != data[key_start[key] + k]:
                            same = False
                            break
                    if same:
                        break
                slot = (slot + 1) & mask
            pair_row[pairs], pair_key[pairs] = row, key
            if rewritten:
                pair_start[pairs], pair_length[pairs] = base + used, stop - used
                used = stop
            else:
                pair_start[pairs], pair_length[pairs] = first, last - first
            pairs += 1
    sizes[0], sizes[1], sizes[2] = pairs, keys, used
    return pairs
