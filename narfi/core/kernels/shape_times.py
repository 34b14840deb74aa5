"""Which time does a text mean, by a layout? Read by address, one text at a time.

A layout has `Y`x4, `M` `D` `h` `m` `s` x2, `b`x3 (month's name), `f` (digits of the fraction), and
literal bytes elsewhere.
"""

import numpy as np

from narfi.core.kernels.address import load8
from narfi.core.kernels.jit import kernel

NO_TIME = -(1 << 62)
"""Told from every time of the years that are taken, in nanoseconds too."""

_MONTHS = np.frombuffer(b"JanFebMarAprMayJunJulAugSepOctNovDec", np.uint8).copy()
_DAYS = np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31], np.int64)


@kernel()
def _two(at: int) -> int:
    """The number of two digits; below 0 when one is none."""
    high, low = load8(at) - 48, load8(at + 1) - 48
    if high < 0 or high > 9 or low < 0 or low > 9:
        return -1
    return high * 10 + low


@kernel()
def _month(at: int) -> int:
    """The number of a month's name; 0 when it is none."""
    for m in range(12):
        if (
            load8(at) == _MONTHS[3 * m]
            and load8(at + 1) == _MONTHS[3 * m + 1]
            and load8(at + 2) == _MONTHS[3 * m + 2]
        ):
            return m + 1
    return 0


@kernel()
def _day_number(year: int, month: int, day: int) -> int:
    """Days since the epoch; NO_TIME for a day that there is not."""
    if month < 1 or month > 12 or day < 1 or year < 1700 or year > 2250:
        return NO_TIME
    last = _DAYS[month - 1]
    if month == 2 and year % 4 == 0 and (year % 100 != 0 or year % 400 == 0):
        last = 29
    if day > last:
        return NO_TIME
    y = year - 1 if month <= 2 else year
    era = y // 400
    yoe = y - era * 400
    moved = month - 3 if month > 2 else month + 9
    doy = (153 * moved + 2) // 5 + day - 1
    doe = yoe * 365 + yoe // 4 - yoe // 100 + doy
    return era * 146097 + doe - 719468


@kernel()
def time_value(at: int, layout: int, width: int) -> int:
    """The time of `width` bytes, as seconds since the epoch times 10 to the number of `f`.

    NO_TIME where they are none; all of them can be read.
    """
    year, month, day, hour, minute, second = 0, 1, 1, 0, 0, 0
    fraction, factor = 0, 1
    k = 0
    while k < width:
        mark = load8(layout + k)
        if mark == 102:
            digit = load8(at + k) - 48
            if digit < 0 or digit > 9:
                return NO_TIME
            fraction = fraction * 10 + digit
            factor *= 10
            k += 1
        elif mark == 98:
            month = _month(at + k)
            k += 3
        elif mark == 89 or mark == 77 or mark == 68 or mark == 104 or mark == 109 or mark == 115:
            value = _two(at + k)
            k += 2
            if value < 0:
                return NO_TIME
            if mark == 89:
                low = _two(at + k)
                k += 2
                if low < 0:
                    return NO_TIME
                year = value * 100 + low
            elif mark == 77:
                month = value
            elif mark == 68:
                day = value
            elif mark == 104:
                hour = value
            elif mark == 109:
                minute = value
            else:
                second = value
        elif load8(at + k) == mark:
            k += 1
        else:
            return NO_TIME
    days = _day_number(year, month, day)
    if days == NO_TIME or hour > 23 or minute > 59 or second > 59:
        return NO_TIME
    return (((days * 24 + hour) * 60 + minute) * 60 + second) * factor + fraction
