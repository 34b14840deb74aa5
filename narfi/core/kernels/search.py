"""Which of n byte strings contain a needle? One search over the buffer, rows found on the way."""

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


SHORT = 2
"""Needles up to this size are looked for at 64 places at once; memmem takes thrice the time, and of
three bytes the same."""
PLACES = 64


@kernel()
def _short_at(data: U8, at: int, end: int, needle: U8) -> int:
    """Where a short needle begins first in `data[at : end]`; -1 when it does not."""
    size = needle.shape[0]
    first, last = needle[0], needle[size - 1]
    while at + PLACES + size - 1 <= end:
        a = data[at : at + PLACES]
        b = data[at + size - 1 : at + size - 1 + PLACES]
        hit = np.uint8(0)
        for k in range(PLACES):
            hit |= np.uint8(a[k] == first) & np.uint8(b[k] == last)
        if hit:
            for k in range(PLACES):
                if a[k] == first and b[k] == last:
                    return at + k
        at += PLACES
    while at + size <= end:
        if data[at] == first and data[at + size - 1] == last:
            return at
        at += 1
    return -1


@kernel("void(cu8, ci64, ci32, cu8, boolean[::1])", early=True)
def contains_packed(data: U8, start: I64, length: I32, needle: U8, out: B1) -> None:
    """Rows that lie one behind the other: one search over the whole buffer.

    A hit that crosses the end of its row is none; after a hit the search goes on at the next row.
    Precondition: the needle is not empty and `start[i + 1] == start[i] + length[i]`.
    """
    rows = start.shape[0]
    if rows == 0:
        return
    base = data.ctypes.data
    at = start[0]
    end = start[rows - 1] + length[rows - 1]
    size = needle.shape[0]
    row = 0
    while at + size <= end:
        if size <= SHORT:
            place = _short_at(data, at, end, needle)
        else:
            hit = _memmem(base + at, end - at, needle.ctypes.data, size)
            place = hit - base if hit else -1
        if place < 0:
            return
        # gallop, then bisect, to the row that holds the hit
        step = 1
        low = row
        while low + step < rows and start[low + step] <= place:
            low += step
            step *= 2
        high = min(low + step, rows)
        while high - low > 1:
            middle = (low + high) // 2
            if start[middle] <= place:
                low = middle
            else:
                high = middle
        row = low
        row_end = start[row] + length[row]
        if place + size <= row_end:
            out[row] = True
            at = row_end
        else:
            at = place + 1


@kernel("void(cu8, ci64, ci32, cu8, boolean[::1])", early=True)
def contains_each(data: U8, start: I64, length: I32, needle: U8, out: B1) -> None:
    """Rows anywhere in the buffer: one search a row. Absent rows (-1) contain nothing."""
    base = data.ctypes.data
    size = needle.shape[0]
    for i in range(start.shape[0]):
        if length[i] >= size:
            out[i] = _memmem(base + start[i], length[i], needle.ctypes.data, size) != 0


@kernel("void(uint8[::1])")
def fold_case(data: U8) -> None:
    """Capital ASCII letters become small ones."""
    for i in range(data.shape[0]):
        byte = data[i]
        data[i] = byte + np.uint8(32 * (np.uint8(byte - np.uint8(65)) < np.uint8(26)))


@kernel("boolean(ci64, ci32)", early=True)
def lie_together(start: I64, length: I32) -> bool:
    """Whether each text starts where the one before ended; absent ones (-1) take no room."""
    for i in range(start.shape[0] - 1):
        if start[i + 1] != start[i] + max(length[i], 0):
            return False
    return True


AT_START, AT_END, WHOLE = 0, 1, 2
"""Where `match_at` looks."""


@kernel("void(cu8, ci64, ci32, cu8, int64, boolean[::1])")
def match_at(data: U8, start: I64, length: I32, text: U8, place: int, out: B1) -> None:
    """Rows that begin with, end with, or are the text. Absent rows (-1) are none of it."""
    size = text.shape[0]
    for i in range(start.shape[0]):
        n = length[i]
        good = n == size if place == WHOLE else n >= size
        if good:
            at = start[i] + (n - size if place == AT_END else 0)
            for k in range(size):
                if data[at + k] != text[k]:
                    good = False
                    break
        out[i] = good


@kernel("void(cu8, ci64, ci32, cu8, boolean[::1])", soon=True)
def may_cross(data: U8, start: I64, length: I32, text: U8, out: B1) -> None:
    """Which constants can be a part of the text, with other texts before or behind them.

    That ends where the constant begins, begins where it ends, or has all of it within.
    """
    size = text.shape[0]
    for i in range(start.shape[0]):
        n, at = length[i], start[i]
        found = False
        for first in range(1 - n, size):
            # the constant laid over the text, beginning at `first` of it
            if first <= 0 and first + n >= size:
                continue  # the text lies within the constant
            good = True
            for k in range(max(first, 0), min(first + n, size)):
                if data[at + k - first] != text[k]:
                    good = False
                    break
            if good:
                found = True
                break
        out[i] = found
