"""Where do the literals of a pattern stand in a line? Parser captures, line filters (§5.1, §6.5).

First occurrence, no backtracking.
"""

import numpy as np
from numpy.typing import NDArray

from narfi.core.kernels.jit import kernel

U8 = NDArray[np.uint8]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
B1 = NDArray[np.bool_]


@kernel()
def _find(data: U8, at: int, end: int, text: U8, first: int, size: int) -> int:
    """The first place at or behind `at` where the literal stands; -1 when nowhere."""
    lead = text[first]
    while at + size <= end:
        if data[at] == lead:
            same = True
            for k in range(1, size):
                if data[at + k] != text[first + k]:
                    same = False
                    break
            if same:
                return at
        at += 1
    return -1


@kernel("void(cu8, ci64, ci32, cu8, ci64, ci32, boolean, boolean, boolean[::1])")
def match_pattern(
    data: U8,
    start: I64,
    length: I32,
    text: U8,
    text_start: I64,
    text_length: I32,
    leading: bool,
    trailing: bool,
    out: B1,
) -> None:
    """Whether each line holds the literals in turn with at least a byte for each wildcard."""
    literals = text_start.shape[0]
    for row in range(start.shape[0]):
        at, end = start[row], start[row] + length[row]
        if literals == 0:
            out[row] = length[row] > 0 if leading else length[row] == 0
            continue
        good = True
        need = leading
        for k in range(literals):
            place = _find(data, at, end, text, text_start[k], text_length[k])
            if place < 0 or (need and place == at):
                good = False
                break
            at = place + text_length[k]
            need = True
        out[row] = good and (at < end if trailing else at == end)


@kernel("void(cu8, ci64, ci32, cu8, ci64, ci32, boolean, ci64, int64[:, ::1], int32[:, ::1])")
def extract_pattern(
    data: U8,
    start: I64,
    length: I32,
    text: U8,
    text_start: I64,
    text_length: I32,
    leading: bool,
    place_of: I64,
    value_start: I64,
    value_length: I32,
) -> None:
    """Spans [place, row] of wanted captures; `leading`: the pattern begins with a capture.

    `place_of` has the place of each capture as far as some are wanted, -1 for one that is not.
    Length -1 where a capture is absent: behind the first literal that is not found.
    """
    literals = text_start.shape[0]
    captures = place_of.shape[0]
    for row in range(start.shape[0]):
        for kept in range(value_start.shape[0]):
            value_start[kept, row] = 0
            value_length[kept, row] = -1
        at, end = start[row], start[row] + length[row]
        if at == end:
            continue
        k = 0
        if not leading:
            size = text_length[0]
            good = end - at >= size
            for j in range(size):
                if not good or data[at + j] != text[text_start[0] + j]:
                    good = False
                    break
            if not good:
                continue
            at += size
            k = 1
        for c in range(captures):
            place = end
            if k < literals:
                place = _find(data, at, end, text, text_start[k], text_length[k])
            is_last = k >= literals or place < 0
            if is_last:
                place = end
            kept = place_of[c]
            if kept >= 0:
                value_start[kept, row] = at
                value_length[kept, row] = place - at
            if is_last:
                break
            at = place + text_length[k]
            k += 1
