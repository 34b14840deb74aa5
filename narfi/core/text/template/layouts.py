"""How are times written by Go's layouts? (`2006-01-02 15:04:05`, each word a part of the time)."""

import re  # our own pattern over layouts
from collections.abc import Callable

from narfi.core.text.template.zones import NS_PER_S, Civil, Moment

DAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
MONTHS = (
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
)
STRING_LAYOUT = "2006-01-02 15:04:05.999999999 -0700 MST"

WORDS = re.compile(
    r"January|Jan(?![a-z])|Monday|Mon(?![a-z])|MST|2006|_(?=2006)|__2|_2|002|0[1-6]|15|[12345]"
    r"|PM|pm|Z070000|Z07:00:00|Z0700|Z07:00|Z07|-070000|-07:00:00|-0700|-07:00|-07"
    r"|[.,](?:0+|9+)(?![0-9])",
    re.ASCII,
)


def layout_parts(layout: str) -> list[tuple[str, str]]:
    """The layout as (text, word behind it); the last word is "". The `_` of `_2006` is text."""
    parts: list[tuple[str, str]] = []
    text, at = "", 0
    for found in WORDS.finditer(layout):
        text += layout[at : found.start()]
        at = found.end()
        if found.group() == "_":
            text += "_"
            continue
        parts.append((text, found.group()))
        text = ""
    parts.append((text + layout[at:], ""))
    return parts


def format_time(layout: str, moment: Moment) -> str:
    """A time by a layout."""
    civil = moment.civil()
    return "".join(text + _part(word, civil, moment) for text, word in layout_parts(layout))


_SIMPLE: dict[str, Callable[[Civil, Moment], str]] = {
    "": lambda c, m: "",
    "January": lambda c, m: MONTHS[c.month - 1],
    "Jan": lambda c, m: MONTHS[c.month - 1][:3],
    "Monday": lambda c, m: DAYS[m.weekday()],
    "Mon": lambda c, m: DAYS[m.weekday()][:3],
    "2006": lambda c, m: f"{'-' * (c.year < 0)}{abs(c.year):04d}",
    "06": lambda c, m: f"{abs(c.year) % 100:02d}",
    "01": lambda c, m: f"{c.month:02d}",
    "1": lambda c, m: str(c.month),
    "02": lambda c, m: f"{c.day:02d}",
    "_2": lambda c, m: f"{c.day:2d}",
    "2": lambda c, m: str(c.day),
    "002": lambda c, m: f"{m.day_of_year():03d}",
    "__2": lambda c, m: f"{m.day_of_year():3d}",
    "15": lambda c, m: f"{c.hour:02d}",
    "03": lambda c, m: f"{c.hour % 12 or 12:02d}",
    "3": lambda c, m: str(c.hour % 12 or 12),
    "04": lambda c, m: f"{c.minute:02d}",
    "4": lambda c, m: str(c.minute),
    "05": lambda c, m: f"{c.second:02d}",
    "5": lambda c, m: str(c.second),
    "PM": lambda c, m: "PM" if c.hour >= 12 else "AM",
    "pm": lambda c, m: "pm" if c.hour >= 12 else "am",
    "MST": lambda c, m: m.offset().name or _offset("-0700", m.offset().seconds),
}


def _part(word: str, civil: Civil, moment: Moment) -> str:
    simple = _SIMPLE.get(word)
    if simple is not None:
        return simple(civil, moment)
    if word[0] in ".,":
        return _fraction(word, moment.ns % NS_PER_S)
    return _offset(word, moment.offset().seconds)


def _fraction(word: str, nanos: int) -> str:
    digits = f"{nanos:09d}"[: len(word) - 1]
    if word[1] == "9":
        digits = digits.rstrip("0")
        return word[0] + digits if digits else ""
    return word[0] + digits


def _offset(word: str, seconds: int) -> str:
    """Go rounds towards zero to minutes and takes the sign from those."""
    if word[0] == "Z" and seconds == 0:
        return "Z"
    minutes = abs(seconds) // 60
    sign = "-" if seconds <= -60 else "+"
    colon = ":" if ":" in word else ""
    out = f"{sign}{minutes // 60:02d}"
    digits = sum(char.isdigit() for char in word)
    if digits >= 4:
        out += f"{colon}{minutes % 60:02d}"
    if digits >= 6:
        out += f"{colon}{abs(seconds) % 60:02d}"
    return out
