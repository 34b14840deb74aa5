"""What kinds of values does a template know? Go's: each is a Python value of a class of its own.

`int` is Go's int, `str` its string (any bytes, by surrogate escapes), `float` float64, `bytes`
[]uint8, `list` []interface {}, `dict` map[string]interface {}; the others are below.
Invariant: integers stay within their 64 bits; who computes wraps them (`wrap64`).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from narfi.core.text.template.zones import Moment, Zone

NO_VALUE = "<no value>"


class Invalid:
    """No value at all: nil, a missing key."""


INVALID = Invalid()


@dataclass(frozen=True, slots=True)
class Boxed:
    """A value held by an element of a JSON array or object: its static type is `interface {}`.

    Pipelines and arguments unbox it; only errors about fields see the box.
    """

    value: object


class Int64(int):
    """An int64: what arithmetic gives."""


class Uint8(int):
    """A byte: what indexing a string gives."""


class Duration(int):
    """A time.Duration in ns."""


class Month(int):
    """A time.Month, 1 to 12."""


class Weekday(int):
    """A time.Weekday, Sunday is 0."""


class TextMap(dict[str, str]):
    """A map[string]string: the labels."""


class TextList(list[str]):
    """A []string."""


@dataclass(frozen=True, slots=True)
class Struct:
    """A Go struct, or a pointer to one: its exported fields by name."""

    go_type: str
    fields: Mapping[str, object]


class Structs(list[Struct]):
    """A slice of pointers to samples: the result of a query."""


def unboxed(value: object) -> object:
    """The value in its box, if it is in one."""
    return value.value if isinstance(value, Boxed) else value


def wrap64(value: int) -> int:
    """The integer as an int64 holds it."""
    return (value + (1 << 63) & (1 << 64) - 1) - (1 << 63)


TYPE_NAMES: dict[type, str] = {
    bool: "bool",
    int: "int",
    Int64: "int64",
    Uint8: "uint8",
    float: "float64",
    complex: "complex128",
    str: "string",
    bytes: "[]uint8",
    Duration: "time.Duration",
    Month: "time.Month",
    Weekday: "time.Weekday",
    Moment: "time.Time",
    Zone: "*time.Location",
    TextMap: "map[string]string",
    TextList: "[]string",
    list: "[]interface {}",
    dict: "map[string]interface {}",
    Boxed: "interface {}",
    Structs: "template.queryResult",
    Invalid: "<nil>",
}

_KINDS: dict[type, str] = {
    bool: "bool",
    int: "int",
    Int64: "int",
    Duration: "int",
    Month: "int",
    Weekday: "int",
    Uint8: "uint",
    float: "float",
    complex: "complex",
    str: "string",
}


def type_name(value: object) -> str:
    """The Go type in error texts."""
    return value.go_type if isinstance(value, Struct) else TYPE_NAMES[type(value)]


def basic_kind(value: object) -> str:
    """bool, int, uint, float, complex or string; "" for all that cannot be ordered."""
    return _KINDS.get(type(value), "")


def is_true(value: object) -> bool:
    """Go's truth: not the zero value; a time, even the zero time, is true."""
    value = unboxed(value)
    if isinstance(value, Invalid):
        return False
    if isinstance(value, bool | int | float | complex | str | bytes | list | dict):
        return bool(value)
    return True


def to_bytes(text: str) -> bytes:
    """The bytes of a string."""
    return text.encode("utf-8", "surrogateescape")


def to_text(data: bytes) -> str:
    """The string of bytes."""
    return data.decode("utf-8", "surrogateescape")


def runes(text: str) -> str:
    """As Go's `[]rune` shows it: bytes that are no UTF-8 become U+FFFD."""
    if text.isascii():
        return text
    return "".join("\ufffd" if "\udc80" <= char <= "\udcff" else char for char in text)
