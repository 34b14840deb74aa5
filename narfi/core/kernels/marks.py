"""Which places of a bit map do hashes fall on? Equal ones fall on one place: linear counting."""

import numpy as np
from numpy.typing import NDArray

from narfi.core.kernels.jit import kernel

U64 = NDArray[np.uint64]


@kernel("void(cu64, int64, uint64[::1])")
def mark(hashes: U64, bits: int, marks: U64) -> None:
    """Set the bit whose number is the highest `bits` (6 to 63) of each hash.

    `marks` has `2 ** bits` bits.
    """
    shift = np.uint64(64 - bits)
    for i in range(hashes.shape[0]):
        place = hashes[i] >> shift
        marks[place >> np.uint64(6)] |= np.uint64(1) << (place & np.uint64(63))
