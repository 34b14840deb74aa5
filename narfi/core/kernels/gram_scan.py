"""Which runs of three bytes do texts have? Marked in a table, then thrown into a filter.

A filter is a power of two of bits; a run sets two of them. Nothing crosses the end of a text.
"""

import numpy as np
from numpy.typing import NDArray

from narfi.core.kernels.jit import kernel

U8 = NDArray[np.uint8]
U64 = NDArray[np.uint64]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]

GRAM = 3
WORDS = 1 << 18
"""Of 64 bits each: a bit for every run of three bytes."""
_ODD = np.uint64(0x9E3779B97F4A7C15)


@kernel("int64(cu8, ci64, ci32, uint64[::1])")
def mark_grams(data: U8, start: I64, length: I32, marks: U64) -> int:
    """Mark the runs of all texts (absent ones, -1, have none); returns how many are marked."""
    found = 0
    for row in range(start.shape[0]):
        at, end = start[row], start[row] + length[row]
        if end - at < GRAM:
            continue
        gram = np.uint64(data[at]) << np.uint64(8) | np.uint64(data[at + 1])
        for k in range(at + 2, end):
            gram = (gram << np.uint64(8) | np.uint64(data[k])) & np.uint64(0xFFFFFF)
            bit = np.uint64(1) << (gram & np.uint64(63))
            word = gram >> np.uint64(6)
            if not marks[word] & bit:
                marks[word] |= bit
                found += 1
    return found


@kernel()
def _bits_of(gram: int, log2: int) -> tuple[np.uint64, np.uint64]:
    """The two bits of a run in a filter of `2 ** log2` bits."""
    h = (np.uint64(gram) + np.uint64(1)) * _ODD
    h ^= h >> np.uint64(29)
    h *= _ODD
    return h >> np.uint64(64 - log2), (h << np.uint64(24)) >> np.uint64(64 - log2)


@kernel("void(cu64, int64, uint8[::1])")
def fill_filter(marks: U64, log2: int, out: U8) -> None:
    """Set the bits of all marked runs in a filter of `2 ** log2` bits that are zeros."""
    for word in range(marks.shape[0]):
        left = marks[word]
        if left == 0:
            continue
        for bit in range(64):
            if left >> np.uint64(bit) & np.uint64(1):
                for place in _bits_of(word * 64 + bit, log2):
                    out[place >> np.uint64(3)] |= np.uint8(1 << np.int64(place & np.uint64(7)))


@kernel("void(cu8, ci64, ci32, int64, uint8[::1])")
def fill_from_texts(data: U8, start: I64, length: I32, log2: int, out: U8) -> None:
    """As `fill_filter`, of the runs of all texts; for few bytes, since a run counts each time."""
    for row in range(start.shape[0]):
        at, end = start[row], start[row] + length[row]
        if end - at < GRAM:
            continue
        gram = np.int64(data[at]) << 8 | np.int64(data[at + 1])
        for k in range(at + 2, end):
            gram = (gram << 8 | np.int64(data[k])) & 0xFFFFFF
            for place in _bits_of(int(gram), log2):
                out[place >> np.uint64(3)] |= np.uint8(1 << np.int64(place & np.uint64(7)))


@kernel("boolean(cu8, int64, cu8)")
def holds_grams(filter_bits: U8, log2: int, text: U8) -> bool:
    """Whether the filter has every run of a text."""
    for k in range(text.shape[0] - GRAM + 1):
        gram = np.int64(text[k]) << 16 | np.int64(text[k + 1]) << 8 | np.int64(text[k + 2])
        for place in _bits_of(int(gram), log2):
            if not filter_bits[place >> np.uint64(3)] >> np.uint8(place & np.uint64(7)) & 1:
                return False
    return True
