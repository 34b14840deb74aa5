"""Of which year is a time that has none? The latest in which it is not more than a day ahead."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from promtail_agent.times import fraction_digits, time_parser

SYSLOG = "Jan _2 15:04:05"


def moment(text: str) -> datetime:
    """An ISO time in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def parsed(text: str, layout: str, now: str, location: str = "") -> str:
    """As ISO in UTC; "" where it is no time."""
    ts_ns = time_parser(layout, location, lambda: moment(now))(text)
    if ts_ns is None:
        return ""
    return datetime.fromtimestamp(ts_ns // 10**9, UTC).strftime("%Y-%m-%d %H:%M:%S")


@pytest.mark.parametrize(
    ("text", "now", "expected"),
    [
        ("Oct  9 08:00:00", "2025-10-09 08:00:00", "2025-10-09 08:00:00"),
        ("Oct  9 08:00:01", "2025-10-09 08:00:00", "2025-10-09 08:00:01"),
        ("Oct 10 08:00:00", "2025-10-09 08:00:00", "2025-10-10 08:00:00"),  # a day ahead
        ("Oct 10 08:00:01", "2025-10-09 08:00:00", "2024-10-10 08:00:01"),
        ("Nov 30 23:00:00", "2026-01-02 00:00:00", "2025-11-30 23:00:00"),
        ("Dec 31 23:59:59", "2026-01-01 00:00:00", "2025-12-31 23:59:59"),
        ("Jan  1 00:00:01", "2025-12-31 23:59:59", "2026-01-01 00:00:01"),  # their clock is ahead
        ("Jan  1 23:00:00", "2025-12-31 22:00:00", "2025-01-01 23:00:00"),  # 25 hours
        ("Jan  2 00:00:00", "2025-12-30 00:00:00", "2025-01-02 00:00:00"),
        ("Feb 29 10:00:00", "2026-03-01 00:00:00", "2024-02-29 10:00:00"),
        ("Feb 29 10:00:00", "2028-02-28 12:00:00", "2028-02-29 10:00:00"),
        ("Feb 29 10:00:00", "2028-02-27 12:00:00", "2024-02-29 10:00:00"),
        ("Feb 29 10:00:00", "2103-06-01 00:00:00", "2096-02-29 10:00:00"),  # 2100 had none
        ("Feb 30 10:00:00", "2026-03-01 00:00:00", ""),
    ],
)
def test_the_year_of_a_time_without_one(text: str, now: str, expected: str) -> None:
    assert parsed(text, SYSLOG, now) == expected


def test_what_is_ahead_depends_on_the_zone() -> None:
    """Eleven in the evening of New York is the next day in UTC."""
    late = ("Oct  9 23:00:00", SYSLOG, "2025-10-09 02:00:00")
    assert parsed(*late) == "2025-10-09 23:00:00"
    assert parsed(*late, "America/New_York") == "2024-10-10 03:00:00"
    with_zone = ("Oct  9 23:00:00 -0400", f"{SYSLOG} -0700", "2025-10-09 02:00:00")
    assert parsed(*with_zone) == "2024-10-10 03:00:00"


def test_the_new_year_comes_early_in_the_east() -> None:
    given = ("Jan  1 08:00:00", SYSLOG, "2025-12-30 20:00:00", "Pacific/Kiritimati")
    assert parsed(*given) == "2025-12-31 18:00:00"


@pytest.mark.parametrize(
    ("text", "layout", "now", "expected"),
    [
        ("10:00:05", "15:04:05", "2025-12-31 12:00:00", "2025-01-01 10:00:05"),  # as in Go: January
        ("366 10:00:00", "002 15:04:05", "2026-01-01 00:00:00", "2024-12-31 10:00:00"),
        ("001 10:00:00", "002 15:04:05", "2025-12-31 23:00:00", "2026-01-01 10:00:00"),
        ("10/11 08:00", "02/01 15:04", "2025-10-09 00:00:00", "2024-11-10 08:00:00"),
        ("09.10.25 08:00", "02.01.06 15:04", "2020-01-01 00:00:00", "2025-10-09 08:00:00"),
    ],
)
def test_other_layouts(text: str, layout: str, now: str, expected: str) -> None:
    assert parsed(text, layout, now) == expected


def test_now_may_have_any_zone() -> None:
    now = datetime(2026, 1, 1, 5, 0, tzinfo=timezone(timedelta(hours=10)))  # the 31st in UTC
    ts_ns = time_parser(SYSLOG, "", lambda: now)("Dec 31 18:00:00")
    assert ts_ns == int(moment("2025-12-31 18:00:00").timestamp()) * 10**9


@pytest.mark.parametrize(
    ("fmt", "text", "digits"),
    [
        ("RFC3339", "2025-10-09T08:00:00Z", 0),
        ("RFC3339", "2025-10-09T08:00:00.5+02:00", 1),
        ("RFC3339Nano", "2025-10-09T08:00:00.123456789Z", 9),
        ("Unix", "1759996800", 0),
        ("Unix", "1759996800.25", 2),
        ("UnixMs", "1759996800123", 3),
        ("UnixUs", "1759996800123456", 6),
        ("UnixNs", "1759996800123456789", 9),
        ("ANSIC", "Thu Oct  9 08:00:00 2025", 0),
        ("2006-01-02 15:04:05", "2025-10-09 08:00:00", 0),
        ("2006-01-02 15:04:05", "2025-10-09 08:00:00,123", 3),
        ("2006-01-02 15:04:05.000000", "2025-10-09 08:00:00.123456", 6),
        ("2006-01-02 15:04", "2025-10-09 08:00", 0),
    ],
)
def test_digits_of_a_fraction(fmt: str, text: str, digits: int) -> None:
    def now() -> datetime:
        return moment("2025-10-09 08:00:00")

    assert time_parser(fmt, "", now)(text) is not None
    assert fraction_digits(fmt, "", now)(text) == digits
