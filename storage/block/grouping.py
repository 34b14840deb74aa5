"""Which shapes and plain lines form a family? Those of streams that a label says are one program.

What is small goes together into `MISC`. A shape of several programs goes where most of its lines
are; programs that share their main shapes are one family.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from narfi.core.columns import I32, I64, Spans
from narfi.core.labels import Labels
from storage.block.family import Family, FamilyColumn, FamilyShape
from storage.block.shapes.columns import TEXT, TEXTS, kind_of, text_column, texts_of
from storage.block.shapes.encodings import encoding_of
from storage.lines.holes import BytesColumn, HoleColumn, IntegerColumn, WordsColumn, concat_holes
from storage.lines.template import Hole, HoleType, Template

PROGRAM_LABELS = ("app", "service_name", "job", "container")
MISC = "misc"
MISC_BYTES = 500_000
"""Programs with fewer bytes of lines in a block are put together."""
MAX_FAMILIES = 64
SHARED = 4
"""Two programs are one family when a shape has one of so many lines of each."""


_Values = tuple[Sequence[HoleColumn], I64 | None]
"""Pieces of a hole, and the places of its values there."""


@dataclass(frozen=True, slots=True)
class GatheredShape:
    """A shape to be: the values of each hole lie in pieces, one behind the other.

    `order` are the places there of the values at `rows`, which ascend; None: as they lie.
    """

    rows: I64
    template: Template
    pieces: Sequence[Sequence[HoleColumn]]
    order: I64 | None = None

    def line_lengths(self) -> I32:
        """Bytes of the line at each of the rows."""
        if not self.pieces:
            return np.full(len(self.rows), self.template.constant_bytes, np.int32)
        total = np.full(sum(map(len, self.pieces[0])), self.template.constant_bytes, np.int32)
        for hole, pieces in zip(self.template.holes, self.pieces, strict=True):
            if hole.min_length == hole.max_length:
                total += np.int32(hole.min_length)
            else:
                total += np.concatenate([piece.lengths() for piece in pieces])
        return total if self.order is None else total[self.order]


class Grouping:
    """Which family each stream and each shape belongs to, by number in `names`."""

    def __init__(
        self, labels: Sequence[Labels], stream: I32, lengths: I32, shapes: Sequence[I64]
    ) -> None:
        """`shapes` are the rows of each."""
        programs = [program_of(found) for found in labels]
        numbers = {name: number for number, name in enumerate(dict.fromkeys(programs))}
        program = np.array([numbers[name] for name in programs], np.int64)
        sizes = np.bincount(program[stream], lengths, len(numbers))
        counts = np.bincount(program[stream], minlength=len(numbers))
        shares = [np.bincount(program[stream[rows]], minlength=len(numbers)) for rows in shapes]
        root = _united(counts, shares)
        total = np.bincount(root, sizes, len(numbers))
        large = np.flatnonzero(total >= MISC_BYTES)
        large = large[np.argsort(-total[large], kind="stable")][:MAX_FAMILIES]
        number = np.full(len(numbers), len(large), np.int64)
        number[large] = np.arange(len(large))
        names = list(numbers)
        self.names = [*(names[k] or "unnamed" for k in large.tolist()), MISC]
        self.of_stream = number[root[program]]
        self.of_shape = [int(number[root[int(share.argmax())]]) for share in shares]


def program_of(labels: Labels) -> str:
    """What printed a stream."""
    known = dict(labels.pairs)
    return next((known[name] for name in PROGRAM_LABELS if known.get(name)), "")


def _united(counts: I64, shares: Sequence[I64]) -> I64:
    """For each program the one that stands for all that it is united with."""
    root = np.arange(len(counts))
    for share in shares:
        main = np.flatnonzero(share * SHARED >= np.maximum(counts, 1))
        if len(main) > 1:
            root[np.isin(root, root[main])] = root[main].min()
    return root


def family_of(name: str, shapes: Sequence[GatheredShape], plain_rows: I64, plain: Spans) -> Family:
    """Shapes with the holes that share a column put together: those of one name and type."""
    numbers: dict[tuple[str, HoleType | str], int] = {}
    parts: list[list[_Values]] = []
    names: list[str] = []
    used: set[str] = set()
    placed: list[tuple[int, ...]] = []
    for shape in shapes:
        columns: list[int] = []
        for hole, pieces in zip(shape.template.holes, shape.pieces, strict=True):
            key = (hole.name.lower(), stored_type(hole))
            if key not in numbers:
                numbers[key] = len(parts)
                parts.append([])
                names.append(unused(hole.name, used))
            number = numbers[key]
            if number in columns:  # names that differ in the case of letters only
                number = len(parts)
                parts.append([])
                names.append(unused(hole.name, used))
            parts[number].append((pieces, shape.order))
            columns.append(number)
        placed.append(tuple(columns))
    stored = [_column(name, values) for name, values in zip(names, parts, strict=True)]
    made = [
        FamilyShape(_as_stored(shape.template, [stored[k] for k in columns]), shape.rows, columns)
        for shape, columns in zip(shapes, placed, strict=True)
    ]
    return Family(name=name, shapes=made, columns=stored, plain_rows=plain_rows, plain=plain)


def _column(name: str, parts: Sequence[_Values]) -> FamilyColumn:
    """A column of all values, in the encoding in which they are smallest."""
    values = _taken(joined([piece for pieces, _ in parts for piece in pieces]), parts)
    if isinstance(values, WordsColumn):
        values = values.without_unused()
    if isinstance(values, WordsColumn | BytesColumn):
        return FamilyColumn(name, text_column([values]))
    return FamilyColumn(name, values, encoding_of(values))


def _taken(values: HoleColumn, parts: Sequence[_Values]) -> HoleColumn:
    """The values of all parts in their orders."""
    if all(order is None for _, order in parts):
        return values
    found, first = [], 0
    for pieces, order in parts:
        size = sum(map(len, pieces))
        found.append(np.arange(first, first + size) if order is None else order + first)
        first += size
    return values.take(np.concatenate(found))


def _as_stored(template: Template, columns: Sequence[FamilyColumn]) -> Template:
    """The template with holes that are dictionaries where their columns are."""
    holes = []
    for hole, column in zip(template.holes, columns, strict=True):
        kind = kind_of(hole.type, column.values)
        holes.append(hole if kind == hole.type else replace(hole, type=kind))
    return replace(template, holes=tuple(holes))


def stored_type(hole: Hole) -> HoleType | str:
    """What holes of one column agree in: a text may be a dictionary or not."""
    kind = hole.type
    if kind.kind in TEXTS:
        return TEXT
    return HoleType(kind=kind.kind, scale=kind.scale, layout=kind.layout)


def unused(name: str, used: set[str]) -> str:
    """The name, or the name with a number where another column has it."""
    found, number = name, 1
    while found.lower() in used:
        number += 1
        found = f"{name}_{number}"
    used.add(found.lower())
    return found


def joined(parts: Sequence[HoleColumn]) -> HoleColumn:
    """The values of all holes of a column; texts are a dictionary only if all of them are one."""
    if any(isinstance(part, BytesColumn) for part in parts):
        return BytesColumn(texts_of(parts))
    found = concat_holes(parts)
    if isinstance(found, IntegerColumn):
        kind = found.type
        plain = HoleType(kind=kind.kind, scale=kind.scale, layout=kind.layout)
        return IntegerColumn(found.values, plain)
    return found
