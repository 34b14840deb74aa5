"""Which value has each row under each name? From pairs in the order of the lines."""

import numpy as np
from numpy.typing import NDArray

from narfi.core.kernels.jit import kernel

I32 = NDArray[np.int32]
I64 = NDArray[np.int64]


@kernel(
    "void(ci32, ci32, ci64, ci32, int64[:, ::1], int32[:, ::1], int64[::1])",
    soon=True,
)
def place_pairs(
    pair_row: I32,
    pair_name: I32,
    value_start: I64,
    value_length: I32,
    start: I64,
    length: I32,
    count: I64,
) -> None:
    """Put value spans at [name, row]; of several pairs of a row and name the first counts.

    Pairs of name -1 are none. `length` must be -1 everywhere, and `count` 0: it becomes how many
    rows have each name. `start` is written only where there is a value.
    """
    for pair in range(pair_row.shape[0]):
        name, row = pair_name[pair], pair_row[pair]
        if name < 0 or length[name, row] >= 0:
            continue
        start[name, row], length[name, row] = value_start[pair], value_length[pair]
        count[name] += 1
