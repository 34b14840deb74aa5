"""When was a line written, in whatever common form it says so? ns, and how exact that is.

The second is parsed by the agent's own readers and remembered, since neighbouring lines share it;
the fraction is read here. Invariant: a text gives the same time at every reading, so a time without
a year is the latest one before `now`, which is the file's own time.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from promtail_agent.times import fraction_digits, parse_rfc3339_ns, time_parser

LOOKED_AT_BYTES = 200
"""A time stands at the beginning of a line, if anywhere."""
_DATE = r"\d{4}[-/]\d\d[-/]\d\d"
_FRACTION = r"(?:[.,](?P<fraction>\d{1,9}))?"
_CLOCK = r"\d\d:\d\d:\d\d"
_REMEMBERED = 4096


@dataclass(frozen=True, slots=True)
class Moment:
    """A time, and how many digits of its second it has; 9: it is exact."""

    ts_ns: int
    digits: int


@dataclass(frozen=True, slots=True)
class Shape:
    """A common form: where it stands in a line, and the Go layout of its second."""

    name: str
    pattern: "re.Pattern[bytes]"
    layout: str


def _shape(name: str, pattern: str, layout: str) -> Shape:
    return Shape(name, re.compile(pattern.encode()), layout)


SHAPES = (
    _shape(
        "iso",
        rf"(?P<second>{_DATE}[T ]\d\d:\d\d:\d\d){_FRACTION} ?(?P<zone>Z|UTC\b|[+-]\d\d:?\d\d)?",
        "2006-01-02T15:04:05",
    ),
    _shape(
        "common-log",
        rf"(?P<second>\d\d/[A-Z][a-z]{{2}}/\d{{4}}:{_CLOCK}){_FRACTION}(?: (?P<zone>[+-]\d{{4}}))?",
        "02/Jan/2006:15:04:05",
    ),
    _shape(
        "django",
        rf"(?P<second>\d\d/[A-Z][a-z]{{2}}/\d{{4}} {_CLOCK}){_FRACTION}(?P<zone>)?",
        "02/Jan/2006 15:04:05",
    ),
    _shape(
        "short-year",
        rf"^(?P<second>\d\d/\d\d/\d\d {_CLOCK}){_FRACTION}(?P<zone>)?",
        "06/01/02 15:04:05",
    ),
    _shape("digits", r"^(?P<second>\d{6} \d{6})(?P<fraction>)?(?P<zone>)? ", "060102 150405"),
    _shape(
        "syslog",
        r"^(?:<\d+>)?(?P<second>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d)(?P<fraction>)?(?P<zone>)?",
        "Jan _2 15:04:05",
    ),
    _shape(
        "klog",
        r"^[IWEF](?P<second>\d{4} \d\d:\d\d:\d\d)\.(?P<fraction>\d{6})(?P<zone>)?",
        "0102 15:04:05",
    ),
    _shape(
        "day-month-year",
        rf"(?P<second>\d\d [A-Z][a-z]{{2}} \d{{4}} \d\d:\d\d:\d\d){_FRACTION}(?P<zone>)?",
        "02 Jan 2006 15:04:05",
    ),
    _shape(
        "ctime",
        rf"(?P<second>[A-Z][a-z]{{2}} [ \d]\d {_CLOCK}){_FRACTION} (?P<zone>)?(?P<year>\d{{4}})",
        "Jan _2 15:04:05 2006",
    ),
    _shape(
        "epoch",
        r"(?:^\[?|\bts=|\"(?:ts|time|timestamp)\":\"?)(?P<epoch>\d{10}(?:\.\d{1,9})?|\d{13}|\d{16}|\d{19})\b",
        "",
    ),
)
"""In the order in which they are tried."""
_ZONES = {b"": "", b"Z": "Z", b"UTC": "Z"}

Read = Callable[[bytes], Moment | None]
"""The time of a line, or None where it has none of the form."""


def reader_of(shape: Shape, location: str, now: datetime) -> Read:
    """Reads times of one shape; those without a zone are of `location` ("": UTC)."""
    parse = time_parser(shape.layout, location, lambda: now) if shape.layout else None
    search = shape.pattern.search

    @lru_cache(maxsize=_REMEMBERED)
    def second_ns(second: bytes, zone: bytes, year: bytes) -> int | None:
        text = second.decode("ascii").replace("/", "-") if shape.name == "iso" else second.decode()
        offset = _ZONES.get(zone)
        offset = zone.decode() if offset is None else offset
        if shape.name == "iso":
            text = text.replace(" ", "T")
        if offset:
            offset = offset if ":" in offset or offset == "Z" else f"{offset[:3]}:{offset[3:]}"
            if shape.name == "iso":
                return parse_rfc3339_ns(text + offset)
            return _zoned(shape.layout, text, offset, now)
        assert parse is not None
        return parse(f"{text} {year.decode()}" if year else text)

    def read(line: bytes) -> Moment | None:
        found = search(line[:LOOKED_AT_BYTES])
        if found is None:
            return None
        groups = found.groupdict(b"")
        if not shape.layout:
            return moment_of(groups["epoch"].decode())
        ts_ns = second_ns(groups["second"], groups["zone"], groups.get("year", b""))
        fraction = groups["fraction"]
        if ts_ns is None:
            return None
        if not fraction:
            return Moment(ts_ns, 0)
        return Moment(ts_ns + int(fraction.ljust(9, b"0")), len(fraction))

    return read


def _zoned(layout: str, text: str, offset: str, now: datetime) -> int | None:
    return time_parser(layout + " Z07:00", "", lambda: now)(f"{text} {offset}")


def layout_reader(layout: str, location: str, now: datetime) -> Read:
    """Reads times of a Go layout or a named format, which is how lines begin, maybe in brackets."""
    parse = time_parser(layout, location, lambda: now)
    digits = fraction_digits(layout, location, lambda: now)
    words = layout.count(" ") + 1 if layout[:4] != "Unix" and not layout.startswith("RFC") else 1

    @lru_cache(maxsize=_REMEMBERED)
    def read(text: str) -> Moment | None:
        ts_ns = parse(text)
        return None if ts_ns is None else Moment(ts_ns, min(digits(text), 9))

    def of_line(line: bytes) -> Moment | None:
        first = line[:LOOKED_AT_BYTES].decode("utf-8", "replace").lstrip("[ ").split(" ")
        return read(" ".join(first[:words]).rstrip("]:,"))

    return of_line


def best_shape(lines: list[bytes], location: str, now: datetime) -> Shape | None:
    """The shape that most of the lines have; None where no line has any."""
    hits = [
        (sum(read(line) is not None for line in lines), -number)
        for number, read in enumerate(reader_of(shape, location, now) for shape in SHAPES)
    ]
    count, number = max(hits)
    return SHAPES[-number] if count else None


def moment_of(value: Any) -> Moment | None:
    """The time that a JSON value means: text in a common form, or a number since the epoch."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        value = repr(value) if isinstance(value, int) else f"{value:.6f}"
    if not isinstance(value, str):
        return None
    text = value.strip()
    if text[:1].isdigit() and text[4:5] == "-":
        return _iso(text)
    whole, _, fraction = text.partition(".")
    if not whole.isdecimal() or (fraction and not fraction.isdecimal()):
        return _iso(text)
    if len(whole) <= 11:
        return Moment(
            int(whole) * 10**9 + int(fraction[:9].ljust(9, "0") or "0"), min(len(fraction), 9)
        )
    digits = {13: 3, 16: 6, 19: 9}.get(len(whole))
    return None if digits is None else Moment(int(whole) * 10 ** (9 - digits), digits)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_read_iso = reader_of(SHAPES[0], "", _EPOCH)


def _iso(text: str) -> Moment | None:
    return _read_iso(text.encode("utf-8", "replace"))
