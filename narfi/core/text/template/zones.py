"""What time is it where? Points in time without a calendar's limits, and zones with their names.

Python's datetime ends at the year 9999 and begins at 1; Go's times do neither, so days are counted
here. The server's own zone, Go's Local, is UTC (docs/compat.md).
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

NS_PER_S = 10**9
DAY_S = 86400
_CYCLE_DAYS = 146097  # days of 400 years: the calendar repeats
_CYCLE_S = _CYCLE_DAYS * DAY_S
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_S = (datetime(2, 1, 1, tzinfo=UTC) - _EPOCH) // timedelta(seconds=1)
_LAST_S = (datetime(9998, 1, 1, tzinfo=UTC) - _EPOCH) // timedelta(seconds=1)
"""Where Python's times end, less a year for the zone."""


class Offset(NamedTuple):
    """What a zone says at a point in time."""

    name: str
    seconds: int
    is_summer: bool


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Zone:
    """A *time.Location: one offset for ever, or a place's rules. Equal only to itself, as in Go."""

    name: str
    label: str = ""
    seconds: int = 0
    rules: ZoneInfo | None = None
    is_local: bool = False

    def at(self, unix_s: int) -> Offset:
        """The offset at a point in time."""
        if self.rules is None:
            return Offset(self.label, self.seconds, False)
        if unix_s > _LAST_S:  # the same day of the calendar, as late as can be
            unix_s -= ((unix_s - _LAST_S) // _CYCLE_S + 1) * _CYCLE_S
        local = (_EPOCH + timedelta(seconds=max(unix_s, _FIRST_S))).astimezone(self.rules)
        delta = local.utcoffset() or timedelta()
        return Offset(local.tzname() or self.name, round(delta.total_seconds()), bool(local.dst()))

    def instant(self, wall_s: int) -> int:
        """The unix second at which the zone's clocks show `wall_s` (seconds as if in UTC)."""
        seconds = self.at(wall_s).seconds
        before = self.at(wall_s - seconds).seconds
        return wall_s - before

    def seconds_of(self, label: str, unix_s: int) -> int | None:
        """The offset that the zone calls `label` (`CET`): that year, or at any time."""
        if self.rules is None:
            return None
        near = (unix_s + quarter * 91 * DAY_S for quarter in (0, 1, 2, 3, -1, -2, -3))
        ever = (half * 182 * DAY_S for half in range(-140, 136))  # 1900 to 2037
        for moment_s in (*near, *ever):
            found = self.at(moment_s)
            if found.name == label:
                return found.seconds
        return None


UTC_ZONE = Zone(name="UTC", label="UTC")
LOCAL_ZONE = Zone(name="UTC", label="UTC", is_local=True)


def find_zone(name: str) -> Zone | None:
    """A zone of the time zone database; None when there is none of that name."""
    if name in ("", "UTC"):
        return UTC_ZONE
    if name == "Local":
        return LOCAL_ZONE
    if ".." in name or name[0] in "/\\":
        return None
    try:
        return Zone(name=name, rules=ZoneInfo(name))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


class Civil(NamedTuple):
    """A date and time on a wall."""

    year: int
    month: int
    day: int
    hour: int
    minute: int
    second: int


def is_leap(year: int) -> bool:
    """Whether a year has 366 days."""
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def days_in(month: int, year: int) -> int:
    """How many days a month has."""
    if month == 2:
        return 29 if is_leap(year) else 28
    return 30 if month in (4, 6, 9, 11) else 31


def days_of(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01; months and days beyond their range count on."""
    years, month = divmod(month - 1, 12)
    year += years
    cycles, year_of_cycle = divmod(year - 2000, 400)
    first = datetime(2000 + year_of_cycle, month + 1, 1, tzinfo=UTC)
    return (first - _EPOCH).days + cycles * _CYCLE_DAYS + day - 1


def civil_of(wall_s: int) -> Civil:
    """What a wall shows."""
    days, seconds = divmod(wall_s, DAY_S)
    cycles, days_of_cycle = divmod(days - days_of(2000, 1, 1), _CYCLE_DAYS)
    date = datetime(2000, 1, 1, tzinfo=UTC) + timedelta(days=days_of_cycle)
    hour, seconds = divmod(seconds, 3600)
    year = date.year + 400 * cycles
    return Civil(year, date.month, date.day, hour, seconds // 60, seconds % 60)


@dataclass(frozen=True, slots=True)
class Moment:
    """A time.Time: ns since the epoch, shown in a zone."""

    ns: int
    zone: Zone = UTC_ZONE

    @property
    def unix_s(self) -> int:
        """Whole seconds since the epoch."""
        return self.ns // NS_PER_S

    def offset(self) -> Offset:
        """What the zone says then."""
        return self.zone.at(self.unix_s)

    def civil(self) -> Civil:
        """Date and time in the zone."""
        return civil_of(self.unix_s + self.offset().seconds)

    def weekday(self) -> int:
        """0 is Sunday."""
        return ((self.unix_s + self.offset().seconds) // DAY_S + 4) % 7

    def day_of_year(self) -> int:
        """1 is the first of January."""
        civil = self.civil()
        return days_of(civil.year, civil.month, civil.day) - days_of(civil.year, 1, 1) + 1


def moment_at(days: int, second_of_day: int, nanos: int, zone: Zone) -> Moment:
    """The time at which a zone's walls show a day (since 1970-01-01) and a second of it."""
    return moment_of(zone.instant(days * DAY_S + second_of_day) * NS_PER_S + nanos, zone)


ZERO_TIME = Moment(days_of(1, 1, 1) * DAY_S * NS_PER_S)
_HALF_RANGE_NS = (1 << 63) * NS_PER_S


def moment_of(ns: int, zone: Zone) -> Moment:
    """A time; its seconds since the year 1 wrap at 64 bits, as Go's do."""
    since = (ns - ZERO_TIME.ns + _HALF_RANGE_NS) % (2 * _HALF_RANGE_NS) - _HALF_RANGE_NS
    return Moment(since + ZERO_TIME.ns, zone)
