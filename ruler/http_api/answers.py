"""How are answers written? The envelopes, times and numbers that were recorded."""

import json
import math
from collections.abc import Sequence
from datetime import UTC, datetime

import orjson
from fastapi import Response

from narfi.core.clock import NS_PER_S
from narfi.core.errors import shortened
from narfi.core.units import decimal_digits

NEVER = "0001-01-01T00:00:00Z"
TEXT = "text/plain; charset=utf-8"
JSON = "application/json"
YAML = "application/yaml"
MOST_CHARS = 1 << 16
"""Of an error: a group may have very many rules that are wrong."""


def envelope(data: object, status: int = 200, warnings: Sequence[str] = ()) -> Response:
    """A success; `<`, `>` and `&` are escaped as Go does."""
    body = {"status": "success", "data": data, "errorType": "", "error": ""}
    if warnings:
        body["warnings"] = warnings
    return Response(_json(body), status, headers={"Content-Type": JSON})


def failure(error_type: str, message: str, status: int) -> Response:
    """An error in an envelope."""
    body = {"status": "error", "data": None, "errorType": error_type, "error": message}
    return Response(_json(body), status, headers={"Content-Type": JSON})


def text(message: str, status: int) -> Response:
    """An error as plain text."""
    body = f"{shortened(message, MOST_CHARS)}\n".encode("utf-8", "replace")
    return Response(body, status, {"X-Content-Type-Options": "nosniff"}, TEXT)


def yaml_answer(body: bytes) -> Response:
    """YAML."""
    return Response(body, headers={"Content-Type": YAML})


def _json(body: object) -> bytes:
    try:
        made = orjson.dumps(body)
    except TypeError:  # a label's bytes that are no UTF-8
        made = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
    for char, escape in ((b"<", b"\\u003c"), (b">", b"\\u003e"), (b"&", b"\\u0026")):
        made = made.replace(char, escape)
    return made


def time_text(ts_ns: int) -> str:
    """RFC 3339 in UTC with as many digits as it needs; Go's zero time for never."""
    if ts_ns == 0:
        return NEVER
    seconds, fraction = divmod(ts_ns, NS_PER_S)
    digits = f"{fraction:09d}".rstrip("0")
    whole = datetime.fromtimestamp(seconds, UTC)
    return f"{whole:%Y-%m-%dT%H:%M:%S}{'.' if digits else ''}{digits}Z"


def exponent_text(value: float) -> str:
    """The shortest digits with an exponent: `1.2345e+03`."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    digits, exponent = ("0", 0) if value == 0 else decimal_digits(value)
    sign = "-" if math.copysign(1, value) < 0 else ""
    tail = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{tail}e{exponent:+03d}"


def number(value: float) -> float | int:
    """Seconds as JSON: whole ones without a point, as recorded."""
    return int(value) if value == int(value) else value
