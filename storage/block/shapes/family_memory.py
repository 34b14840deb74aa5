"""What does a store remember of the families that it wrote? Shapes by stream, encodings by field.

A line first tries the shapes that its stream had in earlier blocks; those that match are parsed in
the same pass and join the columns of their fields. Texts are taken as they are: whether they are
few words is decided for a column, block by block.
"""

import threading
from collections.abc import Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np

from narfi.core.columns import I64, Spans
from narfi.core.kernels import shape_match as sm
from narfi.core.kernels.shape_scan import H_TAIL
from narfi.core.kernels.sorting import rows_by_stream
from narfi.core.labels import Labels
from narfi.core.tenant import TenantId
from storage.block.family import FamilyColumn, FamilyShape
from storage.block.shapes.columns import WORDS, DraftShape, identity
from storage.block.shapes.cut import CutLines
from storage.block.shapes.encodings import Encodings
from storage.block.shapes.group import Group
from storage.block.shapes.known import (
    Candidates,
    KnownShapes,
    Model,
    cells_of,
    known_shape,
    matchable,
)
from storage.block.shapes.least import LeastRows
from storage.block.shapes.matched import (
    Dictionaries,
    Matched,
    Scratch,
    hex_column,
    match,
    texts_at,
)
from storage.block.shapes.run import Run
from storage.lines.holes import BytesColumn, HoleColumn, IntegerColumn, WordsColumn
from storage.lines.template import Hole, HoleKind, HoleType, LineKind, Template

LEAST_MATCHED = 8
"""Lines of a text that match a known shape and are one: fewer are cut, and plain where alone."""
ENCODING_BYTES = 300
"""What a remembered encoding takes, about."""
WORDS_SHARE = 4
"""A text that was matched as any text is numbered from now on where each word is there so often."""
LEAST_LEARNT = 16
"""Lines of a shape that is remembered: one with fewer may never come again."""


class FamilyMemory:
    """Of one store; thread-safe. What is known never keeps a block from being written."""

    def __init__(self) -> None:
        self.known = KnownShapes()
        self.encodings = Encodings()
        self._scratch: list[Scratch] = []
        self._distrusted: set[TenantId] = set()
        self._lock = threading.Lock()

    @property
    def nbytes(self) -> int:
        """What is kept between blocks, about."""
        kept = sum(scratch.nbytes for scratch in self._scratch)
        return self.known.nbytes + ENCODING_BYTES * len(self.encodings) + kept

    def distrust(self, tenant: TenantId) -> None:
        """A block failed: forget what is known, and learn nothing before a block is made."""
        self.known.forget_all(tenant)
        with self._lock:
            self._distrusted.add(tenant)

    def is_distrusted(self, tenant: TenantId) -> bool:
        """Whether a block of the tenant failed since the start."""
        with self._lock:
            return tenant in self._distrusted

    @contextmanager
    def scratch(self) -> Iterator[Scratch]:
        """Memory of the matcher, for one block at a time."""
        with self._lock:
            mine = self._scratch.pop() if self._scratch else Scratch()
        try:
            yield mine
        finally:
            mine.shrink()
            with self._lock:
                if not self._scratch:  # blocks are written one at a time, as a rule
                    self._scratch.append(mine)


@dataclass(frozen=True, slots=True)
class KnownLines:
    """The lines of a block that match known shapes."""

    candidates: Candidates
    matched: Matched
    dictionaries: Dictionaries
    rows: dict[int, I64]  # of each known shape that has lines; ascending

    def left(self) -> I64:
        """The rows that match none."""
        mask = np.ones(len(self.matched.lines), np.bool_)
        for rows in self.rows.values():
            mask[rows] = False
        return np.flatnonzero(mask)

    def draft(self, number: int) -> tuple[DraftShape, list[HoleColumn]]:
        """A known shape of this block, and the values of its holes."""
        known, rows = self.candidates.known[number], self.rows[number]
        matched = self.matched
        cells = np.empty((known.cells, len(rows)), np.int64)
        sm.gather_cells(rows, matched.cell_from, matched.cells, cells)
        template = known.template
        values: list[HoleColumn] = []
        at = 0
        row = int(self.candidates.shapes[number, sm.FIRST_ROW])
        for hole, how in zip(template.holes, self.candidates.table[row:], strict=False):
            size = cells_of(hole)
            mine = cells[at : at + size]
            if how[sm.KIND] == sm.WORDS:
                values.append(self.dictionaries.column(mine[0], int(how[sm.DICTIONARY])))
            else:
                values.append(_column(mine, hole.type, matched.lines))
            at += size
        holes = zip(known.fields, template.holes, strict=True)
        return DraftShape(
            kind=template.kind,
            constants=template.constants,
            holes=tuple((identity(field, hole.type), hole) for field, hole in holes),
            rows=rows,
            learnt=known.lines,
        ), values

    def fields(self, numbers: Sequence[int]) -> set[Hashable]:
        """What the columns of some known shapes hold, as `Layout.fields` has it."""
        known = (self.candidates.known[number] for number in numbers)
        return {name for shape in known for name, *_ in shape.fields}


def _column(cells: I64, kind: HoleType, lines: Spans) -> HoleColumn:
    if kind.kind is HoleKind.BYTES:
        return BytesColumn(texts_at(lines, cells[0]))
    if kind.kind is HoleKind.HEX:
        return hex_column(cells, kind.layout)
    return IntegerColumn(cells[0], kind)


def match_known(run: Run, memory: FamilyMemory, scratch: Scratch, least: LeastRows) -> KnownLines:
    """The lines that match; those of a shape that does not pay in this block are not taken."""
    candidates = memory.known.candidates(run.tenant, run.labels)
    matched = match(run.lines, run.stream, candidates, scratch, most_words=WORDS.most)
    count = len(candidates.known)
    sizes, nbytes = np.zeros(count, np.int64), np.zeros(count, np.int64)
    sm.count_shapes(matched.shape, run.lines.length, sizes, nbytes)
    ends = np.cumsum(sizes)
    order = np.empty(int(sizes.sum()), np.int64)
    rows_by_stream(matched.shape, ends - sizes, order)
    rows = {}
    for number in np.flatnonzero(sizes).tolist():
        template, size = candidates.known[number].template, int(sizes[number])
        if not least.pays(int(nbytes[number]), len(template.holes)):
            continue
        if template.kind is not LineKind.TEXT or size >= LEAST_MATCHED:
            rows[number] = order[ends[number] - size : ends[number]]
    return KnownLines(candidates, matched, Dictionaries(matched), rows)


def learn(run: Run, memory: FamilyMemory, found: CutLines, group: Group, draft: DraftShape) -> None:
    """Remember the shape of a group that was cut, with the types that its holes have."""
    line = int(group.rows[0])
    if len(group.rows) < LEAST_LEARNT or H_TAIL in found.kinds(line):
        return
    holes = tuple(_with_texts(hole) for _, hole in draft.holes)
    template = Template(draft.kind, draft.constants, holes)
    if not matchable(template, group.cut):
        return
    known = known_shape(template, Model(group.cut, int(found.skeleton[line]), []))
    known.fields = tuple(key[0] for key, _ in draft.holes)
    known.lines = len(group.rows)
    known.words = _words_of(hole for _, hole in draft.holes)
    memory.known.learn(run.tenant, known, _streams(run, draft.rows))


def learn_again(
    run: Run,
    memory: FamilyMemory,
    lines: KnownLines,
    number: int,
    shape: FamilyShape,
    columns: Sequence[FamilyColumn],
) -> None:
    """A known shape has lines in this block: it is tried first by the streams that have them.

    `shape` and `columns` are what it became: texts that are few words are numbered next time.
    """
    tried, tried_from = lines.candidates.tried, lines.candidates.tried_from
    streams = _ordinals(run, lines.rows[number])
    new = [o for o in streams if number not in tried[tried_from[o] : tried_from[o + 1]]]
    known = lines.candidates.known[number]
    holes = enumerate(zip(shape.template.holes, shape.columns, strict=True))
    known.words = frozenset(
        k
        for k, (hole, column) in holes
        if hole.type.kind is HoleKind.WORDS
        and (k in known.words or _are_few(columns[column].values))
    )
    memory.known.learn(run.tenant, known, [run.labels[ordinal] for ordinal in new])


def _are_few(column: HoleColumn) -> bool:
    return isinstance(column, WordsColumn) and len(column.words) * WORDS_SHARE <= len(column)


def _words_of(holes: Iterable[Hole]) -> frozenset[int]:
    """Which of the holes are dictionaries."""
    return frozenset(k for k, hole in enumerate(holes) if hole.type.kind is HoleKind.WORDS)


def _streams(run: Run, rows: I64) -> Sequence[Labels]:
    return [run.labels[ordinal] for ordinal in _ordinals(run, rows)]


def _ordinals(run: Run, rows: I64) -> list[int]:
    """The streams of rows that ascend."""
    first, last = int(run.stream[rows[0]]), int(run.stream[rows[-1]])
    if first == last:
        return [first]
    stream = run.stream[rows]
    found: list[int] = stream[np.flatnonzero(stream[1:] != stream[:-1])].tolist()
    return [*found, last]


def _with_texts(hole: Hole) -> Hole:
    """A dictionary is one of a block; what is known of it is that it holds texts."""
    if hole.type.kind is not HoleKind.WORDS:
        return hole
    return replace(hole, type=HoleType(kind=HoleKind.BYTES))
