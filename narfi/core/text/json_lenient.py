"""Where does a JSON value end? A scanner that looks no deeper than it must, over bytes.

It finds ends of strings, blocks and plain values without checking what is inside, as the recorded
server does: a block ends at its matching bracket, whatever stands between (logql.md §6.1).
Invariant: every function takes offsets into the whole line and never reads behind `len(data)`.
"""

from dataclasses import dataclass
from enum import Enum

NO_OBJECT_END = "Value looks like object, but can't find closing '}' symbol"
MALFORMED = "Malformed JSON error"
NO_STRING_END = "Value is string, but can't find closing '\"' symbol"
NO_ARRAY_END = "Value is array, but can't find closing ']' symbol"
UNKNOWN_TYPE = "Unknown value type"
BAD_ESCAPE = "Encountered an invalid escape sequence in a string"

_SPACE = b" \n\r\t"
_VALUE_END = b" \n\r\t,}]"
_PLAIN_START = b"0123456789-"
_ESCAPES = {
    ord('"'): b'"',
    ord("\\"): b"\\",
    ord("/"): b"/",
    ord("b"): b"\b",
    ord("f"): b"\f",
    ord("n"): b"\n",
    ord("r"): b"\r",
    ord("t"): b"\t",
}
_REPLACEMENT = "\ufffd".encode()


class JsonLineError(Exception):
    """The line is not the JSON that was looked for; the text is the error's details."""


class Kind(Enum):
    """What a value is, told by its first byte."""

    STRING = "string"
    NUMBER = "number"
    BOOLEAN = "boolean"
    NULL = "null"
    OBJECT = "object"
    ARRAY = "array"


@dataclass(frozen=True, slots=True)
class Value:
    """One value: its bytes (strings without quotes, still escaped) and where it ends."""

    kind: Kind
    raw: bytes
    end: int


def skip_space(data: bytes, at: int) -> int:
    """The place of the next byte that is no white space; -1 when there is none."""
    while at < len(data):
        if data[at] not in _SPACE:
            return at
        at += 1
    return -1


def string_end(data: bytes, at: int) -> int:
    """Behind the closing quote of the string whose content begins at `at`; -1 without one."""
    end = data.find(b'"', at)
    if end < 0 or data.find(b"\\", at, end) < 0:
        return end + 1 or -1
    while at < len(data):
        if data[at] == 0x22:
            return at + 1
        at += 2 if data[at] == 0x5C else 1
    return -1


def block_end(data: bytes, at: int) -> int:
    """Behind the bracket that closes the one at `at`; -1 without one. Only its own kind counts."""
    opening = data[at]
    closing = 0x7D if opening == 0x7B else 0x5D
    level = 0
    while at < len(data):
        byte = data[at]
        if byte == 0x22:
            at = string_end(data, at + 1)
            if at < 0:
                return -1
            continue
        level += (byte == opening) - (byte == closing)
        if level == 0:
            return at + 1
        at += 1
    return -1


def read_value(data: bytes, at: int) -> Value:
    """The value that begins at or behind `at`; raises `JsonLineError`."""
    at = skip_space(data, at)
    if at < 0:
        raise JsonLineError(MALFORMED)
    first = data[at]
    if first == 0x22:
        end = string_end(data, at + 1)
        if end < 0:
            raise JsonLineError(NO_STRING_END)
        return Value(Kind.STRING, data[at + 1 : end - 1], end)
    if first in b"{[":
        end = block_end(data, at)
        if end < 0:
            raise JsonLineError(NO_OBJECT_END if first == 0x7B else NO_ARRAY_END)
        return Value(Kind.OBJECT if first == 0x7B else Kind.ARRAY, data[at:end], end)
    end = at
    while end < len(data) and data[end] not in _VALUE_END:
        end += 1
    return Value(_plain_kind(data[at:end]), data[at:end], end)


def _plain_kind(raw: bytes) -> Kind:
    if raw in (b"true", b"false"):
        return Kind.BOOLEAN
    if raw == b"null":
        return Kind.NULL
    if raw and raw[0] in _PLAIN_START:
        return Kind.NUMBER
    raise JsonLineError(UNKNOWN_TYPE)


def unescape(raw: bytes) -> bytes | None:
    """The content of a string; None for a wrong escape. Lone surrogates are wrong."""
    place = raw.find(b"\\")
    if place < 0:
        return raw
    out, at = bytearray(), 0
    while place >= 0:
        out += raw[at:place]
        kind = raw[place + 1] if place + 1 < len(raw) else -1
        if kind in _ESCAPES:
            out += _ESCAPES[kind]
            at = place + 2
        elif kind == ord("u"):
            found = _rune(raw, place)
            if found is None:
                return None
            out += found[0]
            at = found[1]
        else:
            return None
        place = raw.find(b"\\", at)
    return bytes(out + raw[at:])


def _rune(raw: bytes, at: int) -> tuple[bytes, int] | None:
    """(the rune of `\\uXXXX` or of a surrogate pair as UTF-8, the place behind it)."""
    high = _hex4(raw, at)
    if high is None:
        return None
    if not 0xD800 <= high <= 0xDFFF:
        return chr(high).encode(), at + 6
    low = _hex4(raw, at + 6)  # the two bytes before the digits are not looked at
    if low is None or low < 0xDC00:
        return None
    code = 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00)
    return (chr(code).encode() if code <= 0x10FFFF else _REPLACEMENT), at + 12


def _hex4(raw: bytes, at: int) -> int | None:
    digits = raw[at + 2 : at + 6]
    if len(digits) < 4 or not all(d in b"0123456789abcdefABCDEF" for d in digits):
        return None
    return int(digits, 16)


def label_text(raw: bytes) -> str:
    """A string's content as a label value: "" for a wrong escape, spaces for what is not UTF-8."""
    content = unescape(raw)
    return "" if content is None else clean_text(content)


def clean_text(content: bytes) -> str:
    """The text, each U+FFFD and each byte that is not UTF-8 replaced by a space."""
    text = content.decode("utf-8", "surrogateescape")
    if text.isascii():
        return text
    return "".join(" " if c == "\ufffd" or "\udc80" <= c <= "\udcff" else c for c in text)
