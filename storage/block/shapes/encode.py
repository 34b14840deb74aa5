"""How do the lines of a run become shapes? Group, cut, infer; what fits nothing stays plain.

Invariant: every row is in exactly one shape or in the rest; a shape's rows ascend.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import orjson

from narfi.core.columns import I64, Spans
from narfi.core.kernels.shape_scan import (
    H_ARRAY,
    H_LITERAL,
    H_QUOTED,
    H_STRING,
    H_VALUE,
    JSON,
    LOGFMT,
    MAX_HOLES,
    extract_holes,
)
from storage.block.shapes.group import Group, group_lines
from storage.block.shapes.infer import constants_of, count_holes, infer, joined
from storage.lines.holes import HoleColumn
from storage.lines.template import Hole, LineKind, Role, Template

MIN_ROWS = 256
"""Lines of a shape where the settings say nothing else."""
RESERVED = frozenset(("stream", "ts", "row"))
"""Columns of every shape; a field of such a name gets a suffix."""
METADATA_START = "metadata"
SUFFIX = "_extracted"

_ROLES = {
    H_STRING: Role.STRING,
    H_LITERAL: Role.LITERAL,
    H_ARRAY: Role.ARRAY,
    H_VALUE: Role.VALUE,
    H_QUOTED: Role.QUOTED,
}
_KINDS = {JSON: LineKind.JSON, LOGFMT: LineKind.LOGFMT}


@dataclass(frozen=True, slots=True)
class EncodedShape:
    """The rows of a shape, ascending, and the values of each hole."""

    rows: I64
    template: Template
    columns: tuple[HoleColumn, ...]


def encode_shapes(lines: Spans, min_rows: int = MIN_ROWS) -> Iterator[EncodedShape]:
    """The shapes of the lines; rows in none of them stay plain. One shape is in memory at a time.

    `min_rows` of 0: no shapes.
    """
    for group in group_lines(lines, min_rows) if min_rows else ():
        shape = encode_group(lines, group, min_rows)
        if shape is not None:
            yield shape


def encode_group(lines: Spans, group: Group, min_rows: int) -> EncodedShape | None:
    """The shape of a group; None when too few lines are left that fit."""
    mine = lines.take(group.rows)
    count = count_holes(mine.take(np.zeros(1, np.int64)), fine=False)
    start = np.empty((count, len(mine)), np.int64)
    length = np.empty((count, len(mine)), np.int32)
    fits, kinds = np.empty(len(mine), np.bool_), np.empty(MAX_HOLES, np.uint8)
    extract_holes(mine.data, mine.start, mine.length, False, count, start, length, kinds, fits)
    rows = group.rows
    if not fits.all():
        kept = np.flatnonzero(fits)
        if len(kept) < min_rows:
            return None
        rows, mine = rows[kept], mine.take(kept)
        start, length = start[:, kept].copy(), length[:, kept].copy()
    constants = constants_of(mine, start, length)
    roles = [_ROLES.get(int(kind), Role.WORD) for kind in kinds[:count]]
    kind = _KINDS.get(group.cut, LineKind.TEXT)
    names = _names(kind, constants, roles)
    parts = [infer(Spans(mine.data, start[k], length[k]), roles[k], names[k]) for k in range(count)]
    part = joined(constants, parts)
    holes = _unique([found.hole for found in part.holes])
    template = Template(kind, part.constants, holes)
    return EncodedShape(rows, template, tuple(found.column for found in part.holes))


def _names(kind: LineKind, constants: tuple[bytes, ...], roles: list[Role]) -> list[str]:
    """What a user would call each hole."""
    names = [f"v{k + 1}" for k in range(len(roles))]
    if kind is LineKind.LOGFMT:
        for k in range(len(roles)):
            key = constants[k].rstrip(b'="').rsplit(b" ", 1)[-1]
            names[k] = key.decode("utf-8", "replace") or names[k]
    elif kind is LineKind.JSON:
        samples = [f"{k}" if role is not Role.ARRAY else f"[{k}]" for k, role in enumerate(roles)]
        text = constants[0] + b"".join(
            sample.encode() + constant
            for sample, constant in zip(samples, constants[1:], strict=True)
        )
        try:
            found = orjson.loads(text.decode("utf-8", "replace"))
        except orjson.JSONDecodeError:
            return names  # a key with half a surrogate pair
        for path, value in _members(found):
            number = int(str(value[0] if isinstance(value, list) else value))
            names[number] = ".".join(path) or names[number]
    return names


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


def _unique(holes: list[Hole]) -> tuple[Hole, ...]:
    """Holes renamed so that no two columns of the file have one name."""
    used: set[str] = set()
    result = []
    for hole in holes:
        name = hole.name
        head, dot, rest = name.partition(".")
        if name in RESERVED or name.startswith(METADATA_START):
            name = head + SUFFIX + dot + rest  # `metadata.x` would be structured metadata
        plain, number = name, 1
        while name.lower() in used:
            number += 1
            name = f"{plain}_{number}"
        used.add(name.lower())
        result.append(replace(hole, name=name))
    return tuple(result)
