"""What does `| json` find in a line? Every scalar member, nested ones flattened (logql.md §6.1).

Invariant: pairs come in the order of the line, names are sanitised and flattened; neither
collisions with other labels nor repeated names are resolved: that is `fields.place_pairs`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from narfi.core.text.fields import ParsedLine
from narfi.core.text.json_lenient import (
    BAD_ESCAPE,
    MALFORMED,
    NO_ARRAY_END,
    NO_OBJECT_END,
    JsonLineError,
    Kind,
    Value,
    label_text,
    read_value,
    skip_space,
    string_end,
    unescape,
)
from narfi.core.text.label_names import join_path

JSON_ERROR = "JSONParserErr"
MAX_DEPTH = 64
"""Objects nested deeper end the line as malformed; no real line has them."""


@dataclass(frozen=True, slots=True)
class Member:
    """A key (unescaped) and its value."""

    key: bytes
    value: Value


def parse_json_line(line: bytes) -> ParsedLine:
    """The pairs of a JSON line; when it is malformed, those in front of the error."""
    pairs: list[tuple[str, str]] = []
    try:
        _flatten(line, [], pairs)
    except JsonLineError as error:
        return ParsedLine(tuple(pairs), JSON_ERROR, str(error))
    return ParsedLine(tuple(pairs))


def _flatten(data: bytes, prefix: list[str], pairs: list[tuple[str, str]]) -> None:
    if len(prefix) > MAX_DEPTH:
        raise JsonLineError(MALFORMED)
    for member in members(data):
        path = [*prefix, member.key.decode("utf-8", "surrogateescape")]
        value = member.value
        if value.kind is Kind.OBJECT:
            _flatten(value.raw, path, pairs)
        elif value.kind in (Kind.STRING, Kind.NUMBER, Kind.BOOLEAN):
            name = join_path(path)
            if name:
                pairs.append((name, scalar_text(value)))


def scalar_text(value: Value) -> str:
    """The label value of a string, number or boolean."""
    if value.kind is Kind.STRING:
        return label_text(value.raw)
    return value.raw.decode("utf-8", "surrogateescape")


def members(data: bytes) -> Iterator[Member]:
    """The members of an object in turn; raises `JsonLineError` behind the last good one.

    What follows the closing brace is not looked at, and a trailing comma is accepted.
    """
    at = skip_space(data, 0)
    if at < 0 or data[at] != 0x7B:
        raise JsonLineError(NO_OBJECT_END)
    at = skip_space(data, at + 1)
    if at < 0:
        raise JsonLineError(MALFORMED)
    while data[at] != 0x7D:
        key, at = _read_key(data, at)
        value = read_value(data, at)
        yield Member(key, value)
        at = _next_key(data, value.end)


def _read_key(data: bytes, at: int) -> tuple[bytes, int]:
    """(the key at `at`, the place behind its colon)."""
    if data[at] != 0x22:
        raise JsonLineError(NO_OBJECT_END)
    end = string_end(data, at + 1)
    if end < 0:
        raise JsonLineError(MALFORMED)
    key = unescape(data[at + 1 : end - 1])
    if key is None:
        raise JsonLineError(BAD_ESCAPE)
    colon = skip_space(data, end)
    if colon < 0 or data[colon] != 0x3A:
        raise JsonLineError(MALFORMED)
    return key, colon + 1


def _next_key(data: bytes, end: int) -> int:
    """The place of the next key or closing brace behind a value."""
    at = skip_space(data, end)
    if at < 0:
        raise JsonLineError(NO_ARRAY_END)
    if data[at] == 0x7D:
        return at
    if data[at] != 0x2C:
        raise JsonLineError(NO_OBJECT_END)
    at = skip_space(data, at + 1)
    if at < 0:
        raise JsonLineError(NO_ARRAY_END)
    return at


def json_members(line: bytes) -> list[tuple[list[str], str]] | None:
    """(path of keys, value) of every scalar member; None when the line is no JSON object."""
    found: list[tuple[list[str], str]] = []

    def walk(data: bytes, prefix: list[str]) -> None:
        if len(prefix) > MAX_DEPTH:
            raise JsonLineError(MALFORMED)
        for member in members(data):
            path = [*prefix, member.key.decode("utf-8", "replace")]
            if member.value.kind is Kind.OBJECT:
                walk(member.value.raw, path)
            elif member.value.kind in (Kind.STRING, Kind.NUMBER, Kind.BOOLEAN):
                found.append((path, scalar_text(member.value)))

    try:
        walk(line, [])
    except JsonLineError:
        return None
    return found
