"""Which functions has every Go template? Comparing, indexing, printing, escaping, truth."""

from collections.abc import Mapping

from narfi.core.text.template.errors import CallError
from narfi.core.text.template.printf import sprintf
from narfi.core.text.template.printing import sprint, sprintln
from narfi.core.text.template.signatures import Function, function, is_boxed_nil, is_valid
from narfi.core.text.template.text_functions import url_encode
from narfi.core.text.template.values import (
    INVALID,
    NO_VALUE,
    Boxed,
    Invalid,
    TextList,
    TextMap,
    Uint8,
    basic_kind,
    is_true,
    to_bytes,
    to_text,
    type_name,
    unboxed,
)

_NO_VALUE_TYPE = "reflect: call of reflect.Value.Type on zero Value"


def _length(value: object) -> int:
    if is_boxed_nil(value):
        raise CallError("len of nil pointer")
    value = unboxed(value)
    match value:
        case str():
            return len(to_bytes(value))
        case bytes() | list() | dict():
            return len(value)
        case Invalid():
            raise CallError(_NO_VALUE_TYPE)
    raise CallError(f"len of type {_pointed(value)}")


def _pointed(value: object) -> str:
    """The type of what a pointer points to."""
    return type_name(value).removeprefix("*")


def _place(index: object, limit: int) -> int:
    """An index from 0 to a limit."""
    if isinstance(index, Invalid):
        raise CallError("cannot index slice/array with nil")
    if basic_kind(index) not in ("int", "uint"):
        raise CallError(f"cannot index slice/array with type {type_name(index)}")
    place = int(index)  # type: ignore[call-overload]
    if not 0 <= place <= limit:
        raise CallError(f"index out of range: {place}")
    return int(place)


def _index(value: object, *keys: object) -> object:
    if not is_valid(unboxed(value)):
        raise CallError("index of untyped nil")
    for key in keys:
        if is_boxed_nil(value):
            raise CallError("index of nil pointer")
        value = _item(unboxed(value), unboxed(key))
    return value


def _item(value: object, key: object) -> object:
    match value:
        case dict():
            return _member(value, key)
        case str() | bytes() | list():
            data = to_bytes(value) if isinstance(value, str) else value
            place = _place(key, len(data))
            if place == len(data):
                kind = "string" if isinstance(value, str) else "slice"
                raise CallError(f"reflect: {kind} index out of range")
            item = data[place]
            if isinstance(data, bytes):
                return Uint8(item)
            return item if isinstance(data, TextList) else Boxed(item)
    raise CallError(f"can't index item of type {_pointed(value)}")


def _member(value: dict[str, object], key: object) -> object:
    if isinstance(key, Invalid):
        raise CallError("value is nil; should be of type string")
    if not isinstance(key, str):
        raise CallError(f"value has type {type_name(key)}; should be string")
    return value.get(key, "") if isinstance(value, TextMap) else Boxed(value.get(key, INVALID))


def _slice(value: object, *bounds: object) -> object:
    """Go looks into no box for a bound: a number of a JSON value is none."""
    value = unboxed(value)
    if isinstance(value, Invalid):
        raise CallError("slice of untyped nil")
    if len(bounds) > 3:
        raise CallError(f"too many slice indexes: {len(bounds)}")
    if not isinstance(value, str | bytes | list):
        raise CallError(f"can't slice item of type {type_name(value)}")
    if isinstance(value, str) and len(bounds) == 3:
        raise CallError("cannot 3-index slice a string")
    data = to_bytes(value) if isinstance(value, str) else value
    places = [_place(bound, len(data)) for bound in bounds]
    first, last, limit = (*places, *(0, len(data), len(data))[len(places) :])[:3]
    if first > last:
        raise CallError(f"invalid slice index: {first} > {last}")
    if last > limit:
        raise CallError(f"invalid slice index: {last} > {limit}")
    cut = data[first:last]
    if isinstance(value, TextList):
        return TextList(value[first:last])
    return to_text(cut) if isinstance(value, str) and isinstance(cut, bytes) else cut


def _equal(a: object, b: object) -> bool:
    """Of one kind, or an int and a byte; nil equals nil."""
    kind, other = basic_kind(a), basic_kind(b)
    if kind and (kind == other or {kind, other} == {"int", "uint"}):
        return a == b
    absent = isinstance(a, Invalid), isinstance(b, Invalid)
    if any(absent):
        return all(absent)
    if kind != other:
        message = f"incompatible types for comparison: {type_name(a)} and {type_name(b)}"
        raise CallError(message)
    if _shape(a) != _shape(b):
        message = sprintf("non-comparable types %s: %v, %s: %v", a, type_name(a), type_name(b), b)
        raise CallError(message)
    if isinstance(b, dict | list | bytes):
        raise CallError(sprintf("non-comparable type %s: %v", b, type_name(b)))
    return a == b


def _shape(value: object) -> str:
    for kind in (dict, list, bytes):
        if isinstance(value, kind):
            return "list" if kind is bytes else kind.__name__
    return type_name(value)


def _eq(first: object, *others: object) -> bool:
    if not others:
        raise CallError("missing argument for comparison")
    return any(_equal(unboxed(first), unboxed(other)) for other in others)


def _less(a: object, b: object) -> bool:
    a, b = unboxed(a), unboxed(b)
    kind, other = basic_kind(a), basic_kind(b)
    if not kind or not other:
        raise CallError("invalid type for comparison")
    if kind != other and {kind, other} != {"int", "uint"}:
        message = f"incompatible types for comparison: {type_name(a)} and {type_name(b)}"
        raise CallError(message)
    if kind in ("bool", "complex"):
        raise CallError("invalid type for comparison")
    if isinstance(a, str) and isinstance(b, str):
        return to_bytes(a) < to_bytes(b)
    return bool(a < b)  # type: ignore[operator]


def _less_or_equal(a: object, b: object) -> bool:
    return _less(a, b) or _eq(a, b)


def _joined(args: tuple[object, ...]) -> str:
    """The text that an escaper is given."""
    return sprint(*(NO_VALUE if isinstance(arg, Invalid) else arg for arg in args))


_HTML = str.maketrans(
    {
        "&": "&amp;",
        '"': "&#34;",
        "'": "&#39;",
        "<": "&lt;",
        ">": "&gt;",
        "\0": "\ufffd",
    }
)
_JS = {
    "\\": "\\\\",
    "'": "\\'",
    '"': '\\"',
    "<": "\\u003C",
    ">": "\\u003E",
    "&": "\\u0026",
    "=": "\\u003D",
}


def _js(*args: object) -> str:
    """What is not printable, and what could end a script, by its number."""
    return "".join(_JS.get(char) or _js_char(char) for char in _joined(args))


def _js_char(char: str) -> str:
    invalid = "\udc80" <= char <= "\udcff"
    if invalid or char == "\x7f" or (char.isprintable() and char >= " "):
        return char
    return f"\\u{ord(char):04X}"


def _special(*_: object) -> object:
    """`and`, `or` and `call` look at their arguments themselves: the renderer runs them."""
    raise AssertionError


BUILTINS: Mapping[str, Function] = {
    "and": function("value ...value", _special),
    "or": function("value ...value", _special),
    "call": function("value ...value", _special),
    "not": function("value", lambda value: not is_true(value)),
    "len": function("value", _length),
    "index": function("value ...value", _index),
    "slice": function("value ...value", _slice),
    "print": function("...any", sprint),
    "printf": function("string ...any", sprintf),
    "println": function("...any", sprintln),
    "html": function("...any", lambda *args: _joined(args).translate(_HTML)),
    "js": function("...any", _js),
    "urlquery": function("...any", lambda *args: url_encode(_joined(args))),
    "eq": function("value ...value", _eq),
    "ne": function("value value", lambda a, b: not _eq(a, b)),
    "lt": function("value value", _less),
    "le": function("value value", _less_or_equal),
    "gt": function("value value", lambda a, b: not _less_or_equal(a, b)),
    "ge": function("value value", lambda a, b: not _less(a, b)),
}
