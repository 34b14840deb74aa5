"""How are durations, sizes and numbers written? As Go and Prometheus do, texts of errors included.

Durations are integers of nanoseconds. Three grammars: Go's (`1h30m`, fractions), Prometheus' (`1d`,
integers only) and humanised sizes (`1.5MiB`); reference/logql.md §1, §7 and http-api.md §0.3.
"""

import math
import re  # our own patterns over short texts
from decimal import Decimal

from narfi.core.errors import InvalidRequestError
from narfi.core.labels import quote

NS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,  # micro sign
    "μs": 1_000,  # Greek mu
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
DAY_NS = 24 * NS["h"]
PROMETHEUS_NS = {
    "y": 365 * DAY_NS,
    "w": 7 * DAY_NS,
    "d": DAY_NS,
    "h": NS["h"],
    "m": NS["m"],
    "s": NS["s"],
    "ms": NS["ms"],
}
MAX_INT64 = 2**63 - 1
MAX_DIGITS = 19
"""Digits of the largest 64-bit integer."""

SIZES = {
    "": 1,
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
    "pb": 10**15,
    "eb": 10**18,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
    "tib": 2**40,
    "pib": 2**50,
    "eib": 2**60,
    "k": 10**3,
    "m": 10**6,
    "g": 10**9,
    "t": 10**12,
    "p": 10**15,
    "e": 10**18,
    "ki": 2**10,
    "mi": 2**20,
    "gi": 2**30,
    "ti": 2**40,
    "pi": 2**50,
    "ei": 2**60,
}


class UnitError(InvalidRequestError):
    """A text that is no duration, size or number; the message is Go's."""


# our own patterns over short texts, not the user's patterns
_GO_PART = re.compile(r"([0-9]*)(\.([0-9]*))?([^0-9.]*)", re.ASCII)
_INTEGER = re.compile(r"[+-]?[0-9]+")
_PROMETHEUS_PART = re.compile(r"([0-9]+)([^0-9]*)")
_DECIMAL = re.compile(r"[+-]?(?=[0-9_]*\.?[0-9_]*[0-9])[0-9_]*\.?[0-9_]*(?:[eE][+-]?[0-9][0-9_]*)?")
_HEXADECIMAL = re.compile(
    r"[+-]?0[xX](?=[0-9a-fA-F_]*\.?[0-9a-fA-F_]*[0-9a-fA-F])[0-9a-fA-F_]*\.?[0-9a-fA-F_]*"
    r"[pP][+-]?[0-9][0-9_]*"
)
_SPECIAL = re.compile(r"[+-]?inf(inity)?|nan", re.IGNORECASE)


def parse_int(text: str, function: str = "strconv.ParseInt") -> int:
    """Go's `strconv.ParseInt` (or `Atoi`) of a decimal 64-bit integer; raises with its text."""
    if not _INTEGER.fullmatch(text):
        raise UnitError(f"{function}: parsing {quote(text)}: invalid syntax")
    value = int(text) if len(text) <= MAX_DIGITS else _long_int(text)
    if not -MAX_INT64 - 1 <= value <= MAX_INT64:
        raise UnitError(f"{function}: parsing {quote(text)}: value out of range")
    return value


def _long_int(text: str) -> int:
    """As `int`, which refuses very long texts; leading zeros do not make a number large."""
    sign = -1 if text[0] == "-" else 1
    digits = text.lstrip("+-").lstrip("0")
    return sign * (int(digits or "0") if len(digits) <= MAX_DIGITS else MAX_INT64 + 2)


def parse_go_duration(text: str) -> int:
    """Go's `time.ParseDuration` in ns; raises with Go's text."""
    sign, rest = 1, text
    if rest[:1] in ("-", "+"):
        sign, rest = (-1 if rest[0] == "-" else 1), rest[1:]
    if rest == "0":
        return 0
    if not rest:
        raise _no_duration(text)
    total = 0
    while rest:
        match = _GO_PART.match(rest)
        assert match is not None
        whole, _, fraction, unit = match.groups()
        whole, empty = whole.lstrip("0"), not whole and not fraction
        if empty or _is_beyond_int64(whole):
            raise _no_duration(text)
        if not unit:
            raise UnitError(f"time: missing unit in duration {_time_quote(text)}")
        if unit not in NS:
            message = f"time: unknown unit {_time_quote(unit)} in duration {_time_quote(text)}"
            raise UnitError(message)
        total += int(whole or "0") * NS[unit] + _fraction_ns(fraction or "", NS[unit])
        if total > MAX_INT64 + 1:
            raise _no_duration(text)
        rest = rest[match.end() :]
    if total > MAX_INT64 and sign > 0:
        raise _no_duration(text)
    return sign * total


def _no_duration(text: str) -> UnitError:
    return UnitError(f"time: invalid duration {_time_quote(text)}")


def _is_beyond_int64(digits: str) -> bool:
    """Whether digits, of which there may be any number but no leading zero, say more than 2^63."""
    return len(digits) > 19 or int(digits or "0") > MAX_INT64 + 1


def _fraction_ns(digits: str, unit_ns: int) -> int:
    """Nanoseconds of a decimal fraction, in the floating point arithmetic that Go uses."""
    value, scale = 0, 1.0
    for digit in digits:
        if value > MAX_INT64 // 10 or value * 10 + int(digit) > MAX_INT64 + 1:
            break
        value = value * 10 + int(digit)
        scale *= 10
    return int(value * (unit_ns / scale))


def _time_quote(text: str) -> str:
    """The quotes of Go's time package: bytes outside printable ASCII as `\\xc2`."""
    out = []
    for byte in text.encode("utf-8", "surrogateescape"):
        char = chr(byte)
        if byte >= 0x80 or byte < 0x20:
            out.append(f"\\x{byte:02x}")
        else:
            out.append(f"\\{char}" if char in '"\\' else char)
    return '"' + "".join(out) + '"'


def parse_prometheus_duration(text: str) -> int:
    """Prometheus' duration in ns: integers, each unit once, big to small; `0` alone is zero."""
    if not text:
        raise UnitError("empty duration string")
    if text == "0":
        return 0
    total, rest = 0, text
    order = list(PROMETHEUS_NS)
    position = -1
    while rest:
        match = _PROMETHEUS_PART.match(rest)
        if match is None:
            raise UnitError(f"not a valid duration string: {quote(text)}")
        digits, unit = match.group(1).lstrip("0") or "0", match.group(2)
        if not unit:
            raise UnitError(f"not a valid duration string: {quote(text)}")
        if unit not in PROMETHEUS_NS:
            raise UnitError(f"unknown unit {quote(unit)} in duration {quote(text)}")
        if order.index(unit) <= position:
            raise UnitError(f"not a valid duration string: {quote(text)}")
        position = order.index(unit)
        digits = digits.lstrip("0") or "0"
        if _is_beyond_int64(digits):
            raise UnitError("duration out of range")
        total += int(digits) * PROMETHEUS_NS[unit]
        rest = rest[match.end() :]
    if total > MAX_INT64:
        raise UnitError("duration out of range")
    return total


def format_go_duration(value_ns: int) -> str:
    """Go's `Duration.String`: `1h0m0s`, `1.5s`, `250ms`, `0s`."""
    if value_ns == 0:
        return "0s"
    sign, rest = ("-", -value_ns) if value_ns < 0 else ("", value_ns)
    if rest < NS["s"]:
        for unit in ("ms", "µs", "ns"):
            if rest >= NS[unit]:
                return f"{sign}{_decimal(rest, NS[unit])}{unit}"
    hours, rest = divmod(rest, NS["h"])
    minutes, rest = divmod(rest, NS["m"])
    seconds = f"{_decimal(rest, NS['s'])}s"
    if hours:
        return f"{sign}{hours}h{minutes}m{seconds}"
    return f"{sign}{minutes}m{seconds}" if minutes else f"{sign}{seconds}"


def _decimal(value: int, unit: int) -> str:
    whole, rest = divmod(value, unit)
    if not rest:
        return str(whole)
    fraction = str(rest).rjust(len(str(unit)) - 1, "0").rstrip("0")
    return f"{whole}.{fraction}"


def format_prometheus_duration(value_ns: int) -> str:
    """Prometheus' `Duration.String`: `1d12h`, `90s` as `1m30s`; weeks and years only when exact."""
    millis = abs(value_ns) // NS["ms"]
    if millis == 0:
        return "0s"
    sign = "-" if value_ns < 0 else ""
    out = []
    for unit in ("y", "w"):
        size = PROMETHEUS_NS[unit] // NS["ms"]
        if millis % size == 0:
            return f"{sign}{millis // size}{unit}"
    for unit in ("d", "h", "m", "s", "ms"):
        size = PROMETHEUS_NS[unit] // NS["ms"]
        count, millis = divmod(millis, size)
        if count:
            out.append(f"{count}{unit}")
    return sign + "".join(out)


def parse_bytes(text: str) -> int:
    """Humanised sizes (`1.5 MB`, `10mib`, `1,000`); raises with the texts that clients know."""
    digits = 0
    while digits < len(text) and (text[digits].isdecimal() or text[digits] in ".,"):
        digits += 1
    value = parse_float(text[:digits].replace(",", ""))
    unit = text[digits:].strip().lower()
    if unit not in SIZES:
        raise UnitError(f"unhandled size name: {unit}")
    size = value * SIZES[unit]
    if size >= 2**64:
        raise UnitError(f"too large: {text}")
    return int(size)


def format_bytes(value: int) -> str:
    """Powers of 1000 with one decimal below 10, as `humanize.Bytes`, without the space."""
    return _humanise(value, 1000, ("B", "kB", "MB", "GB", "TB", "PB", "EB"))


def shown_bytes(size: int) -> str:
    """Powers of 1024, one decimal below ten: `1.0 GiB`, `12 GiB`, `100 B`."""
    value, units = float(size), ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
    for unit in units:
        if value < 1024 or unit == units[-1]:
            return f"{value:.1f} {unit}" if value < 9.95 and unit != "B" else f"{value:.0f} {unit}"
        value /= 1024
    raise AssertionError("the last unit returns")


def _humanise(value: int, base: int, names: tuple[str, ...]) -> str:
    if value < 10:
        return f"{value}B"
    exponent = min(int(math.log(value) / math.log(base)), len(names) - 1)
    scaled = math.floor(value / base**exponent * 10 + 0.5) / 10
    return f"{scaled:.1f}{names[exponent]}" if scaled < 10 else f"{scaled:.0f}{names[exponent]}"


def parse_float(text: str) -> float:
    """Go's `strconv.ParseFloat`; raises with its text. Underscores may stand between digits."""
    if _SPECIAL.fullmatch(text):
        return float(text)
    hexadecimal = _HEXADECIMAL.fullmatch(text) is not None
    if not (hexadecimal or _DECIMAL.fullmatch(text)):
        raise _not_a_number(text)
    if "_" in text and not _underscores_ok(text, hexadecimal=hexadecimal):
        raise _not_a_number(text)
    plain = text.replace("_", "")
    try:
        value = float.fromhex(plain) if hexadecimal else float(plain)
    except OverflowError:
        value = math.inf
    if math.isinf(value):
        raise UnitError(f"strconv.ParseFloat: parsing {quote(text)}: value out of range")
    return value


def _underscores_ok(text: str, *, hexadecimal: bool) -> bool:
    """Whether each underscore stands between digits (or behind the prefix)."""
    digits = "0123456789abcdefABCDEF" if hexadecimal else "0123456789"
    body = text.lstrip("+-")
    before = hexadecimal
    for place in range(2 if hexadecimal else 0, len(body)):
        char = body[place]
        if char == "_" and not (before and body[place + 1 : place + 2] in tuple(digits)):
            return False
        before = char in digits
    return True


def _not_a_number(text: str) -> UnitError:
    return UnitError(f"strconv.ParseFloat: parsing {quote(text)}: invalid syntax")


def format_sample(value: float) -> str:
    """A sample value: the shortest decimal, never an exponent; `NaN`, `+Inf`, `-Inf`."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if value == int(value) and abs(value) < 1e16:
        return str(int(value)) if value or math.copysign(1, value) > 0 else "-0"
    text = repr(value)
    if "e" not in text:
        return text
    mantissa, exponent = text.split("e")
    return _shifted(mantissa, int(exponent))


def _shifted(mantissa: str, exponent: int) -> str:
    sign, digits = ("-", mantissa[1:]) if mantissa.startswith("-") else ("", mantissa)
    whole, _, fraction = digits.partition(".")
    place = len(whole) + exponent
    everything = whole + fraction
    if place <= 0:
        return f"{sign}0.{'0' * -place}{everything}".rstrip("0").rstrip(".")
    if place >= len(everything):
        return sign + everything + "0" * (place - len(everything))
    return f"{sign}{everything[:place]}.{everything[place:]}".rstrip("0").rstrip(".")


def format_fixed(value: float) -> str:
    """Go's `%f`: six digits behind the point; `NaN`, `+Inf`, `-Inf`."""
    return f"{value:f}" if math.isfinite(value) else format_sample(value)


def format_go_float(value: float) -> str:
    """Go's `%v` of a float64: `%g` with the shortest digits, exponents from 1e21 and below 1e-4."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    magnitude = abs(value)
    if value == 0 or 1e-4 <= magnitude < 1e21:
        return format_sample(value)
    mantissa, exponent = repr(value).split("e")  # Python, too, has exponents out there
    return f"{mantissa.removesuffix('.0')}e{int(exponent):+03d}"


def format_go_value(value: float) -> str:
    """`fmt.Sprint` of a float64: as `format_go_float`, but with exponents from 1e6."""
    if not math.isfinite(value) or 1e-4 <= abs(value) < 1e6 or value == 0:
        return format_go_float(value)
    mantissa, exponent = decimal_digits(value)
    sign = "-" if value < 0 else ""
    tail = f".{mantissa[1:]}" if len(mantissa) > 1 else ""
    return f"{sign}{mantissa[0]}{tail}e{exponent:+03d}"


def decimal_digits(value: float) -> tuple[str, int]:
    """(the shortest digits d1d2d3…, e) so that the finite value is ±d1.d2d3… x 10^e."""
    _, digits, exponent = Decimal(repr(value)).as_tuple()
    assert isinstance(exponent, int)
    text = "".join(map(str, digits))
    return text.rstrip("0") or "0", exponent + len(text) - 1
