"""Which rows of several blocks become one, and where do they go? Sorted anew, doubles left out.

Rows are sorted by (stream, ts, arrival). Exact duplicates stay once; lines are compared only where
stream and timestamp collide.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from narfi.core.columns import I32, I64, Mask, Spans, concat_spans
from narfi.core.labels import Labels
from storage.block.draft import Draft
from storage.block.files import FileIndex
from storage.block.format3.access import Kept as Shared
from storage.block.format3.opening import Section
from storage.block.reader import BlockSource
from storage.lines.decode import decode_lines
from storage.lines.holes import HoleColumn
from storage.metadata import Metadata, concat_metadata
from storage.scan import Columns
from storage.sorting import duplicates, sorted_order

WHOLE = Columns()


@dataclass(frozen=True, slots=True)
class Kept:
    """A block and which of its rows go on; None: all."""

    source: BlockSource
    rows: Mask | None


@dataclass(frozen=True, slots=True)
class OldSection:
    """A section of a block and the new numbers of its rows; -1 where a row is dropped."""

    source: BlockSource
    section: FileIndex | Section
    rows: I64

    def kept(self) -> int:
        """How many rows go on."""
        return int((self.rows >= 0).sum())

    def column(self, hole: int, own: Shared) -> list[HoleColumn]:
        """The values of a hole in all rows, piece by piece; `own` as in `BlockSource.access`."""
        reader = self.source.section_reader(self.section, own=own)
        return [reader.column(group, hole) for group in range(len(self.section.bounds) - 1)]

    def lines(self, own: Shared) -> Spans:
        """All lines, decoded."""
        template, parts = self.section.template, []
        reader = self.source.section_reader(self.section, own=own)
        for group, size in enumerate(np.diff(self.section.bounds).tolist()):
            if template is None:
                found = reader.lines(group, slice(0, size), keep=False).spans()
            else:
                columns = [reader.column(group, hole) for hole in range(len(template.holes))]
                found = decode_lines(template, columns, size)
            parts.append(found)
        return concat_spans(parts)


@dataclass(frozen=True, slots=True)
class Merged:
    """The rows of the block to be, and where they come from."""

    draft: Draft
    sections: list[OldSection]
    source: I64  # of each row the number of its block
    row: I64  # and its row there


def merged_rows(kept: Sequence[Kept]) -> Merged:
    """The kept rows of all blocks in order, without doubles."""
    labels, stream, ts, origin = _rows_of(kept)
    order, bounds = sorted_order(stream, ts, len(labels))
    doubled = _doubled(kept, stream[order], ts[order], [(which[order]) for which in origin])
    if doubled.any():
        order = order[~doubled]
        bounds = np.searchsorted(stream[order], np.arange(len(labels) + 1)).astype(np.int64)
    draft = Draft(tuple(labels), stream[order], ts[order], bounds)
    source_of, row_of = (which[order] for which in origin)
    sections: list[OldSection] = []
    for number, one in enumerate(kept):
        renumbered = np.full(len(one.source.times()), -1, np.int64)
        mine = np.flatnonzero(source_of == number)
        renumbered[row_of[mine]] = mine
        order_there = one.source.order()
        sections += [
            OldSection(one.source, section, renumbered[order_there.rows_of(section.number)])
            for section in one.source.index.sections
        ]
    return Merged(draft, sections, source_of, row_of)


def _rows_of(kept: Sequence[Kept]) -> tuple[list[Labels], I32, I64, tuple[I64, I64]]:
    """(labels in order, stream and ts of each kept row, its block and its row there)."""
    rows = [
        np.arange(len(one.source.times())) if one.rows is None else np.flatnonzero(one.rows)
        for one in kept
    ]
    ordinals = [
        np.repeat(np.arange(len(one.source.table), dtype=np.int32), one.source.table.rows)[mine]
        for one, mine in zip(kept, rows, strict=True)
    ]
    tables = [list(one.source.table.labels) for one in kept]
    used: set[Labels] = set()
    for table, mine in zip(tables, ordinals, strict=True):
        used.update(table[o] for o in np.unique(mine).tolist())
    labels = sorted(used, key=lambda found: found.pairs)
    numbers = {found: number for number, found in enumerate(labels)}
    streams = [
        np.array([numbers.get(found, -1) for found in table], np.int32)[mine]
        for table, mine in zip(tables, ordinals, strict=True)
    ]
    times = [one.source.times()[mine] for one, mine in zip(kept, rows, strict=True)]
    which = [np.full(len(mine), number) for number, mine in enumerate(rows)]
    return (
        labels,
        np.concatenate(streams),
        np.concatenate(times),
        (np.concatenate(which), np.concatenate(rows)),
    )


def _doubled(kept: Sequence[Kept], stream: I32, ts: I64, origin: Sequence[I64]) -> Mask:
    """Which rows, in order, repeat an earlier one; lines are read where (stream, ts) collide."""
    same = np.zeros(len(ts), np.bool_)
    same[1:] = (np.diff(stream) == 0) & (np.diff(ts) == 0)
    near = same.copy()
    near[:-1] |= same[1:]
    rows = np.flatnonzero(near)
    result = np.zeros(len(ts), np.bool_)
    if not len(rows):
        return result
    lines: list[Spans] = []
    metadata: list[tuple[Metadata, int]] = []
    places: list[I64] = []
    for number, one in enumerate(kept):
        mine = np.flatnonzero(origin[0][rows] == number)
        mine = mine[np.argsort(origin[1][rows[mine]], kind="stable")]
        batch = one.source.fetch(origin[1][rows[mine]], WHOLE)
        assert batch.lines is not None
        lines.append(batch.lines.spans())
        metadata.append((batch.metadata or Metadata(), len(batch)))
        places.append(mine)
    back = np.argsort(np.concatenate(places))
    result[rows] = duplicates(
        stream[rows],
        ts[rows],
        concat_spans(lines).take(back),
        concat_metadata(metadata).take(back),
    )
    return result
