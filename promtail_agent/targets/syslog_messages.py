"""What does a syslog message say? RFC 5424, RFC 3164, and what programs send instead of that.

Of a 3164 message everything but the priority may be missing. Its time may be `Nov 25 22:20:51`,
with a year, a fraction or a zone, or an RFC 3339 time (rsyslog's forwarding); Cisco's sequence
numbers and marks stand before it. A host is missing where the tag (`core[2210]:`) comes first, as
from Docker.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone, tzinfo

from promtail_agent.times import in_latest_year

SEVERITIES = (
    "emergency",
    "alert",
    "critical",
    "error",
    "warning",
    "notice",
    "informational",
    "debug",
)
FACILITIES = (
    *("kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron"),
    *("authpriv", "ftp", "ntp", "security", "console", "solaris-cron"),
    *(f"local{k}" for k in range(8)),
)
MAX_PRIORITY = 191
NO_PRIORITY = "no priority"
BAD_PRIORITY = "not a priority"
CUT_HEAD = "incomplete RFC 5424 header"
_BOM = b"\xef\xbb\xbf"
_PRIORITY = re.compile(rb"<(\d{1,3})>")
_RFC5424 = re.compile(rb"[1-9]\d{0,2} (\S+) (\S+) (\S+) (\S+) (\S+)(?: |$)")
_LIKE_5424 = re.compile(rb"1 (?:-|\d{4}-\d\d-\d\dT)")
_PARAMETER = re.compile(rb' +([^=\s\]"]+)="((?:[^"\\\]]|\\.)*)"', re.DOTALL)
_SEQUENCE = re.compile(
    rb"(?:\d{1,10}: )?(?:[^\s:]{1,255}: )?(?:\d{1,10}: )?(?=[*.]?[A-Z][a-z]{2} )"
)
_MONTHS = [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun"]
_MONTHS += [b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"]
_BSD_TIME = re.compile(
    rb"[*.]?(?P<month>" + b"|".join(_MONTHS) + rb") +(?P<day>\d{1,2})(?: (?P<year>\d{4}))?"
    rb" (?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)(?:[.,](?P<fraction>\d{1,9}))?"
    rb"(?: (?P<year_behind>(?:19|20)\d\d)(?= |: |$))?"
    rb"(?: ?(?P<zone>UTC|GMT|[+-]\d\d:?\d\d|[A-Z]{3,4}(?=:)))?:?(?: +|$)"
)
_ISO_TIME = re.compile(
    rb"(?P<date>\d{4}-\d\d-\d\d)[T ](?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
    rb"(?:[.,](?P<fraction>\d{1,9}))?(?P<zone>Z|z|[+-]\d\d:?\d\d)?:?(?: +|$)"
)
_TAG = re.compile(rb"([^\s:\[]{1,128})(?:(\[[^\]]{0,128}\])(?::|(?= |$))|:(?= |$)) ?")
_HOST = re.compile(rb"(?!last message repeated )(\S+) +(?:: )?")

Now = Callable[[], datetime]


@dataclass(frozen=True, slots=True, kw_only=True)
class SyslogMessage:
    """A message, its text and its parts; a part that is absent ("-") is empty.

    `unread` says why it could not be read: then its text is the whole of it.
    """

    text: bytes
    severity: str = ""
    facility: str = ""
    ts_ns: int | None = None
    hostname: str = ""
    app_name: str = ""
    proc_id: str = ""
    msg_id: str = ""
    structured: dict[str, dict[str, str]] = field(default_factory=dict)
    unread: str = ""


def _utc_now() -> datetime:
    return datetime.now(UTC)


def parse_message(data: bytes, now: Now = _utc_now) -> SyslogMessage:
    """The message; one that is none is whole, with the reason."""
    bare = data.removeprefix(_BOM).lstrip()
    head = _PRIORITY.match(bare)
    if head is None:
        return SyslogMessage(text=data, unread=BAD_PRIORITY if bare[:1] == b"<" else NO_PRIORITY)
    number = int(head[1])
    if number > MAX_PRIORITY:
        return SyslogMessage(text=data, unread=BAD_PRIORITY)
    severity, facility = SEVERITIES[number % 8], FACILITIES[number // 8]
    rest = bare[head.end() :]
    found = _RFC5424.match(rest)
    if found is not None:
        return _parse_5424(rest, found, severity, facility)
    if _LIKE_5424.match(rest) is not None:
        return SyslogMessage(text=data, unread=CUT_HEAD)
    return _parse_3164(rest.lstrip(), severity, facility, now)


def _parse_5424(
    rest: bytes, head: "re.Match[bytes]", severity: str, facility: str
) -> SyslogMessage:
    host, app, proc, msg = (_text(head[k]) for k in range(2, 6))
    structured, at = _structured(rest, head.end())
    time = _ISO_TIME.fullmatch(head[1])
    return SyslogMessage(
        text=rest[at:].removeprefix(b" ").removeprefix(_BOM),
        severity=severity,
        facility=facility,
        ts_ns=_iso_ns(time) if time is not None else None,
        hostname=host,
        app_name=app,
        proc_id=proc,
        msg_id=msg,
        structured=structured,
    )


def _parse_3164(rest: bytes, severity: str, facility: str, now: Now) -> SyslogMessage:
    ts_ns, rest, timed = _time(rest, now)
    host = b""
    tag = _TAG.match(rest)
    if timed and tag is None:
        found = _HOST.match(rest)
        if found is not None:  # a lone word is the text
            host, rest = found[1], rest[found.end() :]
            tag = _TAG.match(rest)
    app, proc = (tag[1], (tag[2] or b"[]")[1:-1]) if tag is not None else (b"", b"")
    text = rest[tag.end() :] if tag is not None else rest
    return SyslogMessage(
        text=text.removeprefix(_BOM),
        severity=severity,
        facility=facility,
        ts_ns=ts_ns,
        hostname=_text(host),
        app_name=_text(app),
        proc_id=_text(proc),
    )


def _time(rest: bytes, now: Now) -> tuple[int | None, bytes, bool]:
    """(time, what follows it, whether there was any)."""
    found = _ISO_TIME.match(rest)
    if found is not None:
        return _iso_ns(found), rest[found.end() :], True
    sequence = _SEQUENCE.match(rest)
    begin = sequence.end() if sequence is not None else 0
    found = _BSD_TIME.match(rest, begin)
    if found is None:
        return None, rest, False
    return _bsd_ns(found, now), rest[found.end() :], True


def _iso_ns(found: "re.Match[bytes]") -> int | None:
    year, month, day = (int(part) for part in found["date"].split(b"-"))
    try:
        return _ns(found, _moment(found, year, month, day))
    except ValueError:
        return None


def _bsd_ns(found: "re.Match[bytes]", now: Now) -> int | None:
    month, day = _MONTHS.index(found["month"]) + 1, int(found["day"])
    year = found["year"] or found["year_behind"]
    try:
        if year:
            moment = _moment(found, int(year), month, day)
        else:
            moment = in_latest_year(lambda one: _moment(found, one, month, day), now())
    except ValueError:
        return None
    return _ns(found, moment)


def _moment(found: "re.Match[bytes]", year: int, month: int, day: int) -> datetime:
    hour, minute, second = (int(found[part]) for part in ("hour", "minute", "second"))
    return datetime(year, month, day, hour, minute, second, tzinfo=_zone(found["zone"]))


def _ns(found: "re.Match[bytes]", moment: datetime) -> int:
    return int(moment.timestamp()) * 10**9 + int((found["fraction"] or b"").ljust(9, b"0"))


def _zone(text: bytes | None) -> tzinfo:
    """A zone that is a name of its own is not known: UTC."""
    if not text or text[:1] not in (b"+", b"-"):
        return UTC
    digits = text[1:].replace(b":", b"")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-offset if text[:1] == b"-" else offset)


def _text(data: bytes) -> str:
    return "" if data == b"-" else data.decode("utf-8", "replace")


def _structured(data: bytes, at: int) -> tuple[dict[str, dict[str, str]], int]:
    """(elements by id, where they end)."""
    found: dict[str, dict[str, str]] = {}
    if data[at : at + 1] == b"-":
        return found, at + 1
    while data[at : at + 1] == b"[":
        end = at + 1
        while end < len(data) and data[end : end + 1] not in (b" ", b"]"):
            end += 1
        parameters: dict[str, str] = {}
        name = data[at + 1 : end].decode("utf-8", "replace")
        while (parameter := _PARAMETER.match(data, end)) is not None:
            value = re.sub(rb'\\(["\\\]])', rb"\1", parameter[2])
            parameters[parameter[1].decode("utf-8", "replace")] = value.decode("utf-8", "replace")
            end = parameter.end()
        if data[end : end + 1] != b"]":
            return found, at
        found.setdefault(name, {}).update(parameters)
        at = end + 1
    return found, at
