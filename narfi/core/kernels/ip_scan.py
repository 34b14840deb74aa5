"""Which texts hold an address of a range? The runs that `narfi/core/text/ip.py` looks at, compiled.

Addresses are 128 bits as (high, low); an IPv4 address is the low 32 bits.
"""

import numpy as np
from numpy.typing import NDArray

from narfi.core.kernels.jit import kernel
from narfi.core.kernels.utf8 import hex_digit

U8 = NDArray[np.uint8]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
U64 = NDArray[np.uint64]
B1 = NDArray[np.bool_]


@kernel()
def _is_digit(byte: int) -> bool:
    return 48 <= byte <= 57


@kernel()
def _version_at(data: U8, at: int, end: int) -> int:
    """4 or 6 where an address may begin, else 0."""
    if end - at >= 4 and _is_digit(data[at]):
        for k in range(1, 4):
            if data[at + k] == 46:
                return 4
    if at + 2 < end and data[at] == 58 and data[at + 1] == 58 and hex_digit(data[at + 2]) >= 0:
        return 6
    for size in range(1, 5):
        if at + size >= end or hex_digit(data[at + size - 1]) < 0:
            return 0
        if data[at + size] == 58:
            return 6
    return 0


@kernel()
def _parse4(data: U8, at: int, end: int) -> int:
    """The 32 bits of a dotted address; -1 when it is none."""
    address = parts = 0
    while True:
        value = size = 0
        first = at
        while at < end and _is_digit(data[at]) and size < 4:
            value = value * 10 + (data[at] - 48)
            size += 1
            at += 1
        if size == 0 or size > 3 or value > 255 or (size > 1 and data[first] == 48):
            return -1
        address = address << 8 | value
        parts += 1
        if at == end:
            return address if parts == 4 else -1
        if data[at] != 46 or parts == 4:
            return -1
        at += 1


@kernel()
def _parse6(data: U8, at: int, end: int, groups: I64) -> bool:
    """Fill the eight groups of an address; False when it is none."""
    count = 0
    gap = -1
    if end - at >= 2 and data[at] == 58 and data[at + 1] == 58:
        gap = 0
        at += 2
    elif at < end and data[at] == 58:
        return False
    while at < end:
        value = size = 0
        first = at
        while at < end and hex_digit(data[at]) >= 0 and size < 5:
            value = value * 16 + hex_digit(data[at])
            size += 1
            at += 1
        if at < end and data[at] == 46:  # an IPv4 address ends it
            if count > 6:
                return False
            tail = _parse4(data, first, end)
            if tail < 0:
                return False
            groups[count], groups[count + 1] = tail >> 16, tail & 0xFFFF
            count += 2
            break
        if size == 0 or size > 4 or count == 8:
            return False
        groups[count] = value
        count += 1
        if at == end:
            break
        if data[at] != 58:
            return False
        at += 1
        if at < end and data[at] == 58:
            if gap >= 0:
                return False
            gap = count
            at += 1
        elif at == end:
            return False
    if gap < 0:
        return count == 8
    if count > 7:
        return False
    moved = count - gap
    for k in range(moved):
        groups[7 - k] = groups[count - 1 - k]
    for k in range(gap, 8 - moved):
        groups[k] = 0
    return True


@kernel("void(cu8, ci64, ci32, int64, cu64, cu64, boolean[::1])", allocates=True)
def contains_address(
    data: U8, start: I64, length: I32, version: int, low: U64, high: U64, out: B1
) -> None:
    """Whether each text holds an address `low <= a <= high`; both are (high bits, low bits)."""
    groups = np.zeros(8, np.int64)
    for row in range(start.shape[0]):
        at, end = start[row], start[row] + length[row]
        out[row] = False
        while at < end:
            kind = _version_at(data, at, end)
            if kind == 0:
                at += 1
                continue
            stop = at
            while stop < end and (
                data[stop] == 46
                or _is_digit(data[stop])
                or (kind == 6 and (data[stop] == 58 or hex_digit(data[stop]) >= 0))
            ):
                stop += 1
            upper, lower = np.uint64(0), np.uint64(0)
            good = kind == version
            if good and kind == 4:
                found = _parse4(data, at, stop)
                good = found >= 0
                lower = np.uint64(max(found, 0))
            elif good:
                good = _parse6(data, at, stop, groups)
                for k in range(4):
                    upper = upper << np.uint64(16) | np.uint64(groups[k])
                    lower = lower << np.uint64(16) | np.uint64(groups[k + 4])
            above = upper > low[0] or (upper == low[0] and lower >= low[1])
            below = upper < high[0] or (upper == high[0] and lower <= high[1])
            if good and above and below:
                out[row] = True
                break
            at = stop
