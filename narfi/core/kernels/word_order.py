"""In which order are words, by their bytes? Eight are compared at once, behind what all share."""

import numpy as np
from numpy.typing import NDArray

from narfi.core.kernels.address import load8, load64, load_until
from narfi.core.kernels.jit import kernel

U8 = NDArray[np.uint8]
U64 = NDArray[np.uint64]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]

_EIGHT, _MASK = np.uint64(8), np.uint64(0xFF)


@kernel()
def _common(base: int, start: I64, length: I32, order: I64, first: int, end: int, k: int) -> int:
    """How many bytes the words `order[first:end]` begin with that all have; at least `k`."""
    model = base + start[order[first]]
    same = np.int64(length[order[first]])
    for i in range(first + 1, end):
        other = base + start[order[i]]
        same = min(same, np.int64(length[order[i]]))
        at = np.int64(k)
        while at + 8 <= same and load64(model + at) == load64(other + at):
            at += 8
        while at < same and load8(model + at) == load8(other + at):
            at += 1
        same = at
    return int(same)


@kernel()
def _key(at: int, end: int) -> np.uint64:
    """Up to eight bytes at an address, the first one highest, zeros for what is missing."""
    found = load_until(at, end)
    turned = np.uint64(0)
    for _ in range(8):
        turned = turned << _EIGHT | found & _MASK
        found >>= _EIGHT
    return turned


@kernel()
def _sort(keys: U64, order: I64, first: int, end: int) -> None:
    """Sort the places `[first, end)` of both by the keys."""
    gap = (end - first) // 2
    while gap > 0:
        for i in range(first + gap, end):
            key, word = keys[i], order[i]
            k = i
            while k - gap >= first and keys[k - gap] > key:
                keys[k], order[k] = keys[k - gap], order[k - gap]
                k -= gap
            keys[k], order[k] = key, word
        gap = 1 if gap == 2 else gap * 5 // 11


@kernel("void(cu8, ci64, ci32, uint64[::1], int64[:, ::1], int64[::1])")
def order_words(data: U8, start: I64, length: I32, keys: U64, pending: I64, order: I64) -> None:
    """Put the words that `order` names into the order of their bytes; no two of them are equal.

    `keys` and `pending` (three columns) are scratch memory, a place and a row for each word.
    """
    base = data.ctypes.data
    groups = 0
    if order.shape[0] > 1:
        pending[0, 0], pending[0, 1], pending[0, 2] = 0, order.shape[0], 0
        groups = 1
    while groups > 0:
        groups -= 1
        first, end, same = pending[groups, 0], pending[groups, 1], pending[groups, 2]
        same = _common(base, start, length, order, first, end, same)
        for i in range(first, end):
            if length[order[i]] == same:  # it ends where others go on
                order[first], order[i] = order[i], order[first]
                first += 1
                break
        for i in range(first, end):
            at = base + start[order[i]]
            keys[i] = _key(at + same, at + length[order[i]])
        _sort(keys, order, first, end)
        while first < end:
            stop = first + 1
            while stop < end and keys[stop] == keys[first]:
                stop += 1
            if stop - first > 1:
                pending[groups, 0], pending[groups, 1], pending[groups, 2] = first, stop, same
                groups += 1
            first = stop
