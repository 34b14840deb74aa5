"""How are scattered byte strings brought together, and told apart?

Spans are (data uint8[], start int64[n], length int32[n]); length -1 means absent.
"""

from typing import Any

import numpy as np
from numba import types
from numpy.typing import NDArray

from narfi.core.kernels.address import load64, load_until, memcmp
from narfi.core.kernels.jit import kernel

# memcpy(target, source, size) -> target; addresses as integers
_memcpy: Any = types.ExternalFunction("memcpy", types.intp(types.intp, types.intp, types.intp))

U8 = NDArray[np.uint8]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]


@kernel("void(cu8, ci64, ci32, ci64, uint8[::1])", early=True)
def gather_bytes(data: U8, start: I64, length: I32, out_offsets: I64, out: U8) -> None:
    """Copy the spans one behind the other; `out_offsets` has n + 1 places (prefix sums)."""
    source, target = data.ctypes.data, out.ctypes.data
    for i in range(start.shape[0]):
        size = length[i]
        if size > 0:
            _memcpy(target + out_offsets[i], source + start[i], size)


@kernel("void(ci32, int64[::1])", early=True)
def sum_lengths(length: I32, offsets: I64) -> None:
    """Where each span begins when they lie one behind the other, and the end; n + 1 places."""
    total = 0
    for i in range(length.shape[0]):
        offsets[i] = total
        if length[i] > 0:
            total += length[i]
    offsets[length.shape[0]] = total


@kernel("int64(cu8, ci64, ci32, int64, int64[::1], uint8[::1])", early=True)
def append_bytes(data: U8, start: I64, length: I32, used: int, places: I64, out: U8) -> int:
    """Copy the spans one behind the other, from place `used` on; the place behind the last one.

    `places` gets where each begins.
    """
    source, target = data.ctypes.data, out.ctypes.data
    for i in range(start.shape[0]):
        places[i] = used
        size = length[i]
        if size > 0:
            _memcpy(target + used, source + start[i], size)
            used += size
    return used


@kernel("void(ci32, int64[::1])")
def count_codes(codes: I32, counts: I64) -> None:
    """Add the rows of each code to `counts`, whose first place is that of code -1."""
    for i in range(codes.shape[0]):
        counts[codes[i] + 1] += 1


@kernel("int64(cu8, ci64, ci32, int64[::1], int32[::1], int64[::1])", early=True)
def encode_spans(data: U8, start: I64, length: I32, table: I64, codes: I32, firsts: I64) -> int:
    """Number equal spans alike, in order of first appearance; absent spans get -1.

    `table` is a power-of-two sized array filled with -1, larger than twice the rows; `firsts[c]`
    becomes the row where code c was seen first. Returns the number of codes, below 2**31.
    """
    mask = table.shape[0] - 1
    base = data.ctypes.data
    count = 0
    for i in range(start.shape[0]):
        size = length[i]
        if size < 0:
            codes[i] = -1
            continue
        at = base + start[i]
        end = at + size
        h = np.uint64(14695981039346656037) ^ np.uint64(size)
        while at + 8 <= end:
            h = (h ^ load64(at)) * np.uint64(0x9E3779B97F4A7C15)
            h ^= h >> np.uint64(29)
            at += 8
        if at < end:
            h = (h ^ load_until(at, end)) * np.uint64(0x9E3779B97F4A7C15)
        h ^= h >> np.uint64(32)
        h *= np.uint64(0x9E3779B97F4A7C15)
        h ^= h >> np.uint64(29)
        slot = np.int64(h & np.uint64(0x7FFFFFFFFFFFFFFF)) & mask
        tag = np.int64((h >> np.uint64(33)) << np.uint64(32))  # others are not looked at
        while True:
            entry = table[slot]
            code = entry & 0x7FFFFFFF
            if entry < 0:
                table[slot] = tag | count
                firsts[count] = i
                codes[i] = count
                count += 1
                break
            if entry - code == tag:
                other = firsts[code]
                if length[other] == size and (
                    size == 0 or memcmp(base + start[other], base + start[i], size) == 0
                ):
                    codes[i] = code
                    break
            slot = (slot + 1) & mask
    return count
