"""How do pushes become one sorted run? Rows by (stream, ts, arrival), exact duplicates once.

Invariant: of equal entries (stream, ts, line, metadata) the first to arrive stays; entries of one
instant that differ keep the order of their arrival.
"""

from collections.abc import Sequence

import numpy as np

from narfi.core.columns import I32, I64, Mask, Spans, concat_spans_keeping_views
from narfi.core.kernels.sorting import (
    mark_equal_neighbours,
    rows_by_stream,
    sort_streams_by_time,
)
from narfi.core.label_column import SpansColumn
from narfi.core.labels import Labels
from storage.batch import LogBatch, StreamTable
from storage.lines.plain import PlainLines
from storage.metadata import Metadata, concat_metadata

NO_ROWS: I64 = np.zeros(0, np.int64)
MAX_SAME_INSTANT = 64
"""Above this many rows of one stream and instant, equal lines are found by hashing."""


def merge_batches(batches: Sequence[LogBatch]) -> LogBatch:
    """All rows under one stream table (sorted by labels), sorted, without exact duplicates.

    Line bytes are not copied when the batches share buffers; `lines` and `metadata` must be there.
    """
    labels, streams = _merged_streams(batches)
    ts = np.concatenate([b.ts for b in batches]) if batches else NO_ROWS
    lines = _lines_of(batches)
    metadata = concat_metadata([(b.metadata or Metadata(), len(b)) for b in batches])
    order, bounds = sorted_order(streams, ts, len(labels))
    stream, ts, lines = streams[order], ts[order], lines.take(order)
    metadata = metadata.take(order)
    doubled = duplicates(stream, ts, lines, metadata)
    if doubled.any():
        keep = np.flatnonzero(~doubled)
        stream, ts, lines, metadata = (
            stream[keep],
            ts[keep],
            lines.take(keep),
            metadata.take(keep),
        )
        bounds = np.searchsorted(stream, np.arange(len(labels) + 1)).astype(np.int64)
    table = build_table(labels, ts, lines.length, bounds)
    rows = np.arange(len(ts), dtype=np.int64)
    return LogBatch(
        table=table, stream=stream, ts=ts, rows=rows, lines=PlainLines(lines), metadata=metadata
    )


def build_table(labels: Sequence[Labels], ts: I64, lengths: I32, bounds: I64) -> StreamTable:
    """The stream table of rows that are sorted by (stream, ts); no stream is empty."""
    first, end = bounds[:-1], bounds[1:]
    sums = np.zeros(len(ts) + 1, np.int64)
    np.cumsum(lengths, out=sums[1:])
    has_rows = len(ts) > 0
    return StreamTable(
        labels=tuple(labels),
        first_row=first.copy(),
        rows=end - first,
        first_ts=ts[first] if has_rows else NO_ROWS,
        last_ts=ts[end - 1] if has_rows else NO_ROWS,
        line_bytes=sums[end] - sums[first],
    )


def _merged_streams(batches: Sequence[LogBatch]) -> tuple[list[Labels], I32]:
    """Labels that have rows, sorted; and the new ordinal of each row."""
    used: set[Labels] = set()
    for batch in batches:
        there = np.zeros(len(batch.table), np.bool_)
        there[batch.stream] = True
        used.update(batch.table.labels[o] for o in np.flatnonzero(there).tolist())
    labels = sorted(used, key=lambda found: found.pairs)
    numbers = {found: number for number, found in enumerate(labels)}
    parts = []
    for batch in batches:
        mapping = np.array([numbers.get(found, -1) for found in batch.table.labels], np.int32)
        parts.append(mapping[batch.stream])
    return labels, np.concatenate(parts) if parts else np.zeros(0, np.int32)


def _lines_of(batches: Sequence[LogBatch]) -> Spans:
    parts = [b.lines.spans() for b in batches if b.lines is not None]
    return concat_spans_keeping_views(parts) if parts else Spans.of([])


def sorted_order(stream: I32, ts: I64, streams: int) -> tuple[I64, I64]:
    """(rows in order, first place of each stream and the end)."""
    bounds = np.zeros(streams + 1, np.int64)
    np.cumsum(np.bincount(stream, minlength=streams), out=bounds[1:])
    order = np.empty(len(stream), np.int64)
    rows_by_stream(stream, bounds[:-1].copy(), order)
    unsorted = np.zeros(streams, np.bool_)
    sort_streams_by_time(ts, order, bounds, unsorted)
    for number in np.flatnonzero(unsorted).tolist():
        part = np.sort(order[bounds[number] : bounds[number + 1]])  # arrival order again
        order[bounds[number] : bounds[number + 1]] = part[np.argsort(ts[part], kind="stable")]
    return order, bounds


def duplicates(stream: I32, ts: I64, lines: Spans, metadata: Metadata) -> Mask:
    """Which rows repeat an earlier one; metadata is compared only where lines are equal."""
    equal = np.zeros(len(ts), np.bool_)
    same = np.zeros(len(ts), np.bool_)
    same[1:] = (np.diff(stream) == 0) & (np.diff(ts) == 0)
    if not same.any():
        return equal
    if not metadata.names() and _longest_run(same) <= MAX_SAME_INSTANT:
        mark_equal_neighbours(stream, ts, lines.data, lines.start, lines.length, equal)
        return equal
    return _duplicates_by_key(same, lines, metadata)


def _longest_run(same: Mask) -> int:
    starts = np.flatnonzero(~same)
    return int(np.diff(np.append(starts, len(same))).max())


def _duplicates_by_key(same: Mask, lines: Spans, metadata: Metadata) -> Mask:
    """Compare (instant, line, metadata) of the rows that share an instant with a neighbour."""
    near = same.copy()
    near[:-1] |= same[1:]
    rows = np.flatnonzero(near)
    instant = np.cumsum(~same)[rows]
    from_lines = _codes(lines.take(rows))
    columns = [instant, from_lines]
    columns.extend(metadata.take(rows).row_codes())
    table = np.stack(columns, axis=1)
    _, firsts = np.unique(table, axis=0, return_index=True)
    result = np.zeros(len(same), np.bool_)
    result[rows] = True
    result[rows[firsts]] = False
    return result


def _codes(spans: Spans) -> I64:
    return SpansColumn(spans).codes.astype(np.int64)
