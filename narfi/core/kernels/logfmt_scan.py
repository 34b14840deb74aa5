"""Which pairs does a logfmt line have? A scanner over many lines (reference/logql.md §6.3).

Pairs are parted by bytes up to the space. Not strict: a bad pair is skipped up to the next
separator. Strict: the line ends at it with an error code and its place. Quoted values with escapes
are rewritten into `side`, as in `json_scan`. Error codes index `ERRORS`.
"""

import numpy as np
from numpy.typing import NDArray

from narfi.core.kernels.address import load8, load64, memcmp
from narfi.core.kernels.jit import kernel
from narfi.core.kernels.key_names import first_bytes, number_of_name
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

USUAL_KEYS = 64
"""Pairs of a line of which the key is first compared with that of the line before."""
_ABOVE_SPACE = np.uint64(0x2121212121212121)
_HIGH_BITS = np.uint64(0x8080808080808080)


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
def _pair(base: int, at: int, end: int) -> tuple[int, int, int, int, bool, int, int, int]:
    """(error, key last, value first, value last, quoted with escapes, next, place, bits).

    `at` stands on the first byte of a pair; `base` is the address of byte 0. The place is where an
    error lies; bits are those of all bytes of key and value.
    """
    key = at
    bits = 0
    while at < end:
        byte = load8(base + at)
        if byte <= 32 or byte == 61 or byte == 34:
            break
        bits |= byte
        at += 1
    last = at
    if at < end and load8(base + at) == 34:
        return QUOTE, last, at, at, False, at, at, bits
    if at >= end or load8(base + at) <= 32:
        return 0, last, at, at, False, at, at, bits  # a bare key
    if last == key:
        return EQUALS, last, at, at, False, at, at, bits
    code, first, stop, escaped, after, wrong, more = _value(base, at + 1, end)
    return code, last, first, stop, escaped, after, wrong, bits | more


@kernel()
def _value(base: int, at: int, end: int) -> tuple[int, int, int, bool, int, int, int]:
    """As `_pair`, of what stands behind the equals sign."""
    bits = 0
    if at >= end or load8(base + at) <= 32:
        return 0, at, at, False, at, at, bits
    if load8(base + at) == 34:
        at += 1
        first = at
        escaped = False
        while at < end:
            byte = load8(base + at)
            bits |= byte
            if byte == 92:
                escaped = True
                at += 2
                continue
            if byte == 34:
                return 0, first, at, escaped, at + 1, at, bits
            at += 1
        return UNTERMINATED, first, end, escaped, end, end, bits
    first = at
    while at < end:
        byte = load8(base + at)
        if byte <= 32:
            break
        if byte == 61 or byte == 34:
            return EQUALS if byte == 61 else QUOTE, first, at, False, at, at, bits
        bits |= byte
        at += 1
    return 0, first, at, False, at, at, bits


@kernel()
def _space_from(base: int, at: int, end: int) -> int:
    """The next place of a byte up to the space, or the end."""
    while end - at >= 8:
        word = load64(base + at)
        if (word - _ABOVE_SPACE) & ~word & _HIGH_BITS:
            break
        at += 8
    while at < end and load8(base + at) > 32:
        at += 1
    return at


@kernel(
    "int64(cu8, ci64, ci32, boolean, boolean, boolean, boolean, cu8, ci64, ci32, int64[::1],"
    " int32[::1], int64[::1], int32[::1], int32[::1], int64[::1], int32[::1], int64[::1],"
    " int64[::1], uint8[::1], int32[::1], uint8[::1])",
    soon=True,
    allocates=True,
)
def scan_pairs(
    data: U8,
    start: I64,
    length: I32,
    strict: bool,
    keep_empty: bool,
    blank_bad: bool,
    only: bool,
    names: U8,
    name_start: I64,
    name_length: I32,
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
    `blank_bad`: a value with bytes that are no text is empty, else they become spaces. `only`:
    pairs of which the key becomes one of the names (sanitised, none twice), whose number stands for
    that of the key; the table is not looked at.
    """
    pairs = keys = used = 0
    behind = data.shape[0]
    base = data.ctypes.data
    mask = table.shape[0] - 1
    # of the n-th pair of the line before: where its key stands, its size (-1: none), its number
    usual_first = np.empty(USUAL_KEYS, np.int64)
    usual_size = np.full(USUAL_KEYS, -1, np.int64)
    usual_key = np.empty(USUAL_KEYS, np.int64)
    may_begin = np.empty(256, np.bool_)
    room = np.empty(first_bytes(names, name_start, name_length, may_begin) + 1, np.uint8)
    for row in range(start.shape[0]):
        error[row] = 0
        at, end = start[row], start[row] + length[row]
        number = -1
        while True:
            while at < end and load8(base + at) <= 32:
                at += 1
            if at >= end:
                break
            number += 1
            k_first = at
            size = usual_size[number] if number < USUAL_KEYS else -1
            known = (
                size >= 0
                and at + size < end
                and load8(base + at + size) == 61
                and memcmp(base + at, base + usual_first[number], size) == 0
            )
            if known:
                k_last = at + size
                code, first, last, escaped, after, wrong, bits = _value(base, k_last + 1, end)
            else:
                code, k_last, first, last, escaped, after, wrong, bits = _pair(base, at, end)
                told = code == 0 or (k_first < k_last < end and load8(base + k_last) == 61)
                if told and bits > 127 and not is_plain(data, k_first, k_last):
                    code, wrong, after = KEY, k_last, k_last  # before anything of its value
            stop = last
            rewritten = False
            if code == 0 and (escaped or (bits > 127 and not is_plain(data, first, last))):
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
                at = _space_from(base, after, end)
                continue
            at = after
            if (stop == used if rewritten else last == first) and not keep_empty:
                continue
            if known:
                key = usual_key[number]
            else:
                if not only:
                    key = _number_of(
                        base, k_first, k_last, table, mask, key_start, key_length, key_hash, keys
                    )
                    if key == keys:
                        if 2 * keys >= table.shape[0]:
                            return -1
                        keys += 1
                elif may_begin[load8(base + k_first)]:
                    key = number_of_name(
                        data, k_first, k_last, names, name_start, name_length, room
                    )
                else:
                    key = -1
                if number < USUAL_KEYS:
                    usual_first[number], usual_size[number] = k_first, k_last - k_first
                    usual_key[number] = key
            if key < 0:
                continue
            pair_row[pairs], pair_key[pairs] = row, key
            if rewritten:
                pair_start[pairs], pair_length[pairs] = behind + used, stop - used
                used = stop
            else:
                pair_start[pairs], pair_length[pairs] = first, last - first
            pairs += 1
    sizes[0], sizes[1], sizes[2] = pairs, keys, used
    return pairs


@kernel()
def _number_of(
    base: int,
    first: int,
    last: int,
    table: I64,
    mask: int,
    key_start: I64,
    key_length: I32,
    key_hash: I64,
    keys: int,
) -> int:
    """The number of a key; `keys` for a new one, which is added where there is room for it."""
    h = np.uint64(14695981039346656037)
    for k in range(first, last):
        h = (h ^ np.uint64(load8(base + k))) * np.uint64(1099511628211)
    h ^= h >> np.uint64(32)
    signed = np.int64(h & np.uint64(0x7FFFFFFFFFFFFFFF))
    slot = signed & mask
    size = last - first
    while True:
        key = table[slot]
        if key < 0:
            if 2 * keys < table.shape[0]:
                table[slot] = keys
                key_start[keys], key_length[keys], key_hash[keys] = first, size, signed
            return keys
        if (
            key_hash[key] == signed
            and key_length[key] == size
            and memcmp(base + first, base + key_start[key], size) == 0
        ):
            return int(key)
        slot = (slot + 1) & mask
