"""Which functions do templates have? Loki's own, by name (reference/logql.md §8.3).

Each takes evaluated arguments and gives a value, or raises `CallError` with Go's text. Untrusted
sizes are bounded: no function makes more than `MAX_TEXT` characters.
"""

import base64
import math
import urllib.parse
from collections.abc import Callable, Mapping
from decimal import Decimal

import orjson

from narfi.core.errors import AppError
from narfi.core.regex import compile_regex
from narfi.core.text.expand import expand
from narfi.core.text.template.errors import CallError
from narfi.core.text.template.times import format_time, parse_time
from narfi.core.text.template.values import (
    NIL,
    Moment,
    go_text,
    is_true,
    to_float,
    to_int,
    type_name,
)
from narfi.core.units import parse_bytes, parse_go_duration

Function = Callable[..., object]

MAX_TEXT = 1 << 20


def _bounded(size: int) -> int:
    if size > MAX_TEXT:
        raise CallError(f"output of more than {MAX_TEXT} characters is not allowed")
    return max(size, 0)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _title(text: str) -> str:
    out, boundary = [], True
    for char in text:
        out.append(_upper(char) if boundary else char)
        boundary = not (char.isalnum() or char == "_") if char.isascii() else char.isspace()
    return "".join(out)


def _upper(text: str) -> str:
    """Character by character: what would become two characters stays."""
    return "".join(char.upper() if len(char.upper()) == 1 else char for char in text)


def _trunc(size: int, text: str) -> str:
    data = _bytes(text)
    if size < 0:
        return _text(data[size:]) if len(data) + size > 0 else text
    return _text(data[:size])


def _substr(start: int, end: int, text: str) -> str:
    data = _bytes(text)
    if start < 0:
        if end > len(data):
            message = f"slice bounds out of range [:{end}] with length {len(data)}"
            raise CallError(f"runtime error: {message}")
        return _text(data[: max(end, 0)])
    if end < 0 or end > len(data):
        if start > len(data):
            message = f"slice bounds out of range [{start}:{len(data)}]"
            raise CallError(f"runtime error: {message}")
        return _text(data[start:])
    if start > end:
        raise CallError(f"runtime error: slice bounds out of range [{start}:{end}]")
    return _text(data[start:end])


def _repeat(count: int, text: str) -> str:
    if count < 0:
        raise CallError("strings: negative Repeat count")
    _bounded(count * len(text))
    return text * count


def _indent(count: int, text: str) -> str:
    pad = " " * _bounded(count)
    _bounded(count * (text.count("\n") + 1))
    return pad + text.replace("\n", f"\n{pad}")


def _align_left(count: int, text: str) -> str:
    return text[: max(count, 0)].ljust(_bounded(count))


def _align_right(count: int, text: str) -> str:
    return (text[-count:] if count > 0 else "").rjust(_bounded(count))


def _replace_n(text: str, old: str, new: str, count: int) -> str:
    _bounded(len(text) + (text.count(old) if old else len(text) + 1) * len(new))
    return text.replace(old, new, count)


def _b64dec(text: str) -> str:
    padded = text + "=" * (-len(text) % 4)
    try:
        return _text(base64.b64decode(padded, validate=True))
    except ValueError:
        place = next(
            (k for k, c in enumerate(text) if not (c.isascii() and (c.isalnum() or c in "+/"))), 0
        )
        return f"illegal base64 data at input byte {place}"


def _urldecode(text: str) -> str:
    at = text.find("%")
    while at >= 0:
        digits = text[at + 1 : at + 3]
        if len(digits) < 2 or not all(c in "0123456789abcdefABCDEF" for c in digits):
            raise CallError(f'invalid URL escape "{text[at : at + 3]}"')
        at = text.find("%", at + 3)
    return urllib.parse.unquote_plus(text, errors="surrogateescape")


def _regex(pattern: str) -> object:
    try:
        return compile_regex(pattern)
    except AppError as error:
        raise CallError(error.message) from error


def _matches(pattern: str, text: str) -> list[object]:
    return list(_regex(pattern).finditer(text))  # type: ignore[attr-defined]


def _replace_matches(pattern: str, text: str, make: Callable[[object], str]) -> str:
    out, at = [], 0
    for match in _matches(pattern, text):
        out.append(text[at : match.start()])  # type: ignore[attr-defined]
        out.append(make(match))
        at = match.end()  # type: ignore[attr-defined]
    out.append(text[at:])
    return "".join(out)


def _regex_replace(pattern: str, text: str, replacement: str) -> str:
    return _replace_matches(pattern, text, lambda match: expand(replacement, match))


def _count(pattern: str, text: str) -> int:
    return len(_matches(pattern, text))


def _div(a: object, b: object) -> int:
    left, right = to_int(a), to_int(b)
    if right == 0:
        raise CallError("runtime error: integer divide by zero")
    return int(math.copysign(1, left) * math.copysign(1, right)) * (abs(left) // abs(right))


def _mod(a: object, b: object) -> int:
    left, right = to_int(a), to_int(b)
    if right == 0:
        raise CallError("runtime error: integer divide by zero")
    return int(math.copysign(abs(left) % abs(right), left))


def _chain(combine: Callable[[Decimal, Decimal], Decimal]) -> Function:
    """Decimal arithmetic over the shortest texts of the numbers, as the recorded server does."""

    def run(first: object, *rest: object) -> float:
        value = Decimal(repr(to_float(first)))
        for other in rest:
            value = combine(value, Decimal(repr(to_float(other))))
        return float(value)

    return run


def _divide(a: Decimal, b: Decimal) -> Decimal:
    if b == 0:
        raise CallError("decimal division by 0")
    return a / b


def _round(value: object, places: int, on: float = 0.5) -> float:
    number = to_float(value)
    scale = 10.0**places
    digit = number * scale
    whole = math.trunc(digit)
    rest = digit - whole
    if rest >= on:
        rounded = math.ceil(digit)
    elif rest <= -on and rest < 0:
        rounded = math.floor(digit)
    else:
        rounded = math.floor(digit) if digit >= 0 else math.ceil(digit)
    return rounded / scale


def _from_json(text: str) -> object:
    try:
        return _json_value(orjson.loads(_bytes(text)))
    except orjson.JSONDecodeError:
        return NIL


def _json_value(value: object) -> object:
    """Numbers become floats, null becomes nil."""
    match value:
        case None:
            return NIL
        case bool() | str():
            return value
        case int() | float():
            return float(value)
        case list():
            return [_json_value(item) for item in value]
        case Mapping():
            return {key: _json_value(item) for key, item in value.items()}
    return value


def _default(default: object, value: object) -> object:
    return value if is_true(value) else default


def _unix_to_time(text: str) -> Moment:
    try:
        value = int(text)
    except ValueError:
        message = (
            f"unable to parse time '{text}': strconv.ParseInt: parsing \"{text}\": invalid syntax"
        )
        raise CallError(message) from None
    unit = {5: 86400 * 10**9, 10: 10**9, 13: 10**6, 16: 10**3, 19: 1}.get(len(text))
    if unit is None:
        raise CallError(f"unable to parse time '{text}': %!w(<nil>)")
    return Moment(value * unit)


def _duration(text: str) -> float:
    try:
        return parse_go_duration(text) / 10**9
    except AppError as error:
        raise CallError(error.message) from error


def _size(text: str) -> float:
    try:
        return float(parse_bytes(text))
    except AppError as error:
        raise CallError(error.message) from error


def _length(value: object) -> int:
    if isinstance(value, str):
        return len(_bytes(value))
    if isinstance(value, list | Mapping):
        return len(value)
    raise CallError(f"len of type {type_name(value)}")


def _comparable(a: object, b: object) -> tuple[object, object]:
    if isinstance(a, int | float) and isinstance(b, int | float):
        if isinstance(a, bool) == isinstance(b, bool) and isinstance(a, int) == isinstance(b, int):
            return a, b
        raise CallError("incompatible types for comparison")
    if isinstance(a, str) != isinstance(b, str):
        raise CallError("incompatible types for comparison")
    return a, b


def _eq(first: object, *others: object) -> bool:
    if not others:
        raise CallError("missing argument for comparison")
    for other in others:
        if first is NIL or other is NIL:
            if first is other:
                return True
            continue
        a, b = _comparable(first, other)
        if a == b:
            return True
    return False


def _less(a: object, b: object) -> bool:
    left, right = _comparable(a, b)
    return bool(left < right)  # type: ignore[operator]


def _less_or_equal(a: object, b: object) -> bool:
    return _less(a, b) or _eq(a, b)


def _index(value: object, *keys: object) -> object:
    for key in keys:
        if isinstance(value, Mapping):
            value = value.get(go_text(key), "" if _of_texts(value) else NIL)
        elif isinstance(value, list):
            place = to_int(key)
            if not 0 <= place < len(value):
                raise CallError(f"index out of range: {place}")
            value = value[place]
        elif isinstance(value, str):
            place, data = to_int(key), _bytes(value)
            if not 0 <= place < len(data):
                raise CallError("reflect: string index out of range")
            value = data[place]
        else:
            raise CallError(f"can't index item of type {type_name(value)}")
    return value


def _of_texts(value: Mapping[str, object]) -> bool:
    return all(isinstance(item, str) for item in value.values())


def _slice(value: object, *bounds: object) -> object:
    places = [to_int(bound) for bound in bounds]
    size = _length(value)
    for place in places:
        if not 0 <= place <= size:
            raise CallError(f"index out of range: {place}")
    first = places[0] if places else 0
    last = places[1] if len(places) > 1 else size
    if first > last:
        raise CallError(f"invalid slice index: {first} > {last}")
    if isinstance(value, str):
        return _text(_bytes(value)[first:last])
    assert isinstance(value, list)
    return value[first:last]


def _html(*args: object) -> str:
    text = _joined(args)
    for char, entity in (
        ("&", "&amp;"),
        ('"', "&#34;"),
        ("'", "&#39;"),
        ("<", "&lt;"),
        (">", "&gt;"),
        ("\0", "\ufffd"),
    ):
        text = text.replace(char, entity)
    return text


def _js(*args: object) -> str:
    table = {
        "\\": "\\\\",
        "'": "\\'",
        '"': '\\"',
        "<": "\\u003C",
        ">": "\\u003E",
        "&": "\\u0026",
        "=": "\\u003D",
    }
    return "".join(table.get(c, f"\\u{ord(c):04X}" if ord(c) < 32 else c) for c in _joined(args))


def _joined(args: tuple[object, ...]) -> str:
    if len(args) == 1:
        return go_text(args[0])
    return _print(*args)


def _print(*args: object) -> str:
    """`fmt.Sprint`: spaces between operands when neither is a string."""
    out = ""
    for place, arg in enumerate(args):
        if place and not isinstance(arg, str) and not isinstance(args[place - 1], str):
            out += " "
        out += go_text(arg)
    return out


def _println(*args: object) -> str:
    return " ".join(go_text(arg) for arg in args) + "\n"


def _call(value: object, *_args: object) -> object:
    raise CallError(f"non-function of type {type_name(value)}")


FUNCTIONS: dict[str, Function] = {
    "lower": str.lower,
    "ToLower": str.lower,
    "upper": _upper,
    "ToUpper": _upper,
    "title": _title,
    "trunc": lambda n, s: _trunc(to_int(n), s),
    "substr": lambda a, b, s: _substr(to_int(a), to_int(b), s),
    "contains": lambda part, s: part in s,
    "hasPrefix": lambda part, s: s.startswith(part),
    "hasSuffix": lambda part, s: s.endswith(part),
    "replace": lambda old, new, s: _replace_n(s, old, new, -1),
    "Replace": lambda s, old, new, n: _replace_n(s, old, new, to_int(n)),
    "repeat": lambda n, s: _repeat(to_int(n), s),
    "indent": lambda n, s: _indent(to_int(n), s),
    "nindent": lambda n, s: "\n" + _indent(to_int(n), s),
    "trim": lambda s: s.strip(" \t\n\v\f\r\x85\xa0"),
    "TrimSpace": lambda s: s.strip(" \t\n\v\f\r\x85\xa0"),
    "trimAll": lambda chars, s: s.strip(chars) if chars else s,
    "Trim": lambda s, chars: s.strip(chars) if chars else s,
    "TrimLeft": lambda s, chars: s.lstrip(chars) if chars else s,
    "TrimRight": lambda s, chars: s.rstrip(chars) if chars else s,
    "trimPrefix": lambda part, s: s.removeprefix(part),
    "TrimPrefix": lambda s, part: s.removeprefix(part),
    "trimSuffix": lambda part, s: s.removesuffix(part),
    "TrimSuffix": lambda s, part: s.removesuffix(part),
    "alignLeft": lambda n, s: _align_left(to_int(n), s),
    "alignRight": lambda n, s: _align_right(to_int(n), s),
    "b64enc": lambda s: base64.b64encode(_bytes(s)).decode(),
    "b64dec": _b64dec,
    "urlencode": lambda s: urllib.parse.quote_plus(_bytes(s), safe=""),
    "urldecode": _urldecode,
    "urlquery": lambda *args: urllib.parse.quote_plus(_bytes(_joined(args)), safe=""),
    "regexReplaceAll": _regex_replace,
    "regexReplaceAllLiteral": lambda p, s, new: _replace_matches(p, s, lambda _: new),
    "count": _count,
    "int": to_int,
    "float64": to_float,
    "add": lambda *args: sum(to_int(a) for a in args),
    "sub": lambda a, b: to_int(a) - to_int(b),
    "mul": lambda first, *rest: math.prod([to_int(first), *(to_int(a) for a in rest)]),
    "div": _div,
    "mod": _mod,
    "addf": _chain(lambda a, b: a + b),
    "subf": _chain(lambda a, b: a - b),
    "mulf": _chain(lambda a, b: a * b),
    "divf": _chain(_divide),
    "max": lambda *args: max(to_int(a) for a in args),
    "min": lambda *args: min(to_int(a) for a in args),
    "maxf": lambda *args: max(to_float(a) for a in args),
    "minf": lambda *args: min(to_float(a) for a in args),
    "ceil": lambda v: float(math.ceil(to_float(v))),
    "floor": lambda v: float(math.floor(to_float(v))),
    "round": lambda v, places, *on: _round(v, to_int(places), *(to_float(o) for o in on)),
    "fromJson": _from_json,
    "default": _default,
    "date": lambda layout, when: format_time(layout, when),
    "toDate": lambda layout, s: parse_time(layout, s),
    "toDateInZone": lambda layout, zone, s: parse_time(layout, s, zone),
    "unixEpoch": lambda when: str(when.ns // 10**9),
    "unixEpochMillis": lambda when: str(when.ns // 10**6),
    "unixEpochNanos": lambda when: str(when.ns),
    "unixToTime": _unix_to_time,
    "bytes": _size,
    "duration": _duration,
    "duration_seconds": _duration,
    "not": lambda v: not is_true(v),
    "len": _length,
    "index": _index,
    "slice": _slice,
    "print": _print,
    "println": _println,
    "html": _html,
    "js": _js,
    "call": _call,
    "eq": _eq,
    "ne": lambda a, b: not _eq(a, b),
    "lt": _less,
    "le": _less_or_equal,
    "gt": lambda a, b: not _less_or_equal(a, b),
    "ge": lambda a, b: not _less(a, b),
}

FUNCTION_NAMES = frozenset(FUNCTIONS) | {
    "__line__",
    "__timestamp__",
    "now",
    "and",
    "or",
    "printf",
}

TEXT_ARGUMENTS = frozenset(
    [
        "lower",
        "ToLower",
        "upper",
        "ToUpper",
        "title",
        "trim",
        "TrimSpace",
        "b64enc",
        "b64dec",
        "urlencode",
        "urldecode",
        "fromJson",
        "unixToTime",
        "bytes",
        "duration",
        "duration_seconds",
        "contains",
        "hasPrefix",
        "hasSuffix",
        "regexReplaceAll",
        "regexReplaceAllLiteral",
        "count",
        "trimAll",
        "Trim",
        "TrimLeft",
        "TrimRight",
        "trimPrefix",
        "TrimPrefix",
        "trimSuffix",
        "TrimSuffix",
    ]
)
"""Functions all of whose arguments must be strings."""
