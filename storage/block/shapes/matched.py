"""Which lines of a block match known shapes, and what are their columns?

One pass of the matcher over all lines, into memory that is kept from block to block; then the cells
of a shape's lines become columns of the types that the shape is known with. Dictionaries and stamps
are made anew for each block. A dictionary that holds too many words for its rows becomes texts, and
texts that are few words become a dictionary, as `infer` has it.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from narfi.core.columns import I32, I64, Mask, Spans
from narfi.core.kernels import shape_match as sm
from narfi.core.kernels import shape_values as sv
from storage.block.progress import Progress, untold
from storage.block.shapes.cut import by_place
from storage.block.shapes.encode import EncodedShape
from storage.block.shapes.infer import FEW_WORDS, MAX_WORDS, WORDS_SHARE, words_of
from storage.block.shapes.known import Candidates, KnownShape, cells_of
from storage.lines.holes import BytesColumn, HexColumn, HoleColumn, IntegerColumn, WordsColumn
from storage.lines.template import Hole, HoleKind, HoleType, Template, classes_of

FIRST_CELLS = 1 << 18
WORDS = 1 << 17
"""Words of all dictionaries of a block; a hole that gets no more has texts."""
SLOTS = 2 * WORDS
KEPT_CELLS = 4 << 20
"""More of them (32 MB) are not kept for the next block."""
STEP = 1 << 14
"""Lines between two times that the progress is told."""
TEXT_MASK = (1 << sm.TEXT_BITS) - 1


@dataclass(slots=True, kw_only=True)
class Scratch:
    """Memory of the matcher, used again for each block; of one thread at a time."""

    cells: I64 = field(default_factory=lambda: np.empty(FIRST_CELLS, np.int64))
    words: I64 = field(default_factory=lambda: np.empty((WORDS, 6), np.int64))
    slots: I32 = field(default_factory=lambda: np.empty(SLOTS, np.int32))
    shape: I32 = field(default_factory=lambda: np.empty(0, np.int32))
    cell_from: I64 = field(default_factory=lambda: np.empty(0, np.int64))

    def lines(self, count: int) -> tuple[I32, I64]:
        """Room for the shape and the first cell of so many lines."""
        if len(self.shape) < count:
            self.shape, self.cell_from = np.empty(count, np.int32), np.empty(count, np.int64)
        return self.shape[:count], self.cell_from[:count]

    def grow(self, used: int) -> None:
        """Twice the cells; those in use are kept."""
        larger = np.empty(2 * len(self.cells), np.int64)
        larger[:used] = self.cells[:used]
        self.cells = larger

    def shrink(self) -> None:
        """Keep no more than a usual block needs."""
        if len(self.cells) > KEPT_CELLS:
            self.cells = np.empty(FIRST_CELLS, np.int64)

    @property
    def nbytes(self) -> int:
        """What is kept."""
        arrays = (self.cells, self.words, self.slots, self.shape, self.cell_from)
        return sum(array.nbytes for array in arrays)


@dataclass(frozen=True, slots=True, kw_only=True)
class Matched:
    """Lines of a block that match known shapes; views into scratch memory."""

    lines: Spans
    shape: I32  # of each line, -1: none
    cell_from: I64
    cells: I64
    words: I64  # of all dictionaries, as they were entered
    counts: I64  # words of each dictionary


def match(
    lines: Spans,
    stream: I32,
    candidates: Candidates,
    scratch: Scratch,
    progress: Progress = untold,
    most_words: int = MAX_WORDS,
) -> Matched:
    """Try the shapes of each line's stream; `most_words` of a dictionary have codes."""
    shape, cell_from = scratch.lines(len(lines))
    scratch.slots.fill(-1)
    counts = np.zeros(candidates.dictionaries + 1, np.int64)
    order, used = by_place(lines), np.zeros(2, np.int64)
    table, tried = candidates.table.copy(), candidates.tried.copy()
    ats = np.empty(1 + int(candidates.shapes[:, sm.HOLES].max(initial=0)), np.int64)
    done = 0
    while done < len(lines):
        cells, end = scratch.cells, min(done + STEP, len(lines))
        done = sm.match_lines(
            lines.data,
            lines.start,
            lines.length,
            stream,
            order[:end],
            done,
            tried,
            candidates.tried_from,
            candidates.shapes,
            table,
            candidates.begins,
            shape,
            cell_from,
            cells,
            cells.view(np.uint8),
            scratch.slots,
            scratch.words,
            counts,
            most_words,
            used,
            ats,
        )
        if done < end:
            scratch.grow(int(used[0]))
        progress(done / len(lines))
    return Matched(
        lines=lines,
        shape=shape,
        cell_from=cell_from,
        cells=scratch.cells,
        words=scratch.words[: int(counts[-1])],
        counts=counts[:-1],
    )


class Dictionaries:
    """The words that were entered while lines matched."""

    def __init__(self, matched: Matched) -> None:
        self._matched = matched
        # words of a dictionary were entered in the order of their codes
        self._order = np.argsort(matched.words[:, sm.W_DICTIONARY], kind="stable")
        self._word_from = np.cumsum(matched.counts) - matched.counts
        self._spans: dict[int, Spans] = {}

    def entries(self, dictionary: int) -> I64:
        """`shape_match.W_HASH` … of each word, in order of the codes."""
        first, count = int(self._word_from[dictionary]), int(self._matched.counts[dictionary])
        found: I64 = self._matched.words[self._order[first : first + count]]
        return found

    def words(self, dictionary: int) -> Spans:
        """The words, in order of their codes; the same object each time."""
        found = self._spans.get(dictionary)
        if found is None:
            entries = self.entries(dictionary)
            start, length = entries[:, sm.W_START].copy(), entries[:, sm.W_SIZE].astype(np.int32)
            found = self._spans[dictionary] = Spans(self._matched.lines.data, start, length)
        return found

    def column(self, cells: I64, dictionary: int) -> HoleColumn:
        """The values of cells; texts when the dictionary was full."""
        full = cells < 0
        words = self.words(dictionary)
        if not full.any():
            return WordsColumn(cells.astype(np.int32), words)
        texts = ~cells
        known = cells[~full]
        texts[~full] = words.start[known] << sm.TEXT_BITS | words.length[known]
        return BytesColumn(texts_at(self._matched.lines, texts))


def texts_at(lines: Spans, cells: I64) -> Spans:
    """Cells that are texts."""
    length = (cells & TEXT_MASK).astype(np.int32)
    return Spans(lines.data, cells >> sm.TEXT_BITS, length)


class Columns:
    """Makes the columns of matched lines."""

    def __init__(self, matched: Matched, candidates: Candidates) -> None:
        self._matched, self._candidates = matched, candidates
        self._dictionaries = Dictionaries(matched)

    def encode(self, number: int, rows: I64) -> EncodedShape:
        """The lines at `rows` (ascending), which all match the shape, as a shape of this block."""
        known = self._candidates.known[number]
        matched = self._matched
        cells = np.empty((known.cells, len(rows)), np.int64)
        sm.gather_cells(rows, matched.cell_from, matched.cells, cells)
        first_row = int(self._candidates.shapes[number, sm.FIRST_ROW])
        holes: list[Hole] = []
        columns: list[HoleColumn] = []
        for place, hole in enumerate(known.template.holes):
            row = self._candidates.table[first_row + place]
            at = int(row[sm.CELL])
            if hole.type.kind is HoleKind.WORDS:
                column = self._words(cells[at], int(row[sm.DICTIONARY]))
            elif hole.type.kind is HoleKind.BYTES:
                column = _texts(texts_at(matched.lines, cells[at]))
            elif hole.type.kind is HoleKind.HEX:
                column = hex_column(cells[at : at + cells_of(hole)], hole.type.layout)
            else:
                column = IntegerColumn(cells[at], hole.type)
            columns.append(column)
            holes.append(stamped(hole, column))
        template = Template(known.template.kind, known.template.constants, tuple(holes))
        return EncodedShape(rows, template, tuple(columns))

    def _words(self, cells: I64, dictionary: int) -> HoleColumn:
        column = self._dictionaries.column(cells, dictionary)
        if isinstance(column, BytesColumn):
            return column
        assert isinstance(column, WordsColumn)
        few = renumbered(column)
        if len(few.words) <= max(FEW_WORDS, min(MAX_WORDS, len(cells) // WORDS_SHARE)):
            return WordsColumn(few.codes, few.words.packed())
        return BytesColumn(few.spans())


def renumbered(column: WordsColumn) -> WordsColumn:
    """The same values; only words that are there, in order of first appearance."""
    count = len(column.words)
    codes, firsts = np.empty(len(column), np.int32), np.empty(count, np.int64)
    used = sm.renumber(column.codes, np.full(count, -1, np.int64), codes, firsts)
    return WordsColumn(codes, column.words.take(firsts[:used]))


def _texts(values: Spans) -> HoleColumn:
    """Texts, or a dictionary where they turn out to be few words."""
    few = words_of(values, max(FEW_WORDS, min(MAX_WORDS, len(values) // WORDS_SHARE)))
    return BytesColumn(values) if few is None else few


def hex_column(cells: I64, layout: bytes) -> HexColumn:
    """Cells that are hex digits, `[cell, row]`."""
    size = layout.count(b"x") // 2
    whole = np.ascontiguousarray(cells.T).view(np.uint8)
    return HexColumn(np.ascontiguousarray(whole[:, :size]), layout)


def stamped(hole: Hole, column: HoleColumn) -> Hole:
    """The hole with the type and the stamp of a column."""
    if isinstance(column, WordsColumn | BytesColumn):
        kind = HoleKind.WORDS if isinstance(column, WordsColumn) else HoleKind.BYTES
        texts = column.words if isinstance(column, WordsColumn) else column.values
        found = np.zeros(3, np.int64)
        sm.stamp_texts(texts.data, texts.start, texts.length, found)
        classes, low, high = found.tolist()
        return replace(
            hole, type=HoleType(kind=kind), classes=classes, min_length=low, max_length=high
        )
    length = column.lengths()
    classes = _classes(hole.type, column)
    return replace(
        hole, classes=classes, min_length=int(length.min()), max_length=int(length.max())
    )


def _classes(kind: HoleType, column: HoleColumn) -> int:
    """At least the classes of the bytes that a typed column prints."""
    classes = sv.DIGIT
    if kind.kind is HoleKind.HEX:
        return classes | sv.HEX_LOWER | classes_of(kind.layout.replace(b"x", b""))
    if kind.kind is HoleKind.TIME:
        return classes | classes_of(kind.layout.translate(None, b"YMDhmsfb")) | _months(kind.layout)
    if kind.kind is HoleKind.IPV4:
        return classes | sv.DOT
    assert isinstance(column, IntegerColumn)
    if column.values.min() < 0:
        classes |= sv.MINUS
    if kind.scale and (kind.least or (column.values % 10**kind.scale).any()):
        classes |= sv.DOT
    return classes


def _months(layout: bytes) -> int:
    return classes_of(b"JanFebMarAprMayJunJulAugSepOctNovDec") if b"b" in layout else 0


def changed(known: KnownShape, shape: EncodedShape) -> bool:
    """Whether a dictionary of the known shape was too small for a block."""
    return any(
        before.type.kind is HoleKind.WORDS and now.type.kind is HoleKind.BYTES
        for before, now in zip(known.template.holes, shape.template.holes, strict=True)
    )


def large_shapes(shape: I32, count: int, min_rows: int, most: int) -> tuple[list[int], Mask]:
    """(shapes of at least `min_rows` lines, largest first; which shapes are among them)."""
    sizes = np.bincount(shape[shape >= 0], minlength=count)
    order = np.argsort(-sizes, kind="stable")[:most]
    chosen = order[sizes[order] >= min_rows]
    mask = np.zeros(count, np.bool_)
    mask[chosen] = True
    return chosen.tolist(), mask
