"""Which pairs does a logfmt line have? `a=1 b="x y" bare` (reference/logql.md §6.3, §6.4).

Pairs are parted by bytes up to the space. A bad pair is skipped up to the next of them, or ends the
line when parsing is strict. Invariant: keys are the raw bytes of the line until they are sanitised.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from narfi.core.text.fields import ParsedLine
from narfi.core.text.json_lenient import clean_text
from narfi.core.text.label_names import sanitise

LOGFMT_ERROR = "LogfmtParserErr"
_EQUALS, _QUOTE, _BACKSLASH = 0x3D, 0x22, 0x5C
_PLAIN = bytes({*range(0x21, 0x100)} - {_EQUALS, _QUOTE})
USUAL = 64
"""Bytes of a key or value that is looked at as a whole; longer ones are read byte by byte."""
_ESCAPES = {
    ord('"'): '"',
    ord("\\"): "\\",
    ord("/"): "/",
    ord("'"): "'",
    ord("b"): "\b",
    ord("f"): "\f",
    ord("n"): "\n",
    ord("r"): "\r",
    ord("t"): "\t",
}


class LogfmtError(Exception):
    """A bad pair: what is wrong, the 0-based place, and where its rest begins."""

    def __init__(self, reason: str, place: int) -> None:
        super().__init__(f"logfmt syntax error at pos {place + 1} : {reason}")
        self.place = place


@dataclass(frozen=True, slots=True)
class Pair:
    """A key and its value, quotes and escapes taken away, and where the pair ends."""

    key: bytes
    value: bytes
    end: int


def pairs_of(line: bytes) -> Iterator[Pair | LogfmtError]:
    """The pairs in turn; bad ones are given as errors, and the scan goes on behind them."""
    at = 0
    while True:
        while at < len(line) and line[at] <= 0x20:
            at += 1
        if at >= len(line):
            return
        try:
            pair = _pair(line, at)
            at = pair.end
            yield pair
        except LogfmtError as error:
            at = error.place
            while at < len(line) and line[at] > 0x20:
                at += 1
            yield error


def _pair(line: bytes, start: int) -> Pair:
    usual = line.find(b"=", start, start + USUAL)
    if usual > start and line[start:usual].isalnum():
        return _value(line, line[start:usual], usual + 1)
    at = start
    while at < len(line) and line[at] > 0x20 and line[at] not in (_EQUALS, _QUOTE):
        at += 1
    if at < len(line) and line[at] == _QUOTE:
        raise LogfmtError("unexpected '\"'", at)
    key = line[start:at]
    if at < len(line) and line[at] == _EQUALS and not key:
        raise LogfmtError("unexpected '='", at)
    if not _is_text(key):
        raise LogfmtError("invalid key", at)
    if at >= len(line) or line[at] != _EQUALS:
        return Pair(key, b"", at)
    return _value(line, key, at + 1)


def _value(line: bytes, key: bytes, start: int) -> Pair:
    if start < len(line) and line[start] == _QUOTE:
        return _quoted(line, key, start)
    usual = line.find(b" ", start, start + USUAL)
    if usual >= 0 and not line[start:usual].translate(None, _PLAIN):
        return Pair(key, line[start:usual], usual)
    at = start
    while at < len(line) and line[at] > 0x20:
        if line[at] in (_EQUALS, _QUOTE):
            raise LogfmtError(f"unexpected '{chr(line[at])}'", at)
        at += 1
    return Pair(key, line[start:at], at)


def _quoted(line: bytes, key: bytes, quote: int) -> Pair:
    at = quote + 1
    escaped = False
    while at < len(line) and line[at] != _QUOTE:
        escaped = escaped or line[at] == _BACKSLASH
        at += 2 if line[at] == _BACKSLASH else 1
    if at >= len(line):
        raise LogfmtError("unterminated quoted value", len(line))
    content = line[quote + 1 : at]
    if not escaped:
        return Pair(key, content, at + 1)
    value = _unquote(content)
    if value is None:
        raise LogfmtError("invalid quoted value", at + 1)
    return Pair(key, value, at + 1)


def _is_text(data: bytes) -> bool:
    """Whether the bytes are UTF-8 without U+FFFD."""
    try:
        return data.isascii() or "\ufffd" not in data.decode()
    except UnicodeDecodeError:
        return False


def _unquote(content: bytes) -> bytes | None:
    """JSON escapes and `\\'` undone, all else as it stands; None for a wrong escape."""
    out: list[str] = []
    text = content.decode("utf-8", "surrogateescape")
    at = 0
    while at < len(text):
        char = text[at]
        if char != "\\":
            out.append("\ufffd" if "\udc80" <= char <= "\udcff" else char)
            at += 1
            continue
        kind = ord(text[at + 1])
        if kind in _ESCAPES:
            out.append(_ESCAPES[kind])
            at += 2
            continue
        rune = _hex4(text, at)
        if rune is None:
            return None
        at += 6
        if 0xD800 <= rune <= 0xDFFF:
            low = _hex4(text, at)
            if rune < 0xDC00 and low is not None and 0xDC00 <= low <= 0xDFFF:
                rune = 0x10000 + ((rune - 0xD800) << 10) + (low - 0xDC00)
                at += 6
            else:
                rune = 0xFFFD
        out.append(chr(rune))
    return "".join(out).encode()


def _hex4(text: str, at: int) -> int | None:
    """The code of `\\uXXXX` at a place; None when something else stands there."""
    digits = text[at + 2 : at + 6]
    if text[at : at + 2] != "\\u" or len(digits) < 4:
        return None
    if not all(d in "0123456789abcdefABCDEF" for d in digits):
        return None
    return int(digits, 16)


def parse_logfmt_line(line: bytes, *, strict: bool, keep_empty: bool) -> ParsedLine:
    """The pairs of a line; strict parsing ends with an error at the first bad one."""
    pairs: list[tuple[str, str]] = []
    for found in pairs_of(line):
        if isinstance(found, LogfmtError):
            if strict:
                return ParsedLine(tuple(pairs), LOGFMT_ERROR, str(found))
            continue
        name = sanitise(found.key.decode("utf-8", "surrogateescape"))
        if name and (found.value or keep_empty):
            pairs.append((name, clean_text(found.value)))
    return ParsedLine(tuple(pairs))


def extract_logfmt_keys(line: bytes, wanted: Mapping[str, str], *, strict: bool) -> ParsedLine:
    """Values for `wanted` (label to key), in the order of the line; the last of a label counts.

    A key of the line is compared after it was sanitised, and fills every label that asks for it. A
    label whose key the line does not have takes the value of its own name, if nobody asks for that
    key. A value that is not UTF-8 becomes "".
    """
    items: list[tuple[str, str]] = []
    error = ""
    for found in pairs_of(line):
        if isinstance(found, LogfmtError):
            if strict:
                error = str(found)
                break
            continue
        key = sanitise(found.key.decode("utf-8", "surrogateescape"))
        items.append((key, found.value.decode() if _is_text(found.value) else ""))
    there = {key for key, _ in items}
    source = {
        name: name if key not in there and name not in wanted.values() else key
        for name, key in wanted.items()
    }
    pairs = tuple(
        (name, value) for key, value in items for name, asked in source.items() if asked == key
    )
    return ParsedLine(pairs, LOGFMT_ERROR, error) if error else ParsedLine(pairs)
