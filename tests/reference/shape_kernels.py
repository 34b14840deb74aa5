"""The kernels of shapes, slow and obvious: profiles of values, and texts of typed values."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from storage.lines.template import classes_of

_CANONICAL = re.compile(rb"-?(0|[1-9][0-9]*)(\.[0-9]+)?")
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


@dataclass(frozen=True, kw_only=True)
class Profile:
    """What values have in common; the numbers' part only where all are canonical decimals."""

    same: bool
    lengths: tuple[int, int]
    classes: int
    decimal: tuple[int, int, int, int] | None  # least, most decimals; most with a final 0; whole
    prefix: int
    suffix: int


def profile(values: Sequence[bytes]) -> Profile:
    """The profile of one or more values."""
    classes = 0
    for value in values:
        classes |= classes_of(value)
    return Profile(
        same=len(set(values)) == 1,
        lengths=(min(map(len, values)), max(map(len, values))),
        classes=classes,
        decimal=_decimal(values),
        prefix=_shared(values),
        suffix=_shared([value[::-1] for value in values]),
    )


def _shared(values: Sequence[bytes]) -> int:
    """Bytes that all begin with."""
    return next(
        (k for k in range(min(map(len, values))) if len({value[k] for value in values}) > 1),
        min(map(len, values)),
    )


def is_canonical(value: bytes) -> bool:
    """Whether a text is a decimal number as a program prints it; there is no negative zero."""
    minus_zero = value[:1] == b"-" and not value.strip(b"-0.")
    return bool(_CANONICAL.fullmatch(value)) and not minus_zero


def _decimal(values: Sequence[bytes]) -> tuple[int, int, int, int] | None:
    if not all(map(is_canonical, values)):
        return None
    parts = [value.lstrip(b"-").partition(b".") for value in values]
    scales = [len(fraction) for _, _, fraction in parts]
    zeros = [len(fraction) for _, _, fraction in parts if fraction.endswith(b"0")]
    return min(scales), max(scales), max(zeros, default=0), max(len(w) for w, _, _ in parts)


def print_decimal(value: int, scale: int, least: int, width: int) -> bytes:
    """A number of `scale` decimals; zeros at the end are left out beyond the first `least`."""
    digits = str(abs(value)).rjust(scale + width, "0")
    whole, fraction = digits[: len(digits) - scale], digits[len(digits) - scale :]
    while len(fraction) > least and fraction.endswith("0"):
        fraction = fraction[:-1]
    return f"{'-' if value < 0 else ''}{whole}{'.' if fraction else ''}{fraction}".encode()


def parse_address(text: bytes) -> int | None:
    """A dotted address; None when it is not printed as it would be."""
    parts = text.split(b".")
    if len(parts) != 4 or not all(part.isdigit() and len(part) <= 3 for part in parts):
        return None
    numbers = [int(part) for part in parts]
    if max(numbers) > 255 or ".".join(map(str, numbers)).encode() != text:
        return None
    return int.from_bytes(bytes(numbers), "big")


def parse_time(text: bytes, layout: bytes) -> int | None:
    """A time of a layout in its units since the epoch; None when there is no such time."""
    found: dict[str, str] = dict.fromkeys("YMDhmsfb", "")
    if len(text) != len(layout):
        return None
    for char, mark in zip(text.decode("latin-1"), layout.decode("latin-1"), strict=True):
        if mark in found:
            found[mark] += char
        elif char != mark:
            return None
    digits = "".join(value for mark, value in found.items() if mark != "b")
    if not (digits.isascii() and digits.isdigit()):
        return None
    if found["b"] and found["b"] not in _MONTHS:
        return None
    month = _MONTHS.index(found["b"]) + 1 if found["b"] else int(found["M"])
    try:
        year, day, hour, minute, second = (int(found[mark]) for mark in "YDhms")
        when = datetime(year, month, day, hour, minute, second)  # noqa: DTZ001 - has no zone
    except ValueError:
        return None
    if not 1700 <= when.year <= 2250:
        return None
    seconds = (when - datetime(1970, 1, 1)) // timedelta(seconds=1)  # noqa: DTZ001
    return int(seconds * 10 ** len(found["f"]) + int(found["f"] or "0"))
