"""Which number does a text hold? Decimal texts, exactly; everything unusual is left to the caller.

Up to 15 digits and powers of ten up to 22 are exact in a float64, so one multiplication or division
rounds correctly; all other texts get status SLOW.
"""

import numpy as np
from numpy.typing import NDArray

from narfi.core.kernels.jit import kernel

U8 = NDArray[np.uint8]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
F64 = NDArray[np.float64]

NUMBER, SLOW, ABSENT = 0, 1, 2

_POWERS = np.array([10.0**k for k in range(23)])


@kernel("void(cu8, ci64, ci32, float64[::1], uint8[::1])")
def parse_numbers(data: U8, start: I64, length: I32, out: F64, status: U8) -> None:
    """Fill values and a status per text; absent texts (-1) get ABSENT."""
    for i in range(start.shape[0]):
        size = length[i]
        if size < 0:
            status[i] = ABSENT
            continue
        at, end = start[i], start[i] + size
        negative = False
        if at < end and (data[at] == 45 or data[at] == 43):
            negative = data[at] == 45
            at += 1
        mantissa = 0
        digits = 0
        scale = 0
        seen = False
        point = False
        good = True
        while at < end:
            byte = data[at]
            if 48 <= byte <= 57:
                seen = True
                if digits > 0 or byte != 48:
                    digits += 1
                if digits > 15:
                    good = False
                    break
                mantissa = mantissa * 10 + byte - 48
                if point:
                    scale += 1
            elif byte == 46 and not point:
                point = True
            else:
                good = False
                break
            at += 1
        if not good or not seen or scale > 22:
            status[i] = SLOW
            continue
        value = np.float64(mantissa) / _POWERS[scale]
        out[i] = -value if negative else value
        status[i] = NUMBER
