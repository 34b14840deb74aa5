"""What are the columns of a family? One per field, typed once over all shapes that have it.

A field of JSON and logfmt is a path with a role, so a member keeps its column in whatever order and
company it comes; fields of texts are those of `text_fields.py`. A hole that is constant in many
lines of a shape goes to the shape's constants. Invariant: a column has the values of its cells one
behind the other, in the order of the shapes.
"""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow.compute as pc

from narfi.core.columns import I64
from narfi.core.kernels import shape_cells as sc
from narfi.core.kernels import shape_values as sv
from narfi.core.kernels.shape_scan import TEXT
from storage.block.family import FamilyColumn, FamilyShape
from storage.block.shapes.cells import Cells
from storage.block.shapes.cut import CutLines
from storage.block.shapes.encode import KINDS, MAX_SHOWN, ROLES
from storage.block.shapes.family_check import prints
from storage.block.shapes.fields import UniqueNames, field_names
from storage.block.shapes.group import Group
from storage.block.shapes.infer import WordLimits, infer
from storage.block.shapes.text_fields import forms
from storage.lines.holes import BytesColumn, HexColumn, HoleColumn, IntegerColumn, WordsColumn
from storage.lines.template import Hole, HoleKind, LineKind, Role, Template, classes_of

CONSTANT_ROWS = 64
"""A member that is constant in so many lines of a shape needs no column in them."""
MAX_COLUMNS = 2048
"""Fields of a family; shapes that need more stay plain."""
WORDS = WordLimits(1 << 16, 2)
"""Sorted words compress by what they begin with: paths and messages that come twice on average."""
RESERVED = frozenset(("row", "shape", "line", "stream", "ts"))
"""Columns of every family."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How the lines of a group are cut: constants around the holes, of which each has a field."""

    kind: LineKind
    constants: tuple[bytes, ...]
    roles: tuple[Role, ...]
    fields: tuple[Hashable, ...]  # empty for a text
    names: tuple[str, ...]


def layout_of(found: CutLines, group: Group) -> Layout:
    """The layout of a group's first line."""
    line = int(group.rows[0])
    constants = found.constants(line)
    roles = tuple(ROLES.get(kind, Role.WORD) for kind in found.kinds(line))
    kind = KINDS.get(group.cut, LineKind.TEXT)
    names = field_names(kind, constants, roles)
    fields: list[Hashable] = []
    seen: dict[Hashable, int] = {}
    if group.cut != TEXT:
        for field in zip(names, roles, strict=True):
            seen[field] = seen.get(field, 0) + 1
            fields.append((*field, seen[field]))
    return Layout(
        kind=kind,
        constants=constants,
        roles=roles,
        fields=tuple(fields),
        names=tuple(names),
    )


def affordable(
    groups: Sequence[Group], layouts: Sequence[Layout]
) -> tuple[list[Group], list[Layout]]:
    """Groups without those that would need more new columns than they have lines.

    So keys that are made up anew in each line do not become columns.
    """
    known: set[Hashable] = set()
    kept: tuple[list[Group], list[Layout]] = ([], [])
    for group, layout in zip(groups, layouts, strict=True):
        new = set(layout.fields) - known
        if len(new) > len(group.rows) or len(known) + len(new) > MAX_COLUMNS:
            continue
        known |= new
        kept[0].append(group)
        kept[1].append(layout)
    return kept


class FamilyFault(Exception):
    """Typed columns do not print the lines that they were made of: a bug of ours."""

    def __init__(self, groups: Sequence[int], template: Template) -> None:
        """`groups` are those of which the lines would not come back."""
        super().__init__(template.text()[:MAX_SHOWN])
        self.groups = frozenset(groups)


@dataclass(slots=True)
class _Piece:
    """What stands in a cell: constants, and (column, hole) between them."""

    constants: tuple[bytes, ...]
    holes: list[tuple[int, Hole]]


def typed(cells: Cells, layouts: Sequence[Layout]) -> tuple[list[FamilyShape], list[FamilyColumn]]:
    """The shapes of all groups and their columns; `layouts` are those of the groups.

    Raises `FamilyFault` when lines of a sample would not come back.
    """
    pieces: list[_Piece | None] = [None] * len(cells)
    sizes = np.diff(cells.bounds)
    columns: list[FamilyColumn] = []
    names = UniqueNames(RESERVED)
    for (role, name), mine in _fields(cells, layouts, pieces):
        bounds = np.zeros(len(mine) + 1, np.int64)
        np.cumsum(sizes[mine], out=bounds[1:])
        part = infer(cells.values(mine), role, name, WORDS)
        first = len(columns)
        holes: list[list[tuple[int, Hole]]] = [[] for _ in mine]
        for number, inner in enumerate(part.holes, first):
            hole = replace(inner.hole, name=names.of(inner.hole.name))
            values = inner.column
            if isinstance(values, WordsColumn):
                values = with_sorted_words(values)
            columns.append(FamilyColumn(hole.name, values))
            stamps = stamped(hole, values, bounds).tolist()
            for place, found in zip(holes, _with_stamps(hole, stamps), strict=True):
                place.append((number, found))
        for cell, place in zip(mine, holes, strict=True):
            pieces[cell] = _Piece(part.constants, place)
    shapes = _shapes(cells, layouts, pieces)
    good = prints(shapes, columns, cells.lines)
    if not good.all():
        raise FamilyFault(np.flatnonzero(~good).tolist(), shapes[int(good.argmin())].template)
    return shapes, columns


def _fields(
    cells: Cells, layouts: Sequence[Layout], pieces: list[_Piece | None]
) -> list[tuple[tuple[Role, str], list[int]]]:
    """(role and name of a field, its cells); constants are put into `pieces` at once."""
    same = cells.same()
    found: dict[Hashable, tuple[tuple[Role, str], list[int]]] = {}
    texts: list[int] = []
    roles: list[tuple[Role, str, int]] = []
    for number, (group, layout) in enumerate(zip(cells.groups, layouts, strict=True)):
        first = int(cells.first[number])
        constant = layout.kind is LineKind.TEXT or len(group.rows) >= CONSTANT_ROWS
        for k, (role, name) in enumerate(zip(layout.roles, layout.names, strict=True)):
            if constant and same[first + k]:
                pieces[first + k] = _Piece((cells.text(first + k),), [])
            elif layout.fields:
                found.setdefault(layout.fields[k], ((role, name), []))[1].append(first + k)
            else:
                texts.append(first + k)
                roles.append((role, name, k))
    for cell, form, (role, name, k) in zip(texts, forms(cells, texts), roles, strict=True):
        found.setdefault((k, role, form), ((role, name), []))[1].append(cell)
    return list(found.values())


def _shapes(
    cells: Cells,
    layouts: Sequence[Layout],
    pieces: Sequence[_Piece | None],
) -> list[FamilyShape]:
    """The shapes of the groups."""
    shapes: list[FamilyShape] = []
    for number, (group, layout) in enumerate(zip(cells.groups, layouts, strict=True)):
        texts = [layout.constants[0]]
        holes: list[Hole] = []
        mine: list[int] = []
        mine_pieces = pieces[int(cells.first[number]) : int(cells.first[number + 1])]
        for piece, constant in zip(mine_pieces, layout.constants[1:], strict=True):
            assert piece is not None, "every cell is a constant or in a column"
            texts[-1] += piece.constants[0]
            texts += piece.constants[1:]
            texts[-1] += constant
            for column, hole in piece.holes:
                holes.append(hole)
                mine.append(column)
        template = Template(layout.kind, tuple(texts), tuple(holes))
        shapes.append(FamilyShape(template, group.rows, tuple(mine)))
    return shapes


def _with_stamps(hole: Hole, stamps: Sequence[Sequence[int]]) -> Iterator[Hole]:
    """The hole with each stamp; equal ones are one object."""
    known: dict[tuple[int, ...], Hole] = {}
    for stamp in map(tuple, stamps):
        found = known.get(stamp)
        if found is None:
            classes, low, high = stamp
            found = replace(hole, classes=classes, min_length=low, max_length=high)
            known[stamp] = found
        yield found


def stamped(hole: Hole, column: HoleColumn, bounds: I64) -> I64:
    """The stamp (`shape_cells.CLASSES` …) of the values of each cell, `[cell, place]`.

    Exact, but that a time with the name of a month is said to have the letters of all months.
    """
    out = np.empty((len(bounds) - 1, 3), np.int64)
    if isinstance(column, WordsColumn):
        words = column.words
        each = np.empty((len(words), 3), np.int64)
        every = np.arange(len(words) + 1)
        sc.stamp_cells(words.data, words.start, words.length, every, each)
        sc.stamp_coded_cells(each[:, :2].reshape(-1).copy(), column.codes, bounds, out)
        return out
    if isinstance(column, BytesColumn):
        texts = column.values
        sc.stamp_cells(texts.data, texts.start, texts.length, bounds, out)
        return out
    lengths, first = column.lengths(), bounds[:-1]
    out[:, sc.MIN_LENGTH] = np.minimum.reduceat(lengths, first)
    out[:, sc.MAX_LENGTH] = np.maximum.reduceat(lengths, first)
    out[:, sc.CLASSES] = _classes(hole, column, first)
    return out


def with_sorted_words(column: WordsColumn) -> WordsColumn:
    """The same values; words in the order of their bytes compress to two thirds."""
    order = pc.array_sort_indices(column.words.to_arrow()).to_numpy().astype(np.int64)
    rank = np.empty(len(order), np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    return WordsColumn(rank[column.codes], column.words.take(order).packed())


def _classes(hole: Hole, column: HoleColumn, first: I64) -> I64:
    """The classes of the bytes that a typed column prints, cell by cell."""
    kind = hole.type
    classes = np.zeros(len(first), np.int64)
    if isinstance(column, HexColumn):
        rest = classes_of(kind.layout.replace(b"x", b""))
        row = np.bitwise_or.reduce(_DIGITS[column.values], axis=1)
        return np.bitwise_or.reduceat(row, first) | rest
    assert isinstance(column, IntegerColumn)
    if kind.kind is HoleKind.TIME:
        months = b"JanFebMarAprMayJunJulAugSepOctNovDec" if b"b" in kind.layout else b""
        return classes | sv.DIGIT | classes_of(kind.layout.translate(None, b"YMDhmsfb") + months)
    if kind.kind is HoleKind.IPV4:
        return classes | sv.DIGIT | sv.DOT
    classes |= sv.DIGIT
    classes[np.minimum.reduceat(column.values, first) < 0] |= sv.MINUS
    if kind.least:
        classes |= sv.DOT
    elif kind.scale:
        broken = column.values % 10**kind.scale != 0
        classes[np.logical_or.reduceat(broken, first)] |= sv.DOT
    return classes


def _hex_classes() -> I64:
    """The classes of the two digits of each byte."""
    digit = np.where(np.arange(16) < 10, sv.DIGIT, sv.HEX_LOWER)
    byte = np.arange(256)
    found: I64 = (digit[byte >> 4] | digit[byte & 15]).astype(np.int64)
    return found


_DIGITS = _hex_classes()
