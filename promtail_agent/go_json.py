"""How does Go read and write JSON, where Python's libraries differ? As lines of Promtail show it.

Bytes that are no text and halves of a surrogate pair are U+FFFD, and no reason to refuse a line.
Written numbers are floats in their shortest form; `<`, `>`, `&`, U+2028 and U+2029 are escaped.
"""

import json
import math
import re
from decimal import Decimal

import orjson

_HEX = "[0-9a-fA-F]"
_PAIR = rf"u[dD][89abAB]{_HEX}{{2}}\\u[dD][c-fC-F]{_HEX}{{2}}"
_HALF = rf"u[dD][89a-fA-F]{_HEX}{{2}}"
_ESCAPE = re.compile(rf"\\(?:{_PAIR}|({_HALF})|.)", re.DOTALL)
"""A whole surrogate pair, half a one (the group), or another escape."""
_MARKS = {ord(mark): f"\\u{ord(mark):04x}" for mark in "<>&\u2028\u2029"}


def read_json(text: bytes) -> object:
    """The value of a JSON text; raises `ValueError`."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        if text.lstrip()[:1] != b"{" or (text.isascii() and b"\\u" not in text):
            raise
    readable = _ESCAPE.sub(_whole, text.decode("utf-8", "replace"))
    return orjson.loads(readable)


def _whole(found: re.Match[str]) -> str:
    return found[0] if found[1] is None else "\\ufffd"


def json_text(value: object) -> str | None:
    """The value as JSON, names sorted; None where it is nested some hundreds deep."""
    try:
        return _written(value).translate(_MARKS)
    except RecursionError:
        return None


def _written(value: object) -> str:
    match value:
        case dict():
            members = (f"{_quoted(name)}:{_written(value[name])}" for name in sorted(value))
            return f"{{{','.join(members)}}}"
        case list():
            return f"[{','.join(map(_written, value))}]"
        case bool() | None:
            return json.dumps(value)
        case int() | float():
            return _number(float(value))
        case _:
            return _quoted(str(value))


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _number(value: float) -> str:
    """Digits only, from 1e-6 up to 1e21; else with an exponent of as few digits as possible."""
    if value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    text = repr(value)
    if value == 0 or 1e-6 <= abs(value) < 1e21 or not math.isfinite(value):
        return format(Decimal(text), "f").removesuffix(".0")
    mantissa, _, exponent = text.partition("e")
    return f"{mantissa.removesuffix('.0')}e{exponent[0]}{exponent[1:].lstrip('0')}"
