"""Lines of many shapes that share columns, and plain ones behind them: a row group of a family.

A question costs a call for a column, not for a shape: values are searched where they lie together,
and lines are put together by one kernel.
Invariant: every answer equals that of the decoded lines (tests/storage/lines/test_mixed.py).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from narfi.core.columns import EMPTY_BYTES, I32, I64, Mask, Spans
from narfi.core.kernels.mixed_print import mixed_lengths, write_mixed
from narfi.core.kernels.shape_print import write_spans
from storage.lines.base import LineColumn
from storage.lines.contains import Alternative
from storage.lines.decode import line_lengths, write_lines
from storage.lines.folded import folded_column
from storage.lines.holes import EXACT_DIGITS, HoleColumn, WordsColumn
from storage.lines.matching import lines_match
from storage.lines.plain import PlainLines
from storage.lines.search import folded, spans_contain
from storage.lines.shape_set import Owners, SetPlan, ShapeSet
from storage.lines.shaped import Bounds, Index, ShapedLines, ShapeGroup
from storage.lines.shared_column import SharedColumn, WordTests, runs
from storage.lines.template import HoleKind, Template
from storage.lines.texts import Rows

MANY_ROWS = 1024
"""Of a shape: then it is worth a call of its own."""
MANY_DECODED = 1024
"""Of a shape: then its lines are put together piece by piece, which takes half the time a line."""
NO_LINES = Spans(EMPTY_BYTES, np.zeros(0, np.int64), np.zeros(0, np.int32))


@dataclass(frozen=True, slots=True, kw_only=True)
class MixedRows:
    """Where rows of many shapes lie: those of shape k at `bounds[k] : bounds[k + 1]`."""

    shapes: ShapeSet
    bounds: I64  # first row of each shape, of the plain lines, and the end
    whole: Callable[[int], SharedColumn]  # a column in these rows, and maybe in others
    column: Callable[[int], SharedColumn]
    soon: Callable[[Sequence[int], Sequence[int]], None]
    """Told which columns will be asked for, one by one, and which others may be."""
    plain: Callable[[], Spans]
    may_hold: Callable[[int, bytes], bool]  # whether a value of a column may contain a text
    searched: Callable[[Sequence[int]], None]  # told which columns were searched for a text
    limits: Callable[[int], Bounds]  # where the numbers of a column lie, at most
    decoded: Callable[[int, int], None]  # told (rows, bytes) whenever lines are put together

    @property
    def counts(self) -> I64:
        """Rows of each shape."""
        return np.diff(self.bounds[:-1])


class MixedLines:
    """A `LineColumn` over all rows of a `MixedRows`."""

    __slots__ = (
        "_columns",
        "_counts",
        "_folded",
        "_lengths",
        "_plain_lines",
        "_rows",
        "_shaped",
        "_small",
        "_spans",
        "_told",
    )

    def __init__(self, rows: MixedRows, *, told: bool = False) -> None:
        """`told`: the plain lines among them were counted as decoded already."""
        self._rows, self._counts, self._told = rows, rows.counts, told
        self._shaped = int(rows.bounds[-2])
        self._columns: dict[int, SharedColumn] = {}
        self._folded: dict[int, SharedColumn] = {}
        self._small: dict[int, Spans] = {}  # words in small letters
        self._spans: Spans | None = None
        self._lengths: I32 | None = None
        self._plain_lines: Spans | None = None

    def __len__(self) -> int:
        return int(self._rows.bounds[-1])

    def about_bytes(self, mean: float) -> int:
        """The mean of all where most are typed columns, else with the plain ones as they are."""
        if 2 * self._shaped >= len(self):
            return round(mean * len(self))
        return round(mean * self._shaped) + self._plain().nbytes()

    def parts(self, certain: Callable[[Template], bool] | None = None) -> Sequence[Rows]:
        """Shapes with many rows one by one, all of others that are certain, and the rest."""
        many = np.flatnonzero(self._counts >= MANY_ROWS)
        if len(many) == 1 and self._counts[many[0]] == len(self):
            return [np.arange(len(self))]
        low, high = self._rows.bounds[many], self._rows.bounds[many + 1]
        found = [np.arange(*ends) for ends in zip(low.tolist(), high.tolist(), strict=True)]
        taken = many
        if certain is not None:
            few = np.array(
                [k for k in self.used_shapes() if certain(self.shapes.templates[k])], np.int64
            )
            few = few[self._counts[few] < MANY_ROWS]
            found.append(runs(self._rows.bounds[few], self._rows.bounds[few + 1]))
            taken = np.sort(np.append(many, few))
        return [rows for rows in (*found, self._but(taken)) if len(rows)]

    @property
    def shapes(self) -> ShapeSet:
        """The shapes that they may have."""
        return self._rows.shapes

    @property
    def bounds(self) -> I64:
        """The first row of each shape, of the plain lines, and the end."""
        return self._rows.bounds

    def used_shapes(self) -> list[int]:
        """Shapes that have rows."""
        found: list[int] = np.flatnonzero(self._counts).tolist()
        return found

    def has_plain(self) -> bool:
        """Whether there are lines without a shape."""
        return self._shaped < len(self)

    def shape(self) -> ShapedLines | None:
        """What they have in common where all are of one shape."""
        used = np.flatnonzero(self._counts)
        if len(used) != 1 or self._shaped < len(self):
            return None
        return self.of_shape(int(used[0]))

    def column(self, number: int) -> SharedColumn:
        """The values of a column in these rows."""
        found = self._columns.get(number)
        if found is None:
            found = self._columns[number] = self._rows.column(number)
        return found

    def spans(self) -> Spans:
        """All lines, put together."""
        if self._spans is None:
            many = np.flatnonzero(self._counts >= MANY_DECODED)
            self._spans = self._by_shape(many) if len(many) else self._together()
            self._rows.decoded(self._shaped, self._spans.nbytes() - self._plain().nbytes())
        return self._spans

    def lengths(self) -> I32:
        """Bytes of each line, from lengths of values."""
        if self._lengths is None:
            self._lengths = self._summed_lengths()
        return self._lengths

    def _summed_lengths(self) -> I32:
        out = np.empty(len(self), np.int32)
        shapes = self._rows.shapes
        out[: self._shaped] = np.repeat(shapes.fixed_bytes, self._counts)
        out[self._shaped :] = self._plain().length
        used = self._used(shapes.varying)
        self._rows.soon(used, ())
        for number in used:
            shared = self.column(number)
            first = self._rows.bounds[shared.shapes]
            rows = runs(first, first + np.diff(shared.starts))
            out[rows] += shared.lengths(shapes.owners(number).types)
        return out

    def nbytes(self) -> int:
        """Sum of the line lengths."""
        return int(self.lengths().sum(dtype=np.int64))

    def contains(self, needle: bytes) -> Mask:
        """Which lines contain the bytes."""
        if not needle:
            return np.ones(len(self), np.bool_)
        found = self._held(self._rows.shapes.stamps.plan(needle), needle, fold=False)
        if self._shaped < len(self):
            found[self._shaped :] = spans_contain(self._plain(), needle)
        return found

    def contains_folded(self, text: bytes) -> Mask:
        """Which lines contain a text in small letters, in letters of any case."""
        found = self._held(self._rows.shapes.folded.plan(text), text, fold=True)
        if self._shaped < len(self):
            found[self._shaped :] = spans_contain(folded(self._plain()), text)
        return found

    def matches(self, pattern: str) -> Mask:
        """Which lines a search finds; only lines with what the pattern requires are decoded."""
        return lines_match(self, pattern)

    def decoded_rows(self, rows: Rows) -> Spans:
        """The given lines as bytes."""
        return self.take(rows).spans()

    def take(self, rows: Rows | slice) -> LineColumn:
        """The given rows; of others than ascending ones the lines are put together."""
        if isinstance(rows, slice):
            rows = np.arange(*rows.indices(len(self)))
        chosen = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        places = chosen.astype(np.int64, copy=False)
        if (places[1:] <= places[:-1]).any():
            used, back = np.unique(places, return_inverse=True)
            return PlainLines(self.take(used).spans()).take(back)
        bounds = np.searchsorted(places, self._rows.bounds)
        if not bounds[-2]:
            whole = self._rows.plain() if len(places) else NO_LINES
            plain = whole.take(places - self._shaped)
            self._tell(plain)
            return PlainLines(plain)
        shape = int(np.searchsorted(bounds, 0, side="right")) - 1
        if bounds[shape + 1] == len(places):
            whole = len(places) == self._counts[shape]
            return self.of_shape(shape, None if whole else places - self._rows.bounds[shape])
        return MixedLines(_taken(self._rows, self, places, bounds), told=self._told)

    def _plain(self) -> Spans:
        if self._plain_lines is None:
            self._plain_lines = self._rows.plain() if self.has_plain() else NO_LINES
            self._tell(self._plain_lines)
            self._told = True
        return self._plain_lines

    def _tell(self, plain: Spans) -> None:
        if not self._told:
            self._rows.decoded(len(plain), plain.nbytes())

    def of_shape(self, shape: int, index: Index | None = None) -> ShapedLines:
        """The rows of one shape, or those at an index among them."""
        rows, shapes = self._rows, self._rows.shapes
        template, columns = shapes.templates[shape], shapes.columns[shape]
        count = int(self._counts[shape])

        def values(hole: int) -> HoleColumn:
            owner = int(shapes.owners(columns[hole]).place[shape])
            return self.column(columns[hole]).of(owner, template.holes[hole].type)

        def limits(hole: int) -> Bounds:
            found = template.holes[hole]
            exact = found.type.kind is HoleKind.NUMBER and found.max_length <= EXACT_DIGITS
            return rows.limits(columns[hole]) if exact else None

        def soon(holes: Iterable[int]) -> None:
            rows.soon([columns[hole] for hole in holes], ())

        group = ShapeGroup(template, count, values, limits, soon=soon)
        return ShapedLines(group, slice(0, count) if index is None else index, rows.decoded)

    def _used(self, columns: I64) -> list[int]:
        """Those of the columns that a row has."""
        stamps = self._rows.shapes.stamps
        there = np.unique(stamps.column[self._counts[stamps.shape] > 0])
        found: list[int] = np.intersect1d(there, columns).tolist()
        return found

    def _held(self, plan: SetPlan, text: bytes, *, fold: bool) -> Mask:
        """Which rows of shapes contain a text; plain ones are left out."""
        shapes, bounds = self._rows.shapes, self._rows.bounds
        stamps = shapes.stamps
        found = np.zeros(len(self), np.bool_)
        if len(plan.every):
            every = np.zeros(len(shapes), np.bool_)
            every[plan.every] = True
            found[: self._shaped] = np.repeat(every, self._counts)
        there = plan.holes[self._counts[stamps.shape[plan.holes]] > 0]
        held = np.unique(stamps.column[there]).tolist()
        crossing = [(k, ways) for k, ways in plan.crossing if self._counts[k]]
        if not fold:
            held = [number for number in held if self._rows.may_hold(number, text)]
            crossing = [(k, ways) for k, ways in crossing if self._may_pass(k, ways)]
        crossed = [(shapes.columns[k], ways) for k, ways in crossing]
        self._rows.soon(held, sorted({mine[t.hole] for mine, ways in crossed for t in ways}))
        for number in held:
            shared, hits = self._having(number, text, fold=fold)
            if len(hits):
                owner = np.searchsorted(shared.starts, hits, side="right") - 1
                found[bounds[shared.shapes[owner]] + hits - shared.starts[owner]] = True
        if held and not fold:
            self._rows.searched(held)
        tests = WordTests()
        for shape, ways in crossing:
            mine = slice(*bounds[shape : shape + 2].tolist())
            found[mine] |= self._passed(shape, ways, tests, fold=fold)
        for shape in plan.decoded:
            if self._counts[shape]:
                lines = self.of_shape(shape).spans()
                mine = slice(*bounds[shape : shape + 2].tolist())
                found[mine] = spans_contain(folded(lines) if fold else lines, text)
        return found

    def _may_pass(self, shape: int, ways: Alternative) -> bool:
        """Whether values may have what all the tests of a shape's holes look for."""
        columns = self._rows.shapes.columns[shape]
        return all(self._rows.may_hold(columns[test.hole], test.text) for test in ways)

    def _having(self, number: int, text: bytes, *, fold: bool) -> tuple[SharedColumn, I64]:
        """A column, and the places of its values that contain a text.

        Rows are not taken of a column of which no word holds it.
        """
        whole = self._rows.whole(number)
        if not isinstance(whole.values, WordsColumn):
            shared = self._asked(number, fold=fold)
            return shared, shared.having(text, self._rows.shapes.owners(number).types)
        texts = whole.values.words
        if fold:
            texts = self._in_small_letters(number, texts)
        words = spans_contain(texts, text)
        if not words.any():
            return whole, np.zeros(0, np.int64)
        shared = self.column(number)
        assert isinstance(shared.values, WordsColumn)
        return shared, np.flatnonzero(words[shared.values.codes])

    def _in_small_letters(self, number: int, words: Spans) -> Spans:
        found = self._small.get(number)
        if found is None:
            found = self._small[number] = folded(words)
        return found

    def _passed(self, shape: int, ways: Alternative, tests: WordTests, *, fold: bool) -> Mask:
        """Which rows of a shape pass all tests."""
        shapes = self._rows.shapes
        hit: Mask | None = None
        for test in ways:
            number = shapes.columns[shape][test.hole]
            shared = self._asked(number, fold=fold)
            owner = int(shapes.owners(number).place[shape])
            values = shared.of(owner, shapes.templates[shape].holes[test.hole].type)
            mask = tests.passed(number, values, shared.values, test)
            hit = mask if hit is None else hit & mask
            if not hit.any():
                break
        assert hit is not None
        return hit

    def _asked(self, number: int, *, fold: bool) -> SharedColumn:
        """A column, of which the texts are in small letters where case does not count."""
        shared = self.column(number)
        if not fold:
            return shared
        found = self._folded.get(number)
        if found is None:
            owners = self._rows.shapes.owners(number)
            template = self._rows.shapes.templates[int(owners.shapes[0])]
            values = folded_column(template.holes[owners.holes[0]], shared.values)
            found = SharedColumn(values, shared.shapes, shared.starts)
            self._folded[number] = found
        return found

    def _by_shape(self, many: I64) -> Spans:
        """The lines of these shapes each for itself, those of all others together."""
        rest = self._but(many)
        self._plain()
        bounds = np.searchsorted(rest, self._rows.bounds)
        others = MixedLines(_taken(self._rows, self, rest, bounds), told=True)
        spans, length = others._together(), np.empty(len(self), np.int32)
        length[rest] = spans.length
        parts = []
        for shape in many.tolist():
            lines = self.of_shape(shape)
            columns = [lines.column(hole) for hole in range(len(lines.template.holes))]
            mine = slice(*self._rows.bounds[shape : shape + 2].tolist())
            length[mine] = line_lengths(lines.template, columns, len(lines))
            parts.append((lines.template, columns, mine))
        start = np.cumsum(length, dtype=np.int64) - length
        out, at = np.empty(int(length.sum(dtype=np.int64)), np.uint8), start.copy()
        for template, columns, mine in parts:
            write_lines(template, columns, at[mine], out)
        write_spans(spans.data, spans.start, spans.length, start[rest], out)
        return Spans(out, start, length)

    def _but(self, many: I64) -> I64:
        """The rows of all shapes but these, and the plain ones."""
        low, high = self._rows.bounds[many], self._rows.bounds[many + 1]
        return runs(np.append(0, high), np.append(low, len(self)))

    def _together(self) -> Spans:
        shapes, stamps = self._rows.shapes, self._rows.shapes.stamps
        used = self._used(stamps.column)
        self._rows.soon(used, ())
        cursor = np.zeros(max(used, default=0) + 1, np.int64)
        printed, size = list[Spans](), 0
        for number in used:
            printed.append(self.column(number).spans(shapes.owners(number).types))
            cursor[number] = size
            size += len(printed[-1])
        none = np.zeros(0, np.int64)
        address = np.concatenate([none, *(p.start + p.data.ctypes.data for p in printed)])
        length = np.concatenate([none.astype(np.int32), *(p.length for p in printed)])
        plain, out = self._plain(), np.empty(len(self), np.int32)
        out[self._shaped :] = plain.length
        where = self._rows.bounds[:-1], stamps.first_piece, stamps.pieces
        mixed_lengths(*where, stamps.texts.length, length, cursor.copy(), out)
        start = np.cumsum(out, dtype=np.int64) - out
        data = np.empty(int(out.sum(dtype=np.int64)), np.uint8)
        texts = stamps.texts
        write_mixed(*where, texts.data, texts.start, texts.length, address, length, cursor, data)
        write_spans(plain.data, plain.start, plain.length, start[self._shaped :].copy(), data)
        return Spans(data, start, out)


def _taken(rows: MixedRows, lines: MixedLines, places: I64, bounds: I64) -> MixedRows:
    """Ascending places of rows, of which those of each shape and the plain ones begin at bounds."""
    counts, shaped = np.diff(bounds[:-1]), int(bounds[-2])
    known: dict[int, I64 | slice] = {}  # places in columns that have the same shapes

    def column(number: int) -> SharedColumn:
        whole, owners = lines.column(number), rows.shapes.owners(number)
        if owners.key not in known:
            known[owners.key] = _places_in(whole, owners, rows.bounds, places[:shaped], counts)
        return whole.taken(known[owners.key], counts[owners.shapes])

    return MixedRows(
        shapes=rows.shapes,
        bounds=bounds,
        whole=rows.whole,
        column=column,
        soon=rows.soon,
        plain=lambda: rows.plain().take(places[shaped:] - rows.bounds[-2]),
        may_hold=rows.may_hold,
        searched=rows.searched,
        limits=rows.limits,
        decoded=rows.decoded,
    )


def _places_in(
    column: SharedColumn, owners: Owners, bounds: I64, places: I64, counts: I64
) -> I64 | slice:
    """Where the values of a column are in the rows at places, so many of each shape."""
    mine = counts[owners.shapes]
    low, high = column.starts[:-1][mine > 0], column.starts[1:][mine > 0]
    if int((high - low).sum()) == int(mine.sum()):  # all rows of some shapes
        together = bool((low[1:] == high[:-1]).all())
        return slice(low[0], high[-1]) if together and len(low) else runs(low, high)
    shape = np.repeat(np.arange(len(counts)), counts)
    owner = owners.place[shape]
    if len(owners.shapes) < len(counts):
        there = np.flatnonzero(owner >= 0)
        shape, owner, places = shape[there], owner[there], places[there]
    found: I64 = places + (column.starts[owner] - bounds[shape])
    return found
