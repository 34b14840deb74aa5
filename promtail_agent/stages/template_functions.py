"""Which functions do the agent's templates have besides those of LogQL? (agent.md §11)

`Hash` and `Sha2Hash` hide a value; the rest is of Sprig's functions over texts and lists. Where
Sprig and LogQL have one name for two functions (`duration`, `b64dec`), it is Sprig's here.
"""

import base64
import hashlib
import zlib
from collections.abc import Callable, Mapping

from narfi.core.errors import AppError
from narfi.core.labels import quote
from narfi.core.regex import compile_regex
from narfi.core.text.template.casts import MAX_INT64, MIN_INT64
from narfi.core.text.template.errors import CallError
from narfi.core.text.template.functions import FUNCTIONS
from narfi.core.text.template.printing import shown, string_of
from narfi.core.text.template.signatures import Function, function
from narfi.core.text.template.text_functions import GO_SPACE, decode_base64, lower, upper
from narfi.core.text.template.values import (
    INVALID,
    Duration,
    Int64,
    Invalid,
    TextList,
    is_true,
    to_bytes,
    to_text,
    type_name,
    unboxed,
    wrap64,
)
from narfi.core.units import format_go_duration
from promtail_agent.entry import valid_text

_BASE32 = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")


def _digest(name: str) -> Callable[..., str]:
    """The hexadecimal digest of the texts in a row."""

    def run(*texts: str) -> str:
        data = b"".join(map(to_bytes, texts))
        return hashlib.new(name, data, usedforsecurity=False).hexdigest()

    return run


def _strval(value: object) -> str:
    """A value as text: its own `String`, or as it is printed."""
    value = unboxed(value)
    if isinstance(value, bytes):
        return to_text(value)
    return string_of(value) or shown(value)


def _abbrev(width: int, text: str) -> str:
    data = to_bytes(text)
    if width < 4 or len(data) <= width:
        return text
    return to_text(data[: width - 3]) + "..."


def _words(text: str) -> list[str]:
    """Words of names such as `http_server`, `HTTPServer`, `first-name`."""
    words: list[str] = []
    for k, char in enumerate(text):
        after_lower = k > 0 and char.isupper() and not text[k - 1].isupper()
        last_upper = k > 0 and char.isupper() and text[k + 1 : k + 2].islower()
        if not char.isalnum():
            words.append("")
        elif not words or after_lower or last_upper:
            words.append(char)
        else:
            words[-1] += char
    return [word for word in words if word]


def _at_word_starts(text: str, change: Callable[[str], str]) -> str:
    """Change the first character of what stands between blanks."""
    out, starts = [], True
    for char in text:
        out.append(change(char) if starts and char not in GO_SPACE else char)
        starts = char in GO_SPACE
    return "".join(out)


def _initials(text: str) -> str:
    firsts: list[str] = []
    _at_word_starts(text, lambda char: firsts.append(char) or char)  # type: ignore[func-returns-value]
    return "".join(firsts)


def _swap_case(text: str) -> str:
    """Small letters become capitals and the other way round."""
    return "".join(lower(char) if char != lower(char) else upper(char) for char in text)


def _compiled(pattern: str) -> object:
    try:
        return compile_regex(pattern)
    except AppError as error:
        shown_pattern = quote(pattern) if "`" in pattern else f"`{pattern}`"
        raise CallError(f"regexp: Compile({shown_pattern}): {error.message}") from error


def _found(pattern: str, text: str) -> str:
    match = _compiled(pattern).search(valid_text(text))  # type: ignore[attr-defined]
    return "" if match is None else str(match.group(0))


def _is_match(pattern: str, text: str) -> bool:
    try:
        return compile_regex(pattern).search(valid_text(text)) is not None
    except AppError:
        return False


def _whole_number(text: str) -> int:
    """Decimal digits; what is none is 0, what is too large the largest."""
    digits = text[1:] if text[:1] in ("+", "-") else text
    if not (digits.isascii() and digits.isdigit()):
        return 0
    value = int(text) if len(digits) < 100 else int(f"{text[0]}1") * 10**100
    return min(max(value, MIN_INT64), MAX_INT64)


def _decode_base32(text: str) -> str:
    data = to_bytes(text).replace(b"\n", b"").replace(b"\r", b"")
    wrong = next((k for k, c in enumerate(data.rstrip(b"=")) if c not in _BASE32), None)
    if wrong is None:
        try:
            return to_text(base64.b32decode(data))
        except ValueError:
            wrong = len(data)
    return f"illegal base32 data at input byte {wrong}"


def _items(name: str, value: object) -> list[object]:
    value = unboxed(value)
    if isinstance(value, bytes | list):
        return list(value)
    if isinstance(value, Invalid):
        raise CallError("runtime error: invalid memory address or nil pointer dereference")
    kind = "map" if isinstance(value, dict) else type_name(value)
    raise CallError(f"Cannot find {name} on type {kind}")


def _has(needle: object, items: object) -> bool:
    if isinstance(items, Invalid):
        return False
    return any(_same(needle, unboxed(item)) for item in _items("has", items))


def _same(a: object, b: object) -> bool:
    """Of one type, and equal."""
    return type(a) is type(b) and a == b


def _uniq(value: object) -> list[object]:
    kept: list[object] = []
    for item in _items("uniq", value):
        if not any(_same(item, other) for other in kept):
            kept.append(item)
    return kept


def _texts(value: object) -> TextList:
    """The elements as text, without nil; one value is a list of itself."""
    value = unboxed(value)
    if isinstance(value, Invalid):
        return TextList()
    if not isinstance(value, list):
        return TextList([_strval(value)])
    return TextList(_strval(item) for item in value if unboxed(item) is not INVALID)


def _sorted(value: object) -> TextList:
    if isinstance(value, Invalid):
        return TextList((shown(value),))
    return TextList(sorted(_texts(value), key=to_bytes))


def _present(values: tuple[object, ...]) -> list[object]:
    return [value for value in values if not isinstance(value, Invalid)]


def _duration(value: object) -> str:
    """Seconds as a duration: `95` is `1m35s`."""
    seconds = 0
    if isinstance(value, str):
        seconds = _whole_number(value)
    elif isinstance(value, Int64):
        seconds = value
    return format_go_duration(Duration(wrap64(seconds * 10**9)))


_OWN: Mapping[str, Function] = {
    "Hash": function("string string", _digest("sha3_256")),
    "Sha2Hash": function("string string", _digest("sha256")),
    "sha1sum": function("string", _digest("sha1")),
    "sha256sum": function("string", _digest("sha256")),
    "sha512sum": function("string", _digest("sha512")),
    "adler32sum": function("string", lambda text: str(zlib.adler32(to_bytes(text)))),
    "b32enc": function("string", lambda text: base64.b32encode(to_bytes(text)).decode()),
    "b32dec": function("string", _decode_base32),
    "b64dec": function("string", decode_base64),
    "abbrev": function("int string", _abbrev),
    "atoi": function("string", _whole_number),
    "camelcase": function(
        "string", lambda text: "".join(upper(w[:1]) + w[1:] for w in _words(text))
    ),
    "kebabcase": function("string", lambda text: "-".join(lower(w) for w in _words(text))),
    "snakecase": function("string", lambda text: "_".join(lower(w) for w in _words(text))),
    "swapcase": function("string", _swap_case),
    "untitle": function("string", lambda text: _at_word_starts(text, lower)),
    "initials": function("string", _initials),
    "nospace": function("string", lambda text: "".join(c for c in text if c not in GO_SPACE)),
    "trimall": function("string string", lambda chars, text: text.strip(chars)),
    "plural": function("string string int", lambda one, many, n: one if n == 1 else many),
    "regexFind": function("string string", _found),
    "regexMatch": function("string string", _is_match),
    "duration": function("any", _duration),
    "first": function("any", lambda value: next(iter(_items("first", value)), INVALID)),
    "last": function("any", lambda value: next(iter(_items("last", value)[::-1]), INVALID)),
    "has": function("any any", _has),
    "join": function("string any", lambda separator, value: separator.join(_texts(value))),
    "list": function("...any", lambda *items: list(items)),
    "reverse": function("any", lambda value: _items("reverse", value)[::-1]),
    "sortAlpha": function("any", _sorted),
    "splitList": function(
        "string string", lambda sep, text: TextList(text.split(sep) if sep else list(text))
    ),
    "uniq": function("any", _uniq),
    "toString": function("any", _strval),
    "quote": function(
        "...any", lambda *values: " ".join(quote(_strval(v)) for v in _present(values))
    ),
    "squote": function(
        "...any", lambda *values: " ".join(f"'{shown(v)}'" for v in _present(values))
    ),
    "cat": function("...any", lambda *values: " ".join(shown(v) for v in _present(values))),
    "coalesce": function(
        "...any", lambda *values: next((v for v in values if is_true(v)), INVALID)
    ),
    "ternary": function("any any bool", lambda yes, no, test: yes if test else no),
    "empty": function("any", lambda value: not is_true(value)),
}
AGENT_FUNCTIONS = frozenset(_OWN)
ALL_FUNCTIONS: Mapping[str, Function] = {**FUNCTIONS, **_OWN}
