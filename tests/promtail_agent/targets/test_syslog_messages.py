"""Is each form of a syslog message read as its sender meant it, and the rest kept whole?"""

from datetime import UTC, datetime
from typing import Any

import pytest

from promtail_agent.targets.syslog_messages import SyslogMessage, parse_message

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
NOV_25 = datetime(2026, 11, 25, 22, 20, 51, tzinfo=UTC)


def ns(moment: datetime, nanos: int = 0) -> int:
    """ns of a time."""
    return int(moment.timestamp()) * 10**9 + nanos


def parsed(text: str | bytes) -> SyslogMessage:
    """A message that comes at NOW."""
    return parse_message(text if isinstance(text, bytes) else text.encode(), lambda: NOW)


def parts(text: str | bytes) -> dict[str, Any]:
    """What a message says, without what it does not say; severity and facility apart."""
    found = parsed(text)
    named = {
        "text": found.text,
        "at": found.ts_ns,
        "host": found.hostname,
        "app": found.app_name,
        "pid": found.proc_id,
    }
    return {name: value for name, value in named.items() if value not in ("", None)}


TIMED = {"at": ns(NOV_25)}
CORE = {"app": "core", "pid": "2210", "text": b"text"}

BSD: list[tuple[str, dict[str, Any]]] = [
    # a host or none, a tag or none
    ("Nov 25 22:20:51 core[2210]: text", {**TIMED, **CORE}),
    ("Nov 25 22:20:51 web core[2210]: text", {**TIMED, **CORE, "host": "web"}),
    ("Nov 25 22:20:51 core: text", {**TIMED, "app": "core", "text": b"text"}),
    ("Nov 25 22:20:51 web core: text", {**TIMED, "host": "web", "app": "core", "text": b"text"}),
    ("Nov 25 22:20:51 core[2210] text", {**TIMED, **CORE}),
    ("Nov 25 22:20:51 web core[2210] text", {**TIMED, **CORE, "host": "web"}),
    ("Nov 25 22:20:51 core[2210]:text", {**TIMED, **CORE}),
    ("Nov 25 22:20:51 web core[]: text", {**TIMED, "host": "web", "app": "core", "text": b"text"}),
    (
        "Nov 25 22:20:51 10.0.0.99 Use the BFG!",
        {**TIMED, "host": "10.0.0.99", "text": b"Use the BFG!"},
    ),
    ("Nov 25 22:20:51 fe80::1 core[2210]: text", {**TIMED, **CORE, "host": "fe80::1"}),
    ("Nov 25 22:20:51 2001:db8:: core[2210]: text", {**TIMED, **CORE, "host": "2001:db8::"}),
    ("Nov 25 22:20:51 [::1] core[2210]: text", {**TIMED, **CORE, "host": "[::1]"}),
    (
        "Nov 25 22:20:51 web docker/ab12[2210]: text",
        {**TIMED, **CORE, "host": "web", "app": "docker/ab12"},
    ),
    (
        "Nov 25 22:20:51 web CRON(pam)[2210]: text",
        {**TIMED, **CORE, "host": "web", "app": "CRON(pam)"},
    ),
    ("Nov 25 22:20:51 hello", {**TIMED, "text": b"hello"}),
    ("Nov 25 22:20:51 web http://x/ failed", {**TIMED, "host": "web", "text": b"http://x/ failed"}),
    (
        "Nov 25 22:20:51 last message repeated 3 times",
        {**TIMED, "text": b"last message repeated 3 times"},
    ),
    (
        "Nov 25 22:20:51 web core[2210]:   indented",
        {**TIMED, **CORE, "host": "web", "text": b"  indented"},
    ),
    # no time
    ("core[2210]: text", CORE),
    ("core: text", {"app": "core", "text": b"text"}),
    ("hello world", {"text": b"hello world"}),
    ("http://x/ failed", {"text": b"http://x/ failed"}),
    (" core[2210]: text", CORE),
    # forms of the time
    (
        "Nov  5 22:20:51 web core[2210]: text",
        {**CORE, "host": "web", "at": ns(NOV_25.replace(day=5))},
    ),
    (
        "Nov 5 22:20:51 web core[2210]: text",
        {**CORE, "host": "web", "at": ns(NOV_25.replace(day=5))},
    ),
    (
        "Nov 05 22:20:51 web core[2210]: text",
        {**CORE, "host": "web", "at": ns(NOV_25.replace(day=5))},
    ),
    (
        "Nov 25 22:20:51.123456 web core[2210]: text",
        {**CORE, "host": "web", "at": ns(NOV_25, 123_456_000)},
    ),
    ("Nov 25 2026 22:20:51 web core[2210]: text", {**TIMED, **CORE, "host": "web"}),
    (
        "Nov 25 2024 22:20:51: %ASA-6-302013: text",
        {"at": ns(NOV_25.replace(year=2024)), "app": "%ASA-6-302013", "text": b"text"},
    ),
    (
        "Nov 25 2026 22:20:51 asa1 : %ASA-6-302013: text",
        {**TIMED, "host": "asa1", "app": "%ASA-6-302013", "text": b"text"},
    ),
    (
        "Nov 25 22:20:51 2025 web core[2210]: text",
        {**CORE, "host": "web", "at": ns(NOV_25.replace(year=2025))},
    ),
    (
        "29: *Nov 25 22:20:51.123 UTC: %SYS-5-CONFIG_I: text",
        {"at": ns(NOV_25, 123_000_000), "app": "%SYS-5-CONFIG_I", "text": b"text"},
    ),
    (
        "29: router1: 000031: .Nov 25 22:20:51: %SYS-5-CONFIG_I: text",
        {**TIMED, "app": "%SYS-5-CONFIG_I", "text": b"text"},
    ),
    ("Nov 25 23:20:51 +01:00 web core[2210]: text", {**TIMED, **CORE, "host": "web"}),
    ("2026-11-25T22:20:51Z web core[2210]: text", {**TIMED, **CORE, "host": "web"}),
    ("2026-11-25T22:20:51Z core[2210]: text", {**TIMED, **CORE}),
    (
        "2026-11-25T23:20:51.123456+01:00 web core[2210]: text",
        {**CORE, "host": "web", "at": ns(NOV_25, 123_456_000)},
    ),
    ("2026-11-25T18:20:51-0400 web core[2210]: text", {**TIMED, **CORE, "host": "web"}),
    (
        "2026-11-25 22:20:51,5 web core[2210]: text",
        {**CORE, "host": "web", "at": ns(NOV_25, 500_000_000)},
    ),
    # a day that is none, an hour that is none: the message is read, its time is not known
    ("Nov 31 22:20:51 web core[2210]: text", {**CORE, "host": "web"}),
    ("Nov 25 25:20:51 web core[2210]: text", {**CORE, "host": "web"}),
]


@pytest.mark.parametrize(("text", "expected"), BSD)
def test_bsd_messages(text: str, expected: dict[str, Any]) -> None:
    for message in (f"<30>{text}", f"\ufeff<30>{text}", f"  <30>{text}"):
        found = parsed(message)
        assert parts(message) == expected
        assert (found.severity, found.facility, found.unread) == ("informational", "daemon", "")


@pytest.mark.parametrize(
    ("now", "text", "year"),
    [
        ("2026-01-01T00:00:05", "Dec 31 23:59:58", 2025),  # of the evening before
        ("2026-01-01T00:00:05", "Jan  1 00:00:01", 2026),
        ("2026-06-01T00:00:00", "Jun  1 13:00:00", 2026),  # a zone ahead
        ("2026-06-01T00:00:00", "Jun  2 00:00:01", 2025),  # more than a day ahead
        ("2026-06-01T00:00:00", "Nov 25 22:20:51", 2025),
        ("2025-12-31T23:59:58", "Jan  1 00:00:05", 2026),  # a clock ahead
        ("2026-03-01T00:00:00", "Feb 29 12:00:00", 2024),
    ],
)
def test_a_time_without_a_year_is_the_latest_that_is_not_ahead(
    now: str, text: str, year: int
) -> None:
    moment = datetime.fromisoformat(f"{now}+00:00")
    found = parse_message(f"<30>{text} web core: x".encode(), lambda: moment)
    assert found.ts_ns is not None
    assert datetime.fromtimestamp(found.ts_ns // 10**9, UTC).year == year


IETF: list[tuple[str, dict[str, Any]]] = [
    ("1 2026-11-25T22:20:51Z web core 2210 ID1 - text", {**TIMED, **CORE, "host": "web"}),
    ("1 - - - - - - text", {"text": b"text"}),
    ("1 - - - - - -", {}),
    ("1 - - - - - - \ufefftext", {"text": b"text"}),
    ("1 - - - - - -   indented", {"text": b"  indented"}),
    (
        "1 2026-11-25T23:20:51.5+01:00 ::1 core 2210 - - text",
        {**CORE, "host": "::1", "at": ns(NOV_25, 500_000_000)},
    ),
    ("1 yesterday web core 2210 - - text", {**CORE, "host": "web"}),
    ('1 - web core 2210 - [a b="c"] text', {**CORE, "host": "web"}),
    (
        '1 - web core 2210 - [a b="c" not closed text',
        {**CORE, "host": "web", "text": b'[a b="c" not closed text'},
    ),
    ("1 - web core 2210 - - two\nlines", {**CORE, "host": "web", "text": b"two\nlines"}),
]


@pytest.mark.parametrize(("text", "expected"), IETF)
def test_ietf_messages(text: str, expected: dict[str, Any]) -> None:
    assert parts(f"<165>{text}") == {**expected, "text": expected.get("text", b"")}
    found = parsed(f"<165>{text}")
    assert (found.severity, found.facility, found.unread) == ("notice", "local4", "")


def test_structured_data() -> None:
    found = parsed(r'<165>1 - - - - - [a@1 x="1" y="\"q\" \] \\ \n"][b][c@2 z=""] text')
    assert found.structured == {
        "a@1": {"x": "1", "y": r'"q" ] \ \n'},
        "b": {},
        "c@2": {"z": ""},
    }
    assert found.text == b"text"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"no syslog", "no priority"),
        (b"Nov 25 22:20:51 web core: text", "no priority"),
        (b"", "no priority"),
        (b"<", "not a priority"),
        (b"<>x", "not a priority"),
        (b"<192>x", "not a priority"),
        (b"<1234>x", "not a priority"),
        (b"<a>x", "not a priority"),
        (b"<1>1 -", "incomplete RFC 5424 header"),
        (b"<1>1 2026-11-25T22:20:51Z web", "incomplete RFC 5424 header"),
        (b"\x16\x03\x01\xff", "no priority"),
    ],
)
def test_what_cannot_be_read_is_whole(data: bytes, why: str) -> None:
    found = parsed(data)
    assert (found.text, found.unread) == (data, why)
    assert (found.severity, found.hostname, found.ts_ns) == ("", "", None)
