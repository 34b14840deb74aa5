"""What does the index say of a family? Its columns, and of each shape the template and its place.

As JSON in the index: lists in the order of the fields here. Bytes are written as the characters
U+0000 to U+00FF.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from storage.lines.template import Hole, HoleKind, HoleType, LineKind, Role, Template

_HOLES, _ROWS, _LINE_BYTES = 2, 3, 4
"""Places in what `_shape_to_json` makes."""


@dataclass(frozen=True, slots=True)
class StoredColumn:
    """A column of the file: its name there, and what its holes agree in."""

    name: str
    type: HoleType  # `least` and `width` are of the hole


@dataclass(frozen=True, slots=True)
class StoredShape:
    """A shape: its rows stand behind those of the shapes before it."""

    template: Template
    columns: tuple[int, ...]  # of each hole
    rows: int
    line_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFamily:
    """What is in the file of a family."""

    name: str
    columns: tuple[StoredColumn, ...]
    shapes: tuple[StoredShape, ...]
    plain_rows: int
    plain_bytes: int

    @property
    def rows(self) -> int:
        """All rows of the file."""
        return sum(shape.rows for shape in self.shapes) + self.plain_rows


def family_to_json(family: StoredFamily) -> dict[str, Any]:
    """For the index."""
    return {
        "name": family.name,
        "columns": [
            [c.name, c.type.kind.value, c.type.scale, c.type.layout.decode("latin-1")]
            for c in family.columns
        ],
        "shapes": [_shape_to_json(shape, family.columns) for shape in family.shapes],
        "plain_rows": family.plain_rows,
        "plain_bytes": family.plain_bytes,
    }


def _shape_to_json(shape: StoredShape, columns: Sequence[StoredColumn]) -> list[Any]:
    template = shape.template
    holes = []
    for hole, number in zip(template.holes, shape.columns, strict=True):
        found = [
            number,
            hole.role.value,
            hole.classes,
            hole.min_length,
            hole.max_length,
            hole.type.least,
            hole.type.width,
        ]
        if hole.name != columns[number].name:
            found.append(hole.name)
        holes.append(found)
    constants = [constant.decode("latin-1") for constant in template.constants]
    return [template.kind.value, constants, holes, shape.rows, shape.line_bytes]


def rows_of(content: Mapping[str, Any]) -> list[int]:
    """Rows of each shape and of the plain lines, without making the shapes."""
    return [*(shape[_ROWS] for shape in content["shapes"]), content["plain_rows"]]


def line_bytes_of(content: Mapping[str, Any]) -> list[int]:
    """Bytes of the lines, in the same order."""
    return [*(shape[_LINE_BYTES] for shape in content["shapes"]), content["plain_bytes"]]


def holes_of(content: Mapping[str, Any]) -> int:
    """How many holes all shapes have."""
    return sum(len(shape[_HOLES]) for shape in content["shapes"])


def family_from_json(content: Mapping[str, Any]) -> StoredFamily:
    """What the index says; raises `KeyError`, `TypeError` or `ValueError` where it cannot be."""
    columns = tuple(
        StoredColumn(
            name,
            HoleType(kind=HoleKind(kind), scale=scale, layout=layout.encode("latin-1")),
        )
        for name, kind, scale, layout in content["columns"]
    )
    shapes = tuple(_shape_from_json(found, columns) for found in content["shapes"])
    return StoredFamily(
        name=content["name"],
        columns=columns,
        shapes=shapes,
        plain_rows=content["plain_rows"],
        plain_bytes=content["plain_bytes"],
    )


def _shape_from_json(found: list[Any], columns: Sequence[StoredColumn]) -> StoredShape:
    kind, constants, holes, rows, line_bytes = found
    template = Template(
        LineKind(kind),
        tuple(constant.encode("latin-1") for constant in constants),
        tuple(_hole(hole, columns[hole[0]]) for hole in holes),
    )
    return StoredShape(template, tuple(hole[0] for hole in holes), rows, line_bytes)


def _hole(found: list[Any], column: StoredColumn) -> Hole:
    _, role, classes, min_length, max_length, least, width, *own = found
    kind = column.type
    return Hole(
        name=own[0] if own else column.name,
        type=_type(kind, least, width),
        role=_ROLES[role],
        classes=classes,
        min_length=min_length,
        max_length=max_length,
    )


@lru_cache(maxsize=4096)
def _type(kind: HoleType, least: int, width: int) -> HoleType:
    """Most holes print as others do: one object for all of them."""
    return replace(kind, least=least, width=width)


_ROLES = {role.value: role for role in Role}
