"""What stands at given paths of JSON lines? For `| json a="b.c[0]"` (reference/logql.md §6.2).

Each line is walked once for all paths, and the first place that fits a path counts. The walk does
not check the line's structure: it counts braces, and a string before a colon is a key. Arrays are
entered only where a path asks for one of their elements. The walk ends when all paths are found, at
the end of the line, or at a wanted value that cannot be read (an error).
"""

import numpy as np
from numpy.typing import NDArray

from narfi.core.kernels.jit import kernel
from narfi.core.kernels.json_text import (
    MALFORMED,
    T_ARRAY,
    T_NULL,
    T_OBJECT,
    block_end,
    read_value,
    skip_space,
    string_end,
    unescape,
)
from narfi.core.kernels.utf8 import is_plain

U8 = NDArray[np.uint8]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]

NO_JSON = 255
"""Error code of a line that does not begin as JSON: no details."""

MAX_KEYS = 64
"""Paths with more parts are never found."""


@kernel()
def _same(a: U8, a_first: int, b: U8, b_first: int, size: int) -> bool:
    for k in range(size):
        if a[a_first + k] != b[b_first + k]:
            return False
    return True


@kernel()
def _leads(
    data: U8,
    side: U8,
    stack_start: I64,
    stack_length: I64,
    depth: int,
    first: int,
    index: I64,
    keys: U8,
    key_start: I64,
    key_length: I32,
) -> bool:
    """Whether the first `depth` keys on the stack are those of the path that begins at `first`."""
    base = data.shape[0]
    for k in range(depth - 1, -1, -1):
        part = first + k
        size, place = key_length[part], stack_start[k]
        if index[part] >= 0 or stack_length[k] != size:
            return False
        if place >= base:
            if not _same(side, place - base, keys, key_start[part], size):
                return False
        elif not _same(data, place, keys, key_start[part], size):
            return False
    return True


@kernel()
def _element(data: U8, at: int, end: int, index: int) -> tuple[int, int]:
    """(kind, first byte) of an element of the array at `at`; first is -1 when there is none."""
    place = 0
    at = skip_space(data, at + 1, end)
    while at < end and data[at] != 93:
        code, kind, _, _, _, after = read_value(data, at, end)
        if code != 0:
            return 0, -1
        if place == index:
            return kind, at
        at = skip_space(data, after, end)
        if at >= end or data[at] != 44:
            return 0, -1
        at = skip_space(data, at + 1, end)
        place += 1
    return 0, -1


@kernel()
def _member(
    data: U8, at: int, end: int, keys: U8, first: int, size: int, side: U8, used: int
) -> tuple[int, int]:
    """(kind, first byte) of a member of the object at `at`; first is -1 when there is none."""
    at = skip_space(data, at + 1, end)
    while at < end and data[at] == 34:
        close, escaped = string_end(data, at + 1, end)
        if close < 0:
            return 0, -1
        if escaped:
            tail = unescape(data, at + 1, close, side, used, False)
            if tail < 0:
                return 0, -1
            same = tail - used == size and _same(side, used, keys, first, size)
        else:
            same = close - at - 1 == size and _same(data, at + 1, keys, first, size)
        colon = skip_space(data, close + 1, end)
        if colon >= end or data[colon] != 58:
            return 0, -1
        code, kind, _, _, _, after = read_value(data, colon + 1, end)
        if code != 0:
            return 0, -1
        if same:
            return kind, skip_space(data, colon + 1, end)
        at = skip_space(data, after, end)
        if at >= end or data[at] != 44:
            return 0, -1
        at = skip_space(data, at + 1, end)
    return 0, -1


@kernel()
def _text(
    data: U8, kind: int, first: int, last: int, escaped: bool, side: U8, used: int
) -> tuple[int, int, int]:
    """(start, length, used bytes of side): a value as a label."""
    base = data.shape[0]
    if kind == T_NULL:
        return first, 0, used
    if kind == T_ARRAY:
        for k in range(first, last):
            if data[k] == 92:
                escaped = True
                break
    if kind == T_OBJECT or (not escaped and is_plain(data, first, last)):
        return first, last - first, used
    tail = unescape(data, first, last, side, used)
    if tail < 0:
        tail = used
    return base + used, tail - used, tail


@kernel(
    "int64(cu8, ci64, ci32, ci64, ci64, ci64, cu8, ci64, ci32, int64[:, ::1], int32[:, ::1],"
    " uint8[::1], uint8[::1])",
    allocates=True,
)
def walk_paths(
    data: U8,
    start: I64,
    length: I32,
    path_first: I64,
    path_size: I64,
    index: I64,
    keys: U8,
    key_start: I64,
    key_length: I32,
    value_start: I64,
    value_length: I32,
    error: U8,
    side: U8,
) -> int:
    """Fill value spans [path, row] (length -1 where not found) and an error code per row.

    Part k of path p is part `path_first[p] + k` of the flat arrays: an array index when
    `index[...] >= 0`, else a key. Values with escapes are rewritten into `side`, which must hold
    (paths + 1) times the lines' bytes. Returns the used bytes of `side`.
    """
    used = 0
    base = data.shape[0]
    paths = path_first.shape[0]
    stack_start, stack_length = np.zeros(MAX_KEYS, np.int64), np.zeros(MAX_KEYS, np.int64)
    closed = np.zeros(paths, np.bool_)
    for row in range(start.shape[0]):
        for p in range(paths):
            value_length[p, row] = -1
            closed[p] = False
        error[row] = 0
        at, end = start[row], start[row] + length[row]
        if at == end:
            continue
        if data[at] != 123 and data[at] != 91 and data[at] != 34:
            error[row] = NO_JSON
            continue
        level = depth = 0  # open braces; keys on the stack
        left = paths
        while at < end and left > 0:
            byte = data[at]
            if byte == 34:
                close, escaped = string_end(data, at + 1, end)
                if close < 0:
                    break
                colon = skip_space(data, close + 1, end)
                if colon >= end:
                    break
                if data[colon] != 58:
                    at = colon
                    continue
                if level < 1:
                    error[row] = MALFORMED
                    break
                depth = min(depth, level - 1) + 1
                if depth <= MAX_KEYS:
                    stack_start[depth - 1] = at + 1
                    stack_length[depth - 1] = close - at - 1
                    if escaped:
                        tail = unescape(data, at + 1, close, side, used, False)
                        stack_start[depth - 1] = base + used
                        stack_length[depth - 1] = max(tail, used) - used
                        used = max(tail, used)
                for p in range(paths):
                    if closed[p] or path_size[p] != depth:
                        continue
                    if not _leads(
                        data,
                        side,
                        stack_start,
                        stack_length,
                        depth,
                        path_first[p],
                        index,
                        keys,
                        key_start,
                        key_length,
                    ):
                        continue
                    code, kind, first, last, escaped, _ = read_value(data, colon + 1, end)
                    if code != 0:
                        error[row] = code
                        break
                    value_start[p, row], value_length[p, row], used = _text(
                        data, kind, first, last, escaped, side, used
                    )
                    closed[p] = True
                    left -= 1
                if error[row] != 0:
                    break
                at = colon + 1
                continue
            if byte == 91:
                stop = block_end(data, at, end, 91, 93)
                for p in range(paths):
                    size = path_size[p]
                    if closed[p] or size <= level or index[path_first[p] + level] < 0:
                        continue
                    if level > depth or not _leads(
                        data,
                        side,
                        stack_start,
                        stack_length,
                        level,
                        path_first[p],
                        index,
                        keys,
                        key_start,
                        key_length,
                    ):
                        continue
                    kind, place = _element(data, at, end, index[path_first[p] + level])
                    if place < 0:
                        continue
                    for k in range(level + 1, size):
                        part = path_first[p] + k
                        if index[part] >= 0 and kind == T_ARRAY:
                            kind, place = _element(data, place, end, index[part])
                        elif index[part] < 0 and kind == T_OBJECT:
                            kind, place = _member(
                                data,
                                place,
                                end,
                                keys,
                                key_start[part],
                                key_length[part],
                                side,
                                used,
                            )
                        else:
                            place = -1
                        if place < 0:
                            break
                    closed[p] = True
                    left -= 1
                    if place >= 0:
                        _, kind, first, last, escaped, _ = read_value(data, place, end)
                        value_start[p, row], value_length[p, row], used = _text(
                            data, kind, first, last, escaped, side, used
                        )
                if stop < 0:
                    break
                at = stop
                continue
            if byte == 123:
                level += 1
            elif byte == 125 or byte == 93:
                level -= 1
            at += 1
    return used
