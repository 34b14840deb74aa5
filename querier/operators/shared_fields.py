"""How do lines of many shapes get a field as one label? From the columns that the shapes share.

A parser says of a template which pieces each field consists of (`FieldParser`); what is certain of
every shape that has rows is answered for all of them at once.
Invariant: the labels equal those of the decoded lines.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar, cast, runtime_checkable

import numpy as np

from narfi.core.columns import ABSENT, I64, Spans
from narfi.core.label_column import CodedColumn, LabelColumn, SpansColumn, concat_columns
from storage.lines.base import LineColumn
from storage.lines.holes import WordsColumn
from storage.lines.mixed import MixedLines
from storage.lines.shared_column import cut, runs
from storage.lines.template import HoleType, Template

Pieces = tuple[bytes | int, ...]
Read = Callable[[WordsColumn], LabelColumn]
MAX_REMEMBERED = 256
"""Answers of a template that are kept."""


@dataclass(frozen=True, slots=True)
class Source:
    """What a field consists of in every line of a shape; `read`: a hole whose words are read."""

    pieces: Pieces
    read: Read | None = None


Fields = Mapping[str, Source]
T = TypeVar("T")


@runtime_checkable
class FieldParser(Protocol):
    """A parser that can say without looking at lines where its fields are."""

    def fields_of(self, template: Template) -> Fields | None:
        """The fields of every line of a template; None where lines must be read."""
        ...


def remembered(template: Template, key: object, find: Callable[[], T]) -> T:
    """What `find` says, asked once."""
    known = template.remembered
    full = ("fields", key)
    if full not in known:
        found = find()
        if len(known) >= MAX_REMEMBERED:
            known.clear()
        known[full] = found
        return found
    return cast(T, known[full])


def fields_of_lines(lines: LineColumn, parser: FieldParser) -> dict[str, LabelColumn] | None:
    """Every field of lines of many shapes; None where some of the lines must be read."""
    if not isinstance(lines, MixedLines) or lines.has_plain():
        return None
    by_name: dict[str, list[tuple[int, Source]]] = {}
    for shape in lines.used_shapes():
        fields = parser.fields_of(lines.shapes.templates[shape])
        if fields is None:
            return None
        for name, source in fields.items():
            by_name.setdefault(name, []).append((shape, source))
    return {name: _label(lines, sources) for name, sources in by_name.items()}


@dataclass(frozen=True, slots=True)
class _Column:
    """Holes that are read alike; or what stands in a shape alone."""

    number: int
    type: HoleType | None = None
    read: Read | None = None
    pieces: Pieces = ()


def _label(lines: MixedLines, sources: list[tuple[int, Source]]) -> LabelColumn:
    groups: dict[_Column | bytes, list[int]] = {}
    for shape, source in sources:
        groups.setdefault(_key(lines, shape, source), []).append(shape)
    rows, parts = [], []
    for key, members in groups.items():
        shapes = np.array(members)
        mine = runs(lines.bounds[shapes], lines.bounds[shapes + 1])
        rows.append(mine)
        parts.append(_part(lines, key, shapes, len(mine)))
    return _placed(np.concatenate(rows), concat_columns(parts), len(lines))


def _key(lines: MixedLines, shape: int, source: Source) -> _Column | bytes:
    pieces = source.pieces
    if not any(isinstance(piece, int) for piece in pieces):
        return b"".join(piece for piece in pieces if isinstance(piece, bytes))
    if len(pieces) == 1 and isinstance(pieces[0], int):
        hole = lines.shapes.templates[shape].holes[pieces[0]]
        return _Column(lines.shapes.columns[shape][pieces[0]], hole.type, source.read)
    return _Column(shape, pieces=pieces)


def _part(lines: MixedLines, key: _Column | bytes, shapes: I64, rows: int) -> LabelColumn:
    """The label of all rows of the shapes."""
    if isinstance(key, bytes):
        return CodedColumn.constant(key, rows)
    if key.type is None:
        return lines.of_shape(key.number).text_between(key.pieces)
    shared = lines.column(key.number)
    owner = lines.shapes.owners(key.number).place[shapes]
    places = runs(shared.starts[owner], shared.starts[owner + 1])
    if key.read is not None and isinstance(shared.values, WordsColumn):
        return key.read(shared.values).take(places)
    values = cut(shared.values, slice(0, len(shared.values)), key.type)
    return values.take(places).label()


def _placed(rows: I64, label: LabelColumn, count: int) -> LabelColumn:
    """The label at the rows, none elsewhere."""
    if label.is_encoded:
        label = label.compact()
        codes = np.full(count, ABSENT, np.int32)
        codes[rows] = label.codes
        return CodedColumn(codes, label.values)
    spans = label.spans
    start, length = np.zeros(count, np.int64), np.full(count, ABSENT, np.int32)
    start[rows], length[rows] = spans.start, spans.length
    return SpansColumn(Spans(spans.data, start, length))
