"""How do blocks become one? Equal shapes are put together column by column, undecoded.

The rows of all blocks are sorted again by (stream, ts, arrival). Exact duplicates stay once; lines
are compared only where stream and timestamp collide. Shapes that are too small, or too many, are
decoded and cut anew together with the plain lines. Memory: the order of all rows, and one shape,
or all lines without one: at most four times what `upkeep/merge_policy.py` counts as the blocks'
size (`tests/upkeep/test_merge_memory.py`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from narfi.core.columns import I32, I64, Mask, Spans, concat_spans
from narfi.core.labels import Labels
from storage.block.draft import Draft, Part, ShapePart, parts_of
from storage.block.files import FileIndex
from storage.block.reader import BlockSource
from storage.block.shapes.encode import EncodedShape, encode_shapes
from storage.block.shapes.group import MAX_SHAPES
from storage.lines.decode import decode_lines
from storage.lines.holes import concat_holes
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
class _File:
    """A file of a block and the new numbers of its rows; -1 where a row is dropped."""

    source: BlockSource
    index: FileIndex
    rows: I64


def merge_blocks(kept: Sequence[Kept], min_lines: int) -> tuple[Draft, Iterator[Part]]:
    """The rows of the block to be, and its parts; shapes have at least `min_lines` lines."""
    labels, stream, ts, origin = _rows_of(kept)
    order, bounds = sorted_order(stream, ts, len(labels))
    doubled = _doubled(kept, stream[order], ts[order], [(which[order]) for which in origin])
    if doubled.any():
        order = order[~doubled]
        bounds = np.searchsorted(stream[order], np.arange(len(labels) + 1)).astype(np.int64)
    draft = Draft(tuple(labels), stream[order], ts[order], bounds)
    source_of, row_of = (which[order] for which in origin)
    files: list[_File] = []
    for number, one in enumerate(kept):
        renumbered = np.full(len(one.source.times()), -1, np.int64)
        mine = np.flatnonzero(source_of == number)
        renumbered[row_of[mine]] = mine
        order_there = one.source.order()
        files += [
            _File(one.source, f, renumbered[order_there.rows_of(f.number)])
            for f in one.source.index.files
        ]
    return draft, _parts(files, min_lines)


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


def _parts(files: Sequence[_File], min_lines: int) -> Iterator[Part]:
    """Merged shapes, largest first; then everything else, cut anew."""
    alike: dict[object, list[_File]] = {}
    rest: list[_File] = []
    for file in files:
        template = file.index.template
        if template is None or not min_lines:
            rest.append(file)
        else:
            alike.setdefault(template.cut_key(), []).append(file)
    groups = sorted(alike.values(), key=lambda group: -_kept_rows(group))
    for number, group in enumerate(groups):
        if number < MAX_SHAPES and _kept_rows(group) >= max(min_lines, 1):
            yield _merged(group)
        else:
            rest += group
    if _kept_rows(rest):
        yield from _cut_anew(rest, min_lines)


def _kept_rows(files: Sequence[_File]) -> int:
    return sum(int((file.rows >= 0).sum()) for file in files)


def _merged(files: Sequence[_File]) -> ShapePart:
    """Shapes with equal columns as one."""
    template = files[0].index.template
    assert template is not None
    for file in files[1:]:
        assert file.index.template is not None
        template = template.joined(file.index.template)
    rows = np.concatenate([file.rows for file in files])
    order = np.argsort(rows, kind="stable")
    order = order[int((rows < 0).sum()) :]  # dropped rows come first
    readers = [(file.source.reader(file.index), file.index) for file in files]
    columns = []
    for hole in range(len(template.holes)):
        pieces = [
            reader.column(group, hole)
            for reader, index in readers
            for group in range(len(index.bounds) - 1)
        ]
        columns.append(concat_holes(pieces).take(order))
    metadata = concat_metadata([_metadata(file) for file in files]).take(order)
    return ShapePart(EncodedShape(rows[order], template, tuple(columns)), metadata)


def _metadata(file: _File) -> tuple[Metadata, int]:
    reader, bounds = file.source.reader(file.index), file.index.bounds
    parts = [
        (reader.metadata(group, slice(0, size), WHOLE, keep=False), size)
        for group, size in enumerate(np.diff(bounds).tolist())
    ]
    return concat_metadata(parts), int(bounds[-1])


def _cut_anew(files: Sequence[_File], min_lines: int) -> Iterator[Part]:
    """Lines without a shape of their own, as shapes where enough are alike, else plain."""
    rows = np.concatenate([file.rows for file in files])
    order = np.argsort(rows, kind="stable")[int((rows < 0).sum()) :]
    metadata = concat_metadata([_metadata(file) for file in files]).take(order)
    lines = concat_spans([_lines(file) for file in files]).take(order)
    yield from parts_of(rows[order], lines, metadata, encode_shapes(lines, min_lines))


def _lines(file: _File) -> Spans:
    """All lines of a file, decoded."""
    reader, index = file.source.reader(file.index), file.index
    parts = []
    for group, size in enumerate(np.diff(index.bounds).tolist()):
        if index.template is None:
            found = reader.lines(group, slice(0, size), keep=False).spans()
        else:
            holes = range(len(index.template.holes))
            columns = [reader.column(group, hole) for hole in holes]
            found = decode_lines(index.template, columns, size)
        parts.append(found)
    return concat_spans(parts)
