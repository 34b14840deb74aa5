"""Which sources does a query read, and which of their rows are there twice?

Heads are asked first and blocks second; a block whose head part is in the view is left out, so an
entry that is being flushed is seen once (design §6). Exact duplicates across sources (same stream,
timestamp, line and metadata) are found once per pair of sources and remembered.
Invariant: sources of a view are in order of arrival; of two equal entries the earlier one stays.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from narfi.core.columns import I32, I64, LabelColumn, Mask, Spans, concat_spans
from narfi.core.labels import Labels
from narfi.core.matchers import Matcher
from narfi.core.tenant import TenantId
from storage.batch import LogBatch
from storage.metadata import concat_metadata
from storage.scan import Columns, LogSource, ScanRequest, SourceProvider

DUPLICATE_CACHE_PAIRS = 4096
"""Remembered pairs; an entry is a few bytes when, as usual, nothing is there twice."""

NO_ROWS: I64 = np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True)
class SourceView:
    """One source as a query sees it."""

    source: LogSource
    order: int  # place in order of arrival
    streams: Mask  # selected, by ordinal
    ids: I32  # ordinal -> number of the stream in the view
    excluded: I64  # ascending row numbers that another source has already

    def kept(self, batch: LogBatch) -> LogBatch:
        """The rows of a batch of the source that no other source has already."""
        if not len(self.excluded) or not len(batch):
            return batch
        place = np.searchsorted(self.excluded, batch.rows)
        found = self.excluded[np.minimum(place, len(self.excluded) - 1)] == batch.rows
        return batch.take(~found) if found.any() else batch

    def excluded_of(self, streams: Mask) -> I64:
        """The excluded rows of some streams (by ordinal); ascending."""
        owner = np.searchsorted(self.source.table.first_row, self.excluded, side="right") - 1
        return self.excluded[streams[owner]]


@dataclass(frozen=True, slots=True)
class Listed:
    """All sources of the time range, whether or not they have a stream of the selector."""

    heads: tuple[LogSource, ...] = ()
    blocks: tuple[LogSource, ...] = ()


@dataclass(frozen=True, slots=True)
class View:
    """A consistent set of sources, with their streams numbered alike."""

    sources: tuple[SourceView, ...]
    labels: tuple[Labels, ...]  # by number; only streams of the view's sources
    listed: Listed = Listed()


class DuplicateIndex:
    """Rows of a later source that an earlier one has too; thread-safe, bounded."""

    def __init__(self, max_pairs: int = DUPLICATE_CACHE_PAIRS) -> None:
        self._max_pairs = max_pairs
        self._found: OrderedDict[tuple[str, str], I64] = OrderedDict()
        self._lock = threading.Lock()

    def rows(self, earlier: LogSource, later: LogSource) -> I64:
        """Ascending row numbers of `later`; both sources are immutable, so the answer stays."""
        key = (earlier.source_id, later.source_id)
        with self._lock:
            known = self._found.get(key)
            if known is not None:
                self._found.move_to_end(key)
                return known
        rows = duplicate_rows(earlier, later)
        with self._lock:
            self._found[key] = rows
            while len(self._found) > self._max_pairs:
                self._found.popitem(last=False)
        return rows


def take_view(
    heads: SourceProvider,
    blocks: SourceProvider,
    duplicates: DuplicateIndex,
    tenant: TenantId,
    time_range: tuple[int, int],
    matchers: Sequence[Matcher],
) -> View:
    """Everything of the tenant that may hold entries of the streams in `[start, end)` ns."""
    start_ns, end_ns = time_range
    live = list(heads.sources(tenant, start_ns, end_ns))
    cuts = {source.cut_id for source in live}
    stored = [s for s in blocks.sources(tenant, start_ns, end_ns) if s.cut_id not in cuts]
    numbers: dict[tuple[tuple[str, str], ...], int] = {}
    views: list[SourceView] = []
    for source in [*stored, *live]:
        table = source.table
        streams = table.select(matchers)
        streams &= (table.last_ts >= start_ns) & (table.first_ts < end_ns)
        if not streams.any():
            continue
        ids = np.full(len(table), -1, np.int32)
        names = [table.labels[ordinal].pairs for ordinal in np.flatnonzero(streams).tolist()]
        ids[streams] = [numbers.setdefault(pairs, len(numbers)) for pairs in names]
        views.append(SourceView(source, len(views), streams, ids, NO_ROWS))
    listed = Listed(tuple(live), tuple(stored))
    return View(_without_duplicates(views, duplicates), tuple(map(Labels, numbers)), listed)


def _without_duplicates(
    views: list[SourceView], duplicates: DuplicateIndex
) -> tuple[SourceView, ...]:
    result: list[SourceView] = []
    for view in views:
        excluded = [
            duplicates.rows(other.source, view.source)
            for other in result
            if other.source.min_ts <= view.source.max_ts
            and view.source.min_ts <= other.source.max_ts
            and _streams_meet(other, view)
        ]
        found = [rows for rows in excluded if len(rows)]
        merged = np.unique(np.concatenate(found)) if found else NO_ROWS
        result.append(SourceView(view.source, view.order, view.streams, view.ids, merged))
    return tuple(result)


def _streams_meet(a: SourceView, b: SourceView) -> bool:
    """Whether some selected stream overlaps in time in both sources."""
    size = int(max(a.ids.max(), b.ids.max())) + 1
    first, last = (
        np.full(size, np.iinfo(np.int64).max),
        np.full(size, np.iinfo(np.int64).min),
    )
    chosen = np.flatnonzero(a.streams)
    first[a.ids[chosen]] = a.source.table.first_ts[chosen]
    last[a.ids[chosen]] = a.source.table.last_ts[chosen]
    mine = np.flatnonzero(b.streams)
    starts, ends = b.source.table.first_ts[mine], b.source.table.last_ts[mine]
    return bool(((starts <= last[b.ids[mine]]) & (ends >= first[b.ids[mine]])).any())


def duplicate_rows(earlier: LogSource, later: LogSource) -> I64:
    """Rows of `later` equal in stream, timestamp, line and metadata to a row of `earlier`.

    Timestamps of the overlapping streams are compared first; lines only where they collide.
    """
    pairs = _shared_streams(earlier, later)
    if not len(pairs[0]):
        return NO_ROWS
    low = int(np.maximum(earlier.table.first_ts[pairs[0]], later.table.first_ts[pairs[1]]).min())
    high = int(np.minimum(earlier.table.last_ts[pairs[0]], later.table.last_ts[pairs[1]]).max())
    a_key, a_ts, a_rows = _times(earlier, pairs[0], low, high)
    b_key, b_ts, b_rows = _times(later, pairs[1], low, high)
    a_hit, b_hit = _colliding(a_key, a_ts, b_key, b_ts)
    if not len(b_hit):
        return NO_ROWS
    a_batch = earlier.fetch(np.sort(a_rows[a_hit]), Columns())
    b_batch = later.fetch(np.sort(b_rows[b_hit]), Columns())
    a_map, b_map = np.full(len(earlier.table), -1), np.full(len(later.table), -1)
    a_map[pairs[0]], b_map[pairs[1]] = (
        np.arange(len(pairs[0])),
        np.arange(len(pairs[1])),
    )
    equal = _equal_rows(a_batch, a_map[a_batch.stream], b_batch, b_map[b_batch.stream])
    return np.sort(b_batch.rows[equal])


def _shared_streams(a: LogSource, b: LogSource) -> tuple[I64, I64]:
    """Ordinals of streams that both have and that overlap in time."""
    ordinals = {labels: ordinal for ordinal, labels in enumerate(a.table.labels)}
    left, right = [], []
    for ordinal, labels in enumerate(b.table.labels):
        other = ordinals.get(labels)
        if other is None or b.table.first_ts[ordinal] > a.table.last_ts[other]:
            continue
        if b.table.last_ts[ordinal] >= a.table.first_ts[other]:
            left.append(other)
            right.append(ordinal)
    return np.array(left, np.int64), np.array(right, np.int64)


def _times(source: LogSource, ordinals: I64, low: int, high: int) -> tuple[I64, I64, I64]:
    """(pair number, ts, row) of the rows of the streams within `low <= ts <= high`."""
    numbers = np.full(len(source.table), -1, np.int64)
    numbers[ordinals] = np.arange(len(ordinals))
    streams = numbers >= 0
    request = ScanRequest(streams, low, high + 1, Columns(lines=False, metadata=False))
    batches = [source.read(segment, request) for segment in source.segments(request)]
    if not batches:
        return NO_ROWS, NO_ROWS, NO_ROWS
    keys = np.concatenate([numbers[b.stream] for b in batches])
    return (
        keys,
        np.concatenate([b.ts for b in batches]),
        np.concatenate([b.rows for b in batches]),
    )


def _colliding(a_key: I64, a_ts: I64, b_key: I64, b_ts: I64) -> tuple[I64, I64]:
    """Positions in a and b whose (key, ts) occurs in both."""
    key, ts = np.concatenate([a_key, b_key]), np.concatenate([a_ts, b_ts])
    order = np.lexsort((ts, key))
    new = np.ones(len(order), np.bool_)
    new[1:] = (np.diff(key[order]) != 0) | (np.diff(ts[order]) != 0)
    group = np.empty(len(order), np.int64)
    group[order] = np.cumsum(new) - 1
    a_group, b_group = group[: len(a_key)], group[len(a_key) :]
    in_a = np.zeros(int(group.max(initial=-1)) + 1, np.bool_)
    in_b = in_a.copy()
    in_a[a_group], in_b[b_group] = True, True
    both = in_a & in_b
    return np.flatnonzero(both[a_group]), np.flatnonzero(both[b_group])


def _equal_rows(a: LogBatch, a_key: I64, b: LogBatch, b_key: I64) -> Mask:
    """Which rows of b have an equal in a."""
    assert a.lines is not None
    assert b.lines is not None
    columns = [np.concatenate([a_key, b_key]), np.concatenate([a.ts, b.ts])]
    columns.append(_codes(a.lines.spans(), b.lines.spans()))
    assert a.metadata is not None
    assert b.metadata is not None
    both = concat_metadata([(a.metadata, len(a)), (b.metadata, len(b))])
    columns.extend(both.row_codes())
    table = np.stack(columns, axis=1)
    rows = np.ascontiguousarray(table).view([("", np.int64)] * len(columns)).ravel()
    return np.isin(rows[len(a) :], rows[: len(a)])


def _codes(a: Spans, b: Spans) -> I64:
    return LabelColumn(spans=concat_spans([a, b])).codes.astype(np.int64)
