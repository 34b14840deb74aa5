"""Which functions change texts? Case, cutting, padding, replacing, encodings (logql.md §8.3)."""

import base64
import itertools
import string
import urllib.parse
from collections.abc import Iterator, Mapping
from typing import Any

from narfi.core.errors import AppError
from narfi.core.labels import quote
from narfi.core.patience import check_wanted, let_others_run
from narfi.core.regex import compile_regex
from narfi.core.text.expand import expand
from narfi.core.text.template.bounds import bounded
from narfi.core.text.template.errors import CallError
from narfi.core.text.template.signatures import Function, function
from narfi.core.text.template.values import runes, to_bytes, to_text

GO_SPACE = (
    " \t\n\v\f\r\x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
MATCHES_AT_ONCE = 200
"""Matches of regular expressions, about a millisecond, between two looks."""
_MATCHES = itertools.count(1)
_ALPHABET = frozenset((string.ascii_letters + string.digits + "+/").encode())


def lower(text: str) -> str:
    """Rune by rune: no context, and never two runes for one."""
    if text.isascii():
        return text.lower()
    return "".join(char.lower()[:1] for char in runes(text))


def upper(text: str) -> str:
    """Rune by rune: what would become two runes stays, unless it has a single capital."""
    return text.upper() if text.isascii() else "".join(_capital(char) for char in runes(text))


def _capital(char: str) -> str:
    made = char.upper()
    if len(made) > 1:
        made = char.title()
    return made if len(made) == 1 else char


def _title_of(char: str) -> str:
    made = char.title()
    return made if len(made) == 1 else char


def title(text: str) -> str:
    """A capital behind each rune that is no part of a word."""
    out, boundary = [], True
    for char in runes(text):
        out.append(_title_of(char) if boundary else char)
        boundary = _separates(char)
    return "".join(out)


def _separates(char: str) -> bool:
    if char.isascii():
        return not (char.isalnum() or char == "_")
    return not (char.isalpha() or char.isdecimal()) and char in GO_SPACE


def _trunc(size: int, text: str) -> str:
    data = to_bytes(text)
    if size < 0:
        return to_text(data[size:]) if len(data) + size > 0 else text
    return to_text(data[:size])


def _out_of_range(where: str) -> CallError:
    return CallError(f"runtime error: slice bounds out of range [{where}]")


def _substr(start: int, end: int, text: str) -> str:
    data = to_bytes(text)
    if start < 0:
        if end < 0:
            raise _out_of_range(f":{end}")
        if end > len(data):
            message = f"slice bounds out of range [:{end}] with length {len(data)}"
            raise CallError(f"runtime error: {message}")
        return to_text(data[:end])
    if end < 0 or end > len(data):
        end = len(data)
    if start > end:
        raise _out_of_range(f"{start}:{end}")
    return to_text(data[start:end])


def _repeat(count: int, text: str) -> str:
    if count < 0:
        raise CallError("strings: negative Repeat count")
    bounded(count * len(text))
    return text * (count if text else 0)


def _indent(count: int, text: str) -> str:
    bounded(count * (text.count("\n") + 1))
    pad = _repeat(count, " ")
    return pad + text.replace("\n", f"\n{pad}")


def _align_left(size: int, text: str) -> str:
    """Padded or cut to so many runes; a negative size is none."""
    if size < 0 or size >= len(text):
        return text.ljust(bounded(size)) if size > 0 else text
    return runes(text[:size])


def _align_right(size: int, text: str) -> str:
    if size < 0 or size >= len(text):
        return text.rjust(bounded(size)) if size > 0 else text
    return runes(text[len(text) - size :])


def _replace(text: str, old: str, new: str, count: int) -> str:
    if not old:
        bounded(len(text) + (len(text) + 1) * len(new))
        return text.replace("", new, count)
    data, part = to_bytes(text), to_bytes(old)
    bounded(len(text) + data.count(part) * len(new))
    return to_text(data.replace(part, to_bytes(new), count))


def _trim_prefix(part: str, text: str) -> str:
    return to_text(to_bytes(text).removeprefix(to_bytes(part)))


def _trim_suffix(part: str, text: str) -> str:
    return to_text(to_bytes(text).removesuffix(to_bytes(part)))


def decode_base64(text: str) -> str:
    """The decoded bytes, or Go's text of what is wrong with them. Line ends are passed over."""
    data = to_bytes(text)
    wrong = _wrong_base64(data)
    if wrong is not None:
        return f"illegal base64 data at input byte {wrong}"
    return to_text(base64.b64decode(data.replace(b"\n", b"").replace(b"\r", b"")))


def _wrong_base64(data: bytes) -> int | None:
    """The place that Go's decoder complains about."""
    kept = [(at, byte) for at, byte in enumerate(data) if byte not in b"\r\n"]
    for count, (at, byte) in enumerate(kept):
        if byte in _ALPHABET:
            continue
        if byte != ord("=") or count % 4 < 2:
            return at
        rest = kept[count + 1 :]
        if count % 4 == 2:
            if not rest:
                return len(data)
            if rest[0][1] != ord("="):
                return rest[0][0] - 1
            rest = rest[1:]
        return rest[0][0] if rest else None
    return len(data) - len(kept) % 4 if len(kept) % 4 else None


def _decode_padded(text: str) -> str:
    return decode_base64(text + "=" * (-len(to_bytes(text)) % 4))


def url_encode(text: str) -> str:
    """Query escaping: `+` for a space."""
    return urllib.parse.quote_plus(to_bytes(text), safe="")


def _url_decode(text: str) -> str:
    data = to_bytes(text)
    at = data.find(b"%")
    while at >= 0:
        if len(data) < at + 3 or not all(
            byte in b"0123456789abcdefABCDEF" for byte in data[at + 1 : at + 3]
        ):
            raise CallError(f"invalid URL escape {quote(to_text(data[at : at + 3]))}")
        at = data.find(b"%", at + 3)
    return to_text(urllib.parse.unquote_to_bytes(data.replace(b"+", b" ")))


def _matches(pattern: str, text: str) -> Iterator[Any]:
    """All matches; an empty one right behind another match is none, as in Go."""
    try:
        program = compile_regex(pattern)
    except AppError as error:
        raise CallError(error.message) from error
    end = -1
    check_wanted()
    for match in program.finditer(runes(text)):
        if not next(_MATCHES) % MATCHES_AT_ONCE:
            check_wanted()
            let_others_run()
        if match.start() == match.end() == end:
            continue
        end = match.end()
        yield match


def _regex_replace(pattern: str, text: str, replacement: str, *, literal: bool) -> str:
    out: list[str] = []
    at = size = 0
    for match in _matches(pattern, text):
        made = replacement if literal else expand(replacement, match, text)
        out += (text[at : match.start()], made)
        size = bounded(size + len(made))
        at = match.end()
    return "".join((*out, text[at:]))


TEXT_FUNCTIONS: Mapping[str, Function] = {
    "lower": function("string", lower),
    "ToLower": function("string", lower),
    "upper": function("string", upper),
    "ToUpper": function("string", upper),
    "title": function("string", title),
    "trunc": function("int string", _trunc),
    "substr": function("int int string", _substr),
    "contains": function("string string", lambda part, s: to_bytes(part) in to_bytes(s)),
    "hasPrefix": function("string string", lambda p, s: to_bytes(s).startswith(to_bytes(p))),
    "hasSuffix": function("string string", lambda p, s: to_bytes(s).endswith(to_bytes(p))),
    "replace": function("string string string", lambda old, new, s: _replace(s, old, new, -1)),
    "Replace": function("string string string int", _replace),
    "repeat": function("int string", _repeat),
    "indent": function("int string", _indent),
    "nindent": function("int string", lambda n, s: "\n" + _indent(n, s)),
    "trim": function("string", lambda s: s.strip(GO_SPACE)),
    "TrimSpace": function("string", lambda s: s.strip(GO_SPACE)),
    "trimAll": function("string string", lambda chars, s: s.strip(chars)),
    "Trim": function("string string", lambda s, chars: s.strip(chars)),
    "TrimLeft": function("string string", lambda s, chars: s.lstrip(chars)),
    "TrimRight": function("string string", lambda s, chars: s.rstrip(chars)),
    "trimPrefix": function("string string", _trim_prefix),
    "TrimPrefix": function("string string", lambda s, part: _trim_prefix(part, s)),
    "trimSuffix": function("string string", _trim_suffix),
    "TrimSuffix": function("string string", lambda s, part: _trim_suffix(part, s)),
    "alignLeft": function("int string", _align_left),
    "alignRight": function("int string", _align_right),
    "b64enc": function("string", lambda s: base64.b64encode(to_bytes(s)).decode()),
    "b64dec": function("string", _decode_padded),
    "urlencode": function("string", url_encode),
    "urldecode": function("string", _url_decode),
    "regexReplaceAll": function(
        "string string string", lambda p, s, new: _regex_replace(p, s, new, literal=False)
    ),
    "regexReplaceAllLiteral": function(
        "string string string", lambda p, s, new: _regex_replace(p, s, new, literal=True)
    ),
    "count": function("string string", lambda p, s: sum(1 for _ in _matches(p, s))),
}
