"""How do values become numbers? By the rules of Go's casts: what cannot be read is 0.

Integers are read as Go constants (`0x1f`, `0b11`, `017` and `0o17` in octal, `1_000`); of a decimal
fraction the whole part counts. Blanks are not trimmed.
"""

import math
import re  # our own patterns over numbers

from narfi.core.errors import AppError
from narfi.core.text.template.values import basic_kind, unboxed, wrap64
from narfi.core.units import parse_float

MIN_INT64, MAX_INT64 = -(1 << 63), (1 << 63) - 1
_DECIMAL = re.compile(r"([-+]?[0-9]*)(?:\.[0-9]*)?", re.ASCII)
_CONSTANT = re.compile(
    r"([+-]?)(?:0[xX]((?:_?[0-9a-fA-F])+)|0[bB]((?:_?[01])+)|0[oO]?((?:_?[0-7])+)"
    r"|(0|[1-9](?:_?[0-9])*))",
    re.ASCII,
)


def parse_integer(text: str) -> int | None:
    """An integer constant of any size; None when it is none."""
    found = _CONSTANT.fullmatch(text)
    if found is None:
        return None
    sign, hexadecimal, binary, octal, decimal = found.groups()
    for digits, base in ((hexadecimal, 16), (binary, 2), (octal, 8), (decimal, 10)):
        if digits is not None and len(digits) <= 4000:  # Python reads no longer ones
            value = int(digits.replace("_", ""), base)
            return -value if sign == "-" else value
    return None


def to_int(value: object) -> int:
    """An int64 (as a plain `int`)."""
    value = unboxed(value)
    match basic_kind(value):
        case "int" | "uint" | "bool":
            return int(value)  # type: ignore[call-overload, no-any-return]
        case "float":
            return truncated(value)  # type: ignore[arg-type]
        case "string":
            return _integer_of(str(value))
    return 0


def truncated(value: float) -> int:
    """A float as an int64; what does not fit is the smallest one, as on the usual machines."""
    if not -(2.0**63) <= value < 2.0**63:  # NaN, too
        return MIN_INT64
    return math.trunc(value)


def _integer_of(text: str) -> int:
    if "." in text:
        found = _DECIMAL.fullmatch(text)
        if found is None:
            return 0
        text = found.group(1)
        if text.strip("+-") == "":
            return 0
    value = parse_integer(text)
    return 0 if value is None or wrap64(value) != value else value


def to_float(value: object) -> float:
    """A float64."""
    value = unboxed(value)
    match basic_kind(value):
        case "int" | "uint" | "bool" | "float":
            return float(value)  # type: ignore[arg-type]
        case "string":
            try:
                return parse_float(str(value))
            except AppError:
                return 0.0
    return 0.0
