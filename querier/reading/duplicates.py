"""Which rows of a view are there twice? Found per pair of sources that meet, and remembered.

Two sources meet where a selected stream of both overlaps in time; who meets whom is found by a
sweep, so the cost grows with what overlaps, not with the number of pairs. Of a pair that meets,
timestamps are compared first and lines only where they collide.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from narfi.core.columns import I64, Mask, Spans, concat_spans
from narfi.core.label_column import SpansColumn
from storage.batch import LogBatch
from storage.cache import ByteCache
from storage.metadata import concat_metadata
from storage.scan import Columns, LogSource, ScanRequest
from storage.stream_labels import U64

CACHE_BYTES = 16 * 1024 * 1024
"""Remembered pairs; about 60,000 when, as usual, nothing is there twice."""
PAIR_BYTES = 256
"""Memory of a remembered pair without rows: two ids and the places in the cache."""

NO_ROWS: I64 = np.zeros(0, np.int64)


class DuplicateIndex:
    """Rows of a later source that an earlier one has too; thread-safe, bounded in bytes."""

    def __init__(self, max_bytes: int = CACHE_BYTES) -> None:
        self._found: ByteCache[I64] = ByteCache(max_bytes)

    def rows(self, earlier: LogSource, later: LogSource) -> I64:
        """Ascending row numbers of `later`; both sources are immutable, so the answer stays."""
        key = (earlier.source_id, later.source_id)

        def find() -> tuple[I64, int]:
            rows = duplicate_rows(earlier, later)
            return rows, rows.nbytes + PAIR_BYTES

        return self._found.get_or_load(key, find)


@dataclass(frozen=True, slots=True)
class Chosen:
    """A source and those of its streams that are asked for."""

    source: LogSource
    streams: Mask


@dataclass(frozen=True, slots=True)
class _Reaches:
    """Streams of sources that reach to where another source has entries."""

    stream: U64
    first: I64
    last: I64
    source: I64  # place among the sources


def excluded_rows(chosen: Sequence[Chosen], index: DuplicateIndex) -> list[I64]:
    """For each source, in order of arrival, the ascending rows that an earlier one has already."""
    found: list[list[I64]] = [[] for _ in chosen]
    for earlier, later in meeting_pairs(chosen):
        rows = index.rows(chosen[earlier].source, chosen[later].source)
        if len(rows):
            found[later].append(rows)
    return [np.unique(np.concatenate(rows)) if rows else NO_ROWS for rows in found]


def meeting_pairs(chosen: Sequence[Chosen]) -> list[tuple[int, int]]:
    """Places (earlier, later) of the sources in which a chosen stream overlaps in time, sorted."""
    reaches = _reaches(chosen)
    if reaches is None:
        return []
    order = np.lexsort((reaches.first, reaches.stream))
    stream, first = reaches.stream[order], reaches.first[order]
    last, source = reaches.last[order], reaches.source[order]
    pairs: set[int] = set()
    at, ahead = np.arange(len(order)), 1
    while len(at):  # streams that meet the one `ahead` places on may meet the next one as well
        at = at[at + ahead < len(order)]
        other = at + ahead
        meets = (stream[at] == stream[other]) & (first[other] <= last[at])
        at, other = at[meets], other[meets]
        low, high = np.minimum(source[at], source[other]), np.maximum(source[at], source[other])
        pairs.update(np.unique(low * len(chosen) + high).tolist())
        ahead += 1
    return [divmod(pair, len(chosen)) for pair in sorted(pairs)]


def _reaches(chosen: Sequence[Chosen]) -> _Reaches | None:
    """What reaches to another source, by a sweep over the times of the sources."""
    if len(chosen) < 2:
        return None
    lows = np.array([one.source.min_ts for one in chosen], np.int64)
    highs = np.array([one.source.max_ts for one in chosen], np.int64)
    order = np.argsort(lows, kind="stable")
    before = np.maximum.accumulate(highs[order])[:-1]  # how far the sources before each reach
    after = lows[order[1:]]  # where the sources behind each begin
    near = np.zeros(len(order), np.bool_)
    near[1:] |= before >= after
    near[:-1] |= highs[order[:-1]] >= after
    parts = []
    for place in np.flatnonzero(near).tolist():
        number = int(order[place])
        table, streams = chosen[number].source.table, chosen[number].streams
        reach = np.zeros(len(table), np.bool_)
        if place:
            reach |= table.first_ts <= before[place - 1]
        if place < len(after):
            reach |= table.last_ts >= after[place]
        mine = np.flatnonzero(reach & streams)
        if len(mine):
            parts.append((number, mine))
    if len(parts) < 2:
        return None
    tables = [(chosen[number].source.table, number, mine) for number, mine in parts]
    return _Reaches(
        np.concatenate([table.fingerprints(mine) for table, _, mine in tables]),
        np.concatenate([table.first_ts[mine] for table, _, mine in tables]),
        np.concatenate([table.last_ts[mine] for table, _, mine in tables]),
        np.concatenate([np.full(len(mine), number) for _, number, mine in tables]),
    )


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
    keys = b_map[b_batch.stream]
    equal = np.flatnonzero(_equal_rows(a_batch, a_map[a_batch.stream], b_batch, keys))
    equal = equal[_same_labels(earlier, later, pairs, keys[equal])[keys[equal]]]
    return np.sort(b_batch.rows[equal])


def _shared_streams(a: LogSource, b: LogSource) -> tuple[I64, I64]:
    """Ordinals of streams that both have and that overlap in time."""
    _, left, right = np.intersect1d(_all_streams(a), _all_streams(b), return_indices=True)
    meet = (b.table.first_ts[right] <= a.table.last_ts[left]) & (
        b.table.last_ts[right] >= a.table.first_ts[left]
    )
    return left[meet], right[meet]


def _all_streams(source: LogSource) -> U64:
    return source.table.fingerprints(np.arange(len(source.table)))


def _same_labels(earlier: LogSource, later: LogSource, pairs: tuple[I64, I64], used: I64) -> Mask:
    """Which of the used pairs of streams have equal labels, not only equal fingerprints."""
    same = np.zeros(len(pairs[0]), np.bool_)
    for pair in np.unique(used).tolist():
        left, right = int(pairs[0][pair]), int(pairs[1][pair])
        same[pair] = earlier.table.labels[left] == later.table.labels[right]
    return same


def _times(source: LogSource, ordinals: I64, low: int, high: int) -> tuple[I64, I64, I64]:
    """(pair number, ts, row) of the rows of the streams within `low <= ts <= high`."""
    numbers = np.full(len(source.table), -1, np.int64)
    numbers[ordinals] = np.arange(len(ordinals))
    streams = numbers >= 0
    request = ScanRequest(
        streams=streams, start_ns=low, end_ns=high + 1, columns=Columns(lines=False, metadata=False)
    )
    batches = [source.read(row_group, request) for row_group in source.row_groups(request)]
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
    return SpansColumn(concat_spans([a, b])).codes.astype(np.int64)
