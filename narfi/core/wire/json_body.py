"""How is JSON of clients read where Go's decoders take more than the standard allows?

A fast parser reads what is plain JSON. What it refuses is tried once more: bytes behind the first
value are ignored, bytes that are not UTF-8 are kept (as surrogates, `surrogateescape`).
"""

import json
from collections.abc import Mapping
from typing import Any, NoReturn

import orjson

from narfi.core.wire.push import PushFormatError

_BLANKS = " \t\r\n"
BYTES_OF_A_VALUE = 150
"""What a list, an object or one of its members takes in Python, at most on the average."""


class NumberText(str):
    """A number as the client wrote it."""

    __slots__ = ()


def json_cost(body: bytes | bytearray) -> int:
    """Bytes that the values of a body may take: known before any is made, and hardly too little.

    Marks inside texts count as well: a body of JSON in JSON costs some times its size.
    """
    marks = sum(body.count(mark) for mark in (b",", b"[", b"{"))
    return 2 * len(body) + BYTES_OF_A_VALUE * marks


def load_json(body: bytes | bytearray) -> Any:
    """The first value of the body; `PushFormatError` when there is none."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return load_exactly(body)


def load_exactly(body: bytes | bytearray) -> Any:
    """As `load_json`, slower, with numbers as they are written (`NumberText`)."""
    text = body.decode("utf-8", "surrogateescape").lstrip(_BLANKS)
    try:
        return _DECODER.raw_decode(text)[0]
    except RecursionError:
        raise PushFormatError("the body is nested too deeply") from None
    except ValueError as error:
        raise PushFormatError(str(error)) from None


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"invalid number {text}")


_DECODER = json.JSONDecoder(
    parse_int=NumberText, parse_float=NumberText, parse_constant=_no_number, strict=True
)


def member(content: Mapping[str, Any], name: str) -> Any:
    """The last member of this name in any case, None when there is none; `name` is lower-case."""
    found = None
    for key, value in content.items():
        if key == name or key.lower() == name:
            found = value
    return found


def value_text(value: object) -> str:
    """A value as text: strings as they are, everything else as JSON writes it."""
    if isinstance(value, str):
        return value
    return _json_text(value)


def _json_text(value: object) -> str:
    match value:
        case NumberText():
            return str(value)
        case dict():
            inside = (f"{_json_text(str(n))}:{_json_text(v)}" for n, v in value.items())
            return "{" + ",".join(inside) + "}"
        case list():
            return "[" + ",".join(map(_json_text, value)) + "]"
        case _:
            return json.dumps(value, ensure_ascii=False)
