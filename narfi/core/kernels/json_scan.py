"""Which members does a JSON line have? A lenient scanner over many lines (reference/logql.md §6.1).

It accepts and refuses what the recorded server does: what follows the closing brace is ignored, a
trailing comma is fine, arrays and nulls are skipped, nested objects are flattened. Strings are
views into the data; those with escapes, or with bytes that are not UTF-8, are rewritten into `side`
(their starts then lie behind the data). Error codes index `ERRORS`.
"""

import numpy as np
from numpy.typing import NDArray

from narfi.core.kernels.jit import kernel
from narfi.core.kernels.json_text import (
    ARRAY,
    ERRORS,
    ESCAPE,
    MALFORMED,
    OBJECT,
    T_OBJECT,
    T_PLAIN,
    T_STRING,
    read_value,
    skip_space,
    string_end,
    unescape,
)
from narfi.core.kernels.utf8 import is_plain, rune_size

__all__ = ["ERRORS", "scan_all", "scan_wanted"]

U8 = NDArray[np.uint8]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]

MAX_DEPTH = 64
"""Objects nested deeper than this end the line as malformed."""


@kernel()
def _sanitised(data: U8, first: int, last: int, out: U8, to: int, leading: bool) -> int:
    """Write a key as part of a label name; returns its end (`to` when nothing is left)."""
    while first < last and (data[first] == 32 or 9 <= data[first] <= 13):
        first += 1
    while last > first and (data[last - 1] == 32 or 9 <= data[last - 1] <= 13):
        last -= 1
    if first < last and leading and 48 <= data[first] <= 57 and to < out.shape[0]:
        out[to] = 95
        to += 1
    at = first
    while at < last and to < out.shape[0]:
        byte = data[at]
        if 48 <= byte <= 57 or 65 <= byte <= 90 or 97 <= byte <= 122 or byte == 95:
            out[to] = byte
            at += 1
        else:
            size = rune_size(data, at, last)
            out[to] = 95
            if size == 0:
                size = (
                    3
                    if byte == 0xEF
                    and last - at >= 3
                    and data[at + 1] == 0xBF
                    and data[at + 2] == 0xBD
                    else 1
                )
            at += size
        to += 1
    return to


@kernel(
    "int64(cu8, ci64, ci32, cu8, ci64, ci32, boolean, int64[:, ::1], int32[:, ::1], uint8[::1],"
    " uint8[::1])"
)
def scan_wanted(
    data: U8,
    start: I64,
    length: I32,
    names: U8,
    name_start: I64,
    name_length: I32,
    stop_early: bool,
    value_start: I64,
    value_length: I32,
    error: U8,
    side: U8,
) -> int:
    """Fill value spans [wanted name, row] (length -1 where absent) and an error code per row.

    The first of equal names counts. `stop_early`: a line is left when all names are found, so a
    fault behind them goes unnoticed. `side` must be as long as the data; returns its used bytes.
    """
    path = np.empty(4096, np.uint8)
    ends = np.empty(MAX_DEPTH + 1, np.int64)
    limits = np.empty(MAX_DEPTH + 1, np.int64)
    key_side = np.empty(4096, np.uint8)
    wanted = name_start.shape[0]
    used = 0
    base = data.shape[0]
    for row in range(start.shape[0]):
        for w in range(wanted):
            value_length[w, row] = -1
        error[row] = 0
        end = start[row] + length[row]
        at = skip_space(data, start[row], end)
        if at >= end or data[at] != 123:
            error[row] = OBJECT
            continue
        depth = 0
        ends[0] = 0
        limits[0] = end
        found = 0
        at += 1
        first_member = True
        while True:
            end = limits[depth]
            at = skip_space(data, at, end)
            if at >= end:
                error[row] = MALFORMED if first_member else ARRAY
                break
            closed = data[at] == 125
            if not closed and not first_member and data[at] != 34:
                error[row] = OBJECT
                break
            if not closed:
                if data[at] != 34:
                    error[row] = OBJECT
                    break
                first_member = False
                close, escaped = string_end(data, at + 1, end)
                if close < 0:
                    error[row] = MALFORMED
                    break
                prefix = ends[depth]
                to = prefix
                if prefix > 0 and prefix < path.shape[0]:
                    path[to] = 95
                    to += 1
                if escaped:
                    if close - at > key_side.shape[0]:
                        tail = -1
                    else:
                        tail = unescape(data, at + 1, close, key_side, 0, False)
                    if tail < 0:
                        error[row] = ESCAPE
                        break
                    tail = _sanitised(key_side, 0, tail, path, to, prefix == 0)
                else:
                    tail = _sanitised(data, at + 1, close, path, to, prefix == 0)
                blank = tail == to
                if blank:
                    tail = prefix
                at = skip_space(data, close + 1, end)
                if at >= end or data[at] != 58:
                    error[row] = MALFORMED
                    break
                code, kind, first, last, escaped, after = read_value(data, at + 1, end)
                if code != 0:
                    error[row] = code
                    break
                if kind == T_OBJECT:
                    descend = False
                    for w in range(wanted):
                        if name_length[w] > tail:
                            same = True
                            for k in range(tail):
                                if names[name_start[w] + k] != path[k]:
                                    same = False
                                    break
                            if same:
                                descend = True
                                break
                    if descend:
                        if depth >= MAX_DEPTH:
                            error[row] = MALFORMED
                            break
                        depth += 1
                        ends[depth] = tail
                        limits[depth] = last
                        at = first + 1
                        first_member = True
                        continue
                elif (kind == T_STRING or kind == T_PLAIN) and not blank:
                    for w in range(wanted):
                        if name_length[w] != tail or value_length[w, row] >= 0:
                            continue
                        same = True
                        for k in range(tail):
                            if names[name_start[w] + k] != path[k]:
                                same = False
                                break
                        if not same:
                            continue
                        if kind == T_STRING and (escaped or not is_plain(data, first, last)):
                            stop = unescape(data, first, last, side, used)
                            if stop < 0:
                                stop = used
                            value_start[w, row] = base + used
                            value_length[w, row] = stop - used
                            used = stop
                        else:
                            value_start[w, row] = first
                            value_length[w, row] = last - first
                        found += 1
                        break
                    if stop_early and found == wanted:
                        break
                at = after
            # behind a value, or at the end of an object
            done = False
            failed = False
            while True:
                if not closed:
                    at = skip_space(data, at, end)
                    if at >= end:
                        error[row] = ARRAY
                        failed = True
                        break
                    if data[at] == 44:
                        at += 1
                        break
                    if data[at] != 125:
                        error[row] = OBJECT
                        failed = True
                        break
                # the object is closed
                if depth == 0:
                    done = True
                    break
                at = limits[depth]
                depth -= 1
                end = limits[depth]
                closed = False
            if done or failed:
                break
            first_member = False
    return used


@kernel(
    "int64(cu8, ci64, ci32, int64[::1], int32[::1], int64[::1], int32[::1], int64[::1],"
    " int32[::1], int32[::1], int64[::1], int32[::1], int64[::1], uint8[::1], uint8[::1])"
)
def scan_all(
    data: U8,
    start: I64,
    length: I32,
    table: I64,
    pair_row: I32,
    pair_start: I64,
    pair_length: I32,
    sizes: I64,
    pair_key: I32,
    key_parent: I32,
    key_start: I64,
    key_length: I32,
    key_hash: I64,
    error: U8,
    side: U8,
) -> int:
    """All members of all lines as pairs (row, key, value span); -1 when the table is too small.

    Keys are numbered per distinct path: `key_parent` is the number of the enclosing key (-1 at the
    top), `key_start/length` its own part. `sizes` becomes (pairs, keys, side bytes). `table` is a
    power-of-two hash table filled with -1; keys have room for half its size, and pairs for a third
    of the bytes of the lines.
    """
    parents = np.empty(MAX_DEPTH + 1, np.int64)
    limits = np.empty(MAX_DEPTH + 1, np.int64)
    pairs = keys = used = 0
    base = data.shape[0]
    mask = table.shape[0] - 1
    for row in range(start.shape[0]):
        error[row] = 0
        end = start[row] + length[row]
        at = skip_space(data, start[row], end)
        if at >= end or data[at] != 123:
            error[row] = OBJECT
            continue
        depth = 0
        parents[0] = -1
        limits[0] = end
        at += 1
        first_member = True
        while True:
            end = limits[depth]
            at = skip_space(data, at, end)
            if at >= end:
                error[row] = MALFORMED if first_member else ARRAY
                break
            closed = data[at] == 125
            if not closed:
                if data[at] != 34:
                    error[row] = OBJECT
                    break
                first_member = False
                close, escaped = string_end(data, at + 1, end)
                if close < 0:
                    error[row] = MALFORMED
                    break
                k_first, k_last = at + 1, close
                if escaped:
                    stop = unescape(data, k_first, k_last, side, used, False)
                    if stop < 0:
                        error[row] = ESCAPE
                        break
                    k_first, k_last = base + used, base + stop
                    used = stop
                at = skip_space(data, close + 1, end)
                if at >= end or data[at] != 58:
                    error[row] = MALFORMED
                    break
                code, kind, first, last, escaped, after = read_value(data, at + 1, end)
                if code != 0:
                    error[row] = code
                    break
                if kind == T_OBJECT or kind == T_STRING or kind == T_PLAIN:
                    key = 0
                    parent = parents[depth]
                    h = np.uint64(parent + 7) * np.uint64(0x9E3779B97F4A7C15)
                    for k in range(k_first, k_last):
                        byte = data[k] if k < base else side[k - base]
                        h = (h ^ np.uint64(byte)) * np.uint64(1099511628211)
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
                            key_parent[key] = parent
                            key_start[key] = k_first
                            key_length[key] = k_last - k_first
                            key_hash[key] = signed
                            keys += 1
                            break
                        if (
                            key_hash[key] == signed
                            and key_parent[key] == parent
                            and key_length[key] == k_last - k_first
                        ):
                            same = True
                            for k in range(k_last - k_first):
                                a = k_first + k
                                b = key_start[key] + k
                                x = data[a] if a < base else side[a - base]
                                y = data[b] if b < base else side[b - base]
                                if x != y:
                                    same = False
                                    break
                            if same:
                                break
                        slot = (slot + 1) & mask
                    if kind == T_OBJECT:
                        if depth >= MAX_DEPTH:
                            error[row] = MALFORMED
                            break
                        depth += 1
                        parents[depth] = key
                        limits[depth] = last
                        at = first + 1
                        first_member = True
                        continue
                    needs_side = kind == T_STRING and (escaped or not is_plain(data, first, last))
                    pair_row[pairs] = row
                    pair_key[pairs] = key
                    if needs_side:
                        stop = unescape(data, first, last, side, used)
                        if stop < 0:
                            stop = used
                        pair_start[pairs] = base + used
                        pair_length[pairs] = stop - used
                        used = stop
                    else:
                        pair_start[pairs] = first
                        pair_length[pairs] = last - first
                    pairs += 1
                at = after
            done = False
            failed = False
            while True:
                if not closed:
                    at = skip_space(data, at, end)
                    if at >= end:
                        error[row] = ARRAY
                        failed = True
                        break
                    if data[at] == 44:
                        at += 1
                        break
                    if data[at] != 125:
                        error[row] = OBJECT
                        failed = True
                        break
                if depth == 0:
                    done = True
                    break
                at = limits[depth]
                depth -= 1
                end = limits[depth]
                closed = False
            if done or failed:
                break
            first_member = False
    sizes[0], sizes[1], sizes[2] = pairs, keys, used
    return pairs
