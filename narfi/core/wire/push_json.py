"""How does a JSON push body become arrays? v1 (`values`), v0 (`entries`), http-api.md §1.3, §1.4.

This path makes Python objects per entry; clients with volume send protobuf. Members are found in
any case, as Go's decoder does; of several the last counts. Texts of errors follow the recorded
server's parser loosely, their statuses exactly.
"""

import json
from datetime import datetime
from typing import Any

import numpy as np

from narfi.core.columns import Spans
from narfi.core.labels import quote
from narfi.core.wire.json_body import (
    NumberText,
    load_exactly,
    load_json,
    member,
    value_text,
)
from narfi.core.wire.push import DecodedPush, Pairs, PushFormatError

_DIGITS = tuple("0123456789")
_NUMBER = "Value looks like Number/Boolean/None, but can't find its end: ',' or '}' symbol"
_STRING = "Value is string, but can't find closing '\"' symbol"
_OBJECT = "Value looks like object, but can't find closing '}' symbol"
_MALFORMED = "Malformed JSON error"
_ESCAPE = "Encountered an invalid escape sequence in a string"
_MAX_INT64 = 2**63 - 1
_INT64_DIGITS = 19


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

    def add(self, ts: int, line: str, metadata: dict[str, Any]) -> None:
        """One entry of the newest stream."""
        row = len(self.ts)
        self.stream.append(len(self.labels) - 1)
        self.ts.append(ts)
        self.lines.append(line.encode("utf-8", "surrogateescape"))
        for name, value in metadata.items():
            if not isinstance(value, str) or isinstance(value, NumberText):
                raise _refused(_STRING)
            self.rows.append(row)
            self.names.append(name.encode("utf-8", "surrogateescape"))
            self.values.append(value.encode("utf-8", "surrogateescape"))

    def push(self) -> DecodedPush:
        """The arrays."""
        return DecodedPush(
            labels=tuple(self.labels),
            stream=np.array(self.stream, np.int32),
            ts=np.array(self.ts, np.int64),
            lines=Spans.of(self.lines),
            pairs=Pairs(
                np.array(self.rows, np.int32),
                Spans.of(self.names),
                Spans.of(self.values),
            ),
        )


def decode_push_json(body: bytes | bytearray, *, legacy: bool) -> DecodedPush:
    """The entries of a JSON body; `legacy` is the v0 shape of `/api/prom/push`."""
    try:
        content = load_json(body)
    except PushFormatError as error:
        raise PushFormatError(f"loghttp.PushRequest: {error.message}") from error
    try:
        try:
            return _decode(content, legacy=legacy)
        except _NumberLabelError:
            return _decode(load_exactly(body), legacy=legacy)
    except UnicodeEncodeError:  # half of a surrogate pair, given as an escape
        raise _refused(_ESCAPE) from None


def _decode(content: Any, *, legacy: bool) -> DecodedPush:
    if content is None:
        content = {}
    if not isinstance(content, dict):
        raise PushFormatError(f"readObjectStart: expect {{ or n, but found {_first(content)}")
    streams = member(content, "streams")
    if streams is None:
        streams = []
    if not isinstance(streams, list):
        message = (
            "loghttp.PushRequest.Streams: []loghttp.LogProtoStream: decode slice: expect [ or n, "
            f"but found {_first(streams)}"
        )
        raise PushFormatError(message)
    collector = _Collector()
    add = _legacy_stream if legacy else _stream
    for stream in streams:
        if not isinstance(stream, dict):
            raise _refused(_OBJECT)
        add(collector, stream)
    return collector.push()


class _NumberLabelError(Exception):
    """A label's value is a number: the text of the body is needed."""


def _first(value: object) -> str:
    """The first character of a value that should be another."""
    return json.dumps(value)[:1]


def _refused(text: str) -> PushFormatError:
    message = f"loghttp.PushRequest.Streams: []loghttp.LogProtoStream: unmarshalerDecoder: {text}"
    return PushFormatError(message)


def _stream(collector: _Collector, stream: dict[str, Any]) -> None:
    labels, values = {}, None
    for key, value in stream.items():
        match key.lower():
            case "stream":
                labels = value
            case "values":
                values = value
    if not isinstance(labels, dict):
        raise _refused(_OBJECT)
    collector.labels.append(_label_text(labels).encode("utf-8", "surrogateescape"))
    if values is None:
        return
    if not isinstance(values, list):
        raise _refused(_MALFORMED)
    for entry in values:
        if entry is None:
            continue
        if not isinstance(entry, list):
            raise _refused(_MALFORMED)
        _entry(collector, entry)


def _label_text(labels: dict[str, Any]) -> str:
    """Names are printed as they are and parsed again, so that a wrong one is refused there.

    A value that is no text counts as it is written: `1.50`, `true`, `null`.
    """
    if any(type(value) in (int, float) for value in labels.values()):
        raise _NumberLabelError
    pairs = (f"{name}={quote(value_text(value))}" for name, value in sorted(labels.items()))
    return "{" + ", ".join(pairs) + "}"


def _entry(collector: _Collector, entry: list[Any]) -> None:
    """`[time, line, metadata]`; what follows is ignored."""
    ts = entry[0] if entry else None
    if not isinstance(ts, str) or isinstance(ts, NumberText):
        raise _refused(_NUMBER)
    line = entry[1] if len(entry) > 1 else ""
    if not isinstance(line, str) or isinstance(line, NumberText):
        raise _refused(_STRING)
    metadata = entry[2] if len(entry) > 2 else {}
    if not isinstance(metadata, dict):
        raise _refused(_OBJECT)
    collector.add(_nanoseconds(ts), line, metadata)


def _nanoseconds(text: str) -> int:
    """Go's `ParseInt` without a plus sign."""
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()) or len(digits.lstrip("0")) > _INT64_DIGITS:
        raise _refused(_NUMBER)
    return _in_int64(int(text))


def _in_int64(value: int) -> int:
    if abs(value) > _MAX_INT64:
        raise _refused(_NUMBER)
    return value


def _legacy_stream(collector: _Collector, stream: dict[str, Any]) -> None:
    labels = member(stream, "labels") or ""
    entries = member(stream, "entries")
    if not isinstance(labels, str) or not isinstance(entries, list | None):
        raise _refused(_MALFORMED)
    collector.labels.append(labels.encode("utf-8", "surrogateescape"))
    for entry in entries or ():
        if not isinstance(entry, dict):
            raise _refused(_MALFORMED)
        line = member(entry, "line")
        metadata = member(entry, "structuredmetadata")
        if not isinstance(line, str | None) or isinstance(line, NumberText):
            raise _refused(_STRING)
        if not isinstance(metadata, dict | None):
            raise _refused(_OBJECT)
        collector.add(_in_int64(_rfc3339(member(entry, "ts"))), line or "", metadata or {})


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
    return (delta.days * 86400 + delta.seconds) * 10**9 + int((digits + "000000000")[:9])
