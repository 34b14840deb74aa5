"""How is JSON of clients read where Go's decoders take more than the standard allows?

A fast parser reads what is plain JSON. What it refuses is tried once more: bytes behind the first
value are ignored, bytes that are not UTF-8 are kept (as surrogates, `surrogateescape`).

A parser holds Python's lock until it has made all values. So one body is parsed at a time
(`one_body`): others would gain nothing, but the event loop would wait for each of them.
"""

import json
import threading
from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np
import orjson

from narfi.core.kernels.body_marks import json_marks
from narfi.core.wire.push import PushFormatError

_BLANKS = " \t\r\n"
BYTES_OF_A_VALUE = 150
"""What a list, an object or one of its members takes in Python, at most on the average."""


one_body = threading.Lock()
"""Held while a body is parsed; nothing is waited for under it."""


class NumberText(str):
    """A number as the client wrote it."""

    __slots__ = ()


def _number(text: str) -> NumberText:
    """For the parser: unlike a type, a function lets other threads run between two numbers."""
    return NumberText(text)


def json_cost(body: bytes | bytearray) -> int:
    """Bytes that the values of a body may take: known before any is made, and hardly too little.

    Marks inside texts count as well: a body of JSON in JSON costs some times its size.
    """
    return 2 * len(body) + BYTES_OF_A_VALUE * json_marks(np.frombuffer(body, np.uint8))


def load_json(body: bytes | bytearray) -> Any:
    """The first value of the body; `PushFormatError` when there is none."""
    try:
        with one_body:
            return orjson.loads(body)
    except orjson.JSONDecodeError:
        return load_exactly(body)


def load_exactly(body: bytes | bytearray) -> Any:
    """As `load_json`, slower, with numbers as they are written (`NumberText`)."""
    try:
        with one_body:
            text = body.decode("utf-8", "surrogateescape").lstrip(_BLANKS)
            return _DECODER.raw_decode(text)[0]
    except RecursionError:
        raise PushFormatError("the body is nested too deeply") from None
    except ValueError as error:
        raise PushFormatError(str(error)) from None


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"invalid number {text}")


_DECODER = json.JSONDecoder(
    parse_int=_number, parse_float=_number, parse_constant=_no_number, strict=True
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
