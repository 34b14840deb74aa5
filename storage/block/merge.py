"""How do blocks become one? Equal shapes are put together column by column, undecoded.

Shapes that are too small, or too many, are decoded and cut anew together with the plain lines.
Memory: the order of all rows, and one shape, or all lines without one: at most four times what
`upkeep/merge_policy.py` counts as the blocks' size (`tests/upkeep/test_merge_memory.py`).
"""

from collections.abc import Iterator, Sequence

import numpy as np

from narfi.core.columns import I64, concat_spans
from storage.block.draft import Draft, Part, ShapePart, parts_of
from storage.block.format3.access import Kept as Shared
from storage.block.merge_rows import Kept, Merged, OldSection, merged_rows
from storage.block.shapes.encode import EncodedShape, encode_shapes
from storage.block.shapes.group import MAX_SHAPES
from storage.lines.holes import HoleColumn, WordsColumn, concat_holes
from storage.lines.template import Template
from storage.metadata import Metadata, concat_metadata

FEW_WORDS = 4
"""A dictionary with more words than so many a row is cut to the words of the shape."""


def merge_blocks(kept: Sequence[Kept], min_lines: int) -> tuple[Draft, Iterator[Part]]:
    """The rows of the block to be, and its parts; shapes have at least `min_lines` lines."""
    merged = merged_rows(kept)
    if not len(merged.draft):
        return merged.draft, iter(())
    return merged.draft, _parts(merged, metadata_of(kept, merged), min_lines)


def metadata_of(kept: Sequence[Kept], merged: Merged) -> Metadata:
    """The structured metadata of all rows, in their new order."""
    parts = [(one.source.all_metadata(), len(one.source.times())) for one in kept]
    firsts = np.cumsum([0, *(size for _, size in parts)])
    return concat_metadata(parts).take(firsts[merged.source] + merged.row)


def alike(
    sections: Sequence[OldSection], min_lines: int
) -> tuple[list[list[OldSection]], list[OldSection]]:
    """(sections of equal shapes with enough rows together, largest first; all others)."""
    groups: dict[object, list[OldSection]] = {}
    rest: list[OldSection] = []
    for one in sections:
        template = one.section.template
        if template is None or not min_lines:
            rest.append(one)
        else:
            groups.setdefault(template.cut_key(), []).append(one)
    large = []
    for group in sorted(groups.values(), key=lambda group: -kept_rows(group)):
        if kept_rows(group) >= max(min_lines, 1):
            large.append(group)
        else:
            rest += group
    return large, rest


def kept_rows(sections: Sequence[OldSection]) -> int:
    """Rows that go on."""
    return sum(one.kept() for one in sections)


def _parts(merged: Merged, metadata: Metadata, min_lines: int) -> Iterator[Part]:
    """Merged shapes, largest first; then everything else, cut anew."""
    large, rest = alike(merged.sections, min_lines)
    for group in large[:MAX_SHAPES]:
        shape = merged_shape(group, {})
        yield ShapePart(shape, metadata.take(shape.rows))
    rest += [one for group in large[MAX_SHAPES:] for one in group]
    if kept_rows(rest):
        rows, order = new_rows(rest)
        lines = concat_spans([one.lines({}) for one in rest]).take(order)
        yield from parts_of(rows, lines, metadata.take(rows), encode_shapes(lines, min_lines))


def new_rows(sections: Sequence[OldSection]) -> tuple[I64, I64]:
    """(the rows that go on, ascending, by their new numbers; their places in all sections)."""
    rows = np.concatenate([one.rows for one in sections])
    order = np.argsort(rows, kind="stable")
    order = order[int((rows < 0).sum()) :]  # dropped rows come first
    return rows[order], order


def merged_shape(sections: Sequence[OldSection], own: Shared) -> EncodedShape:
    """Shapes with equal columns as one; `own` as in `BlockSource.access`."""
    template = template_of(sections)
    rows, order = new_rows(sections)
    columns = []
    for hole in range(len(template.holes)):
        pieces = [piece for one in sections for piece in one.column(hole, own)]
        column = concat_holes(list(map(with_few_words, pieces))).take(order)
        columns.append(column.without_unused() if isinstance(column, WordsColumn) else column)
    return EncodedShape(rows, template, tuple(columns))


def template_of(sections: Sequence[OldSection]) -> Template:
    """The template of shapes with equal columns, with the stamps of all."""
    template = sections[0].section.template
    assert template is not None
    for one in sections[1:]:
        assert one.section.template is not None
        template = template.joined(one.section.template)
    return template


def with_few_words(column: HoleColumn) -> HoleColumn:
    """The column; without the words that are in none of its rows, where these may be many."""
    if isinstance(column, WordsColumn) and len(column.words) > FEW_WORDS * len(column):
        return column.without_unused()
    return column
