"""Which members does a JSON line have? A lenient scanner over many lines (reference/logql.md §6.1).

It accepts and refuses what the recorded server does: what follows the closing brace is ignored, a
trailing comma is fine, arrays and nulls are skipped, nested objects are flattened. Strings are
views into the data; those with escapes, or with bytes that are not UTF-8, are rewritten into `side`
(their starts then lie behind the data). Error codes index `ERRORS`. `json_wanted.py` reads alike.
"""

import numpy as np
from numpy.typing import NDArray

from narfi.core.kernels.address import load8, memcmp
from narfi.core.kernels.jit import kernel
from narfi.core.kernels.json_text import (
    ARRAY,
    ERRORS,
    ESCAPE,
    MALFORMED,
    MAX_DEPTH,
    OBJECT,
    T_OBJECT,
    T_PLAIN,
    T_STRING,
    USUAL,
    read_value,
    skip_space,
    string_end,
    unescape,
)
from narfi.core.kernels.utf8 import is_plain

__all__ = ["ERRORS", "scan_all"]

U8 = NDArray[np.uint8]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]


@kernel(
    "int64(cu8, ci64, ci32, int64[::1], int32[::1], int64[::1], int32[::1], int64[::1],"
    " int32[::1], int32[::1], int64[::1], int32[::1], int64[::1], uint8[::1], uint8[::1])",
    soon=True,
    allocates=True,
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
    address = data.ctypes.data
    mask = table.shape[0] - 1
    # of the n-th member of the line before: the key around it, where its own stands, its number
    usual_parent, usual_first = np.full(USUAL, -2, np.int64), np.empty(USUAL, np.int64)
    usual_size, usual_key = np.empty(USUAL, np.int64), np.empty(USUAL, np.int64)
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
        met = -1
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
                met += 1
                place = min(met, USUAL - 1)
                size = usual_size[place]
                k_first, escaped = at + 1, False
                known = (
                    usual_parent[place] == parents[depth]
                    and k_first + size < end
                    and load8(address + k_first + size) == 34
                    and memcmp(address + k_first, address + usual_first[place], size) == 0
                )
                if known:
                    close = k_first + size
                else:
                    close, escaped = string_end(data, k_first, end)
                    if close < 0:
                        error[row] = MALFORMED
                        break
                k_last = close
                escaped_key = escaped
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
                    key = usual_key[place]
                    parent = parents[depth]
                    if not known:
                        key = _number_of(
                            data,
                            side,
                            parent,
                            k_first,
                            k_last,
                            table,
                            mask,
                            key_parent,
                            key_start,
                            key_length,
                            key_hash,
                            keys,
                        )
                        if key == keys:
                            if 2 * keys >= table.shape[0]:
                                return -1
                            keys += 1
                        usual_parent[place] = -2 if escaped_key else parent
                        usual_first[place], usual_size[place] = k_first, k_last - k_first
                        usual_key[place] = key
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


@kernel()
def _number_of(
    data: U8,
    side: U8,
    parent: int,
    first: int,
    last: int,
    table: I64,
    mask: int,
    key_parent: I32,
    key_start: I64,
    key_length: I32,
    key_hash: I64,
    keys: int,
) -> int:
    """The number of a key; `keys` for a new one, which is added where there is room for it."""
    base = data.shape[0]
    h = np.uint64(parent + 7) * np.uint64(0x9E3779B97F4A7C15)
    for k in range(first, last):
        byte = data[k] if k < base else side[k - base]
        h = (h ^ np.uint64(byte)) * np.uint64(1099511628211)
    h ^= h >> np.uint64(32)
    signed = np.int64(h & np.uint64(0x7FFFFFFFFFFFFFFF))
    slot = signed & mask
    size = last - first
    while True:
        key = table[slot]
        if key < 0:
            if 2 * keys < table.shape[0]:
                table[slot] = keys
                key_parent[keys], key_start[keys] = parent, first
                key_length[keys], key_hash[keys] = size, signed
            return keys
        if key_hash[key] == signed and key_parent[key] == parent and key_length[key] == size:
            same = True
            for k in range(size):
                a, b = first + k, key_start[key] + k
                x = data[a] if a < base else side[a - base]
                y = data[b] if b < base else side[b - base]
                if x != y:
                    same = False
                    break
            if same:
                return int(key)
        slot = (slot + 1) & mask
