"""What stands in JSON lines under a few names? Read as `json_scan.py` does."""

import numpy as np
from numpy.typing import NDArray

from narfi.core.kernels.address import load8, memcmp
from narfi.core.kernels.jit import kernel
from narfi.core.kernels.json_text import (
    ARRAY,
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
from narfi.core.kernels.key_names import sanitised
from narfi.core.kernels.utf8 import is_plain

U8 = NDArray[np.uint8]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]


@kernel()
def _path_to(
    data: U8, first: int, last: int, escaped: bool, key_side: U8, path: U8, prefix: int
) -> int:
    """Write the name of a key behind that of the object around it, which is `path[:prefix]`.

    Returns its end: `prefix` when nothing of the key is left; -1 for a wrong escape.
    """
    to = prefix
    if prefix > 0 and prefix < path.shape[0]:
        path[to] = 95
        to += 1
    if escaped:
        if last - first >= key_side.shape[0]:
            return -1
        size = unescape(data, first, last, key_side, 0, False)
        if size < 0:
            return -1
        tail = sanitised(key_side, 0, size, path, to, prefix == 0)
    else:
        tail = sanitised(data, first, last, path, to, prefix == 0)
    return prefix if tail == to else tail


@kernel()
def _fits(path: U8, tail: int, names: U8, name_start: I64, name_length: I32) -> tuple[int, bool]:
    """(which of the names `path[:tail]` is, or -1; whether one can stand within it).

    A member of which the key is blank has the name of the object around it.
    """
    found, leads = -1, False
    for w in range(name_start.shape[0]):
        if name_length[w] < tail:
            continue
        same = True
        for k in range(tail):
            if names[name_start[w] + k] != path[k]:
                same = False
                break
        leads = leads or same
        if same and name_length[w] == tail > 0:
            found = w
    return found, leads


@kernel(
    "int64(cu8, ci64, ci32, cu8, ci64, ci32, boolean, int64[:, ::1], int32[:, ::1], uint8[::1],"
    " uint8[::1])",
    soon=True,
    allocates=True,
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
    address = data.ctypes.data
    # of the n-th member that was met in the line before: the node of the object around it, its key
    # and its own node, which name it fills, whether one lies below. Equal nodes are equal paths
    usual_parent, usual_first = np.full(USUAL, -1, np.int64), np.empty(USUAL, np.int64)
    usual_size, usual_node = np.empty(USUAL, np.int64), np.empty(USUAL, np.int64)
    usual_name, usual_leads = np.empty(USUAL, np.int64), np.empty(USUAL, np.bool_)
    nodes = np.zeros(MAX_DEPTH + 1, np.int64)
    new = 0
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
                k_first, prefix = at + 1, ends[depth]
                if (
                    usual_parent[place] == nodes[depth]
                    and k_first + size < end
                    and load8(address + k_first + size) == 34
                    and memcmp(address + k_first, address + usual_first[place], size) == 0
                ):
                    node, name, leads = usual_node[place], usual_name[place], usual_leads[place]
                    close = k_first + size
                    tail = -1
                else:
                    close, escaped = string_end(data, k_first, end)
                    if close < 0:
                        error[row] = MALFORMED
                        break
                    tail = _path_to(data, k_first, close, escaped, key_side, path, prefix)
                    if tail < 0:
                        error[row] = ESCAPE
                        break
                    name, leads = _fits(path, tail, names, name_start, name_length)
                    new += 1
                    node = new
                    usual_parent[place] = -1 if escaped else nodes[depth]
                    usual_first[place], usual_size[place] = k_first, close - k_first
                    usual_node[place], usual_name[place], usual_leads[place] = node, name, leads
                at = skip_space(data, close + 1, end)
                if at >= end or data[at] != 58:
                    error[row] = MALFORMED
                    break
                code, kind, first, last, escaped, after = read_value(data, at + 1, end)
                if code != 0:
                    error[row] = code
                    break
                if kind == T_OBJECT:
                    if leads:
                        if depth >= MAX_DEPTH:
                            error[row] = MALFORMED
                            break
                        if tail < 0:  # known, so without escapes
                            tail = _path_to(data, k_first, close, False, key_side, path, prefix)
                        depth += 1
                        ends[depth] = tail
                        nodes[depth] = node
                        limits[depth] = last
                        at = first + 1
                        first_member = True
                        continue
                elif (kind == T_STRING or kind == T_PLAIN) and name >= 0:
                    if value_length[name, row] < 0:
                        if kind == T_STRING and (escaped or not is_plain(data, first, last)):
                            stop = unescape(data, first, last, side, used)
                            if stop < 0:
                                stop = used
                            value_start[name, row] = base + used
                            value_length[name, row] = stop - used
                            used = stop
                        else:
                            value_start[name, row] = first
                            value_length[name, row] = last - first
                        found += 1
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
