"""What are the columns of a family? One per field, typed once over all shapes that have it.

Shapes come from lines that were cut (`add_groups`) and from lines that matched known shapes
(`add_known`). Values of one field and type share a column, whatever they came from. A hole that is
constant in many lines of a shape goes to the shape's constants. Invariant: a column has the values
of its shapes one behind the other, in the order of the shapes.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from dataclasses import field as default

import numpy as np

from narfi.core.columns import I64, Mask, Spans, concat_spans
from narfi.core.kernels.word_order import order_words
from storage.block.family import FamilyColumn, FamilyShape
from storage.block.shapes.cells import Cells
from storage.block.shapes.family_check import prints
from storage.block.shapes.fields import UniqueNames
from storage.block.shapes.infer import WordLimits, infer, words_of
from storage.block.shapes.layouts import Layout
from storage.block.shapes.stamps import stamps_of
from storage.block.shapes.text_fields import forms
from storage.lines.holes import BytesColumn, HoleColumn, WordsColumn, concat_holes
from storage.lines.template import Hole, HoleKind, HoleType, LineKind, Role, Template

CONSTANT_ROWS = 64
"""A member that is constant in so many lines of a shape needs no column in them."""
FEW_WORDS = 256
"""So few texts are a dictionary, however few rows there are."""
WORDS = WordLimits(1 << 16, 2)
"""Sorted words compress by what they begin with: paths and messages that come twice on average."""
SAMPLED_WORDS = WordLimits(1 << 16, 2, 4)
"""Of a sample, a few texts are a few words only when each is there several times."""
SAMPLED = 1024
"""Texts that are looked at for a type."""
MORE = 3
"""Texts are looked at again when there are so many times those that were looked at first."""
UNSORTED = 16
"""So few words gain nothing by their order."""
RESERVED = frozenset(("row", "shape", "line", "stream", "ts"))
"""Columns of every family."""
TEXTS = (HoleKind.WORDS, HoleKind.BYTES)
TEXT = "text"

Field = tuple[Hashable, ...]
"""What a cell holds, the constants that it was freed of, and the number of the hole in it."""
Identity = tuple[Field, HoleType | str]
"""A field, and what its values are: equal for holes of one column."""


@dataclass(slots=True, kw_only=True)
class DraftShape:
    """A shape of which the columns are not made yet; holes have the names of their fields."""

    kind: LineKind
    constants: tuple[bytes, ...]
    holes: tuple[tuple[Identity, Hole], ...]
    rows: I64  # of the block
    learnt: int = 0  # lines of which the types were learnt


@dataclass(slots=True)
class _Gathered:
    """The values of a column so far, and the shapes that have it."""

    hole: Hole
    shapes: list[int] = default(default_factory=list)
    parts: list[HoleColumn] = default(default_factory=list)
    learnt: int | None = None  # values of which the type was learnt; None: of these


@dataclass(slots=True)
class _Piece:
    """What stands in a cell: constants, and holes between them."""

    constants: tuple[bytes, ...]
    holes: list[tuple[Identity, Hole]]


def identity(field: Field, kind: HoleType) -> Identity:
    """What holes of one column agree in: a text may be a dictionary or not."""
    return field, TEXT if kind.kind in TEXTS else kind


class FamilyColumns:
    """Gathers shapes, then makes them and their columns."""

    def __init__(self) -> None:
        self.drafts: list[DraftShape] = []
        self.outgrown: set[int] = set()
        """Shapes with a text that has a type, now that there is more of it than a few words."""
        self._found: dict[Identity, _Gathered] = {}

    def add_known(self, draft: DraftShape, values: Sequence[HoleColumn]) -> None:
        """A shape of lines that matched; before any that was cut."""
        number = len(self.drafts)
        self.drafts.append(draft)
        for (key, hole), column in zip(draft.holes, values, strict=True):
            gathered = self._found.setdefault(key, _Gathered(hole))
            gathered.shapes.append(number)
            gathered.parts.append(column)
            if key[1] is TEXT:
                gathered.learnt = max(gathered.learnt or 0, draft.learnt)

    def add_groups(
        self, cells: Cells, layouts: Sequence[Layout], rows: I64, limits: WordLimits = WORDS
    ) -> None:
        """Shapes of groups of lines; the rows of groups are places in `rows`."""
        first = len(self.drafts)
        pieces: list[_Piece | None] = [None] * len(cells)
        group_of = np.repeat(np.arange(len(cells.groups)), np.diff(cells.first)) + first
        for (name, role, text), mine in _fields(cells, layouts, pieces):
            part = infer(cells.values(mine), role, text, limits)
            holes = []
            shapes = group_of[mine].tolist()
            for k, inner in enumerate(part.holes):
                key = identity((name, part.constants, k), inner.hole.type)
                holes.append((key, inner.hole))
                gathered = self._found.setdefault(key, _Gathered(inner.hole))
                gathered.shapes += shapes
                gathered.parts.append(inner.column)
            piece = _Piece(part.constants, holes)
            for cell in mine:
                pieces[cell] = piece
        for number, (group, layout) in enumerate(zip(cells.groups, layouts, strict=True)):
            mine_pieces = pieces[int(cells.first[number]) : int(cells.first[number + 1])]
            self.drafts.append(_draft(layout, mine_pieces, rows[group.rows]))

    def made(self) -> tuple[list[FamilyShape], list[FamilyColumn]]:
        """The shapes and the columns."""
        sizes = np.array([len(draft.rows) for draft in self.drafts], np.int64)
        names = UniqueNames(RESERVED)
        columns: list[FamilyColumn] = []
        holes: dict[Identity, tuple[int, dict[int, Hole]]] = {}
        for key, gathered in self._found.items():
            values = _joined(gathered)
            kind = kind_of(gathered.hole.type, values)
            if _has_outgrown(gathered, values):
                self.outgrown.update(gathered.shapes)
            name = names.of(gathered.hole.name)
            bounds = np.zeros(len(gathered.shapes) + 1, np.int64)
            np.cumsum(sizes[gathered.shapes], out=bounds[1:])
            stamps = stamps_of(kind, values, bounds).tolist()
            mine = _with_stamps(replace(gathered.hole, name=name, type=kind), stamps)
            holes[key] = (len(columns), dict(zip(gathered.shapes, mine, strict=True)))
            columns.append(FamilyColumn(name, values))
        shapes = []
        for number, draft in enumerate(self.drafts):
            found = [holes[key] for key, _ in draft.holes]
            template = Template(
                draft.kind, draft.constants, tuple([by_shape[number] for _, by_shape in found])
            )
            shapes.append(FamilyShape(template, draft.rows, tuple([place for place, _ in found])))
        return shapes, columns


def checked(shapes: Sequence[FamilyShape], columns: Sequence[FamilyColumn], lines: Spans) -> Mask:
    """Which shapes print their lines; `lines` are those of the block."""
    if not shapes:
        return np.zeros(0, np.bool_)
    return prints(shapes, columns, lines)


def _fields(
    cells: Cells, layouts: Sequence[Layout], pieces: list[_Piece | None]
) -> list[tuple[tuple[Hashable, Role, str], list[int]]]:
    """(field, its role and name), its cells; constants are put into `pieces` at once."""
    same = cells.same().tolist()
    found: dict[Hashable, tuple[tuple[Hashable, Role, str], list[int]]] = {}
    texts: list[int] = []
    roles: list[tuple[int, Role, str]] = []
    for number, (group, layout) in enumerate(zip(cells.groups, layouts, strict=True)):
        first = int(cells.first[number])
        constant = layout.kind is LineKind.TEXT or len(group.rows) >= CONSTANT_ROWS
        for k, (role, name) in enumerate(zip(layout.roles, layout.names, strict=True)):
            if constant and same[first + k]:
                pieces[first + k] = _Piece((cells.text(first + k),), [])
            elif layout.fields:
                key = layout.fields[k]
                found.setdefault(key, ((key, role, name), []))[1].append(first + k)
            else:
                texts.append(first + k)
                roles.append((k, role, name))
    for cell, form, (k, role, name) in zip(texts, forms(cells, texts), roles, strict=True):
        key = (k, role, form)
        found.setdefault(key, ((key, role, name), []))[1].append(cell)
    return list(found.values())


def _draft(layout: Layout, pieces: Sequence[_Piece | None], rows: I64) -> DraftShape:
    texts = [layout.constants[0]]
    holes: list[tuple[Identity, Hole]] = []
    for piece, constant in zip(pieces, layout.constants[1:], strict=True):
        assert piece is not None, "every cell is a constant or in a column"
        texts[-1] += piece.constants[0]
        texts += piece.constants[1:]
        texts[-1] += constant
        holes += piece.holes
    return DraftShape(kind=layout.kind, constants=tuple(texts), holes=tuple(holes), rows=rows)


def _joined(gathered: _Gathered) -> HoleColumn:
    """All values of a column; texts that are few words as a dictionary."""
    if gathered.learnt is None and len(gathered.parts) == 1:
        return _sorted(gathered.parts[0])
    if gathered.hole.type.kind not in TEXTS:
        return concat_holes(gathered.parts)
    return text_column(gathered.parts)


def text_column(parts: Sequence[HoleColumn]) -> HoleColumn:
    """Texts one behind the other, as a dictionary of sorted words where they are few."""
    if all(isinstance(part, WordsColumn) for part in parts):
        joined = concat_holes(parts)
        assert isinstance(joined, WordsColumn)
        joined = joined.without_unused()
        if len(joined.words) <= _most_words(len(joined)):
            return _sorted(joined)
    texts = texts_of(parts)
    few = words_of(texts, _most_words(len(texts)))
    return BytesColumn(texts) if few is None else _sorted(few)


def _most_words(rows: int) -> int:
    return max(FEW_WORDS, WORDS.of(rows))


def texts_of(parts: Sequence[HoleColumn]) -> Spans:
    """All texts; those of one buffer are not copied."""
    texts = [part.spans() for part in parts]
    data = texts[0].data
    if any(part.data is not data for part in texts):
        return concat_spans(texts)
    start, length = [part.start for part in texts], [part.length for part in texts]
    return Spans(data, np.concatenate(start), np.concatenate(length))


def _sorted(column: HoleColumn) -> HoleColumn:
    if isinstance(column, WordsColumn) and len(column.words) > UNSORTED:
        return with_sorted_words(column)
    return column


def _has_outgrown(gathered: _Gathered, column: HoleColumn) -> bool:
    """Whether known texts, of which there are many more now, would not be texts."""
    if gathered.learnt is None or not isinstance(column, BytesColumn):
        return False
    values, hole = column.values, gathered.hole
    if len(values) < MORE * gathered.learnt:
        return False
    sample = values.take(np.arange(0, len(values), 1 + len(values) // SAMPLED))
    part = infer(sample, hole.role, hole.name, WORDS)
    return any(inner.hole.type.kind not in TEXTS for inner in part.holes)


def kind_of(kind: HoleType, values: HoleColumn) -> HoleType:
    """The type of a hole whose values are those."""
    if isinstance(values, WordsColumn):
        return HoleType(kind=HoleKind.WORDS)
    return HoleType(kind=HoleKind.BYTES) if isinstance(values, BytesColumn) else kind


def _with_stamps(hole: Hole, stamps: Sequence[Sequence[int]]) -> list[Hole]:
    """The hole with each stamp; equal ones are one object."""
    known: dict[tuple[int, ...], Hole] = {}
    found = []
    for stamp in map(tuple, stamps):
        one = known.get(stamp)
        if one is None:
            classes, low, high = stamp
            one = known[stamp] = Hole(
                name=hole.name,
                type=hole.type,
                role=hole.role,
                classes=classes,
                min_length=low,
                max_length=high,
            )
        found.append(one)
    return found


def with_sorted_words(column: WordsColumn) -> WordsColumn:
    """The same values; words in the order of their bytes compress to two thirds."""
    words = column.words.packed()
    order, keys = np.arange(len(words)), np.empty(len(words), np.uint64)
    pending = np.empty((len(words), 3), np.int64)
    order_words(words.data, words.start, words.length, keys, pending, order)
    rank = np.empty(len(order), np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    return WordsColumn(rank[column.codes], words.take(order).packed())
