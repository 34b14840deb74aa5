"""How does a key of a line become a label name? As `narfi.core.text.label_names`, in kernels.

Functions for other kernels: `[A-Za-z0-9_]` stays, any other rune becomes one underscore, white
space around the key goes.
"""

import numpy as np
from numpy.typing import NDArray

from narfi.core.kernels.jit import kernel
from narfi.core.kernels.utf8 import rune_size

U8 = NDArray[np.uint8]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
B1 = NDArray[np.bool_]


@kernel()
def _space_size(data: U8, at: int, end: int) -> int:
    """Bytes of the white space (Unicode's) that begins at `at`; 0 when there is none."""
    byte = data[at]
    if byte == 32 or 9 <= byte <= 13:
        return 1
    if byte == 0xC2 and end - at >= 2:
        return 2 if data[at + 1] == 0x85 or data[at + 1] == 0xA0 else 0
    if end - at < 3 or (byte != 0xE1 and byte != 0xE2 and byte != 0xE3):
        return 0
    second, third = data[at + 1], data[at + 2]
    if byte == 0xE2:
        if second == 0x80:
            dashes = 0x80 <= third <= 0x8A or third == 0xA8 or third == 0xA9 or third == 0xAF
            return 3 if dashes else 0
        return 3 if second == 0x81 and third == 0x9F else 0
    if byte == 0xE1:
        return 3 if second == 0x9A and third == 0x80 else 0
    return 3 if second == 0x80 and third == 0x80 else 0


@kernel()
def sanitised(data: U8, first: int, last: int, out: U8, to: int, leading: bool) -> int:
    """Write a key as part of a label name to `out[to:]`, as far as there is room.

    Returns its end: `to` when nothing is left of it. `leading`: a digit in front gets an
    underscore.
    """
    while first < last:
        size = _space_size(data, first, last)
        if size == 0:
            break
        first += size
    while first < last:
        if _space_size(data, last - 1, last) == 1:
            last -= 1
        elif last - first >= 2 and _space_size(data, last - 2, last) == 2:
            last -= 2
        elif last - first >= 3 and _space_size(data, last - 3, last) == 3:
            last -= 3
        else:
            break
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


@kernel()
def first_bytes(names: U8, start: I64, length: I32, out: B1) -> int:
    """Mark in `out[256]` which first bytes keys of the names can have; returns the longest size."""
    longest = 0
    for byte in range(256):
        out[byte] = byte <= 32 or byte > 127  # may be trimmed
    for name in range(start.shape[0]):
        if length[name] == 0:
            continue
        first = names[start[name]]
        out[first] = True
        longest = max(longest, length[name])
        if first == 95:
            for byte in range(128):
                letter = 65 <= byte <= 90 or 97 <= byte <= 122
                out[byte] = out[byte] or not letter
    return longest


@kernel()
def number_of_name(
    data: U8, first: int, last: int, names: U8, start: I64, length: I32, room: U8
) -> int:
    """Which of the names the key becomes, -1: none; `room` is a byte more than the longest."""
    size = sanitised(data, first, last, room, 0, True)
    if size == room.shape[0]:
        return -1
    for name in range(start.shape[0]):
        if length[name] != size:
            continue
        same = True
        for k in range(size):
            if names[start[name] + k] != room[k]:
                same = False
                break
        if same:
            return name
    return -1
