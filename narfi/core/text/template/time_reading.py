"""How is a time read by a Go layout? Word by word, as Go does; what does not fit is no time."""

from dataclasses import dataclass

from narfi.core.text.template.layouts import DAYS, MONTHS, layout_parts
from narfi.core.text.template.zones import (
    DAY_S,
    NS_PER_S,
    UTC_ZONE,
    ZERO_TIME,
    Moment,
    Zone,
    days_in,
    days_of,
    is_leap,
    moment_at,
)


class _Misfit(Exception):
    """The text is not as the layout says."""


def parse_time(layout: str, text: str, zone: Zone) -> Moment:
    """A text's time, in a zone unless it names one; the zero time when it does not fit."""
    try:
        return _Reading(layout, text).moment(zone)
    except _Misfit:
        return ZERO_TIME


@dataclass(slots=True, kw_only=True)
class _Fields:
    """What was read; None is "not in the layout"."""

    year: int = 0
    month: int | None = None
    day: int | None = None
    day_of_year: int | None = None
    hour: int = 0
    minute: int = 0
    second: int = 0
    nanos: int = 0
    half: str = ""
    is_utc: bool = False
    offset_s: int | None = None
    zone_label: str = ""


class _Reading:
    """One text read from left to right."""

    def __init__(self, layout: str, text: str) -> None:
        self._rest = text
        self._fields = _Fields()
        parts = layout_parts(layout)
        for place, (between, word) in enumerate(parts):
            self._skip(between)
            after = parts[place + 1] if word else ("", "")
            self._read(word, followed_by_fraction=after[0] == "" and after[1][:1] in (".", ","))
        if self._rest:
            raise _Misfit

    def _skip(self, between: str) -> None:
        """Text must be there as it stands; any run of spaces fits a space, even none at the end."""
        while between:
            if between[0] == " ":
                if self._rest and self._rest[0] != " ":
                    raise _Misfit
                between, self._rest = between.lstrip(" "), self._rest.lstrip(" ")
            elif self._rest[:1] != between[0]:
                raise _Misfit
            else:
                between, self._rest = between[1:], self._rest[1:]

    def _take(self, size: int) -> str:
        taken, self._rest = self._rest[:size], self._rest[size:]
        if len(taken) < size:
            raise _Misfit
        return taken

    def _digits(self, size: int) -> int:
        """A number of exactly so many digits."""
        taken = self._take(size)
        if not (taken.isascii() and taken.isdigit()):
            raise _Misfit
        return int(taken)

    def _leading(self) -> int:
        """How many digits the rest begins with."""
        return len(self._rest) - len(self._rest.lstrip("0123456789"))

    def _number(self, low: int, high: int, *, fixed: bool) -> int:
        """One or two digits; two when fixed."""
        value = self._digits(2 if fixed or self._leading() >= 2 else 1)
        if not low <= value <= high:
            raise _Misfit
        return value

    def _name(self, names: tuple[str, ...], size: int | None) -> int:
        for place, name in enumerate(names):
            wanted = name[:size]
            if self._rest[: len(wanted)].lower() == wanted.lower():
                self._rest = self._rest[len(wanted) :]
                return place
        raise _Misfit

    def _read(self, word: str, *, followed_by_fraction: bool) -> None:
        fields = self._fields
        match word:
            case "":
                return
            case "2006":
                fields.year = self._digits(4)
            case "06":
                year = self._digits(2)
                fields.year = year + (1900 if year >= 69 else 2000)
            case "January" | "Jan":
                fields.month = self._name(MONTHS, 3 if word == "Jan" else None) + 1
            case "01" | "1":
                fields.month = self._number(1, 12, fixed=word == "01")
            case "Monday" | "Mon":
                self._name(DAYS, 3 if word == "Mon" else None)
            case "002" | "__2":
                self._read_day_of_year(word)
            case "02" | "_2" | "2":
                if word == "_2":
                    self._rest = self._rest.removeprefix(" ")
                fields.day = self._number(0, 99, fixed=word == "02")
            case "MST":
                self._read_label()
            case _ if word[0] in "Z-":
                self._read_offset(word)
            case _:
                self._read_clock(word, followed_by_fraction)

    def _read_clock(self, word: str, followed_by_fraction: bool) -> None:
        fields = self._fields
        match word:
            case "15":
                fields.hour = self._number(0, 23, fixed=False)
            case "03" | "3":
                fields.hour = self._number(0, 12, fixed=word == "03")
            case "04" | "4":
                fields.minute = self._number(0, 59, fixed=word == "04")
            case "05" | "5":
                fields.second = self._number(0, 59, fixed=word == "05")
                if not followed_by_fraction and self._has_fraction():
                    self._read_fraction()
            case "PM" | "pm":
                half = self._take(2)
                if half not in ((word), "AM" if word == "PM" else "am"):
                    raise _Misfit
                fields.half = half.lower()
            case _ if word[1] == "9":
                if self._has_fraction():
                    self._read_fraction()
            case _:
                self._read_fraction(len(word))

    def _read_day_of_year(self, word: str) -> None:
        """Three digits; blanks may stand for the first ones when the layout has them."""
        blanks = 0
        if word == "__2":
            blanks = min(len(self._rest) - len(self._rest.lstrip(" ")), 2)
            self._rest = self._rest[blanks:]
        digits = min(self._leading(), 3)
        if word == "002":
            digits = 3
        self._fields.day_of_year = self._digits(max(digits, 1))

    def _has_fraction(self) -> bool:
        rest = self._rest
        return len(rest) >= 2 and rest[0] in ".," and rest[1] in "0123456789"

    def _read_fraction(self, size: int = 0) -> None:
        """The mark and so many characters behind it in all; without a size, all digits."""
        if not size:
            size = 1 + len(self._rest[1:]) - len(self._rest[1:].lstrip("0123456789"))
        taken = self._take(size)
        digits = taken[1:10]
        if taken[0] not in ".," or not (digits.isascii() and digits.isdigit()):
            raise _Misfit
        self._fields.nanos = int(digits.ljust(9, "0"))

    def _read_offset(self, word: str) -> None:
        if word[0] == "Z" and self._rest[:1] == "Z":
            self._rest = self._rest[1:]
            self._fields.is_utc = True
            return
        sign, numbers = self._take(1), []
        for place in range(sum(char.isdigit() for char in word) // 2):
            if place and ":" in word and self._take(1) != ":":
                raise _Misfit
            numbers.append(self._digits(2))
        hours, minutes, seconds = (*numbers, 0, 0)[:3]
        if sign not in "+-" or hours > 24 or minutes > 60 or seconds > 60:
            raise _Misfit
        total = (hours * 60 + minutes) * 60 + seconds
        self._fields.offset_s = -total if sign == "-" else total

    def _read_label(self) -> None:
        if self._rest.startswith("UTC"):
            self._rest = self._rest[3:]
            self._fields.is_utc = True
            return
        size = _label_size(self._rest)
        if not size:
            raise _Misfit
        self._fields.zone_label = self._take(size)

    def moment(self, zone: Zone) -> Moment:
        """The time that was read."""
        fields = self._fields
        hour = fields.hour
        if fields.half == "pm" and hour < 12:
            hour += 12
        elif fields.half == "am" and hour == 12:
            hour = 0
        second = (hour * 60 + fields.minute) * 60 + fields.second
        month, day = _date(fields)
        days = days_of(fields.year, month, day)
        if fields.is_utc:
            return moment_at(days, second, fields.nanos, UTC_ZONE)
        wall_s = days * DAY_S + second
        if fields.offset_s is not None:
            return _with_offset(fields, wall_s, zone)
        if fields.zone_label:
            return _with_label(fields, wall_s, zone)
        return moment_at(days, second, fields.nanos, zone)


def _date(fields: _Fields) -> tuple[int, int]:
    """Month and day, from the day of the year when that was given; they must not disagree."""
    month, day = fields.month, fields.day
    if fields.day_of_year is not None:
        limit = 366 if is_leap(fields.year) else 365
        if not 1 <= fields.day_of_year <= limit:
            raise _Misfit
        found_month, found_day = 1, fields.day_of_year
        while found_day > days_in(found_month, fields.year):
            found_day -= days_in(found_month, fields.year)
            found_month += 1
        if month not in (None, found_month) or day not in (None, found_day):
            raise _Misfit
        return found_month, found_day
    month, day = 1 if month is None else month, 1 if day is None else day
    if not 1 <= day <= days_in(month, fields.year):
        raise _Misfit
    return month, day


def _with_offset(fields: _Fields, wall_s: int, zone: Zone) -> Moment:
    """In the zone when it has that offset then, or in one made up for it."""
    assert fields.offset_s is not None
    unix_s = wall_s - fields.offset_s
    there = zone.at(unix_s)
    if there.seconds != fields.offset_s or fields.zone_label not in ("", there.name):
        zone = Zone(name=fields.zone_label, label=fields.zone_label, seconds=fields.offset_s)
    return Moment(unix_s * NS_PER_S + fields.nanos, zone)


def _with_label(fields: _Fields, wall_s: int, zone: Zone) -> Moment:
    """In the zone when it knows the label; a zone made up for it leaves the time as if in UTC."""
    label = fields.zone_label
    seconds = zone.seconds_of(label, wall_s)
    if seconds is None:
        made_up = int(label[3:]) * 3600 if label.startswith("GMT") and len(label) > 3 else 0
        zone, seconds = Zone(name=label, label=label, seconds=made_up), 0
    return Moment((wall_s - seconds) * NS_PER_S + fields.nanos, zone)


def _label_size(text: str) -> int:
    """How long the abbreviation is that a text begins with; 0 when there is none."""
    if len(text) < 3:
        return 0
    if text[:4] in ("ChST", "MeST"):
        return 4
    if text.startswith("GMT"):
        return 3 + _signed_size(text[3:])
    if text[0] in "+-":
        return _signed_size(text)
    upper = 0
    while upper < 6 and "A" <= text[upper : upper + 1] <= "Z":
        upper += 1
    if upper == 5 and text[4] == "T":
        return 5
    if upper == 4 and (text[3] == "T" or text.startswith("WITA")):
        return 4
    return 3 if upper == 3 else 0


def _signed_size(text: str) -> int:
    """The size of `+3` or `-11`: a sign and a number up to 23."""
    if text[:1] not in ("+", "-"):
        return 0
    digits = len(text) - 1 - len(text[1:].lstrip("0123456789"))
    if not 0 < digits < 10 or int(text[1 : 1 + digits]) > 23:
        return 0
    return 1 + digits
