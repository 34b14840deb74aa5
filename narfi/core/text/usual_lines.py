"""Which fields has a line of the usual kind? Found by one regex, or by Python's own JSON parser.

Beside the readers byte by byte (`logfmt.py`, `json_fields.py`), which take what programs print
wrongly too. Invariant: either the same answer as theirs, or None, which means that they are asked.
"""

import json
import re  # our own patterns, possessive: none goes back
from collections.abc import Iterator
from typing import NoReturn

from narfi.core.text.json_fields import MAX_DEPTH
from narfi.core.text.json_lenient import clean_text
from narfi.core.text.logfmt import unquoted

_KEY, _VALUE, _QUOTED = rb"[!#-<>-\x7f]", rb"[!#-<>-\xff]", rb'"(?:[^"\\]|\\.)*+"'
_LINE = re.compile(
    rb"(?:[\0- ]*+%b++=(?>%b|%b*+(?![!-\xff])))++[\0- ]*+" % (_KEY, _QUOTED, _VALUE), re.DOTALL
)
_PAIR = re.compile(rb"(%b++)=(%b|%b*+)" % (_KEY, _QUOTED, _VALUE), re.DOTALL)
MOST_DEPTH = 32
"""Objects nested deeper are left to the other reader, which has a bound of its own."""
assert MOST_DEPTH < MAX_DEPTH


def usual_logfmt(line: bytes) -> list[tuple[bytes, str]] | None:
    """(key, value) of each pair that has a value, where all keys are ASCII and no pair is bad."""
    if _LINE.fullmatch(line) is None:
        return None
    found = []
    for key, stored in _PAIR.findall(line):
        value: bytes | None = stored
        if stored[:1] == b'"':
            value = stored[1:-1] if b"\\" not in stored else unquoted(stored[1:-1])
            if value is None:
                return None
        if value:
            found.append((key, clean_text(value)))
    return found


class _Object(list[tuple[str, object]]):
    """The members of an object, in their order, repeated ones too."""


def _refuse(text: str) -> NoReturn:
    raise ValueError(text)


_DECODER = json.JSONDecoder(
    object_pairs_hook=_Object, parse_float=str, parse_int=str, parse_constant=_refuse
)


def usual_json(line: bytes) -> list[tuple[tuple[str, ...], str]] | None:
    """(path of keys, value) of every scalar member of an object in ASCII without codes."""
    if not line.isascii() or b"\\u" in line:
        return None
    try:
        found = _DECODER.decode(line.decode())
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, _Object):
        return None
    members = list(_members(found, ()))
    if any(len(path) > MOST_DEPTH for path, _ in members):
        return None
    return members


def _members(found: _Object, prefix: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    for key, value in found:
        if isinstance(value, str):
            yield (*prefix, key), value
        elif isinstance(value, _Object):
            yield from _members(value, (*prefix, key))
        elif isinstance(value, bool):
            yield (*prefix, key), "true" if value else "false"
