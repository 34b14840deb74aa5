"""When was a line written? Times as log lines spell them, as ns since the epoch.

RFC 3339 has its own quick path (every CRI line has one); other layouts are Go's reference layouts,
translated once to a pattern. Source: reference/agent.md §11 (`timestamp`).
"""

import re
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

NS_PER_S = 1_000_000_000
AHEAD = timedelta(days=1)
"""The clock or the zone of a writer may be ahead by so much, where a time has no year."""
_YEARS_BACK = 9  # 29 February may be eight years ago
_SECONDS_CACHE = 256  # neighbouring lines share their second

TimeParser = Callable[[str], int | None]
"""Text to ns since the epoch, or None where it does not fit the format."""

NAMED_LAYOUTS = {
    "ANSIC": "Mon Jan _2 15:04:05 2006",
    "UnixDate": "Mon Jan _2 15:04:05 MST 2006",
    "RubyDate": "Mon Jan 02 15:04:05 -0700 2006",
    "RFC822": "02 Jan 06 15:04 MST",
    "RFC822Z": "02 Jan 06 15:04 -0700",
    "RFC850": "Monday, 02-Jan-06 15:04:05 MST",
    "RFC1123": "Mon, 02 Jan 2006 15:04:05 MST",
    "RFC1123Z": "Mon, 02 Jan 2006 15:04:05 -0700",
}
_UNIX_NS = {"UnixMs": 1_000_000, "UnixUs": 1_000, "UnixNs": 1}
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

# Longest first where one is the beginning of another.
_TOKENS = {
    "January": r"(?P<month_name>[A-Za-z]{3,9})",
    "Jan": r"(?P<month_name>[A-Za-z]{3})",
    "Monday": r"[A-Za-z]+",
    "Mon": r"[A-Za-z]{3}",
    "MST": r"(?P<zone>[A-Z]{3,5}|[+-]\d{2})",
    "2006": r"(?P<year>\d{4})",
    "-07:00:00": r"(?P<offset>[+-]\d{2}:\d{2}:\d{2})",
    "-07:00": r"(?P<offset>[+-]\d{2}:\d{2})",
    "-0700": r"(?P<offset>[+-]\d{4})",
    "-07": r"(?P<offset>[+-]\d{2})",
    "Z07:00": r"(?P<offset>Z|[+-]\d{2}:\d{2})",
    "Z0700": r"(?P<offset>Z|[+-]\d{4})",
    "Z07": r"(?P<offset>Z|[+-]\d{2})",
    "002": r"(?P<year_day>\d{3})",
    "01": r"(?P<month>\d{2})",
    "02": r"(?P<day>\d{2})",
    "03": r"(?P<hour12>\d{2})",
    "04": r"(?P<minute>\d{2})",
    "05": r"(?P<second>\d{2}(?:[.,]\d+)?)",
    "06": r"(?P<short_year>\d{2})",
    "15": r"(?P<hour>\d{1,2}+)",
    "PM": r"(?P<half>[AP]M)",
    "pm": r"(?P<half>[ap]m)",
    "_2": r"\s?(?P<day>\d{1,2})",
    "1": r"(?P<month>\d{1,2})",
    "2": r"(?P<day>\d{1,2})",
    "3": r"(?P<hour12>\d{1,2})",
    "4": r"(?P<minute>\d{1,2})",
    "5": r"(?P<second>\d{1,2}+(?:[.,]\d+)?)",
}
_TOKEN = re.compile(
    r"(?P<fraction>[.,](?:0+|9+)(?!\d))|"
    + "|".join(sorted(map(re.escape, _TOKENS), key=len, reverse=True))
)


@lru_cache(maxsize=_SECONDS_CACHE)
def _epoch_s(text: str) -> int | None:
    """Seconds of `2025-10-09T08:00:00` read as UTC."""
    try:
        moment = datetime.strptime(text + "+0000", "%Y-%m-%dT%H:%M:%S%z")
    except ValueError:
        return None
    return int(moment.timestamp())


def parse_rfc3339_ns(text: str) -> int | None:
    """ns of an RFC 3339 time, or None; further digits than nine of a second are left out."""
    seconds = _epoch_s(text[:19])
    if seconds is None:
        return None
    rest = text[19:]
    nanos = 0
    if rest[:1] in (".", ","):
        end = len(rest) - 1 if rest[-1:] in "Zz" else len(rest) - 6
        digits = rest[1:end]
        if not digits.isdecimal():
            return None
        nanos = int(digits[:9].ljust(9, "0"))
        rest = rest[end:]
    if rest in ("Z", "z"):
        return seconds * NS_PER_S + nanos
    offset = _offset(rest) if len(rest) == 6 and rest[3] == ":" else None
    if offset is None:
        return None
    return (seconds - int(offset.total_seconds())) * NS_PER_S + nanos


def _offset(text: str) -> timedelta | None:
    digits = text[1:].replace(":", "")
    if text[:1] not in ("+", "-") or not digits.isdecimal():
        return None
    digits = digits.ljust(6, "0")
    size = timedelta(hours=int(digits[:2]), minutes=int(digits[2:4]), seconds=int(digits[4:6]))
    return -size if text[0] == "-" else size


def time_parser(fmt: str, location: str, now: Callable[[], datetime]) -> TimeParser:
    """A parser for a named format or a Go layout; raises `ValueError` for a bad location."""
    if fmt in ("RFC3339", "RFC3339Nano"):
        return parse_rfc3339_ns
    if fmt == "Unix":
        return _unix_seconds
    if fmt in _UNIX_NS:
        factor = _UNIX_NS[fmt]
        return lambda text: int(text) * factor if _is_int(text) else None
    if fmt in NAMED_LAYOUTS:
        return GoLayout(NAMED_LAYOUTS[fmt], UTC, now).parse
    return GoLayout(fmt, _zone(location), now).parse


def fraction_digits(fmt: str, location: str, now: Callable[[], datetime]) -> Callable[[str], int]:
    """How many digits of a second a time of this format gives, by its text; nine are all."""
    if fmt == "Unix":
        return lambda text: min(len(text.partition(".")[2]), 9)
    if fmt in _UNIX_NS:
        return lambda _text: 10 - len(str(_UNIX_NS[fmt]))
    if fmt in ("RFC3339", "RFC3339Nano"):
        return _rfc3339_digits
    if fmt in NAMED_LAYOUTS:
        return GoLayout(NAMED_LAYOUTS[fmt], UTC, now).digits
    return GoLayout(fmt, _zone(location), now).digits


def _rfc3339_digits(text: str) -> int:
    found = re.match(r"[.,](\d+)", text[19:])
    return len(found[1]) if found is not None else 0


def _zone(location: str) -> tzinfo:
    if not location:
        return UTC
    try:
        return ZoneInfo(location)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"invalid location specified: unknown time zone {location}") from error


def _is_int(text: str) -> bool:
    return text.removeprefix("-").isdecimal()


def _unix_seconds(text: str) -> int | None:
    whole, point, fraction = text.partition(".")
    if not _is_int(whole) or (point and not fraction.isdecimal()):
        return None
    nanos = int(fraction[:9].ljust(9, "0")) if fraction else 0
    seconds = int(whole)
    return seconds * NS_PER_S + (-nanos if whole.startswith("-") else nanos)


class GoLayout:
    """A Go reference layout; without a year the latest one in which the time is not ahead."""

    def __init__(self, layout: str, zone: tzinfo, now: Callable[[], datetime]) -> None:
        self._pattern = re.compile(_layout_pattern(layout))
        self._zone = zone
        self._now = now

    def parse(self, text: str) -> int | None:
        """ns since the epoch, or None where the text does not fit."""
        found = self._pattern.fullmatch(text)
        if found is None:
            return None
        parts = {name: value for name, value in found.groupdict().items() if value is not None}
        try:
            moment, nanos = self._moment(parts)
        except ValueError:
            return None
        return int(moment.timestamp()) * NS_PER_S + nanos

    def digits(self, text: str) -> int:
        """How many digits a fraction has; 0 where there is none."""
        found = self._pattern.fullmatch(text)
        return len(_fraction(found.groupdict(""))) if found is not None else 0

    def _moment(self, parts: dict[str, str]) -> tuple[datetime, int]:
        fraction = _fraction(parts)
        nanos = int(fraction.ljust(9, "0")) if fraction else 0
        if "year" in parts:
            return self._in_year(parts, int(parts["year"])), nanos
        if "short_year" in parts:
            short = int(parts["short_year"])
            return self._in_year(parts, short + (1900 if short >= 69 else 2000)), nanos
        now = self._now()
        if not parts.keys() & {"month", "month_name", "day", "year_day"}:
            return self._in_year(parts, now.year), nanos
        return in_latest_year(lambda year: self._in_year(parts, year), now), nanos

    def _in_year(self, parts: dict[str, str], year: int) -> datetime:
        moment = datetime(
            year,
            _month(parts),
            int(parts.get("day", "1")),
            _hour(parts),
            int(parts.get("minute", "0")),
            int(_seconds(parts)[0]),
            tzinfo=self._zone_of(parts),
        )
        if "year_day" in parts:
            moment = moment.replace(month=1, day=1) + timedelta(days=int(parts["year_day"]) - 1)
            if moment.year != year:
                raise ValueError("no such day of the year")
        return moment

    def _zone_of(self, parts: dict[str, str]) -> tzinfo:
        text = parts.get("offset", "")
        if text == "Z" or parts.get("zone") in ("UTC", "GMT"):
            return UTC
        offset = _offset(text) if text else None
        return self._zone if offset is None else timezone(offset)


def in_latest_year(in_year: Callable[[int], datetime], now: datetime) -> datetime:
    """A time without a year in the latest year in which it is not more than a day ahead of now.

    `in_year` gives it in a year, or raises `ValueError` where that year has no such day.
    """
    latest = now + AHEAD
    newest = (latest + AHEAD).year  # somewhere it is the next day already
    for year in range(newest, newest - _YEARS_BACK - 1, -1):
        with suppress(ValueError):  # 29 February has not every year
            moment = in_year(year)
            if moment <= latest:
                return moment
    raise ValueError("no such day")


def _seconds(parts: dict[str, str]) -> tuple[str, str]:
    second, _, fraction = (parts.get("second") or "0").replace(",", ".").partition(".")
    return second, fraction


def _fraction(parts: dict[str, str]) -> str:
    """The digits behind the seconds, nine at most."""
    return (_seconds(parts)[1] or parts.get("fraction", "")[1:])[:9]


def _hour(parts: dict[str, str]) -> int:
    if "hour12" not in parts:
        return int(parts.get("hour", "0"))
    hour = int(parts["hour12"])
    half = parts.get("half", "").upper()
    if half == "PM" and hour < 12:
        return hour + 12
    return 0 if half == "AM" and hour == 12 else hour


def _month(parts: dict[str, str]) -> int:
    if "month_name" in parts:
        return _MONTHS.index(parts["month_name"][:3].title()) + 1
    return int(parts.get("month", "1"))


def _layout_pattern(layout: str) -> str:
    out: list[str] = []
    at = 0
    for token in _TOKEN.finditer(layout):
        out.append(_literal(layout[at : token.start()]))
        if token["fraction"] is not None:
            # Already read by the seconds where it follows them directly, as in Go.
            after_seconds = bool(out) and layout[: token.start()].endswith(("05", "5"))
            out.append("" if after_seconds else r"(?P<fraction>[.,]\d+)?")
        else:
            out.append(_TOKENS[token[0]])
        at = token.end()
    out.append(_literal(layout[at:]))
    return "".join(out)


def _literal(text: str) -> str:
    """What stands between: as many blanks in a time as there are, where the layout has some."""
    return " +".join(map(re.escape, re.split(" +", text)))
