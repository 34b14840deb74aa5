"""How do blocks become one of format 3? Family by family; equal shapes undecoded, as in `merge.py`.

Memory: the order of all rows, all lines without a shape, and the columns of one family.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from narfi.core.columns import I32, I64, Spans, concat_spans
from storage.block.draft import Draft
from storage.block.family import Family
from storage.block.format3.reading import Kept as Shared
from storage.block.grouping import Grouping, family_of
from storage.block.merge import alike, kept_rows, merged_shape, metadata_of, new_rows
from storage.block.merge_rows import Kept, Merged, OldSection, merged_rows
from storage.block.shapes.encode import EncodedShape, encode_shapes
from storage.lines.decode import line_lengths
from storage.metadata import Metadata


@dataclass(frozen=True, slots=True)
class MergedFamilies:
    """The block to be; `lengths` of a family's lines are there once it came."""

    draft: Draft
    lengths: I32
    metadata: Metadata
    families: Iterator[Family]


def merge_families(kept: Sequence[Kept], min_lines: int) -> MergedFamilies:
    """The rows of the block to be, and its families; shapes have at least `min_lines` lines."""
    merged = merged_rows(kept)
    lengths = np.zeros(len(merged.draft), np.int32)
    if not len(merged.draft):
        return MergedFamilies(merged.draft, lengths, Metadata(), iter(()))
    families = _families(merged, _mean_lengths(kept, merged), lengths, min_lines)
    return MergedFamilies(merged.draft, lengths, metadata_of(kept, merged), families)


def _mean_lengths(kept: Sequence[Kept], merged: Merged) -> I32:
    """About how long each line is: as the others of its stream in its block are."""
    means = np.zeros(len(merged.draft), np.int32)
    for number, one in enumerate(kept):
        table = one.source.table
        mine = merged.source == number
        mean = table.line_bytes // np.maximum(table.rows, 1)
        means[mine] = np.repeat(mean, table.rows)[merged.row[mine]]
    return means


def _families(merged: Merged, means: I32, lengths: I32, min_lines: int) -> Iterator[Family]:
    draft = merged.draft
    large, rest = alike(merged.sections, min_lines)
    shaped = [np.concatenate([one.rows for one in group]) for group in large]
    grouping = Grouping(draft.labels, draft.stream, means, [rows[rows >= 0] for rows in shaped])
    left = _Left(rest)
    lengths[left.rows] = left.lines.length
    owner = grouping.of_stream[draft.stream[left.rows]]
    for number, name in enumerate(grouping.names):
        own: Shared = {}
        shapes: list[EncodedShape] = []
        for group, of in zip(large, grouping.of_shape, strict=True):
            if of == number:
                shape = merged_shape(group, own)
                lengths[shape.rows] = line_lengths(shape.template, shape.columns, len(shape.rows))
                shapes.append(shape)
        own.clear()
        mine = np.flatnonzero(owner == number)
        rows, lines = left.rows[mine], left.lines.take(mine)
        plain = np.ones(len(rows), np.bool_)
        for found in encode_shapes(lines, min_lines):
            plain[found.rows] = False
            shapes.append(EncodedShape(rows[found.rows], found.template, found.columns))
        if shapes or len(rows):
            yield family_of(name, shapes, rows[plain], lines.take(np.flatnonzero(plain)))


class _Left:
    """Lines of no shape, or of too small ones, by their new rows."""

    rows: I64
    lines: Spans

    def __init__(self, sections: Sequence[OldSection]) -> None:
        if kept_rows(sections):
            own: Shared = {}
            self.rows, order = new_rows(sections)
            self.lines = concat_spans([one.lines(own) for one in sections]).take(order)
        else:
            self.rows, self.lines = np.zeros(0, np.int64), Spans.of([])
