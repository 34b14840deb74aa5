"""What kinds of values does a template know? Go's strings, ints, floats, bools, times, JSON values.

Python values stand for them; this module says how each is called, printed and converted.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from narfi.core.units import format_go_value

NO_VALUE = "<no value>"


class Nothing:
    """A nil or missing value."""


NIL = Nothing()


@dataclass(frozen=True, slots=True)
class Moment:
    """A time in ns since the epoch, shown in a zone `offset_s` from UTC."""

    ns: int
    zone: str = "UTC"
    offset_s: int = 0


def type_name(value: object) -> str:
    """The Go type in error texts."""
    match value:
        case bool():
            return "bool"
        case int():
            return "int"
        case float():
            return "float64"
        case str():
            return "string"
        case Moment():
            return "time.Time"
        case list():
            return "[]interface {}"
        case Mapping():
            return "map[string]interface {}"
    return "<nil>"


def is_true(value: object) -> bool:
    """Go's truth: not the zero value."""
    match value:
        case Nothing():
            return False
        case bool() | int() | float() | str():
            return bool(value)
        case list() | Mapping():
            return len(value) > 0
    return True


def go_text(value: object) -> str:
    """`fmt.Sprint` of one value."""
    match value:
        case Nothing():
            return NO_VALUE
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return format_go_value(value)
        case str():
            return value
        case list():
            return "[" + " ".join(_inner(item) for item in value) + "]"
        case Mapping():
            pairs = " ".join(f"{key}:{_inner(value[key])}" for key in sorted(value))
            return f"map[{pairs}]"
        case Moment():
            from narfi.core.text.template.times import format_time

            return format_time("2006-01-02 15:04:05.999999999 -0700 MST", value)
    return str(value)


def _inner(value: object) -> str:
    return "<nil>" if isinstance(value, Nothing) else go_text(value)


def to_int(value: object) -> int:
    """`toInt64`: unparsable is 0."""
    match value:
        case bool():
            return int(value)
        case int():
            return value
        case float():
            return int(value) if math.isfinite(value) else 0
        case str():
            try:
                return int(value.replace("_", "x"), 10 if not value.startswith("0x") else 16)
            except ValueError:
                plain = value.replace(".", "", 1).lstrip("+-").isdigit()
                return int(to_float(value)) if plain else 0
    return 0


def to_float(value: object) -> float:
    """`toFloat64`: unparsable is 0."""
    match value:
        case bool() | int() | float():
            return float(value)
        case str():
            try:
                return float(value.replace("_", "x"))
            except ValueError:
                return 0.0
    return 0.0
