"""How are floats written? Go's `strconv.FormatFloat`: shortest digits, hexadecimal, binary."""

import math

from narfi.core.units import format_go_value


def format_float(value: float, verb: str, precision: int | None) -> str:
    """A float by one of `e E f F g G x X b`; without a precision as few digits as name it."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    match verb:
        case "x" | "X":
            text = _hexadecimal(value, precision)
            return text.upper() if verb == "X" else text
        case "b":
            return _binary(value)
        case "g" | "G" if precision is None:
            text = format_go_value(value)
            return text.upper() if verb == "G" else text
    if verb in "gG":
        precision = max(precision or 0, 1)
    return format(value, f".{precision}{verb}")


def _parts(value: float) -> tuple[str, int, int]:
    """(sign, mantissa of 53 bits, exponent) so that the value is mantissa x 2^exponent."""
    sign = "-" if math.copysign(1, value) < 0 else ""
    mantissa, exponent = math.frexp(abs(value))
    return sign, int(mantissa * 2**53), exponent - 53


def _binary(value: float) -> str:
    sign, mantissa, exponent = _parts(value)
    if exponent < -1074:  # denormal, or zero
        mantissa, exponent = mantissa >> (-1074 - exponent), -1074
    if value == 0:
        exponent = -1074
    return f"{sign}{mantissa}p{exponent:+d}"


def _hexadecimal(value: float, precision: int | None) -> str:
    sign, mantissa, exponent = _parts(value)
    if value == 0:
        digits = "" if not precision else "." + "0" * precision
        return f"{sign}0x0{digits}p+00"
    exponent += 52
    if precision is not None and precision < 13:
        shift = 52 - 4 * precision
        rest, half = mantissa & ((1 << shift) - 1), 1 << (shift - 1)
        mantissa >>= shift
        if rest > half or (rest == half and mantissa & 1):
            mantissa += 1
        mantissa <<= shift
        if mantissa >> 53:
            mantissa, exponent = mantissa >> 1, exponent + 1
    digits = f"{mantissa & ((1 << 52) - 1):013x}"
    digits = digits.rstrip("0") if precision is None else digits.ljust(precision, "0")[:precision]
    tail = f".{digits}" if digits else ""
    return f"{sign}0x1{tail}p{exponent:+03d}"
