"""Lines of one shape: answered from constants and typed columns, decoded only where they must be.

Invariant: every answer equals that of the decoded lines (tests/storage/lines/test_shaped.py).
"""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from narfi.core.columns import I32, Mask, Spans
from narfi.core.label_column import CodedColumn, LabelColumn, SpansColumn, TypedColumn
from storage.lines.contains import plan_contains, run_plan
from storage.lines.decode import decode_lines, line_lengths
from storage.lines.folded import contains_folded
from storage.lines.holes import F64, HoleColumn, IntegerColumn, WordsColumn, printed_between
from storage.lines.matching import lines_match
from storage.lines.search import folded as fold
from storage.lines.search import spans_contain
from storage.lines.template import HoleKind, Template
from storage.lines.texts import Rows

Bounds = tuple[float, float] | None
Index = slice | NDArray[np.integer]
"""Rows of a group: a run, or ascending places."""


class ShapeGroup:
    """The columns of one row group, loaded when first asked for; shared by all its views."""

    def __init__(
        self,
        template: Template,
        rows: int,
        load: Callable[[int], HoleColumn],
        bounds: Callable[[int], Bounds],
        *,
        soon: Callable[[Iterable[int]], None] = lambda _: None,
    ) -> None:
        """`load` gives the values of a hole, `bounds` where its numbers lie if that is known.

        `soon` is told of several holes that will be asked for.
        """
        self.template, self.rows, self._load, self.bounds = template, rows, load, bounds
        self.soon = soon
        self._columns: dict[int, HoleColumn] = {}

    def column(self, hole: int) -> HoleColumn:
        """The values of a hole in all rows of the group."""
        found = self._columns.get(hole)
        if found is None:
            found = self._columns[hole] = self._load(hole)
        return found


class _Numbers:
    """The numbers of a hole, read when they are looked at: bounds may be enough. A `TypedTexts`."""

    __slots__ = ("_hole", "_lines")

    def __init__(self, lines: "ShapedLines", hole: int) -> None:
        self._lines, self._hole = lines, hole

    def __len__(self) -> int:
        return len(self._lines)

    def take(self, rows: Rows | slice) -> "_Numbers":
        return _Numbers(self._lines.take(rows), self._hole)

    def spans(self) -> Spans:
        return self._column().spans()

    def encoded(self) -> tuple[I32, Spans]:
        return self._column().encoded()

    def numbers(self) -> F64 | None:
        return self._column().numbers()

    def bounds(self) -> tuple[float, float] | None:
        return self._lines.bounds(self._hole)

    def _column(self) -> IntegerColumn:
        column = self._lines.column(self._hole)
        assert isinstance(column, IntegerColumn)
        return column


class ShapedLines:
    """A `LineColumn` over rows of a shape."""

    __slots__ = ("_columns", "_count", "_group", "_index", "_spans", "decoded")

    def __init__(
        self, group: ShapeGroup, index: Index, decoded: Callable[[int, int], None]
    ) -> None:
        """`decoded` is told (rows, bytes) whenever lines are decoded."""
        self._group, self._index, self.decoded = group, index, decoded
        if isinstance(index, slice):
            self._count = int(index.stop - index.start)
        else:
            self._count = len(index)
        self._columns: dict[int, HoleColumn] = {}
        self._spans: Spans | None = None

    def __len__(self) -> int:
        return self._count

    @property
    def template(self) -> Template:
        """The constants and holes of every line."""
        return self._group.template

    def about_bytes(self, mean: float) -> int:
        """They are columns."""
        return round(mean * len(self))

    def parts(self, certain: Callable[[Template], bool] | None = None) -> Sequence[Rows]:
        """All together."""
        return [np.arange(len(self))]

    def shape(self) -> "ShapedLines":
        """These lines have one shape."""
        return self

    def column(self, hole: int) -> HoleColumn:
        """The values of a hole."""
        found = self._columns.get(hole)
        if found is None:
            found = self._group.column(hole)
            if not (isinstance(self._index, slice) and self._count == self._group.rows):
                found = found.take(self._index)
            self._columns[hole] = found
        return found

    def bounds(self, hole: int) -> Bounds:
        """Where the numbers of a hole lie, at most; None when that is not known."""
        return self._group.bounds(hole)

    def spans(self) -> Spans:
        """All lines, decoded."""
        if self._spans is None:
            self._group.soon(range(len(self.template.holes)))
            columns = [self.column(hole) for hole in range(len(self.template.holes))]
            self._spans = decode_lines(self.template, columns, self._count)
            self.decoded(self._count, len(self._spans.data))
        return self._spans

    def lengths(self) -> I32:
        """Bytes of each line, from lengths of values."""
        self._group.soon(range(len(self.template.holes)))
        columns = [self.column(hole) for hole in range(len(self.template.holes))]
        return line_lengths(self.template, columns, self._count)

    def contains(self, needle: bytes) -> Mask:
        """Which lines contain the bytes, by testing single holes."""
        if not needle:
            return np.ones(self._count, np.bool_)
        plan = plan_contains(self.template, needle)
        if plan is None:
            return spans_contain(self.spans(), needle)
        self._group.soon({test.hole for ways in plan for test in ways})
        return run_plan(plan, self.column, self._count)

    def matches(self, pattern: str) -> Mask:
        """Which lines a search finds; only lines with what the pattern requires are decoded."""
        return lines_match(self, pattern)

    def contains_folded(self, text: bytes) -> Mask:
        """Which lines contain a text in small letters, in letters of any case."""
        found = contains_folded(self.template, text, self.column, self._count)
        return spans_contain(fold(self.spans()), text) if found is None else found

    def decoded_rows(self, rows: Rows) -> Spans:
        """The given lines as bytes."""
        return self.take(rows).spans()

    def take(self, rows: Rows | slice) -> "ShapedLines":
        """The given rows."""
        if isinstance(rows, slice):
            rows = np.arange(*rows.indices(self._count))
        places = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        index: Index
        if isinstance(self._index, slice):
            index = places + self._index.start
        else:
            index = self._index[places]
        return ShapedLines(self._group, index, self.decoded)

    def nbytes(self) -> int:
        """Sum of the line lengths."""
        return int(self.lengths().sum(dtype=np.int64))

    def text_between(self, pieces: tuple[bytes | int, ...]) -> LabelColumn:
        """Constants and holes put together as a label of every row."""
        if len(pieces) == 1 and isinstance(pieces[0], int):
            if self.template.holes[pieces[0]].type.kind is HoleKind.NUMBER:
                return TypedColumn(_Numbers(self, pieces[0]))
            return self.column(pieces[0]).label()
        holes = [piece for piece in pieces if isinstance(piece, int)]
        if not holes:
            text = b"".join(piece for piece in pieces if isinstance(piece, bytes))
            return CodedColumn.constant(text, self._count)
        columns = {hole: self.column(hole) for hole in holes}
        if len(holes) == 1 and isinstance(columns[holes[0]], WordsColumn):
            words = columns[holes[0]]
            assert isinstance(words, WordsColumn)
            texts = printed_between(pieces, {holes[0]: _each_word(words)}, len(words.words))
            return CodedColumn(codes=words.codes, values=texts)
        return SpansColumn(printed_between(pieces, columns, self._count))


def _each_word(words: WordsColumn) -> WordsColumn:
    """A row per word."""
    return WordsColumn(np.arange(len(words.words), dtype=np.int32), words.words)
