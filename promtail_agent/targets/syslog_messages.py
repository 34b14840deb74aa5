"""What does a syslog message say? RFC 5424 and RFC 3164, and how they follow each other on TCP."""

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from promtail_agent.times import parse_rfc3339_ns

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
_RFC5424 = re.compile(rb"<(\d{1,3})>\d{1,2} (\S+) (\S+) (\S+) (\S+) (\S+) ?", re.DOTALL)
_RFC3164 = re.compile(rb"<(\d{1,3})>([A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d) (\S+) ", re.DOTALL)
_TAG = re.compile(rb"([^\s:\[]{1,48})(?:\[([^\]]*)\])?: ?")
_PARAMETER = re.compile(rb' ([^=\s\]"]+)="((?:[^"\\\]]|\\.)*)"')


class FramingError(Exception):
    """The bytes of a connection are no syslog."""


@dataclass(frozen=True, slots=True)
class SyslogMessage:
    """A message, its text and its parts; a part that is absent ("-") is empty."""

    severity: str
    facility: str
    ts_ns: int | None
    hostname: str
    app_name: str
    proc_id: str
    msg_id: str
    text: bytes
    structured: dict[str, dict[str, str]] = field(default_factory=dict)


def parse_message(data: bytes, *, rfc3164: bool) -> SyslogMessage | None:
    """The message, or None when it is none."""
    return _parse_3164(data) if rfc3164 else _parse_5424(data)


def _parse_5424(data: bytes) -> SyslogMessage | None:
    head = _RFC5424.match(data)
    if head is None or int(head[1]) > 191:
        return None
    severity, facility = _priority(int(head[1]))
    time_text, host, app, proc, msg = (_text(head[k]) for k in range(2, 7))
    structured, at = _structured(data, head.end())
    text = data[at:].lstrip(b" ").removeprefix(b"\xef\xbb\xbf")
    ts_ns = parse_rfc3339_ns(time_text) if time_text else None
    return SyslogMessage(severity, facility, ts_ns, host, app, proc, msg, text, structured)


def _parse_3164(data: bytes) -> SyslogMessage | None:
    head = _RFC3164.match(data)
    if head is None or int(head[1]) > 191:
        return None
    severity, facility = _priority(int(head[1]))
    rest = data[head.end() :]
    tag = _TAG.match(rest)
    app, proc = (_text(tag[1]), _text(tag[2] or b"")) if tag else ("", "")
    text = rest[tag.end() :] if tag else rest
    host = _text(head[3])
    return SyslogMessage(severity, facility, _year_less(head[2]), host, app, proc, "", text)


def _year_less(text: bytes) -> int | None:
    """`Oct 11 22:14:15` of this year, or of the last when that would lie ahead."""
    now = datetime.now(UTC)
    try:
        moment = datetime.strptime(f"{now.year} {text.decode()} +0000", "%Y %b %d %H:%M:%S %z")
    except ValueError:
        return None
    if moment.timestamp() > time.time() + 86_400:
        moment = moment.replace(year=now.year - 1)
    return int(moment.timestamp()) * 10**9


def _priority(number: int) -> tuple[str, str]:
    return SEVERITIES[number % 8], FACILITIES[number // 8]


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
        found[name] = parameters
        at = end + 1
    return found, at


def frames(read: Callable[[int], bytes], max_bytes: int) -> Iterator[bytes]:
    """The messages of a connection; `read` gives at most n bytes, none at the end.

    The first byte decides: `<` for messages that end with a newline, a digit for octet counting.
    Raises `FramingError`; too long a message is cut.
    """
    buffer = read(4096)
    if not buffer:
        return
    first = buffer[:1]
    if first == b"<":
        yield from _by_newline(buffer, read, max_bytes)
    elif first.isdigit():
        yield from _by_count(buffer, read, max_bytes)
    else:
        shown = first.decode("latin-1")
        raise FramingError(f"invalid or unsupported framing. first byte: '{shown}'")


def _by_newline(buffer: bytes, read: Callable[[int], bytes], max_bytes: int) -> Iterator[bytes]:
    skipping = False
    while True:
        line, newline, rest = buffer.partition(b"\n")
        if newline:
            if not skipping and line:
                yield line[:max_bytes]
            skipping, buffer = False, rest
            continue
        if len(buffer) > max_bytes:
            if not skipping:
                yield buffer[:max_bytes]
            skipping, buffer = True, b""
        more = read(4096)
        if not more:
            if buffer and not skipping:
                yield buffer[:max_bytes]
            return
        buffer += more


def _by_count(buffer: bytes, read: Callable[[int], bytes], max_bytes: int) -> Iterator[bytes]:
    while True:
        while b" " not in buffer:
            more = read(4096)
            if not more:
                return
            buffer += more
            if len(buffer) > 16 and b" " not in buffer[:16]:
                raise FramingError("message length is missing")
        count, _, buffer = buffer.partition(b" ")
        if not count.isdigit() or len(count) > 9:
            raise FramingError(f"message length {count[:16]!r} is no number")
        size, message = int(count), bytearray()
        while size:
            if not buffer:
                buffer = read(min(size, 65536))
                if not buffer:
                    return
            part, buffer = buffer[:size], buffer[size:]
            size -= len(part)
            message += part[: max(0, max_bytes - len(message))]
        yield bytes(message).rstrip(b"\n")
