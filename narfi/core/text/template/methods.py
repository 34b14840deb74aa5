"""Which methods do values have? Those of Go's time.Time, Duration, Month, Weekday and Location.

Methods with several plain results exist, but a template cannot call them.
"""

import struct
from collections.abc import Mapping

from narfi.core.text.template.casts import MAX_INT64, MIN_INT64
from narfi.core.text.template.errors import CallError
from narfi.core.text.template.layouts import format_time
from narfi.core.text.template.printing import go_string_of, string_of
from narfi.core.text.template.signatures import Function, function
from narfi.core.text.template.values import Duration, Int64, Month, Weekday, wrap64
from narfi.core.text.template.zones import (
    LOCAL_ZONE,
    NS_PER_S,
    UTC_ZONE,
    ZERO_TIME,
    Moment,
    Zone,
    days_of,
    moment_at,
    moment_of,
)

_RFC3339 = "2006-01-02T15:04:05.999999999Z07:00"


def _add(moment: Moment, ns: int) -> Moment:
    return moment_of(moment.ns + ns, moment.zone)


def _add_date(moment: Moment, years: int, months: int, days: int) -> Moment:
    civil = moment.civil()
    count = days_of(civil.year + years, civil.month + months, civil.day + days)
    second = civil.hour * 3600 + civil.minute * 60 + civil.second
    return moment_at(count, second, moment.ns % NS_PER_S, moment.zone)


def _since(moment: Moment, other: Moment) -> Duration:
    """The difference; what is too long is the longest."""
    return Duration(min(max(moment.ns - other.ns, MIN_INT64), MAX_INT64))


def _truncate(moment: Moment, ns: int) -> Moment:
    return moment if ns <= 0 else _add(moment, -((moment.ns - ZERO_TIME.ns) % ns))


def _round(moment: Moment, ns: int) -> Moment:
    if ns <= 0:
        return moment
    rest = (moment.ns - ZERO_TIME.ns) % ns
    return _add(moment, -rest if 2 * rest < ns else ns - rest)


def _rfc3339(moment: Moment, method: str) -> str:
    if not 0 <= moment.civil().year <= 9999:
        raise CallError(f"Time.{method}: year outside of range [0,9999]")
    return format_time(_RFC3339, moment)


def _binary(moment: Moment) -> bytes:
    """Go's wire form: version, seconds since the year 1, ns, minutes from UTC (-1 is UTC)."""
    seconds = moment.offset().seconds
    version, rest = (2, [seconds % 60]) if seconds % 60 else (1, [])
    minutes = -1 if moment.zone == UTC_ZONE else seconds // 60
    since = (moment.ns - ZERO_TIME.ns) // NS_PER_S
    return struct.pack(">BqIh", version, since, moment.ns % NS_PER_S, minutes) + bytes(rest)


def _compare(a: Moment, b: Moment) -> int:
    return (a.ns > b.ns) - (a.ns < b.ns)


def _several(count: int, name: str) -> Function:
    """A method of several results, which Go's templates refuse."""
    return function(
        "", lambda _: None, f"function {name} has {count} return values; should be 1 or 2"
    )


def _two(name: str, second: str) -> Function:
    text = (
        f"invalid function signature for {name}: second return value should be error; is {second}"
    )
    return function("", lambda _: None, text)


TIME_METHODS: Mapping[str, Function] = {
    "Add": function("duration", _add),
    "AddDate": function("int int int", _add_date),
    "After": function("time", lambda t, u: t.ns > u.ns),
    "Before": function("time", lambda t, u: t.ns < u.ns),
    "Clock": _several(3, "Clock"),
    "Compare": function("time", _compare),
    "Date": _several(3, "Date"),
    "Day": function("", lambda t: t.civil().day),
    "Equal": function("time", lambda t, u: t.ns == u.ns),
    "Format": function("string", lambda t, layout: format_time(layout, t)),
    "GoString": function("", go_string_of),
    "GobEncode": function("", _binary),
    "Hour": function("", lambda t: t.civil().hour),
    "ISOWeek": _two("ISOWeek", "int"),
    "In": function("location", lambda t, zone: Moment(t.ns, zone)),
    "IsDST": function("", lambda t: t.offset().is_summer),
    "IsZero": function("", lambda t: t.ns == ZERO_TIME.ns),
    "Local": function("", lambda t: Moment(t.ns, LOCAL_ZONE)),
    "Location": function("", lambda t: t.zone),
    "MarshalBinary": function("", _binary),
    "MarshalJSON": function("", lambda t: f'"{_rfc3339(t, "MarshalJSON")}"'.encode()),
    "MarshalText": function("", lambda t: _rfc3339(t, "MarshalText").encode()),
    "Minute": function("", lambda t: t.civil().minute),
    "Month": function("", lambda t: Month(t.civil().month)),
    "Nanosecond": function("", lambda t: t.ns % NS_PER_S),
    "Round": function("duration", _round),
    "Second": function("", lambda t: t.civil().second),
    "String": function("", string_of),
    "Sub": function("time", _since),
    "Truncate": function("duration", _truncate),
    "UTC": function("", lambda t: Moment(t.ns, UTC_ZONE)),
    "Unix": function("", lambda t: Int64(t.unix_s)),
    "UnixMicro": function("", lambda t: Int64(wrap64(t.ns // 1000))),
    "UnixMilli": function("", lambda t: Int64(wrap64(t.ns // 10**6))),
    "UnixNano": function("", lambda t: Int64(wrap64(t.ns))),
    "Weekday": function("", lambda t: Weekday(t.weekday())),
    "Year": function("", lambda t: t.civil().year),
    "YearDay": function("", Moment.day_of_year),
    "Zone": _two("Zone", "int"),
    "ZoneBounds": _two("ZoneBounds", "time.Time"),
}


def _cut(value: int, unit: int) -> int:
    """Division towards zero."""
    return value // unit if value >= 0 else -(-value // unit)


def _float_of(value: Duration, unit: int) -> float:
    whole = _cut(value, unit)
    return float(whole) + float(value - whole * unit) / float(unit)


def _truncate_duration(value: Duration, unit: int) -> Duration:
    return value if unit <= 0 else Duration(_cut(value, unit) * unit)


def _round_duration(value: Duration, unit: int) -> Duration:
    if unit <= 0:
        return value
    whole = _cut(value, unit) * unit
    if 2 * abs(value - whole) >= unit:
        whole += unit if value >= 0 else -unit
    return Duration(min(max(whole, MIN_INT64), MAX_INT64))


DURATION_METHODS: Mapping[str, Function] = {
    "Abs": function("", lambda d: Duration(min(abs(d), MAX_INT64))),
    "Hours": function("", lambda d: _float_of(d, 3600 * NS_PER_S)),
    "Microseconds": function("", lambda d: Int64(_cut(d, 1000))),
    "Milliseconds": function("", lambda d: Int64(_cut(d, 10**6))),
    "Minutes": function("", lambda d: _float_of(d, 60 * NS_PER_S)),
    "Nanoseconds": function("", Int64),
    "Round": function("duration", _round_duration),
    "Seconds": function("", lambda d: _float_of(d, NS_PER_S)),
    "String": function("", string_of),
    "Truncate": function("duration", _truncate_duration),
}
_STRING: Mapping[str, Function] = {"String": function("", string_of)}
METHODS: Mapping[type, Mapping[str, Function]] = {
    Moment: TIME_METHODS,
    Duration: DURATION_METHODS,
    Month: _STRING,
    Weekday: _STRING,
    Zone: _STRING,
}
HIDDEN_FIELDS: Mapping[type, frozenset[str]] = {
    Moment: frozenset(("wall", "ext", "loc")),
    Zone: frozenset(("name", "zone", "tx", "extend", "cacheStart", "cacheEnd", "cacheZone")),
}
"""Fields of Go's structs that a template may not read."""
