"""Which functions take values of any kind, and times? JSON, defaults, dates (logql.md §8.3)."""

import json
import math
import re  # our own pattern over numbers
import time
from collections.abc import Mapping

from narfi.core.labels import quote
from narfi.core.text.template.errors import CallError
from narfi.core.text.template.layouts import format_time
from narfi.core.text.template.signatures import Function, function
from narfi.core.text.template.time_reading import parse_time
from narfi.core.text.template.values import INVALID, basic_kind, is_true, runes, wrap64
from narfi.core.text.template.zones import (
    DAY_S,
    LOCAL_ZONE,
    NS_PER_S,
    UTC_ZONE,
    Moment,
    find_zone,
)

_INTEGER = re.compile(r"[+-]?[0-9]+", re.ASCII)
_UNIT_NS = {5: DAY_S * NS_PER_S, 10: NS_PER_S, 13: 10**6, 16: 10**3, 19: 1}
"""What a number of so many characters counts: days, s, ms, µs, ns."""


def _from_json(text: str) -> object:
    """The value of a JSON text; nil for what is none. Numbers become floats."""
    try:
        return _json_value(
            json.loads(
                runes(text),
                parse_int=_json_number,
                parse_float=_json_number,
                parse_constant=_no_constant,
            )
        )
    except RecursionError:
        raise CallError("JSON is nested too deeply") from None
    except ValueError:
        return INVALID


def _json_number(text: str) -> object:
    value = float(text)
    return None if math.isinf(value) else value


def _no_constant(name: str) -> object:
    raise ValueError(name)


def _json_value(value: object) -> object:
    match value:
        case None:
            return INVALID
        case str():
            return _whole_text(value)
        case list():
            return [_json_value(item) for item in value]
        case dict():
            return {_whole_text(key): _json_value(item) for key, item in value.items()}
    return value


def _whole_text(text: str) -> str:
    """Halves of surrogate pairs become U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _default(default: object, *given: object) -> object:
    """The first value given, unless it is empty; a time is never empty."""
    return given[0] if given and is_true(given[0]) else default


def _date(layout: str, when: object) -> str:
    """In the server's zone; integers are seconds, anything else is now."""
    if isinstance(when, Moment):
        ns = when.ns
    elif basic_kind(when) == "int" and type(when).__name__ in ("int", "Int64"):
        ns = int(when) * NS_PER_S  # type: ignore[call-overload]
    else:
        ns = time.time_ns()
    return format_time(layout, Moment(ns, LOCAL_ZONE))


def _unix_to_time(text: str) -> Moment:
    reason = "%!w(<nil>)"
    if _INTEGER.fullmatch(text) is None:
        reason = f"strconv.ParseInt: parsing {quote(text)}: invalid syntax"
    elif len(text) > 100 or wrap64(int(text)) != int(text):
        reason = f"strconv.ParseInt: parsing {quote(text)}: value out of range"
    elif len(text) in _UNIT_NS:
        return Moment(int(text) * _UNIT_NS[len(text)], LOCAL_ZONE)
    raise CallError(f"unable to parse time '{text}': {reason}")


VALUE_FUNCTIONS: Mapping[str, Function] = {
    "fromJson": function("string", _from_json),
    "default": function("any ...any", _default),
    "now": function("", lambda: Moment(time.time_ns(), LOCAL_ZONE)),
    "date": function("string any", _date),
    "toDate": function("string string", lambda layout, s: parse_time(layout, s, LOCAL_ZONE)),
    "toDateInZone": function(
        "string string string",
        lambda layout, zone, s: parse_time(layout, s, find_zone(zone) or UTC_ZONE),
    ),
    "unixEpoch": function("time", lambda when: str(when.unix_s)),
    "unixEpochMillis": function("time", lambda when: str(wrap64(when.ns // 10**6))),
    "unixEpochNanos": function("time", lambda when: str(wrap64(when.ns))),
    "unixToTime": function("string", _unix_to_time),
}
