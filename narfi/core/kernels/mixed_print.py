"""How are lines of many shapes put together at once? Piece by piece, each value from its column.

The rows of shape s are `bounds[s] : bounds[s + 1]`, its pieces those from `first[s]` to
`first[s + 1]`: each a column, or -1 less the number of a constant. The values of column c stand one
behind the other from `cursor[c]` on, in the order of the rows; the cursors move.
"""

from typing import Any

import numpy as np
from numba import types
from numpy.typing import NDArray

from narfi.core.kernels.jit import kernel

U8 = NDArray[np.uint8]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]

# memcpy(target, source, size) -> target; addresses as integers
_memcpy: Any = types.ExternalFunction("memcpy", types.intp(types.intp, types.intp, types.intp))


@kernel("void(ci64, ci64, ci64, ci32, ci32, int64[::1], int32[::1])", soon=True)
def mixed_lengths(
    bounds: I64, first: I64, pieces: I64, texts: I32, values: I32, cursor: I64, out: I32
) -> None:
    """Bytes of each line; `texts` are the lengths of constants, `values` those of values."""
    for shape in range(first.shape[0] - 1):
        low, high = first[shape], first[shape + 1]
        constant = 0
        for k in range(low, high):
            if pieces[k] < 0:
                constant += texts[-1 - pieces[k]]
        for row in range(bounds[shape], bounds[shape + 1]):
            size = constant
            for k in range(low, high):
                column = pieces[k]
                if column >= 0:
                    size += values[cursor[column]]
                    cursor[column] += 1
            out[row] = size


@kernel("void(ci64, ci64, ci64, cu8, ci64, ci32, ci64, ci32, int64[::1], uint8[::1])", soon=True)
def write_mixed(
    bounds: I64,
    first: I64,
    pieces: I64,
    text_data: U8,
    text_start: I64,
    text_length: I32,
    value_address: I64,
    value_length: I32,
    cursor: I64,
    out: U8,
) -> None:
    """Write all lines one behind the other; there is room for what `mixed_lengths` says."""
    constants, to = text_data.ctypes.data, out.ctypes.data
    for shape in range(first.shape[0] - 1):
        low, high = first[shape], first[shape + 1]
        for _ in range(bounds[shape], bounds[shape + 1]):
            for k in range(low, high):
                piece = pieces[k]
                if piece < 0:
                    size = text_length[-1 - piece]
                    _memcpy(to, constants + text_start[-1 - piece], size)
                else:
                    place = cursor[piece]
                    cursor[piece] = place + 1
                    size = value_length[place]
                    if size > 0:
                        _memcpy(to, value_address[place], size)
                to = to + size
