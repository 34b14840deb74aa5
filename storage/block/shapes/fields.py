"""What would a user call each hole? The path of a JSON member, the key of a logfmt pair, `v<k>`."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache

import orjson

from storage.lines.template import Hole, LineKind, Role

RESERVED = frozenset(("stream", "ts", "row"))
"""Columns of every shape; a field of such a name gets a suffix."""
METADATA_START = "metadata"
SUFFIX = "_extracted"
REMEMBERED = 4096
"""Layouts of which the names are kept: a program prints the same ones in every block."""


def field_names(
    kind: LineKind, constants: tuple[bytes, ...], roles: tuple[Role, ...]
) -> Sequence[str]:
    """The name of each hole of a line as it was cut; two may have one."""
    if kind is LineKind.TEXT:
        return [f"v{k + 1}" for k in range(len(roles))]
    return _names(kind, constants, roles)


@lru_cache(REMEMBERED)
def _names(
    kind: LineKind, constants: tuple[bytes, ...], roles: tuple[Role, ...]
) -> tuple[str, ...]:
    names = [f"v{k + 1}" for k in range(len(roles))]
    if kind is LineKind.LOGFMT:
        for k in range(len(roles)):
            key = constants[k].rstrip(b'="').rsplit(b" ", 1)[-1]
            names[k] = key.decode("utf-8", "replace") or names[k]
    else:
        samples = [f"{k}" if role is not Role.ARRAY else f"[{k}]" for k, role in enumerate(roles)]
        text = constants[0] + b"".join(
            sample.encode() + constant
            for sample, constant in zip(samples, constants[1:], strict=True)
        )
        try:
            found = orjson.loads(text.decode("utf-8", "replace"))
        except orjson.JSONDecodeError:
            return tuple(names)  # a key with half a surrogate pair
        for path, value in _members(found):
            number = int(str(value[0] if isinstance(value, list) else value))
            names[number] = ".".join(path) or names[number]
    return tuple(names)


def _members(found: object, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], object]]:
    """Paths and values of the members that are holes."""
    if isinstance(found, dict):
        for key, value in found.items():
            yield from _members(value, (*path, key))
    elif isinstance(found, list):
        if found:
            yield path, found
    else:
        yield path, found


class UniqueNames:
    """Names of a file's columns, so that no two are one, whatever the case of their letters."""

    def __init__(self, reserved: frozenset[str] = RESERVED) -> None:
        self._used: set[str] = set()
        self._reserved = reserved

    def of(self, name: str) -> str:
        """The name, changed where it is reserved or was given before."""
        head, dot, rest = name.partition(".")
        if name in self._reserved or name.startswith(METADATA_START):
            name = head + SUFFIX + dot + rest  # `metadata.x` would be structured metadata
        plain, number = name, 1
        while name.lower() in self._used:
            number += 1
            name = f"{plain}_{number}"
        self._used.add(name.lower())
        return name


def unique(holes: Sequence[Hole]) -> tuple[Hole, ...]:
    """Holes renamed so that no two columns of the file have one name."""
    names = UniqueNames()
    return tuple(replace(hole, name=names.of(hole.name)) for hole in holes)
