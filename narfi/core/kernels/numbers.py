"""Which number or duration does a text hold? Exactly; everything unusual is left to the caller.

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


@kernel("void(cu8, ci64, ci32, float64[::1], uint8[::1])", soon=True)
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


EXACT_NS = 1 << 53
"""Durations beyond this are not exact in a float64."""


@kernel()
def unit_ns(data: U8, at: int, size: int) -> int:
    """Nanoseconds of a unit of Go's durations; 0: it is none."""
    first = data[at]
    if size == 1:
        if first == 115:  # s
            return 1_000_000_000
        if first == 109:  # m
            return 60_000_000_000
        return 3_600_000_000_000 if first == 104 else 0  # h
    if data[at + size - 1] != 115:
        return 0
    if size == 2:  # ns, us, ms
        if first == 110:
            return 1
        if first == 117:
            return 1_000
        return 1_000_000 if first == 109 else 0
    if size == 3:  # the micro sign, or the Greek letter
        second = data[at + 1]
        return 1_000 if (first, second) == (0xC2, 0xB5) or (first, second) == (0xCE, 0xBC) else 0
    return 0


@kernel("void(cu8, ci64, ci32, int64[::1], uint8[::1])")
def parse_durations(data: U8, start: I64, length: I32, out: I64, status: U8) -> None:
    """Nanoseconds of Go's durations, and a status per text; absent texts (-1) get ABSENT."""
    for i in range(start.shape[0]):
        if length[i] < 0:
            status[i] = ABSENT
            continue
        at, end = start[i], start[i] + length[i]
        status[i] = SLOW
        negative = False
        if at < end and (data[at] == 45 or data[at] == 43):
            negative = data[at] == 45
            at += 1
        total = 0
        good = at < end
        while good and at < end:
            whole, part, digits, scale = 0, 0, 0, 1.0
            point = False
            while at < end and (48 <= data[at] <= 57 or (data[at] == 46 and not point)):
                if data[at] == 46:
                    point = True
                else:
                    digits += 1
                    if digits > 15:
                        break
                    if point:
                        part = part * 10 + data[at] - 48
                        scale *= 10.0
                    else:
                        whole = whole * 10 + data[at] - 48
                at += 1
            unit = at
            while at < end and data[at] != 46 and not 48 <= data[at] <= 57:
                at += 1
            factor = unit_ns(data, unit, at - unit) if at > unit else 0
            good = 0 < digits <= 15 and factor > 0
            if good:
                good = np.float64(whole) * factor < EXACT_NS
            if good:
                total += whole * factor + int(part * (factor / scale))
                good = total < EXACT_NS
        if good:
            out[i] = -total if negative else total
            status[i] = NUMBER
