"""What do constants say? Numbers, characters and quoted strings as Go writes them."""

from dataclasses import dataclass

from narfi.core.errors import AppError
from narfi.core.labels import quote
from narfi.core.text.template.casts import MAX_INT64, MIN_INT64, parse_integer, truncated
from narfi.core.units import parse_float

_ESCAPES = {"a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "\\": 92}
_NUMBERED = {"x": (2, 16), "u": (4, 16), "U": (8, 16)}


class ConstantError(ValueError):
    """A constant that is none; the text is Go's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """What a number constant can stand for; `value` is what it is where any type will do.

    `value` is None for an integer beyond an int.
    """

    integer: int | None
    real: float | None
    value: int | float | complex | None


def parse_character(source: str) -> Number:
    """The number of a character constant."""
    inner = source[1:-1]
    if not inner:
        raise ConstantError("invalid syntax")
    size = _escape_size(inner) if inner[0] == "\\" else 1
    data = unquote(inner[:size], "'")
    if len(inner) != size:
        raise ConstantError(f"malformed character constant: {source}")
    is_byte = inner[0] == "\\" and len(data) == 1
    code = data[0] if is_byte else ord(data.decode("utf-8", "replace")[0])
    return Number(integer=code, real=float(code), value=code)


def _escape_size(text: str) -> int:
    kind = text[1:2]
    return 2 + _NUMBERED[kind][0] if kind in _NUMBERED else 4 if kind in "01234567" else 2


def parse_number(source: str) -> Number:
    """A number constant."""
    if source.endswith("i"):
        return _complex(source)
    integer = parse_integer(source)
    if integer is not None and MIN_INT64 <= integer < 1 << 64:
        if integer > MAX_INT64:
            return Number(integer=None, real=float(integer), value=None)
        value: int | float = integer
        if _looks_real(source):
            value = float(integer)
        return Number(integer=integer, real=float(integer), value=value)
    try:
        real = parse_float(source)
    except AppError:
        raise ConstantError(f"illegal number syntax: {quote(source)}") from None
    if not any(char in source for char in ".eEpP"):
        raise ConstantError(f"integer overflow: {quote(source)}")
    whole = truncated(real) if float(truncated(real)) == real else None
    value = whole if whole is not None and not _looks_real(source) else real
    return Number(integer=whole, real=real, value=value)


def _looks_real(source: str) -> bool:
    """Whether a constant is a float64 where any type will do."""
    is_hexadecimal = source[:2] in ("0x", "0X") and not any(char in source for char in "pP")
    return not is_hexadecimal and any(char in source for char in ".eEpP")


def _complex(source: str) -> Number:
    """`2i`, `1+2i`."""
    body = source[:-1]
    cut = max(body.rfind(sign) for sign in "+-")
    while cut > 0 and body[cut - 1] in "eEpP":
        cut = max(body.rfind(sign, 0, cut) for sign in "+-")
    try:
        real = parse_float(body[:cut]) if cut > 0 else 0.0
        value = complex(real, parse_float(body[max(cut, 0) :]))
    except AppError:
        message = f"illegal number syntax: {quote(source)}"
        if cut > 0:
            message = "syntax error scanning complex number"
        raise ConstantError(message) from None
    if value.imag:
        return Number(integer=None, real=None, value=value)
    whole = truncated(real) if float(truncated(real)) == real else None
    return Number(integer=whole, real=real, value=value)


def parse_string(source: str) -> str:
    """The text of a quoted or raw string."""
    inner = source[1:-1]
    if source[0] == "`":
        return inner.replace("\r", "")
    return unquote(inner, '"').decode("utf-8", "surrogateescape")


def unquote(text: str, mark: str) -> bytes:
    """The bytes of what stands between quotes; only their own `mark` may be escaped."""
    out = bytearray()
    at = 0
    while at < len(text):
        if text[at] != "\\":
            out += text[at].encode("utf-8", "surrogateescape")
            at += 1
            continue
        kind = text[at + 1 : at + 2]
        if kind in _ESCAPES or (kind and kind == mark):
            out.append(_ESCAPES.get(kind, ord(kind)))
            at += 2
            continue
        at = _numbered(text, at, out)
    return bytes(out)


def _numbered(text: str, at: int, out: bytearray) -> int:
    """Add what `\\x41`, `\\u0041` or `\\101` says; the place behind it."""
    kind = text[at + 1 : at + 2]
    size, base = _NUMBERED.get(kind, (3, 8))
    begin = at + (2 if kind in _NUMBERED else 1)
    digits = text[begin : begin + size]
    allowed = "0123456789abcdefABCDEF" if base == 16 else "01234567"
    if len(digits) < size or any(digit not in allowed for digit in digits):
        raise ConstantError("invalid syntax")
    code = int(digits, base)
    if kind in ("u", "U"):
        if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
            raise ConstantError("invalid syntax")
        out += chr(code).encode()
    elif code > 255:
        raise ConstantError("invalid syntax")
    else:
        out.append(code)
    return begin + size
