"""How does a JSON push body become arrays? v1 (`values`), v0 (`entries`), http-api.md §1.3, §1.4.

Parsed by orjson, so this path makes Python objects per entry; clients with volume send protobuf.
Texts of errors follow the recorded server's parser loosely, their statuses exactly.
"""

from datetime import datetime
from typing import Any

import numpy as np
import orjson

from narfi.core.columns import Spans
from narfi.core.labels import quote
from narfi.core.units import MAX_INT64, UnitError, parse_int
from narfi.core.wire.push import DecodedPush, Pairs, PushFormatError

MIN_INT64 = -MAX_INT64 - 1
_DIGITS = tuple("0123456789")
_NUMBER = "Value looks like Number/Boolean/None, but can't find its end: ',' or '}' symbol"
_STRING = "Value is string, but can't find closing '\"' symbol"
_OBJECT = "Value looks like object, but can't find closing '}' symbol"
_MALFORMED = "Malformed JSON error"


class _Collector:
    """Entries gathered as plain lists, made into arrays at the end."""

    def __init__(self) -> None:
        self.labels: list[bytes] = []
        self.stream: list[int] = []
        self.ts: list[int] = []
        self.lines: list[bytes] = []
        self.rows: list[int] = []
        self.names: list[bytes] = []
        self.values: list[bytes] = []

    def add(self, ts: int, line: str, metadata: dict[str, Any] | None) -> None:
        """One entry of the newest stream."""
        row = len(self.ts)
        self.stream.append(len(self.labels) - 1)
        self.ts.append(ts)
        self.lines.append(line.encode("utf-8", "replace"))
        for name, value in (metadata or {}).items():
            if not isinstance(value, str):
                raise _refused(_STRING)
            self.rows.append(row)
            self.names.append(name.encode())
            self.values.append(value.encode("utf-8", "replace"))

    def push(self) -> DecodedPush:
        """The arrays."""
        return DecodedPush(
            tuple(self.labels),
            np.array(self.stream, np.int32),
            np.array(self.ts, np.int64),
            Spans.of(self.lines),
            Pairs(
                np.array(self.rows, np.int32),
                Spans.of(self.names),
                Spans.of(self.values),
            ),
        )


def decode_push_json(body: bytes, *, legacy: bool) -> DecodedPush:
    """The entries of a JSON body; `legacy` is the v0 shape of `/api/prom/push`."""
    content = _load(body)
    if content is None:
        content = {}
    if not isinstance(content, dict):
        raise PushFormatError("readObjectStart: expect { or n, but found " + _first(body))
    streams = content.get("streams")
    if streams is None:
        streams = []
    if not isinstance(streams, list):
        found = _first(orjson.dumps(streams))
        message = (
            "loghttp.PushRequest.Streams: []loghttp.LogProtoStream: decode slice: expect [ or n, "
            f"but found {found}"
        )
        raise PushFormatError(message)
    collector = _Collector()
    for stream in streams:
        if not isinstance(stream, dict):
            raise _refused(_OBJECT)
        if legacy:
            _legacy_stream(collector, stream)
        else:
            _stream(collector, stream)
    return collector.push()


def _load(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        # what follows the first value is ignored, as the recorded server does
        end = _value_end(body)
        if end is not None and end < len(body):
            try:
                return orjson.loads(body[:end])
            except orjson.JSONDecodeError:
                pass
        raise PushFormatError(f"loghttp.PushRequest: {error}") from error


def _value_end(body: bytes) -> int | None:
    """Where the first object ends, by counting brackets outside of strings."""
    depth, at, inside = 0, 0, False
    while at < len(body):
        byte = body[at]
        if inside:
            if byte == 0x5C:
                at += 1
            elif byte == 0x22:
                inside = False
        elif byte == 0x22:
            inside = True
        elif byte in b"{[":
            depth += 1
        elif byte in b"}]":
            depth -= 1
            if depth == 0:
                return at + 1
        at += 1
    return None


def _first(body: bytes) -> str:
    return body.strip()[:1].decode("utf-8", "replace")


def _refused(text: str) -> PushFormatError:
    message = f"loghttp.PushRequest.Streams: []loghttp.LogProtoStream: unmarshalerDecoder: {text}"
    return PushFormatError(message)


def _stream(collector: _Collector, stream: dict[str, Any]) -> None:
    labels = stream.get("stream") or {}
    if not isinstance(labels, dict):
        raise _refused(_OBJECT)
    collector.labels.append(_label_text(labels).encode("utf-8", "replace"))
    values = stream.get("values") or []
    if not isinstance(values, list):
        raise _refused(_MALFORMED)
    for value in values:
        if value is None:
            continue
        if not isinstance(value, list):
            raise _refused(_MALFORMED)
        _value(collector, value)


def _label_text(labels: dict[str, Any]) -> str:
    """Names are printed as they are and parsed again, so that a wrong one is refused there."""
    return "{" + ", ".join(f"{n}={quote(_text(v))}" for n, v in sorted(labels.items())) + "}"


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else orjson.dumps(value).decode()


def _value(collector: _Collector, value: list[Any]) -> None:
    if not value:
        return
    ts = value[0]
    if not isinstance(ts, str):
        raise _refused(_NUMBER)
    line = value[1] if len(value) > 1 else ""
    if not isinstance(line, str):
        raise _refused(_STRING)
    metadata = value[2] if len(value) > 2 else None
    if metadata is not None and not isinstance(metadata, dict):
        raise _refused(_OBJECT)
    collector.add(_nanoseconds(ts), line, metadata)


def _nanoseconds(text: str) -> int:
    try:
        return parse_int(text)
    except UnitError:
        raise _refused(_NUMBER) from None


def _legacy_stream(collector: _Collector, stream: dict[str, Any]) -> None:
    labels = stream.get("labels") or ""
    entries = stream.get("entries") or []
    if not isinstance(labels, str) or not isinstance(entries, list):
        raise _refused(_MALFORMED)
    collector.labels.append(labels.encode("utf-8", "replace"))
    for entry in entries:
        if not isinstance(entry, dict):
            raise _refused(_MALFORMED)
        line, metadata = entry.get("line") or "", entry.get("structuredMetadata")
        if not isinstance(line, str) or not isinstance(metadata, dict | None):
            raise _refused(_STRING)
        collector.add(_rfc3339(entry.get("ts")), line, metadata)


def _rfc3339(value: Any) -> int:
    """RFC 3339 with up to nine fractional digits."""
    if not isinstance(value, str):
        raise _refused(_STRING)
    base, dot, rest = value.partition(".")
    digits = ""
    while dot and rest[:1] in _DIGITS:
        digits, rest = digits + rest[0], rest[1:]
    try:
        moment = datetime.fromisoformat(base + rest if dot else value)
        offset = moment.utcoffset()
        if offset is None:
            raise ValueError("no zone")
    except ValueError as error:
        message = f'parsing time "{value}" as "2006-01-02T15:04:05.999999999Z07:00": {error}'
        raise PushFormatError(message) from error
    epoch = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
    delta = moment - epoch
    ts_ns = (delta.days * 86400 + delta.seconds) * 10**9 + int((digits + "000000000")[:9])
    return min(max(ts_ns, MIN_INT64), MAX_INT64)
