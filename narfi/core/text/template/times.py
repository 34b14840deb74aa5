"""How are times written and read by Go's layouts? (`2006-01-02 15:04:05`)."""

import re  # our own patterns over layouts
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from narfi.core.text.template.values import Moment

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
_TOKENS = re.compile(
    r"January|Jan|Monday|Mon|MST|2006|Z07:00:00|Z070000|Z07:00|Z0700|Z07|-07:00:00|-070000|-07:00"
    r"|-0700|-07|[.,]0+(?![0-9])|[.,]9+(?![0-9])|002|01|02|03|04|05|06|15|PM|pm|__2|_2|1|2|3|4|5"
)
ZERO_TIME = Moment(-62135596800 * 10**9)


def _local(moment: Moment) -> datetime:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    base = epoch + timedelta(seconds=moment.ns // 10**9)
    return base.astimezone(timezone(timedelta(seconds=moment.offset_s)))


def format_time(layout: str, moment: Moment) -> str:
    """A time by a layout."""
    when = _local(moment)
    nanos = moment.ns % 10**9
    return _TOKENS.sub(lambda m: _part(m.group(), when, nanos, moment), layout)


def _part(token: str, when: datetime, nanos: int, moment: Moment) -> str:
    hour12 = when.hour % 12 or 12
    simple = {
        "January": _MONTHS[when.month - 1],
        "Jan": _MONTHS[when.month - 1][:3],
        "Monday": _DAYS[when.weekday()],
        "Mon": _DAYS[when.weekday()][:3],
        "MST": moment.zone,
        "2006": f"{when.year:04d}",
        "06": f"{when.year % 100:02d}",
        "01": f"{when.month:02d}",
        "1": str(when.month),
        "02": f"{when.day:02d}",
        "_2": f"{when.day:2d}",
        "2": str(when.day),
        "002": f"{when.timetuple().tm_yday:03d}",
        "__2": f"{when.timetuple().tm_yday:3d}",
        "15": f"{when.hour:02d}",
        "03": f"{hour12:02d}",
        "3": str(hour12),
        "04": f"{when.minute:02d}",
        "4": str(when.minute),
        "05": f"{when.second:02d}",
        "5": str(when.second),
        "PM": "PM" if when.hour >= 12 else "AM",
        "pm": "pm" if when.hour >= 12 else "am",
    }
    if token in simple:
        return simple[token]
    if token[0] in ".,":
        digits = f"{nanos:09d}"[: len(token) - 1]
        if token[1] == "9":
            digits = digits.rstrip("0")
            return token[0] + digits if digits else ""
        return token[0] + digits
    return _offset(token, moment.offset_s)


def _offset(token: str, offset: int) -> str:
    if token[0] == "Z" and offset == 0:
        return "Z"
    sign = "-" if offset < 0 else "+"
    hours, rest = divmod(abs(offset), 3600)
    minutes, seconds = divmod(rest, 60)
    colon = ":" if ":" in token else ""
    out = f"{sign}{hours:02d}"
    digits = sum(char.isdigit() for char in token)
    if digits >= 4:
        out += f"{colon}{minutes:02d}"
    if digits >= 6:
        out += f"{colon}{seconds:02d}"
    return out


_READ = {
    "2006": r"(?P<year>\d{4})",
    "06": r"(?P<year2>\d{2})",
    "01": r"(?P<month>\d{2})",
    "1": r"(?P<month>\d{1,2})",
    "Jan": r"(?P<month_name>[A-Za-z]{3})",
    "January": r"(?P<month_name>[A-Za-z]+)",
    "02": r"(?P<day>\d{2})",
    "2": r"(?P<day>\d{1,2})",
    "_2": r" ?(?P<day>\d{1,2})",
    "15": r"(?P<hour>\d{2})",
    "03": r"(?P<hour>\d{2})",
    "3": r"(?P<hour>\d{1,2})",
    "04": r"(?P<minute>\d{2})",
    "4": r"(?P<minute>\d{1,2})",
    "05": r"(?P<second>\d{2})(?:[.,](?P<fraction>\d+))?",
    "5": r"(?P<second>\d{1,2})(?:[.,](?P<fraction>\d+))?",
    "PM": r"(?P<half>AM|PM)",
    "pm": r"(?P<half>am|pm)",
    "MST": r"(?P<zone>[A-Z]{3,4}|[+-]\d{2})",
    "Monday": r"[A-Za-z]+",
    "Mon": r"[A-Za-z]{3}",
}


def parse_time(layout: str, text: str, zone: str = "UTC") -> Moment:
    """A time read by a layout; the zero time when the text does not fit."""
    pattern, at = "", 0
    for match in _TOKENS.finditer(layout):
        pattern += re.escape(layout[at : match.start()])
        token = match.group()
        if token[0] in ".,":
            pass  # fractions are read behind seconds
        elif token in _READ:
            pattern += _READ[token]
        else:
            pattern += r"(?P<offset>Z|[+-]\d{2}(?::?\d{2})?(?::?\d{2})?)"
        at = match.end()
    pattern += re.escape(layout[at:])
    try:
        found = re.fullmatch(pattern, text)
    except re.error:
        return ZERO_TIME
    return ZERO_TIME if found is None else _moment(found.groupdict(), zone)


def _moment(parts: dict[str, str | None], zone: str) -> Moment:
    def number(name: str, default: int) -> int:
        value = parts.get(name)
        return int(value) if value else default

    month = number("month", 1)
    name = parts.get("month_name")
    if name:
        names = [m[: len(name)].lower() for m in _MONTHS]
        if name.lower() not in names:
            return ZERO_TIME
        month = names.index(name.lower()) + 1
    year = number("year", 0)
    if parts.get("year2"):
        year = number("year2", 0)
        year += 1900 if year >= 69 else 2000
    hour = number("hour", 0)
    half = (parts.get("half") or "").lower()
    hour = hour % 12 + 12 if half == "pm" else hour % 12 if half == "am" else hour
    try:
        base = datetime(  # noqa: DTZ001 - the zone is found below
            max(year, 1), month, number("day", 1), hour, number("minute", 0), number("second", 0)
        )
    except ValueError:
        return ZERO_TIME
    nanos = int((parts.get("fraction") or "0").ljust(9, "0")[:9])
    offset, label = _zone_of(parts.get("offset"), base, zone)
    seconds = (base - datetime(1970, 1, 1)).total_seconds() - offset  # noqa: DTZ001 - as above
    return Moment(int(seconds) * 10**9 + nanos, label, offset)


def _zone_of(text: str | None, base: datetime, zone: str) -> tuple[int, str]:
    if text:
        if text == "Z":
            return 0, "UTC"
        digits = text[1:].replace(":", "").ljust(6, "0")
        offset = int(digits[:2]) * 3600 + int(digits[2:4]) * 60 + int(digits[4:6])
        signed = -offset if text[0] == "-" else offset
        return signed, "UTC" if signed == 0 else text.replace(":", "")
    if zone in ("UTC", "", "Local"):
        return 0, "UTC"
    try:
        found = base.replace(tzinfo=ZoneInfo(zone))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return 0, "UTC"
    delta = found.utcoffset()
    return (int(delta.total_seconds()) if delta else 0), found.tzname() or zone
