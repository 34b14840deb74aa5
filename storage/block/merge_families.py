"""How do blocks become one of format 3? Family by family; equal shapes undecoded, as in `merge.py`.

Memory: the order of all rows, all lines without a shape and what they become, and the columns of
one family.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from narfi.core.columns import I32, I64, Spans, concat_spans
from narfi.core.tenant import TenantId
from storage.block.draft import Draft
from storage.block.family import Family
from storage.block.format3.access import Kept as Shared
from storage.block.format3.opening import Section
from storage.block.format3.reading import read_ahead
from storage.block.grouping import GatheredShape, Grouping, family_of
from storage.block.merge import alike, kept_rows, metadata_of, new_rows, template_of
from storage.block.merge_rows import Kept, Merged, OldSection, merged_rows
from storage.block.shapes.families import families_of
from storage.block.shapes.least import MERGED, LeastRows, least_rows
from storage.block.shapes.run import Run
from storage.lines.shared_column import cut
from storage.metadata import Metadata

NOBODY = TenantId("")
"""For lines that are cut anew: nothing is remembered of them."""


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
    groups, rest = alike(merged.sections, min(min_lines, 1))
    left = _Left(rest)
    lengths[left.rows] = left.lines.length
    run = Run(NOBODY, draft.labels, draft.stream[left.rows], left.lines)
    again = list(_cut_anew(run, left.rows, least_rows(min_lines, MERGED)))
    plain = np.ones(len(draft), np.bool_)
    shaped = [np.concatenate([one.rows for one in group]) for group in groups]
    shaped = [*(rows[rows >= 0] for rows in shaped), *(shape.rows for shape in again)]
    for rows in shaped:
        plain[rows] = False
    grouping = Grouping(draft.labels, draft.stream, means, shaped)
    unshaped = np.flatnonzero(plain[left.rows])
    owner = grouping.of_stream[draft.stream[left.rows[unshaped]]]
    of_group, of_new = grouping.of_shape[: len(groups)], grouping.of_shape[len(groups) :]
    for number, name in enumerate(grouping.names):
        own: Shared = {}
        old = [group for group, of in zip(groups, of_group, strict=True) if of == number]
        _read_ahead([one for group in old for one in group], own)
        shapes = [_gathered(group, own) for group in old]
        for shape in shapes:
            lengths[shape.rows] = shape.line_lengths()
        own.clear()
        shapes += [shape for shape, of in zip(again, of_new, strict=True) if of == number]
        mine = unshaped[owner == number]
        if shapes or len(mine):
            yield family_of(name, shapes, left.rows[mine], left.lines.take(mine))


def _read_ahead(sections: Sequence[OldSection], own: Shared) -> None:
    """Read what sections of format 3 have; others read whole files."""
    access = {id(one.source): one.source.access(own=own) for one in sections}
    read_ahead(
        [
            (one.section, access[id(one.source)])
            for one in sections
            if isinstance(one.section, Section)
        ]
    )


def _gathered(sections: Sequence[OldSection], own: Shared) -> GatheredShape:
    """Shapes with equal columns as one; `own` as in `BlockSource.access`."""
    template = template_of(sections)
    rows, order = new_rows(sections)
    pieces = [
        [piece for one in sections for piece in one.column(hole, own)]
        for hole in range(len(template.holes))
    ]
    return GatheredShape(rows, template, pieces, order)


def _cut_anew(run: Run, rows: I64, least: LeastRows) -> Iterator[GatheredShape]:
    """The shapes of lines that had none; `rows` are their new numbers, in ascending order."""
    for family in families_of(run, least):
        at = [0] * len(family.columns)
        for shape in family.shapes:
            size = len(shape.rows)
            columns = []
            for hole, number in zip(shape.template.holes, shape.columns, strict=True):
                run_of_it = slice(at[number], at[number] + size)
                columns.append([cut(family.columns[number].values, run_of_it, hole.type)])
                at[number] += size
            yield GatheredShape(rows[shape.rows], shape.template, columns)


class _Left:
    """Lines of no shape by their new rows."""

    rows: I64
    lines: Spans

    def __init__(self, sections: Sequence[OldSection]) -> None:
        if kept_rows(sections):
            own: Shared = {}
            self.rows, order = new_rows(sections)
            self.lines = concat_spans([one.lines(own) for one in sections]).take(order)
        else:
            self.rows, self.lines = np.zeros(0, np.int64), Spans.of([])
