"""Which typed columns are the fields of a shape's lines?

The parser itself is asked: it reads one *sample line* of the shape (the constants with a harmless
text in every hole), and where a value lies in the sample tells of which constants and holes it
consists in every line. That holds for all lines when no hole can hold a byte that would change how
the parser reads on; by the holes' stamps this is known without looking at values.
Invariant: None is answered whenever that is not certain; the caller then decodes.
"""

from dataclasses import dataclass

import numpy as np

from narfi.core.columns import Spans
from narfi.core.kernels import shape_values as sv
from narfi.core.kernels.json_wanted import scan_wanted
from narfi.core.label_column import CodedColumn, LabelColumn, SpansColumn
from querier.operators.shared_fields import Source
from storage.lines.base import LineColumn, LineShape
from storage.lines.holes import WordsColumn
from storage.lines.template import Hole, HoleKind, LineKind, Role, Template, classes_of

_SAMPLES = {Role.LITERAL: b"0", Role.ARRAY: b"[]"}
_SAMPLE = b"a"
_UNSAFE_JSON = sv.BACKSLASH | sv.CONTROL | sv.HIGH
_UNSAFE_VALUE = sv.BACKSLASH | sv.CONTROL | sv.HIGH | sv.QUOTE | sv.EQUALS | sv.SPACE
_UNSAFE_QUOTED = sv.BACKSLASH | sv.CONTROL | sv.HIGH | sv.QUOTE
_MAY_BEGIN_JSON = sv.OTHER | sv.QUOTE | sv.SPACE | sv.CONTROL
SPACE = 0x20
BEGIN_JSON = (b"{", b"[", b'"')
_NUMBERS = sv.DIGIT | sv.MINUS | sv.DOT

Pieces = tuple[bytes | int, ...]


@dataclass(frozen=True, slots=True)
class Sample:
    """A sample line and where its pieces begin."""

    line: bytes
    places: tuple[int, ...]
    pieces: Pieces

    def between(self, first: int, last: int) -> Pieces | None:
        """What stands at `[first, last)`; None when that begins or ends inside a hole."""
        found: list[bytes | int] = []
        for at, end, piece in zip(self.places, self.places[1:], self.pieces, strict=False):
            low, high = max(at, first), min(end, last)
            if low >= high:
                continue
            if isinstance(piece, bytes):
                found.append(piece[low - at : high - at])
            elif low == at and high == end:
                found.append(piece)
            else:
                return None
        return tuple(found)


def sample_of(template: Template) -> Sample:
    """The sample line of a template; remembered as plans are."""
    known = template.remembered.get(Sample)
    if isinstance(known, Sample):
        return known
    texts = [
        piece if isinstance(piece, bytes) else _SAMPLES.get(template.holes[piece].role, _SAMPLE)
        for piece in template.pieces
    ]
    places = [0]
    for text in texts:
        places.append(places[-1] + len(text))
    found = Sample(b"".join(texts), tuple(places), template.pieces)
    template.remembered[Sample] = found
    return found


def shape_of(lines: LineColumn, kind: LineKind) -> LineShape | None:
    """The shape of the lines when they are of a kind."""
    shape = lines.shape()
    return shape if shape is not None and shape.template.kind is kind else None


def is_never_json(lines: LineColumn) -> bool:
    """Whether no line begins, behind spaces, with a brace, bracket or quote: each fails alike."""
    shape = lines.shape()
    return shape is not None and never_prints_json(shape.template)


def never_prints_json(template: Template) -> bool:
    """Whether no line of a template begins as JSON does."""
    first = template.pieces[0] if template.pieces else b""
    if isinstance(first, bytes):
        return bool(first) and first[0] > SPACE and first[:1] not in BEGIN_JSON
    hole = template.holes[first]
    if hole.type.kind in (HoleKind.TIME, HoleKind.HEX):
        mark = hole.type.layout[:1]  # a digit, a letter, or itself
        return mark > b" " and mark not in BEGIN_JSON
    return hole.min_length > 0 and not hole.classes & _MAY_BEGIN_JSON


def json_value(shape: LineShape, pieces: Pieces) -> LabelColumn | None:
    """The value of a member that consists of the pieces; None when it must be decoded."""
    holes = [shape.template.holes[piece] for piece in pieces if isinstance(piece, int)]
    if len(pieces) == 1 and len(holes) == 1:
        number = pieces[0]
        assert isinstance(number, int)
        return _json_hole(shape, number, holes[0])
    if any(hole.classes & _UNSAFE_JSON for hole in holes):
        return None
    if any(classes_of(piece) & _UNSAFE_JSON for piece in pieces if isinstance(piece, bytes)):
        return None
    return shape.text_between(pieces)


def json_source(template: Template, pieces: Pieces) -> Source | None:
    """As `json_value`, without looking at values but words."""
    holes = [template.holes[piece] for piece in pieces if isinstance(piece, int)]
    if len(pieces) == 1 and len(holes) == 1:
        hole = holes[0]
        if hole.role is Role.ARRAY:
            return None
        if hole.classes & ~_safe_classes(hole) == 0:
            return Source(pieces)
        return Source(pieces, _READ[hole.role is Role.LITERAL]) if _is_words(hole) else None
    if any(hole.classes & _UNSAFE_JSON for hole in holes):
        return None
    if any(classes_of(piece) & _UNSAFE_JSON for piece in pieces if isinstance(piece, bytes)):
        return None
    return Source(pieces)


def _safe_classes(hole: Hole) -> int:
    return _NUMBERS if hole.role is Role.LITERAL else ~_UNSAFE_JSON


def _is_words(hole: Hole) -> bool:
    return hole.type.kind is HoleKind.WORDS


def _json_hole(shape: LineShape, number: int, hole: Hole) -> LabelColumn | None:
    if hole.role is Role.ARRAY:
        return None
    if hole.classes & ~_safe_classes(hole) == 0:
        return shape.text_between((number,))
    column = shape.column(number)
    if not isinstance(column, WordsColumn):
        return None
    return _read_words(column, quoted=hole.role is not Role.LITERAL)


def _read_words(column: WordsColumn, *, quoted: bool) -> LabelColumn:
    """Each distinct value as the parser reads it: escapes undone, nulls absent."""
    mark = b'"' if quoted else b""
    words = column.words.to_list()
    documents = Spans.of(b'{"k":' + mark + (word or b"") + mark + b"}" for word in words)
    name = Spans.of([b"k"])
    start, length = np.empty((1, len(words)), np.int64), np.empty((1, len(words)), np.int32)
    error, side = np.empty(len(words), np.uint8), np.empty(len(documents.data), np.uint8)
    used = scan_wanted(
        documents.data,
        documents.start,
        documents.length,
        name.data,
        name.start,
        name.length,
        True,
        start,
        length,
        error,
        side,
    )
    values = Spans(np.concatenate([documents.data, side[:used]]), start[0].copy(), length[0].copy())
    return (
        SpansColumn(values.take(column.codes))
        if _doubled(values)
        else CodedColumn(
            codes=np.where(values.length[column.codes] < 0, np.int32(-1), column.codes).astype(
                np.int32
            ),
            values=Spans(values.data, values.start, np.maximum(values.length, 0).astype(np.int32)),
        )
    )


def _read_quoted(column: WordsColumn) -> LabelColumn:
    return _read_words(column, quoted=True)


def _read_literals(column: WordsColumn) -> LabelColumn:
    return _read_words(column, quoted=False)


_READ = (_read_quoted, _read_literals)


def _doubled(values: Spans) -> bool:
    """Whether two words are read as the same text (one of them escaped)."""
    texts = values.to_list()
    return len(set(texts)) < len(texts)


def logfmt_is_certain(template: Template) -> bool:
    """Whether every line of the template is read by logfmt as the sample is."""
    if any(b"\\" in constant for constant in template.constants):
        return False  # of an escape, a part may be a hole
    for hole in template.holes:
        quoted = hole.role is Role.QUOTED
        if hole.role is Role.PART:
            unsafe = _UNSAFE_VALUE
        else:
            unsafe = _UNSAFE_QUOTED if quoted else _UNSAFE_VALUE
        if hole.classes & unsafe or hole.min_length == 0:
            return False
    return True
