"""Of what type and unit is a field? By its values, the columns in which they lie, and its name."""

import re  # our own patterns over short texts
from collections.abc import Collection
from functools import lru_cache
from ipaddress import ip_address

from narfi.core.errors import AppError
from narfi.core.units import parse_bytes, parse_go_duration
from querier.explore.detected import kind_of
from storage.lines.template import Hole, HoleKind

TEXT, INTEGER, NUMBER, BOOLEAN = "text", "integer", "number", "boolean"
DURATION, BYTES, TIME, IP = "duration", "bytes", "time", "ip"

_TYPES = {
    "int": INTEGER,
    "float": NUMBER,
    "boolean": BOOLEAN,
    "duration": DURATION,
    "bytes": BYTES,
    "string": TEXT,
}
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}")
_UNITS = (
    ("ns", ("ns", "nanos", "nanoseconds")),
    ("us", ("us", "micros", "microseconds")),
    ("ms", ("ms", "msec", "millis", "milliseconds")),
    ("s", ("s", "sec", "secs", "seconds")),
    ("bytes", ("bytes", "byte")),
)


@lru_cache(1 << 12)
def type_of_text(text: str) -> str:
    """Of one value."""
    if text in ("true", "false"):
        return BOOLEAN
    found = kind_of(text)
    if found == "boolean":
        return TEXT  # `t`, `F`: letters that mean something else, mostly
    if found != "string":
        return _TYPES[found]
    if _TIME.match(text):
        return TIME
    return IP if _is_ip(text) else TEXT


def type_of_hole(hole: Hole) -> str | None:
    """Of the values of a typed column; None where a value tells more."""
    match hole.type.kind:
        case HoleKind.NUMBER:
            return NUMBER if hole.type.scale else INTEGER
        case HoleKind.IPV4:
            return IP
        case HoleKind.TIME:
            return TIME
        case _:
            return None


def common_type(types: Collection[str]) -> str:
    """Of values of several types: what all of them are."""
    found = set(types)
    if len(found) == 1:
        return found.pop()
    return NUMBER if found == {INTEGER, NUMBER} else TEXT


def unit_of(name: str, kind: str) -> str | None:
    """`ms`, `bytes` and the like, by the type or the end of the name; None: not known."""
    if kind == DURATION:
        return "ms"
    if kind == BYTES:
        return "bytes"
    if kind not in (INTEGER, NUMBER):
        return None
    last = re.split(r"[^a-z]+", name.lower())[-1]
    return next((unit for unit, ends in _UNITS if last in ends), None)


def number_of(text: str) -> float | None:
    """What a value means as a number: of a duration its ms, of a size its bytes."""
    kind = type_of_text(text)
    try:
        if kind in (INTEGER, NUMBER):
            return float(text)
        if kind == DURATION:
            return parse_go_duration(text) / 1e6
        if kind == BYTES:
            return float(parse_bytes(text))
    except (AppError, ValueError):
        return None
    return None


def _is_ip(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
