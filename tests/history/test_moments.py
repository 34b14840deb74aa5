"""Are times read as people write them, and is it known how exact they are?"""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from narfi.history.files.moments import (
    SHAPES,
    Moment,
    best_shape,
    layout_reader,
    moment_of,
    reader_of,
)

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def ns(*parts: int, fraction: int = 0) -> int:
    """ns of a UTC time."""
    year, month, day, hour, minute, second = parts
    return (
        int(datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp()) * 10**9
        + fraction
    )


NINE = ns(2025, 10, 9, 8, 7, 6)


@pytest.mark.parametrize(
    ("line", "shape", "ts_ns", "digits"),
    [
        ("2025-10-09T08:07:06Z text", "iso", NINE, 0),
        ("2025-10-09T08:07:06.5Z text", "iso", NINE + 500_000_000, 1),
        ('time="2025-10-09T10:07:06.123456789+02:00" level=info', "iso", NINE + 123_456_789, 9),
        ("[2025-10-09 08:07:06,123] INFO", "iso", NINE + 123_000_000, 3),
        ("2025/10/09 08:07:06 [error] 7#7: *1 open()", "iso", NINE, 0),
        ("2025-10-09 08:07:06.120 UTC [77] LOG:", "iso", NINE + 120_000_000, 3),
        ("2025-10-09 10:07:06 +0200 [info]", "iso", NINE, 0),
        ('1.2.3.4 - - [09/Oct/2025:10:07:06 +0200] "GET / HTTP/1.1"', "common-log", NINE, 0),
        ("1.2.3.4:5 [09/Oct/2025:08:07:06.007] http web/s1", "common-log", NINE + 7_000_000, 3),
        ('[09/Oct/2025 08:07:06] "GET / HTTP/1.1" 200', "django", NINE, 0),
        ("Oct  9 08:07:06 host sshd[7]: text", "syslog", NINE, 0),
        ("<34>Oct  9 08:07:06 host su: text", "syslog", NINE, 0),
        ("Mar 15 08:07:06 host su: last year's", "syslog", ns(2025, 3, 15, 8, 7, 6), 0),
        ("E1009 08:07:06.000123       7 file.go:1] text", "klog", NINE + 123_000, 6),
        ("77:M 09 Oct 2025 08:07:06.045 * Ready", "day-month-year", NINE + 45_000_000, 3),
        ("[Thu Oct  9 08:07:06.5 2025] [core]", "ctime", NINE + 500_000_000, 1),
        ("Thu Oct  9 08:07:06 2025: text", "ctime", NINE, 0),
        ("25/10/09 08:07:06 INFO executor", "short-year", NINE, 0),
        ("251009 080706 77 INFO dfs", "digits", NINE, 0),
        (f"[{NINE // 10**9}] text", "epoch", NINE, 0),
        (f"ts={NINE // 10**9}.25 text", "epoch", NINE + 250_000_000, 2),
        (f'{{"level":30,"time":{NINE // 10**6},"pid":1}}', "epoch", NINE, 3),
    ],
)
def test_common_forms(line: str, shape: str, ts_ns: int, digits: int) -> None:
    found = best_shape([b"no time here", line.encode()], "", NOW)
    assert found is not None
    assert found.name == shape
    assert reader_of(found, "", NOW)(line.encode()) == Moment(ts_ns, digits)


@pytest.mark.parametrize(
    "line", ["text", "version 1.2.3 of 4", "2025-13-09T08:07:06Z", "id=1234567890123"]
)
def test_what_is_no_time(line: str) -> None:
    for shape in SHAPES:
        assert reader_of(shape, "", NOW)(line.encode()) is None


def test_a_zone_of_times_without_one() -> None:
    read = reader_of(SHAPES[0], "Europe/Rome", NOW)
    assert read(b"2025-10-09 10:07:06") == Moment(NINE, 0)
    assert read(b"2025-10-09 08:07:06Z") == Moment(NINE, 0)


@pytest.mark.parametrize(
    ("layout", "line"),
    [
        ("02.01.2006 15:04:05", "09.10.2025 08:07:06 text"),
        ("RFC3339", "2025-10-09T08:07:06Z text"),
        ("UnixMs", f"{NINE // 10**6} text"),
        ("02.01.2006 15:04:05", "[09.10.2025 08:07:06] text"),
    ],
)
def test_a_given_layout(layout: str, line: str) -> None:
    found = layout_reader(layout, "", NOW)(line.encode())
    assert found is not None
    assert found.ts_ns == NINE
    assert layout_reader(layout, "", NOW)(b"text") is None


@given(
    st.integers(10**8, 7 * 10**9).map(lambda one: datetime.fromtimestamp(one, UTC)),
    st.integers(-720, 720),
    st.text("0123456789", max_size=9),
)
def test_iso_as_datetime_reads_it(moment: datetime, minutes: int, digits: str) -> None:
    zone = timezone(timedelta(minutes=minutes))
    text = moment.strftime("%Y-%m-%d %H:%M:%S") + ("." + digits if digits else "")
    sign, (hours, rest) = "-" if minutes < 0 else "+", divmod(abs(minutes), 60)
    expected = int(moment.replace(microsecond=0, tzinfo=zone).timestamp()) * 10**9
    found = moment_of(f"{text}{sign}{hours:02d}:{rest:02d}")
    assert found == Moment(expected + int(digits.ljust(9, "0") or 0), len(digits))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1_700_000_000, Moment(1_700_000_000 * 10**9, 0)),
        (1_700_000_000_123, Moment(1_700_000_000_123 * 10**6, 3)),
        ("1700000000123456", Moment(1_700_000_000_123_456 * 1000, 6)),
        ("1700000000123456789", Moment(1_700_000_000_123_456_789, 9)),
        (1_700_000_000.5, Moment(1_700_000_000_500_000_000, 6)),
        ("1700000000.25", Moment(1_700_000_000_250_000_000, 2)),
        ("2023-11-14T22:13:20.1Z", Moment(1_700_000_000_100_000_000, 1)),
        (True, None),
        (None, None),
        ("yesterday", None),
        ("", None),
        ([], None),
        (12_345_678_901_234, None),
    ],
)
def test_members(value: object, expected: Moment | None) -> None:
    assert moment_of(value) == expected
